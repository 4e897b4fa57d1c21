"""Readers against a writer: the writer acts between any two loads of a read, and stops wherever it likes.

The loads of a reader are counted, each word of a copied slice as one, and a recorded writer is played in between. What
a read gives has to be what it would have given at one moment between its start and its end, with nobody writing.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from papertiger_shm.engine import (
    Clear,
    Closed,
    CollectionReader,
    Contended,
    Delete,
    Memory,
    Put,
    Reader,
    Request,
    Transform,
)
from papertiger_shm.engine.layout import H_DIRECTORY, H_EPOCH, H_RESERVED
from papertiger_shm.errors import NotFound

from .machine import SIZE, History, Idle, Reopen, Step, new_store, open_writer, play, run
from .model import Appended

SCHEDULES = int(os.environ.get("PAPERTIGER_INTERLEAVINGS", "1200"))
BOUND = 200_000

A, B = b"events\0a", b"events\0b"
BLUE, RED = b"color=blue", b"color=red"

both_kinds = pytest.mark.parametrize("checked", [False, True])

Schedule = Sequence[tuple[int, int]]
"""``(load, stores)`` pairs: just before this load of the reader, the writer has made this many stores."""


class Stage:
    """One buffer on which a history is played while a reader reads."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.buffer = bytearray(history.start)
        self.memory = Memory(self.buffer)
        self.plain = self.memory.words
        self.memory.words = _Loads(self, self.memory.words)  # type: ignore[assignment]
        self.memory.raw = _Slices(self, self.memory.raw)
        self.loads = 0
        self.played = 0
        self.pending: list[tuple[int, int]] = []

    def set(self, stores: int) -> None:
        """Nobody reads, and the writer has made so many stores."""
        if stores < self.played:
            self.buffer[:] = self.history.start
            self.played = 0
        self._play_to(stores)
        self.loads, self.pending = 0, []

    def follow(self, schedule: Schedule) -> None:
        """From here on, loads count and the writer goes by the schedule."""
        self.loads, self.pending = 0, sorted(schedule, reverse=True)

    def load(self) -> None:
        """The reader is about to look at a word."""
        self.loads += 1
        assert self.loads < BOUND, "the read does not end"
        while self.pending and self.pending[-1][0] <= self.loads:
            self._play_to(self.pending.pop()[1])

    def _play_to(self, stores: int) -> None:
        words = self.plain
        for address, value in self.history.log[self.played : stores]:
            words[address] = value
        self.played = max(self.played, stores)


class _Loads:
    def __init__(self, stage: Stage, words: memoryview) -> None:
        self._stage = stage
        self._words = words

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: int) -> int:
        self._stage.load()
        return self._words[place]


class _Slices:
    def __init__(self, stage: Stage, raw: Any) -> None:
        self._stage = stage
        self._raw = raw

    def __getitem__(self, span: slice) -> bytes:
        start, stop, _ = span.indices(len(self._stage.buffer))
        parts = []
        while start < stop:
            end = min((start // 8 + 1) * 8, stop)
            self._stage.load()
            parts.append(self._raw[start:end])
            start = end
        return b"".join(parts)


Read = Callable[[CollectionReader], Any]


def page(*arguments: Any) -> Read:
    """A page, or the class of the error."""

    def read(collection: CollectionReader) -> Any:
        try:
            return collection.page(*arguments)
        except NotFound:
            return NotFound

    return read


KEYS = [b"k%d" % n for n in range(6)] + [b"new"]
READS: dict[str, Read] = {
    **{f"get {key.decode()}": lambda c, key=key: c.get(key) for key in KEYS},  # type: ignore[misc]
    "version": lambda c: c.version(b"k2"),
    "entry": lambda c: c.entry(b"k2"),
    "count": lambda c: c.count(),
    "get_many": lambda c: c.get_many(KEYS),
    "newest page": page(3, None, None),
    "page after": page(2, b"k3", None),
    "page before": page(2, None, b"k1"),
    "filtered page": page(2, None, None, [BLUE]),
    "filtered page after": page(2, b"k3", None, [BLUE]),
    "scan": lambda c: c.scan(),
    "filtered scan": lambda c: c.scan([BLUE]),
    "scan with two filters": lambda c: c.scan([BLUE, RED]),
    "entries": lambda c: c.entries(),
}

POINT_READS = {name for name in READS if name.startswith("get k") or name in ("get new", "version", "entry")}


def put(key: bytes, created: int, *postings: bytes, text: bytes = b"", to: bytes = A) -> Put:
    """An item whose payload says whose it is, and is longer than a word."""
    return Put(to, key, created, postings, b"<%s %s %d>" % (to, key, created) + text)


def one(*operations: Any) -> list[Request]:
    """A step of one request."""
    return [Request(None, 0, operations)]


SETUP: list[Step] = [
    one(
        put(b"k0", 10, BLUE),
        put(b"k1", 20, BLUE, RED),
        put(b"k2", 30, RED),
        put(b"k3", 40, BLUE),
        put(b"k4", 50),
        put(b"k5", 50, BLUE, RED),
        put(b"k2", 1, BLUE, to=B),
    )
]
LONG = b"x" * 150
AGAIN = [put(key, 11 * n, BLUE, text=b"again") for n, key in enumerate(KEYS[:5])]
REUSE: list[Step] = [one(put(b"k%d" % (n % 3), n, RED, text=LONG[: 15 * (n % 9)])) for n in range(30)]
CROWD: list[Step] = [
    *(one(*(put(b"crowd%d" % n, n, to=B) for n in range(first, first + 15))) for first in range(0, 240, 15)),
    *(one(put(b"crowd%d" % n, n, to=B)) for n in range(240, 279)),
]

ACTIONS: dict[str, tuple[list[Step], list[Step], int]] = {
    "update": ([], [one(put(b"k2", 30, RED, text=b"again"))], 64),
    "update in time and index": ([], [one(put(b"k2", 70, BLUE))], 64),
    "several updates": ([], [one(put(b"k2", 5, BLUE), put(b"k3", 60, RED), Transform(A, b"k1", Appended(b"+")))], 64),
    "insert": ([], [one(put(b"new", 45, BLUE, RED))], 64),
    "delete": ([], [one(Delete(A, b"k2"))], 64),
    "two deletes and back": ([], [one(Delete(A, b"k2"), Delete(A, b"k3")), one(put(b"k2", 1), put(b"k3", 2))], 64),
    "delete and insert in one request": ([], [one(Delete(A, b"k2"), put(b"k2", 35, BLUE), Delete(A, b"k4"))], 64),
    "clear": ([], [one(Clear(A))], 64),
    "clear, reclaim": ([], [one(Clear(A)), Idle(), one(put(b"k2", 30, RED))], 64),
    "clear and make anew in one request": ([], [one(Clear(A), *AGAIN)], 64),
    "clear and make anew in two": ([], [one(Clear(A)), one(*AGAIN)], 64),
    "delete all, back in one request": ([], [one(*(Delete(A, key) for key in KEYS), put(b"k2", 9, BLUE))], 64),
    "put and clear in one request": ([], [one(put(b"k2", 9, text=b"never"), put(b"new", 1), Clear(A))], 64),
    "epoch and reuse": ([], REUSE, 64),
    "clear, reclaim, epoch, reuse": ([], [one(Clear(A)), Idle(), one(*AGAIN), *REUSE], 64),
    "takeover": ([], [one(put(b"k2", 31)), Reopen(), one(put(b"k2", 32, text=LONG))], 64),
    "directory rebuilt": (CROWD, [one(put(b"new", 45, BLUE), *AGAIN), one(Delete(A, b"k2"))], 128),
    "memory grows": (
        [],
        [one(put(b"k2", 8, text=LONG * 30, to=B)), one(put(b"k2", 31)), *[one(put(b"k2", 9))] * 9],
        64,
    ),
    # What was the directory becomes zeroes, in which no key is to be found.
    "directory rebuilt, its memory reused": (
        CROWD,
        [one(put(b"new", 45, BLUE), *AGAIN), *(one(put(b"z%d" % n, 1, text=bytes(1_500), to=B)) for n in range(4))],
        128,
    ),
    "other collection": (
        [],
        [one(put(b"k2", 8, text=LONG, to=B)), one(Clear(B)), Idle(), one(put(b"k9", 1, to=B))],
        64,
    ),
}


class Play:
    """An action ready to be met by readers: its history, and what every read gives after each of its commits."""

    def __init__(self, name: str) -> None:
        setup, steps, kilobytes = ACTIONS[name]
        self.history = run([*SETUP, *setup], steps, kilobytes << 10)
        self.stage = Stage(self.history)
        self.expected: list[dict[str, Any]] = []
        for stores in (0, *self.history.ends):
            self.stage.set(stores)
            collection = Reader(self.stage.memory, checked=True).collection(A)
            self.expected.append({read: READS[read](collection) for read in READS})
        self.last = len(self.history.log)

    def meet(self, read: str, schedule: Schedule, *, first: int, warm: bool, checked: bool) -> int:
        """Let the read run on the schedule, from ``first`` stores on; returns how many loads it took."""
        stage, history = self.stage, self.history
        reader = Reader(stage.memory, checked=checked)
        collection = reader.collection(A)
        if warm:
            stage.set(0)
            collection.get(b"k0")
        stage.set(first)
        stage.follow(schedule)
        try:
            result = READS[read](collection)
        except Contended:
            # An honest reader cannot know, with a commit half done; but it needs no whole one to read a single item.
            assert read not in POINT_READS, f"{read} waited for the writer"
            stops = [first, *(stores for _, stores in schedule)]
            halves = [history.begun(stores) > history.ended(stores) for stores in stops]
            assert any(halves), f"{read} was lost between two commits"
            return stage.loads
        states = range(history.ended(first), history.begun(stage.played) + 1)
        possible = [self.expected[state][read] for state in states]
        assert result in possible, (
            f"{read} gave {result!r}, not one of {possible!r}: stores {first}, {schedule}, warm {warm}"
        )
        return stage.loads


@pytest.fixture(scope="module")
def plays() -> dict[str, Play]:
    """Each action is run once for all tests."""
    return {}


@pytest.fixture
def play_of(request: pytest.FixtureRequest, plays: dict[str, Play]) -> Play:
    """The action of this test."""
    if request.param not in plays:
        plays[request.param] = Play(request.param)
    return plays[request.param]


every_action = pytest.mark.parametrize("play_of", ACTIONS, indirect=True)


@every_action
@both_kinds
def test_the_writer_does_it_all_between_any_two_loads(play_of: Play, checked: bool) -> None:
    for read in READS:
        for warm in (False, True):
            at = loads = 1
            while at <= loads:
                loads = play_of.meet(read, [(at, play_of.last)], first=0, warm=warm, checked=checked)
                at += 1


@every_action
@both_kinds
def test_the_writer_stands_still_after_any_store(play_of: Play, checked: bool) -> None:
    """As it does for ever when it was killed there."""
    fresh = range(0, play_of.last + 1, 5)
    for stores in sorted({*_visible(play_of.history), *fresh, play_of.last} & {*range(play_of.last + 1)}):
        for read in list(READS)[stores % 2 :: 2]:
            play_of.meet(read, [], first=stores, warm=bool(stores & 4), checked=checked)


def _visible(history: History) -> list[int]:
    """Moments at which more than fresh memory and the journal has changed."""
    moments = list[int]()
    for begin, end in zip(history.begins, history.ends):
        moments += range(begin - 1, end + 3)
    return moments


@every_action
@both_kinds
def test_the_writer_goes_on_a_little_now_and_then(play_of: Play, checked: bool) -> None:
    chance = random.Random(len(play_of.history.log) + checked)
    moments = _visible(play_of.history)
    reads = list(READS)
    for _ in range(SCHEDULES // 4):
        read = chance.choice(reads)
        stops = sorted(chance.sample(moments, chance.randint(1, min(6, len(moments)))))
        loads = sorted(chance.randint(1, chance.choice((20, 60, 300))) for _ in stops)
        first = 0 if chance.random() < 0.5 else chance.randrange(stops[0] + 1)
        play_of.meet(read, list(zip(loads, stops)), first=first, warm=chance.random() < 0.5, checked=checked)


@pytest.mark.parametrize(
    "play_of", [name for name in ACTIONS if "reuse" not in name and "rebuilt" not in name], indirect=True
)
def test_the_writer_stops_after_any_store_and_ends_before_any_load(play_of: Play) -> None:
    """The two at once, for point reads: the reader starts inside the commit, which ends inside the read."""
    moments = _visible(play_of.history)
    spread = max(1, len(moments) * 20 * 3 // SCHEDULES)
    for read in ("get k2", "get new", "count"):
        turn = 0
        for first in moments:
            at = loads = 1
            while at <= loads:
                turn += 1
                if turn % spread == 0:
                    loads = play_of.meet(read, [(at, play_of.last)], first=first, warm=bool(at & 1), checked=False)
                at += 1


# --- a writer that never rests ---------------------------------------------------------------------------------------


class _Restless:
    """Words of a live store, on which the writer acts at each so many loads."""

    def __init__(self, words: memoryview, every: int, act: Callable[[], None]) -> None:
        self._words = words
        self._every = every
        self._act = act
        self.loads = 0

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: int) -> int:
        self.loads += 1
        if self.loads % self._every == 0:
            self._act()
        assert self.loads < BOUND, "the read does not end"
        return self._words[place]


def live_store(steps: Sequence[Step] = SETUP, size: int = SIZE) -> tuple[bytearray, Any]:
    """A buffer and the writer that filled it."""
    buffer = new_store(size)
    writer = open_writer(Memory(buffer))
    for step in steps:
        writer.execute(step)  # type: ignore[arg-type]
    return buffer, writer


@pytest.mark.parametrize("every", [1, 2, 3, 5, 9, 17, 40])
@both_kinds
def test_reads_end_however_busy_the_writer_is(every: int, checked: bool) -> None:
    buffer, writer = live_store()
    turn = iter(range(10**9))

    def act() -> None:
        n = next(turn)
        writer.execute(one(put(b"k2", n % 60, BLUE, text=b"%d" % n)) if n % 5 else one(Clear(B)))

    memory = Memory(buffer)
    words = memory.words = _Restless(memory.words, every, act)  # type: ignore[assignment]
    reader = Reader(memory, checked=checked)
    for name, read in READS.items():
        words.loads = 0
        try:
            result = read(reader.collection(A))
        except Contended:
            continue
        if name.startswith("get k") and name != "get k2":
            assert result.startswith(b"<%s %s " % (A, name[4:].encode())), name
        elif name == "get_many":
            assert None not in result[:6]
        elif name == "count":
            assert result == 6


LONG_READS: dict[str, Read] = {
    "scan": lambda collection: collection.scan(),
    "filtered scan": lambda collection: collection.scan([BLUE, RED]),
    "page behind what is on another list": lambda collection: collection.page(5, b"k0", None, [RED]),
    "get_many": lambda collection: collection.get_many([b"k%d" % n for n in range(LONG)]),
}
LONG = 2_000


@pytest.mark.parametrize("read", LONG_READS)
@pytest.mark.parametrize("every", [100, 3_000])
def test_a_long_read_is_given_up_before_it_was_in_vain_many_times(read: str, every: int) -> None:
    """A read takes many times as long as the writer rests: with the usual number of attempts it would take for ever."""
    steps = [one(*(put(b"k%d" % n, n, BLUE, *[RED][: n % 2]) for n in range(LONG)))]
    buffer, writer = live_store(steps, 4 << 20)
    turn = iter(range(10**9))
    memory = Memory(buffer)
    plain = memory.words
    words = memory.words = _Restless(plain, 10**9, lambda: None)  # type: ignore[assignment]
    collection = Reader(memory, checked=False).collection(A)
    LONG_READS[read](collection)
    undisturbed = words.loads
    words = _Restless(plain, every, lambda: writer.execute(one(put(b"k1", 1, BLUE, text=b"%d" % next(turn)))))
    memory.words = words  # type: ignore[assignment]
    collection = Reader(memory, checked=False).collection(A)
    with pytest.raises(Contended):
        LONG_READS[read](collection)
    assert words.loads < 5 * undisturbed


@both_kinds
def test_point_reads_do_not_wait_for_a_writer_that_stands_in_a_commit(checked: bool) -> None:
    history = run(SETUP, [one(put(b"k2", 30, RED, text=b"again"), put(b"k3", 1))])
    for stores in range(history.begins[0], history.ends[0]):
        collection = Reader(Memory(history.image(stores)), checked=checked).collection(A)
        for key in KEYS[:6]:
            assert collection.get(key) is not None
            assert collection.version(key) is not None
            assert collection.entry(key) is not None
        assert collection.get(b"new") is None
        assert collection.count() == 6


@pytest.mark.parametrize("read", ["get_many", "newest page", "page after", "scan", "filtered scan", "entries"])
def test_a_sequence_that_stays_odd_is_contended(read: str) -> None:
    history = run(SETUP, [one(put(b"k2", 30, RED, text=b"again"))])
    stage = Stage(history)
    stage.set((history.begins[0] + history.ends[0]) // 2)
    reader = Reader(stage.memory, checked=False)
    with pytest.raises(Contended):
        READS[read](reader.collection(A))
    assert stage.loads < 3_000
    assert reader.retries > 0
    assert READS[read](reader.collection(b"events\0nothing")) is not None, "other collections go on"
    other = reader.collection(B)
    assert other.scan() == [put(b"k2", 1, to=B).payload]


# --- the segment's life ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [*READS])
@pytest.mark.parametrize("warm", [False, True])
def test_a_closed_segment_says_so(read: str, warm: bool) -> None:
    buffer, writer = live_store()
    collection = Reader(Memory(buffer)).collection(A)
    absent = Reader(Memory(buffer)).collection(b"events\0nothing")
    if warm:
        assert collection.get(b"k0")
        assert absent.get(b"k0") is None
    writer.close()
    for closed in (collection, absent):
        with pytest.raises(Closed):
            READS[read](closed)


@pytest.mark.parametrize("read", [*READS])
def test_a_segment_that_is_closed_in_mid_read_is_read_or_closed(read: str) -> None:
    buffer, _ = live_store()
    expected = READS[read](Reader(Memory(buffer)).collection(A))
    epoch = memoryview(buffer).cast("Q")[H_EPOCH]
    log = [(H_EPOCH, epoch | 1 << 63)]
    stage = Stage(History(bytes(buffer), log, [], [], []))
    outcomes = set()
    at = 1
    while at == 1 or at <= stage.loads:
        collection = Reader(stage.memory, checked=True).collection(A)
        stage.set(0)
        stage.follow([(at, 1)])
        try:
            assert READS[read](collection) == expected
            outcomes.add("read")
        except Closed:
            outcomes.add("closed")
        at += 1
    assert "closed" in outcomes


@both_kinds
def test_views_follow_a_collection_through_its_lives(checked: bool) -> None:
    buffer, writer = live_store()
    collection = Reader(Memory(buffer), checked=checked).collection(A)
    for life in range(40):
        assert collection.get(b"k0")
        writer.execute(one(Clear(A)) if life % 2 else one(*(Delete(A, key) for key in KEYS)))
        assert collection.get(b"k0") is None
        assert collection.count() == 0
        assert collection.scan() == []
        assert collection.get_many([b"k0", b"k1"]) == [None, None]
        assert collection.page(3, None, None) == ([], False)
        with pytest.raises(NotFound):
            collection.page(3, b"k0", None)
        while writer.idle():
            pass
        fresh = put(b"k0", life, BLUE, text=b"life")
        writer.execute(one(fresh))
        assert collection.get(b"k0") == fresh.payload
        assert collection.scan([BLUE]) == [fresh.payload]


@both_kinds
def test_views_follow_the_directory(checked: bool) -> None:
    buffer = new_store(256 << 10)
    writer = open_writer(Memory(buffer))
    words = memoryview(buffer).cast("Q")
    collection = Reader(Memory(buffer), checked=checked).collection(A)
    homes = set()
    for n in range(700):
        writer.execute(one(put(b"n%d" % n, n)))
        homes.add(words[H_DIRECTORY])
        assert collection.get(b"n%d" % n) == put(b"n%d" % n, n).payload
        assert collection.get(b"n%d" % (n // 2)) == put(b"n%d" % (n // 2), n // 2).payload
        assert collection.count() == n + 1
    assert len(homes) > 2, "the directory was to grow"


def test_readers_share_nothing_that_one_of_them_could_spoil() -> None:
    buffer, writer = live_store()
    reader = Reader(Memory(buffer))
    first, second = reader.collection(A), reader.collection(A)
    assert first.get(b"k2") == second.get(b"k2")
    writer.execute(one(Clear(A), *AGAIN))
    assert first.get(b"k2") == second.get(b"k2") == AGAIN[2].payload


@pytest.mark.parametrize("read", [*READS])
def test_nothing_is_read_of_memory_that_the_kernel_has_not_given(read: str) -> None:
    """Words from the reserved limit on may be SIGBUS."""
    buffer, _ = live_store()
    limit = memoryview(buffer).cast("Q")[H_RESERVED]
    memory = Memory(buffer)
    plain, raw = memory.words, memory.raw

    class Guarded:
        def __len__(self) -> int:
            return len(plain)

        def __getitem__(self, place: int) -> int:
            assert place < limit
            return plain[place]

    class GuardedSlices:
        def __getitem__(self, span: slice) -> bytes:
            assert span.stop <= limit * 8
            return raw[span]

    memory.words, memory.raw = Guarded(), GuardedSlices()  # type: ignore[assignment]
    assert READS[read](Reader(memory, checked=True).collection(A)) == READS[read](Reader(Memory(buffer)).collection(A))


@pytest.mark.parametrize(
    ("action", "word"), [("directory rebuilt", H_DIRECTORY), ("memory grows", H_RESERVED), ("epoch and reuse", H_EPOCH)]
)
def test_the_actions_do_what_they_are_here_for(plays: dict[str, Play], action: str, word: int) -> None:
    history = (plays.get(action) or Play(action)).history
    assert any(address == word for address, _ in history.log), action


def test_playing_a_history_ends_where_the_writer_did() -> None:
    for name in ("update", "epoch and reuse"):
        setup, steps, kilobytes = ACTIONS[name]
        history = run([*SETUP, *setup], steps, kilobytes << 10)
        live = bytearray(history.start)
        play(live, history.log)
        collection = Reader(Memory(live), checked=True).collection(A)
        items = history.states[-1].items(A)
        assert collection.entries() == [(item.version, item.payload) for _, item in items]
