"""What grows with the store, and what must not: the same read in stores of different sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.events import STRIPE, random_ids
from benchmarks.measure import Contender, seconds_each
from benchmarks.operations.lists import FIND, FIRST, MIDDLE, READS
from benchmarks.peers import Peer
from benchmarks.peers.everyone import OURS
from benchmarks.peers.lightning import Lightning
from benchmarks.peers.sqlite import SQLite
from benchmarks.plan import Plan
from benchmarks.results import Chart, Ratio, Result, Same

__all__ = ["at", "growth"]

COMPARED = (OURS, Lightning.name, SQLite.name)
GET = "get, random"
COUNT = "count()"


def growth(plan: Plan) -> Iterator[Result]:
    """Every read at every size, in ours and in the peers that have an order and an index."""
    for name, contend in {GET: random_get, COUNT: count, **READS}.items():
        contenders: dict[str, Contender] = {}
        points: dict[str, tuple[str, float]] = {}
        for size in plan.scale.sizes:
            for peer in plan.stock.peers(STRIPE, size, COMPARED).values():
                contenders[at(peer.name, size)] = contend(peer, plan, size)
                points[at(peer.name, size)] = (peer.name, size)
        chart = Chart("events in the store", points)
        yield plan.among("growth", f"{name}, by size", contenders, asked(name, plan.scale.sizes), chart=chart)


def at(name: str, size: int) -> str:
    """A peer at a size, as the tables have it."""
    return f"{name}, {size:,}"


def asked(name: str, sizes: tuple[int, ...]) -> list[Ratio]:
    if name == GET:  # nothing is asked: random places in ever more memory are in ever fewer caches
        return []
    smallest, largest = at(OURS, sizes[0]), at(OURS, sizes[-1])
    targets: list[Ratio] = [Same(largest, smallest)]
    if name in (FIRST, MIDDLE, FIND):
        targets.append(Ratio(largest, at(SQLite.name, sizes[-1]), 1.0))
    return targets


def random_get(peer: Peer, plan: Plan, size: int) -> Contender:
    get, scale = peer.getter(), plan.scale
    return lambda number: seconds_each(get, random_ids(STRIPE, scale.calls, size, scale.top, seed=number))


def count(peer: Peer, plan: Plan, size: int) -> Contender:
    counter: Callable[[object], int] = peer.counter()
    return lambda number: seconds_each(counter, range(plan.scale.calls))
