"""How much is measured, whom it is measured with, and the stores they share. What an operation is never enters here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.events import BATCH, Event, Payload
from benchmarks.measure import Contender, interleaved
from benchmarks.peers import Cannot, Peer
from benchmarks.peers.everyone import EVERYONE, OURS
from benchmarks.peers.papertiger import Papertiger
from benchmarks.results import MICROSECONDS, Chart, Limit, Ratio, Result, Unit

__all__ = ["FULL", "QUICK", "Plan", "Scale", "Stock"]

Step = Callable[[str, int], Callable[[], object]]
"""Announces a step of so many parts; returns what to call after each part."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    stored: int
    """Events in the stores that all peers are measured with."""
    sizes: tuple[int, ...]
    """Events in the stores that show how costs grow."""
    cleared: tuple[int, ...]
    rounds: int
    slow_rounds: int
    """Rounds of what takes seconds to prepare."""
    calls: int
    """Calls of a read in one round."""
    writes: int
    readers: tuple[int, ...]
    seconds: float
    """How long a number of processes run beside each other."""

    @property
    def top(self) -> int:
        """The number behind that of the newest event, in every store."""
        return max(self.stored, *self.sizes)


FULL = Scale(
    stored=100_000,
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    cleared=(1, 1_000, 100_000),
    rounds=15,
    slow_rounds=7,
    calls=5_000,
    writes=500,
    readers=(1, 2, 4, 8),
    seconds=0.4,
)
QUICK = Scale(
    stored=5_000,
    sizes=(1_000, 10_000),
    cleared=(1, 1_000),
    rounds=5,
    slow_rounds=3,
    calls=500,
    writes=100,
    readers=(1, 2),
    seconds=0.1,
)


class Stock:
    """The loaded stores, each made when it is first asked for and kept to the end of the run."""

    def __init__(self, scale: Scale, names: Iterable[str], step: Step) -> None:
        self._scale = scale
        self._step = step
        self._stack = contextlib.ExitStack()
        self._shelves: dict[tuple[str, int], dict[str, Peer]] = {}
        self.missing: dict[str, str] = {}
        self.kinds: dict[str, type[Peer]] = {}
        self.versions: dict[str, str] = {}
        """Of every peer that was measured."""
        for name in names:
            try:
                EVERYONE[name].require()
            except Cannot as reason:
                self.missing[name] = str(reason)
            else:
                self.kinds[name] = EVERYONE[name]

    def __enter__(self) -> Stock:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def peers(self, payload: Payload, size: int | None = None, names: Iterable[str] | None = None) -> dict[str, Peer]:
        """Peers with so many events each; all of them, or those named."""
        size = self._scale.stored if size is None else size
        shelf = self._shelves.setdefault((payload.name, size), {})
        wanted = [name for name in self.kinds if names is None or name in names]
        fresh = [peer for name in wanted if name not in shelf and (peer := self._begun(name)) is not None]
        if fresh:
            self._load(fresh, payload, size)
            shelf.update({peer.name: peer for peer in fresh})
            self.versions.update({peer.name: peer.version() for peer in fresh})
        return {name: shelf[name] for name in wanted if name in shelf}

    def ours(self, payload: Payload, size: int | None = None) -> Papertiger | None:
        """Our own store of that size, unless it is not to be measured."""
        peer = self.peers(payload, size, (OURS,)).get(OURS)
        return peer if isinstance(peer, Papertiger) else None

    def _begun(self, name: str) -> Peer | None:
        """A new one of this peer; None where it cannot be had here, whatever the reason is."""
        try:
            return self._stack.enter_context(self.kinds[name]())
        except Exception as error:
            if name == OURS:
                raise
            self.missing[name] = f"does not start here: {type(error).__name__}: {error}"
            del self.kinds[name]
            return None

    def _load(self, peers: Sequence[Peer], payload: Payload, size: int) -> None:
        advance = self._step(f"loading {size:,} of {payload.name} into {len(peers)} peers", -(-size // BATCH))
        for batch in payload.stored(size, self._scale.top):
            for peer in peers:
                peer.load(batch)
            advance()


@dataclass
class Plan:
    """What an operation needs to know of the run."""

    scale: Scale
    step: Step
    stock: Stock
    _begun: dict[tuple[str, int], int] = field(default_factory=dict)
    _next: int = 0

    def fresh(self, payload: Payload, series: str, number: int, size: int) -> list[Event]:
        """Newer events than any before: the same ones for all who ask for round ``number`` of a series."""
        start = self.fresh_numbers(series, number, size)
        return payload.range(start, start + size)

    def fresh_numbers(self, series: str, number: int, size: int) -> int:
        """The first of so many numbers that no other series or round has."""
        if (series, number) not in self._begun:
            self._begun[series, number] = self.scale.top + self._next
            self._next += size
        return self._begun[series, number]

    def beside(
        self,
        operation: str,
        name: str,
        peers: Mapping[str, Peer],
        contend: Callable[[Peer], Contender],
        targets: Sequence[Ratio | Limit] = (),
        references: Mapping[str, Contender] | None = None,
    ) -> Result:
        """One row over all peers that can do it, the reasons of those that cannot, and what else is to stand by."""
        contenders: dict[str, Contender] = {}
        cannot = dict(self.stock.missing)
        for peer in peers.values():
            try:
                contenders[peer.name] = contend(peer)
            except Cannot as reason:
                cannot[peer.name] = str(reason)
        contenders.update(references or {})
        result = self.among(operation, name, contenders, targets)
        result.cannot = cannot
        return result

    def among(
        self,
        operation: str,
        name: str,
        contenders: Mapping[str, Contender],
        targets: Sequence[Ratio | Limit] = (),
        *,
        unit: Unit = MICROSECONDS,
        rounds: int | None = None,
        warm_up: bool = True,
        chart: Chart | None = None,
    ) -> Result:
        """One row of these contenders."""
        rounds = self.scale.rounds if rounds is None else rounds
        advance = self.step(name, rounds + warm_up)
        return Result(
            operation, name, interleaved(contenders, rounds, advance, warm_up), targets, unit=unit, chart=chart
        )
