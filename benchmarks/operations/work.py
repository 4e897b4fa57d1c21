"""What the engine does for a call, counted instead of timed: words loaded, pieces of bytes copied, words stored.

The same on every machine and under any load. The engine runs here on a buffer whose accesses are counted, without
processes; no clock ever enters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from benchmarks.events import RARE, RARE_COUNT, STRIPE, Event, random_ids
from benchmarks.measure import Samples
from benchmarks.operations.growth import at
from benchmarks.peers import PAGE
from benchmarks.plan import Plan
from benchmarks.results import COUNT, Result
from papertiger_shm.codec import encode, index_key, pack, unpack
from papertiger_shm.engine import CollectionReader, Memory, Operation, Put, Reader, Request, Writer, create
from papertiger_shm.engine.memory import Slices

__all__ = ["work"]

NAME = b"bench"
CALLS = 100
BYTES_FOR_EACH = 4_000
MOST = 10_000
"""Events of the largest store that is counted: how much memory they take decides nothing here."""


class Words:
    """A view of words that counts what is loaded and what is stored."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self.loads = 0
        self.stores = 0

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: Any) -> Any:
        self.loads += 1
        return self._words[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        if isinstance(place, slice):
            self.stores += len(self._words[place])
            self._words[place] = value.cast("B").cast("Q")
        else:
            self.stores += 1
            self._words[place] = value


class Pieces:
    """Slices as bytes, counted."""

    def __init__(self, raw: Slices) -> None:
        self._raw = raw
        self.copies = 0

    def __getitem__(self, span: slice) -> bytes:
        self.copies += 1
        return self._raw[span]


class Counted:
    """A store of so many events in a buffer, its writer, and the counts of both."""

    def __init__(self, size: int, top: int) -> None:
        self.size, self.top = size, top
        self._memory = Memory(bytearray((1 << 20) + size * BYTES_FOR_EACH))
        create(self._memory, lambda wanted: wanted, identity=1)
        self.words = Words(self._memory.words)
        self.pieces = Pieces(self._memory.raw)
        self._memory.words = cast(memoryview, self.words)
        self._memory.raw = self.pieces
        self._writer = Writer(self._memory, lambda wanted: wanted, pack, unpack)
        for batch in STRIPE.stored(size, top):
            self.write(*(put(event) for event in batch))

    def write(self, *operations: Operation) -> None:
        """One request, carried out wholly."""
        (outcome,) = self._writer.execute([Request(None, 0, operations)])
        if isinstance(outcome, Exception):
            raise outcome

    def reader(self) -> CollectionReader:
        return Reader(self._memory, checked=False).collection(NAME)


def put(event: Event) -> Put:
    postings = (index_key("type", event["type"]),)
    return Put(NAME, event["id"].encode(), event["created"], postings, encode(event))


def work(plan: Plan) -> Iterator[Result]:
    """Loads and copies of each read and stores of each write, in a small and in a larger store."""
    sizes = (plan.scale.sizes[0], min(plan.scale.sizes[-1], MOST))
    loads: dict[str, Samples] = {}
    copies: dict[str, Samples] = {}
    stores: dict[str, Samples] = {}
    advance = plan.step("work of the engine, counted", len(sizes))
    for size in sizes:
        store = Counted(size, plan.scale.top)
        for name, call in reads(store).items():
            loads[at(name, size)] = each(store.words, "loads", call)
            copies[at(name, size)] = each(store.pieces, "copies", call)
        for name, call in writes(store).items():
            stores[at(name, size)] = each(store.words, "stores", call)
        advance()
    for what, counted in (("words loaded", loads), ("pieces of bytes copied", copies), ("words stored", stores)):
        yield Result("work", f"engine, {what} by a call", counted, unit=COUNT)


def reads(store: Counted) -> Mapping[str, Callable[[int], object]]:
    reader = store.reader()
    ids = [id.encode() for id in random_ids(STRIPE, CALLS, store.size, store.top, seed=0)]
    rare = [index_key("type", RARE)]
    middle = STRIPE.make(store.top - store.size // 2)["id"].encode()
    reader.get(ids[0])  # finds the collection, which it keeps
    return {
        "get": lambda number: reader.get(ids[number]),
        "get of what is not there": lambda number: reader.get(ids[number] + b"x"),
        "count()": lambda number: reader.count(),
        f"list(limit={PAGE})": lambda number: reader.page(PAGE, None, None),
        f"list(limit={PAGE}) from the middle": lambda number: reader.page(PAGE, middle, None),
        f"find_by_type, {RARE_COUNT} matches": lambda number: reader.scan(rare),
    }


def writes(store: Counted) -> Mapping[str, Callable[[int], object]]:
    newest = STRIPE.make(store.top - 1)
    return {
        "insert": lambda number: store.write(put(STRIPE.make(store.top + number))),
        "update": lambda number: store.write(put(newest)),
    }


def each(counting: Words | Pieces, what: str, call: Callable[[int], object]) -> Samples:
    """The average of a number of calls."""
    before: int = getattr(counting, what)
    for number in range(CALLS):
        call(number)
    return Samples(((getattr(counting, what) - before) / CALLS,))
