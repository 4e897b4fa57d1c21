"""The power cut, everywhere: a writer is stopped after every single word that it stores, and another one takes over.

Whatever a workload does, what the next writer finds is the store before the interrupted commit or after it, and after
it from the moment that the journal pointer was set. Readers that were there before go on through all of it.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papertiger_shm.engine import (
    Clear,
    ClearAcross,
    ClearBelow,
    Contended,
    Delete,
    Memory,
    Put,
    Reader,
    Request,
    Transform,
    verify,
)
from papertiger_shm.engine.commit import replay
from papertiger_shm.engine.layout import H_JOURNAL

from .machine import (
    Forget,
    History,
    Idle,
    Reopen,
    Step,
    check_recovered,
    crash_points,
    new_store,
    open_writer,
    play,
    recorded_recovery,
    run,
    without_clock,
)
from .model import CLIENTS, Appended, Model, Refused

TORTURE = int(os.environ.get("PAPERTIGER_CRASH_EXAMPLES", "0"))

FEW = settings().max_examples <= 100
RECOVERIES = 10_000 if TORTURE or not FEW else 40
"""Crashes of one workload after which the recovery is stopped everywhere, too."""

A, AB, B = b"events\0a", b"events\0a/b", b"customers\0a"
BLUE, RED, GREEN = b"color=blue", b"color=red", b"size=9"
POSTINGS = (BLUE, RED, GREEN)


def one(*operations: object, client: bytes | None = None, number: int = 0) -> list[Request]:
    """A step of a single request."""
    return [Request(client, number, list(operations))]  # type: ignore[arg-type]


def put(
    key: bytes, created: int = 5, *postings: bytes, to: bytes = A, text: bytes = b"", expect: int | None = None
) -> Put:
    """An item whose payload says whose it is."""
    return Put(to, key, created, postings, b"%s|%s|%d|" % (to, key, created) + text, expect)


THREE: list[Step] = [
    one(put(b"k1", 10, BLUE), put(b"k2", 20, BLUE, GREEN), put(b"k3", 30, RED)),
    one(put(b"other", 1, BLUE, to=B)),
]
MANY: list[Step] = [one(*(put(b"m%d" % n, n, BLUE) for n in range(n0, n0 + 5))) for n0 in range(0, 20, 5)]
LONG = b"x" * 400

WORKLOADS: dict[str, tuple[list[Step], list[Step]]] = {
    "first item": ([], [one(put(b"k1", 1, BLUE))]),
    "newest": (THREE, [one(put(b"new", 40, BLUE))]),
    "oldest": (THREE, [one(put(b"new", 1, BLUE))]),
    "middle": (THREE, [one(put(b"new", 15, BLUE, GREEN))]),
    "equal times": (THREE, [one(put(b"new", 20, BLUE)), one(put(b"newer", 20, BLUE))]),
    "far from the newest": (MANY, [one(put(b"far", 1, BLUE)), one(Delete(A, b"m1")), one(put(b"m2", 1, BLUE))]),
    "replaced": (THREE, [one(put(b"k2", 20, BLUE, GREEN, text=b"again"))]),
    "replaced at another time": (THREE, [one(put(b"k2", 50, BLUE, GREEN)), one(put(b"k2", 5, BLUE))]),
    "replaced with other index values": (
        THREE,
        [one(put(b"k2", 20, RED)), one(put(b"k3", 30)), one(put(b"k3", 30, RED))],
    ),
    "deleted": (THREE, [one(Delete(A, b"k2")), one(Delete(A, b"k3")), one(Delete(A, b"k1"))]),
    "deleted and back in one request": (THREE, [one(Delete(A, b"k2"), put(b"k2", 20, GREEN))]),
    "last one deleted and back": (THREE, [one(Delete(B, b"other"), put(b"other", 2, RED, to=B))]),
    "cleared": (THREE, [one(Clear(A)), Idle()]),
    "cleared and made anew in one request": (THREE, [one(Clear(A), put(b"k2", 3, BLUE), put(b"k9", 1)), Idle()]),
    "cleared, made, cleared": (THREE, [one(Clear(A), put(b"k2", 3, BLUE), Clear(A), put(b"k1", 4, RED)), Idle()]),
    "cleared below": (
        [*THREE, one(put(b"deep", 1, BLUE, to=AB))],
        [one(ClearBelow(b"events\0")), one(put(b"k1", 4, to=AB)), Idle()],
    ),
    "reclaimed in pieces": (
        [
            one(*(put(b"r%d" % n, n, b"n=%d" % (n // 2), text=b"y" * 60) for n in range(n0, n0 + 5)))
            for n0 in range(0, 70, 5)
        ],
        [one(Clear(A)), Idle(), one(put(b"r1", 1, text=LONG))],
    ),
    "transformed": (
        THREE,
        [
            one(Transform(A, b"k2", Appended(b"+"))),
            one(Transform(A, b"k2", Appended(b"+", 70, GREEN, RED)), Transform(A, b"k2", Appended(b"+", None, RED))),
        ],
    ),
    "some refused": (
        THREE,
        [
            [
                Request(None, 0, [put(b"n1", 1, BLUE)]),
                Request(None, 0, [put(b"n2", 1, BLUE), put(b"k1", 1, BLUE, expect=0)]),
                Request(None, 0, [put(b"k1", 1, RED, expect=0)]),
                Request(None, 0, [Delete(A, b"k1"), Clear(B), put(b"k2", 1, expect=999)]),
                Request(None, 0, [Transform(A, b"k1", Refused())]),
                Request(None, 0, [put(b"n3", 99, GREEN, expect=0)]),
            ]
        ],
    ),
    "sessions": (
        THREE,
        [
            one(put(b"s", 1), client=CLIENTS[0], number=1),
            one(Transform(A, b"s", Appended(b"+")), client=CLIENTS[0], number=2),
            [
                Request(CLIENTS[0], 2, [Transform(A, b"s", Appended(b"+"))]),
                Request(CLIENTS[0], 5, [Transform(A, b"s", Appended(b"++")), put(b"t", 1)]),
                Request(CLIENTS[1], 1, [Transform(A, b"s", Appended(b"3")), Delete(A, b"k1")]),
                Request(CLIENTS[0], 4, [Clear(A)]),
                Request(CLIENTS[1], 2, [put(b"s", 1, expect=0)]),
                Request(CLIENTS[0], 6, [put(b"u", 1)]),
            ],
            Forget(CLIENTS[1]),
            Forget(CLIENTS[0]),
        ],
    ),
    "journal growth": (
        THREE,
        [
            one(put(b"small", 3)),
            [Request(None, 0, [put(b"j%d" % n, n, b"n=%d" % n, BLUE) for n in range(25)]), *one(put(b"k1", 1))],
        ],
    ),
    "epoch and reuse": (
        THREE,
        [one(put(b"k%d" % (n % 3), n, BLUE, text=LONG[: 40 * (n % 11)])) for n in range(34)],
    ),
    "taken over": (THREE, [one(put(b"k2", 9, RED)), Reopen(), one(put(b"k3", 9, text=LONG)), Reopen(), one(Clear(A))]),
}


@pytest.fixture(scope="module")
def histories() -> dict[str, History]:
    """Workloads that have been run, each once."""
    return {}


@pytest.fixture
def history(request: pytest.FixtureRequest, histories: dict[str, History]) -> History:
    """The workload that the test is about."""
    name = request.param
    if name not in histories:
        histories[name] = run(*WORKLOADS[name], postings=POSTINGS)
    return histories[name]


every_workload = pytest.mark.parametrize("history", WORKLOADS, indirect=True)


def check_every_crash(history: History) -> int:
    """Recover at each point; whatever two points leave the same is looked at once."""
    seen: set[tuple[int, bytes]] = set()
    keys = sorted({key for state in history.states for items in state.collections.values() for key in items})
    points = 0
    for stores, image in crash_points(history):
        state = history.states[history.begun(stores)]
        recovered = bytearray(image)
        replay(Memory(recovered))
        fingerprint = history.begun(stores), bytes(recovered)
        if fingerprint not in seen:
            seen.add(fingerprint)
            try:
                check_recovered(image, state, keys, POSTINGS)
            except Exception as error:
                raise AssertionError(f"stopped after store {stores} of {len(history.log)}") from error
        points += 1
    return points


@every_workload
def test_a_crash_leaves_the_store_before_the_commit_or_after_it(history: History) -> None:
    assert len(history.states) > 1
    assert check_every_crash(history) > 10


@every_workload
def test_a_crash_in_the_recovery_from_a_crash_changes_nothing(history: History) -> None:
    points = [point for point in crash_points(history) if memoryview(point[1]).cast("Q")[H_JOURNAL]]
    for stores, image in points[:: max(1, len(points) // RECOVERIES)]:
        recovery = recorded_recovery(bytes(image))
        whole = bytearray(image)
        play(whole, recovery)
        half = bytearray(image)
        words = memoryview(half).cast("Q")
        for number, (address, value) in enumerate(recovery, 1):
            if words[address] == value:
                continue
            words[address] = value
            again = bytearray(half)
            open_writer(Memory(again))
            assert without_clock(again) == without_clock(whole), (stores, number)


@every_workload
def test_the_next_writer_works_on_from_any_crash(history: History) -> None:
    for stores, image in list(crash_points(history))[::7]:
        memory = Memory(image)
        model = history.states[history.begun(stores)].copy()
        writer = open_writer(memory)
        for step in (
            one(put(b"k2", 77, GREEN, text=LONG)),
            one(Delete(A, b"k1"), Clear(B), put(b"after", 3, BLUE, to=B)),
        ):
            model.agree(writer.execute(step)[0], step[0])
            model.learn(Reader(memory))
        while writer.idle():
            pass
        check_recovered(image, model, (b"k1", b"k2", b"k3"), POSTINGS)


@every_workload
@pytest.mark.parametrize("checked", [False, True])
def test_a_reader_from_before_meets_only_whole_states(history: History, checked: bool) -> None:
    """It reads after every store of the workload, and so of a dead writer too: what it has copied it cannot unsee."""
    live = bytearray(history.start)
    reader = Reader(Memory(live), checked=checked)
    for number, store in enumerate(history.log):
        play(live, [store])
        states = history.states[history.ended(number + 1) : history.begun(number + 1) + 1]
        if len(states) > 1 or number % 5 == 0:  # between commits, only fresh memory and the journal are stored to
            _check_one_of(reader, states)


@pytest.mark.parametrize(
    "history",
    ["replaced", "deleted", "cleared", "middle", "last one deleted and back", "cleared and made anew in one request"],
    indirect=True,
)
@pytest.mark.parametrize("checked", [False, True])
def test_a_reader_goes_on_through_crash_and_recovery(history: History, checked: bool) -> None:
    for stores, image in crash_points(history):
        begun, ended = history.begun(stores), history.ended(stores)
        reader = Reader(Memory(image), checked=checked)
        _check_one_of(reader, history.states[ended : begun + 1])
        for store in recorded_recovery(bytes(image)):
            play(image, [store])
            _check_one_of(reader, history.states[ended : begun + 1])
        _check_one_of(reader, [history.states[begun]], patient=False)


def _check_one_of(reader: Reader, states: list[Model], patient: bool = True) -> None:
    """Point reads give what one of the states has; multi-record reads are one state, or do not come about."""
    for name in {name for state in states for name in state.collections} | {A}:
        collection = reader.collection(name)
        helds = [state.collections.get(name, {}) for state in states]
        keys = sorted({key for held in helds for key in held})
        for key in keys:
            possible = [held[key].payload if key in held else None for held in helds]
            assert _unless_contended(lambda: collection.get(key), possible, patient) in possible, (name, key)  # noqa: B023
            versions = [held[key].version if key in held else None for held in helds]
            assert _unless_contended(lambda: collection.version(key), versions, patient) in versions, (name, key)  # noqa: B023
        counts = [len(held) for held in helds]
        assert _unless_contended(collection.count, counts, patient) in counts
        whole = [[(item.version, item.payload) for _, item in state.items(name)] for state in states]
        assert _unless_contended(collection.entries, whole, patient) in whole
        many = [[held[key].payload if key in held else None for key in keys] for held in helds]
        assert _unless_contended(lambda: collection.get_many(keys), many, patient) in many  # noqa: B023


def _unless_contended(read: object, possible: list[Any], patient: bool) -> object:
    try:
        return read()  # type: ignore[operator]
    except Contended:
        assert patient, "nothing is going on any more"
        return possible[0]


# --- random workloads ------------------------------------------------------------------------------------------------

names = st.sampled_from([A, AB, B])
keys = st.sampled_from([b"k%d" % n for n in range(6)])
times = st.integers(0, 4)
texts = st.sampled_from([b"", b"text", b"z" * 90])
puts = st.builds(
    lambda to, key, created, postings, text, expect: put(key, created, *postings, to=to, text=text, expect=expect),
    names,
    keys,
    times,
    st.lists(st.sampled_from(POSTINGS), max_size=3, unique=True),
    texts,
    st.sampled_from([None, None, None, 0]),
)
transforms = st.builds(
    Transform,
    names,
    keys,
    st.builds(
        lambda created, indexes: Appended(b"+", created, *indexes),
        times | st.none(),
        st.sampled_from([(None, None), *((posting, None) for posting in POSTINGS), *((p, p) for p in POSTINGS)]),
    ),
)
operations = st.one_of(
    puts,
    puts,
    st.builds(Delete, names, keys),
    transforms,
    st.builds(Clear, names),
    st.builds(ClearBelow, st.sampled_from([b"events\0", b"events\0a/"])),
    st.sampled_from([ClearAcross(b"a", b"a/"), ClearAcross(b"b", b"b/")]),
)
requests = st.lists(operations, min_size=1, max_size=4).map(lambda chosen: Request(None, 0, chosen))
steps = st.one_of(
    st.lists(requests, min_size=1, max_size=3),
    st.lists(requests, min_size=1, max_size=3),
    st.just(Idle()),
    st.just(Reopen()),
)


@settings(max_examples=TORTURE or (12 if FEW else settings().max_examples // 4))
@given(
    setup=st.lists(st.lists(requests, min_size=1, max_size=3), max_size=2), rest=st.lists(steps, min_size=1, max_size=3)
)
def test_random_workloads_survive_every_crash(setup: list[Step], rest: list[Step]) -> None:
    history = run(setup, rest, postings=POSTINGS)
    check_every_crash(history)
    live = bytearray(history.start)
    reader = Reader(Memory(live), checked=False)
    for number, store in enumerate(history.log):
        play(live, [store])
        if random.Random(number).random() < 0.3:
            _check_one_of(reader, history.states[history.ended(number + 1) : history.begun(number + 1) + 1])


# --- the directory, which needs a larger store to grow in ------------------------------------------------------------


def grown_directory() -> History:
    """A commit, the rebuilding of the directory, and another commit."""
    fill: list[Step] = [one(*(put(b"f%d" % n, n, BLUE) for n in range(n0, n0 + 10))) for n0 in range(0, 290, 10)]
    return run(
        [*fill, one(Delete(A, b"f7"))],
        [[Request(None, 0, [put(b"g%d" % n, n)]) for n in range(18)], one(put(b"last", 1, RED))],
        size=128 << 10,
        postings=POSTINGS,
    )


def test_a_crash_while_the_directory_grows() -> None:
    history = grown_directory()
    live = bytearray(history.start)
    watched = Reader(Memory(live)).collection(A)
    first = Reader(Memory(history.image(0)))
    old = history.states[0].collections[A]
    assert len(history.states) >= 4
    for number, (stores, image) in enumerate(crash_points(history)):
        play(live, history.log[:stores][-40:])
        assert all(watched.get(b"f%d" % n) == old[b"f%d" % n].payload for n in range(number % 7 + 8, 290, 70))
        if number % 11 == 0 or memoryview(image).cast("Q")[H_JOURNAL]:
            state = history.states[history.begun(stores)]
            writer = open_writer(Memory(image))
            figures = verify(Memory(image))
            assert figures["records"] == len(state.collections[A])
            assert writer.collections() == [(A, len(state.collections[A]))]
            assert Reader(Memory(image)).collection(A).entries() == [
                (item.version, item.payload) for _, item in state.items(A)
            ]
    assert first.collection(A).count() == 289


def test_an_empty_store_is_whole() -> None:
    buffer = new_store()
    assert verify(Memory(buffer))["records"] == 0
    open_writer(Memory(buffer))
    assert verify(Memory(buffer))["records"] == 0
