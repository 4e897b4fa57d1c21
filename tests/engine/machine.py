"""Buffers that are written word by word: each store of a writer is kept, and can be played again one at a time.

A writer runs once over a ``Recorder``. What it stored, in order, is then all there is to know about it: a crash is a
prefix of the stores, and any meeting with a reader is a way to lay the reader's loads between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from papertiger_shm.engine import Memory, Reader, Request, Writer, create, verify
from papertiger_shm.engine.layout import H_EPOCH, H_GENERATION, H_JOURNAL

from .model import Model, check_equal, pack, unpack

SIZE = 64 << 10
STEP = 4 << 10

Store = tuple[int, int]
"""A word's address and what is stored there."""


def stepwise(size: int) -> Callable[[int], int]:
    """A kernel that gives memory a page at a time."""
    return lambda wanted: min((wanted + STEP - 1) // STEP * STEP, size)


def new_store(size: int = SIZE) -> bytearray:
    """A buffer with an empty store in it."""
    buffer = bytearray(size)
    create(Memory(buffer), stepwise(size), identity=7)
    return buffer


def open_writer(memory: Memory) -> Writer:
    """A writer of this memory, after a crash as after a clean start."""
    return Writer(memory, stepwise(len(memory)), pack, unpack)


class _RecordedWords:
    """Words whose stores are kept, in the order they are made."""

    def __init__(self, words: memoryview, log: list[Store]) -> None:
        self._words = words
        self._log = log

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: Any) -> Any:
        return self._words[place]

    def __setitem__(self, place: int | slice, value: Any) -> None:
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self._words))
            values = list(memoryview(value).cast("B").cast("Q"))
            assert len(values) == stop - start
            for address, word in enumerate(values, start):
                self[address] = word
        else:
            self._words[place] = value
            self._log.append((place, value))


class _RecordedBytes:
    """Bytes for fresh memory, stored a word at a time; the last one may be a part."""

    def __init__(self, words: memoryview, log: list[Store]) -> None:
        self._words = words
        self._bytes = words.cast("B")
        self.nbytes = self._bytes.nbytes
        self._log = log

    def __getitem__(self, place: Any) -> Any:
        return self._bytes[place]

    def __setitem__(self, place: slice, value: bytes) -> None:
        start, stop, _ = place.indices(len(self._bytes))
        assert stop - start == len(value)
        at = start
        while at < stop:
            end = min((at // 8 + 1) * 8, stop)
            self._bytes[at:end] = value[at - start : end - start]
            self._log.append((at // 8, self._words[at // 8]))
            at = end


class Recorder:
    """Memory for a writer that remembers every store made to it."""

    def __init__(self, buffer: bytearray) -> None:
        self.start = bytes(buffer)
        self.log: list[Store] = []
        self.memory = Memory(buffer)
        words = self.memory.words
        self.memory.words = _RecordedWords(words, self.log)  # type: ignore[assignment]
        self.memory.fresh = _RecordedBytes(words, self.log)  # type: ignore[assignment]

    def restart(self, buffer: bytearray) -> None:
        """What was stored so far belongs to the start."""
        self.start = bytes(buffer)
        self.log.clear()


def recorded_recovery(image: bytes) -> list[Store]:
    """What a new writer stores into this memory when it opens it."""
    recorder = Recorder(bytearray(image))
    open_writer(recorder.memory)
    return recorder.log


# --- a workload, run once ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Idle:
    """Lazy work until there is no more."""


@dataclass(frozen=True)
class Forget:
    """A client will never ask again."""

    client: bytes


@dataclass(frozen=True)
class Reopen:
    """Another writer takes over."""


Step = Sequence[Request] | Idle | Forget | Reopen


@dataclass
class History:
    """A workload as its stores, and the state of the store after each of its commits.

    ``states[c]`` is the model when ``c`` commits have happened; commit ``c`` is between stores ``begins[c - 1]`` and
    ``ends[c - 1]``: its journal pointer was set by the one before the first number, and cleared by the other.
    """

    start: bytes
    log: list[Store]
    states: list[Model]
    begins: list[int]
    ends: list[int]

    def begun(self, stores: int) -> int:
        """How many commits have begun to be visible after so many stores."""
        return sum(begin <= stores for begin in self.begins)

    def ended(self, stores: int) -> int:
        """How many are done with."""
        return sum(end <= stores for end in self.ends)

    def image(self, stores: int) -> bytearray:
        """The memory after so many stores."""
        buffer = bytearray(self.start)
        play(buffer, self.log[:stores])
        return buffer


def play(buffer: bytearray, stores: Iterable[Store]) -> None:
    """Make the stores."""
    words = memoryview(buffer).cast("Q")
    for address, value in stores:
        words[address] = value


def run(
    setup: Sequence[Step], steps: Sequence[Step], size: int = SIZE, postings: Sequence[bytes] = (), check: bool = True
) -> History:
    """Run the workload on top of ``setup``, commit by commit compared with the model."""
    model = Model()
    buffer = new_store(size)
    writer = open_writer(Memory(buffer))
    for step in setup:
        writer, _ = _advance(writer, Memory(buffer), step, model)
        model.learn(writer_reader(buffer))
    recorder = Recorder(buffer)
    writer = open_writer(recorder.memory)
    # Opening moved the epoch, which would hide from readers' tests whatever else a reader has to look at.
    recorder.restart(buffer)
    states, begins, ends = [model.copy()], list[int](), list[int]()
    live = bytearray(recorder.start)
    seen = 0
    for step in steps:
        before = model.copy()
        writer, prefixes = _advance(writer, recorder.memory, step, model)
        possible = [before, *prefixes]
        for number, store in enumerate(recorder.log[seen:], seen + 1):
            play(live, [store])
            if store[0] != H_JOURNAL:
                continue
            if store[1]:
                begins.append(number)
            else:
                ends.append(number)
                states.append(_matching(possible, live, postings, check))
        seen = len(recorder.log)
        if possible[-1].collections:
            possible[-1].learn(writer_reader(live))
        model = possible[-1].copy()
    return History(recorder.start, recorder.log, states, begins, ends)


def writer_reader(buffer: bytearray) -> Reader:
    """A reader that has seen nothing yet."""
    return Reader(Memory(buffer), checked=True)


def _advance(writer: Writer, memory: Memory, step: Step, model: Model) -> tuple[Writer, list[Model]]:
    """Do the step; returns the model after each of its requests, of which any may end a commit."""
    prefixes = []
    if isinstance(step, Idle):
        while writer.idle():
            pass
    elif isinstance(step, Forget):
        writer.forget(step.client)
        model.sessions.pop(step.client, None)
    elif isinstance(step, Reopen):
        writer = open_writer(memory)
    else:
        for request, outcome in zip(step, writer.execute(step), strict=True):
            model.agree(outcome, request)
            prefixes.append(model.copy())
    prefixes.append(model.copy())
    return writer, prefixes


def _matching(possible: list[Model], live: bytearray, postings: Sequence[bytes], check: bool) -> Model:
    """The first of the models, in order, that the memory can be; drops those before it."""
    if not check:
        return possible[-1]
    failure: AssertionError | None = None
    names = {name for model in possible for name in model.collections}
    for place, model in enumerate(possible):
        trial = model.copy()
        try:
            trial.learn(writer_reader(live))
            check_equal(trial, writer_reader(live), names, (), postings)
        except AssertionError as error:
            failure = error
            continue
        # A later state with the same items can only differ in what clients were answered.
        same = [later for later in possible[place:] if later.collections == model.collections]
        chosen = same[-1]
        chosen.__dict__.update(Model(trial.collections, chosen.sessions, chosen.ordinal, trial.latest).__dict__)
        del possible[:place]
        return chosen.copy()
    raise AssertionError("a commit left what no prefix of the requests makes") from failure


# --- crashes ----------------------------------------------------------------------------------------------------------


def crash_points(history: History) -> Iterator[tuple[int, bytearray]]:
    """``(stores, memory)`` of every moment at which the writer may die; the memory is the caller's."""
    live = bytearray(history.start)
    words = memoryview(live).cast("Q")
    yield 0, bytearray(live)
    for number, (address, value) in enumerate(history.log, 1):
        if words[address] != value or address == H_JOURNAL:
            words[address] = value
            yield number, bytearray(live)


def without_clock(image: bytes | bytearray) -> bytes:
    """The memory but for the two words that move each time a writer opens it."""
    copy = bytearray(image)
    for word in (H_GENERATION, H_EPOCH):
        copy[word * 8 : word * 8 + 8] = bytes(8)
    return bytes(copy)


def check_recovered(image: bytearray, state: Model, keys: Sequence[bytes] = (), postings: Sequence[bytes] = ()) -> None:
    """A new writer opens the memory; the store is whole and holds exactly this state."""
    memory = Memory(image)
    writer = open_writer(memory)
    verify(memory)
    check_equal(state, Reader(memory, checked=False), (), keys, postings)
    assert writer.collections() == sorted((name, len(items)) for name, items in state.collections.items())
    assert set(writer.clients()) == set(state.sessions)
    for client, (number, answer) in state.sessions.items():
        assert writer.last_request(client) == number
        assert writer.execute([Request(client, number, [None] * len(answer))]) == [answer]  # type: ignore[list-item]
