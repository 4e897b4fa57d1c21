"""What is measured: each case names its contenders, what one round of each does, and the ratios asked for.

No case compares its medians with a target by itself, and none knows how the figures will be shown.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.events import BATCH, Event, batches, event_id, events, random_ids
from benchmarks.measure import Contender, Samples, interleaved
from benchmarks.peers import Cannot, Peer
from benchmarks.peers.lightning import Lightning
from benchmarks.peers.papertiger import Papertiger
from benchmarks.peers.ping_pong import PingPong
from benchmarks.peers.private_dict import PrivateDict
from benchmarks.placement import placed, placements

__all__ = ["Case", "Plan", "Ratio", "Result", "Scale", "run_all"]

OURS = Papertiger.name


@dataclass(frozen=True)
class Ratio:
    """Median of ``of`` divided by median of ``to``: asked for is at most a number, the same, or nothing."""

    of: str
    to: str
    at_most: float | None = None
    same: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    ratios: tuple[Ratio, ...]


@dataclass
class Result:
    case: Case
    samples: dict[str, Samples]
    cannot: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How much of everything: ``python -m benchmarks`` or ``--quick``."""

    stored: int = 100_000
    small: int = 1_000
    large: int = 1_000_000
    rounds: int = 15
    clears: int = 3
    gets: int = 5_000
    inserts: int = 500
    lists: int = 300
    counts: int = 5_000


@dataclass
class Plan:
    """What a case needs to know of the run: how much, and whom to tell about progress."""

    scale: Scale
    step: Callable[[str, int], Callable[[], None]]
    """Announces a step of so many parts; returns what to call after each part."""


GET = Case("get, random, 1 event", (Ratio(OURS, PrivateDict.name, 1.25), Ratio(OURS, Lightning.name, 1.0)))
INSERT = (Ratio(OURS, PingPong.name, 2.0), Ratio(OURS, Lightning.name))
INSERT_MANY = Case("insert_many, per event of 1,000", (Ratio(OURS, Lightning.name, 2.0),))


def run_all(plan: Plan) -> Iterator[Result]:
    """Every case, in the order of the table."""
    with ExitStack() as stack:
        peers: list[Peer] = [
            stack.enter_context(peer) for peer in (PrivateDict(), Papertiger(), Lightning(), PingPong())
        ]
        fill(peers, plan)
        yield measured_get(peers, plan)
        yield from measured_writes(peers, plan)
    yield from measured_sizes(plan)


# beside the peers


def fill(peers: Sequence[Peer], plan: Plan) -> None:
    """The same events into every peer that can take them."""
    writers = [write for peer in peers if (write := ability(peer.batch_inserter)) is not None]
    advance = plan.step(f"loading {plan.scale.stored:,} events into each peer", plan.scale.stored // BATCH)
    for batch in batches(0, plan.scale.stored):
        for write in writers:
            write(batch)
        advance()


def ability(of: Callable[[], Callable[..., Any]]) -> Callable[..., Any] | None:
    try:
        return of()
    except Cannot:
        return None


def beside(case: Case, plan: Plan, peers: Sequence[Peer], contend: Callable[[Peer], Contender]) -> Result:
    """One case over all peers that can do it; the reasons of those that cannot."""
    contenders, cannot = {}, {}
    for peer in peers:
        try:
            contenders[peer.name] = contend(peer)
        except Cannot as reason:
            cannot[peer.name] = str(reason)
    advance = plan.step(case.name, plan.scale.rounds + 1)
    with quiet_memory():
        return Result(case, interleaved(contenders, plan.scale.rounds, advance), cannot)


def measured_get(peers: Sequence[Peer], plan: Plan) -> Result:
    scale = plan.scale

    def contend(peer: Peer) -> Contender:
        get = peer.getter()
        return lambda number: seconds_each(get, random_ids(scale.gets, scale.stored, seed=number))

    return beside(GET, plan, peers, contend)


def measured_writes(peers: Sequence[Peer], plan: Plan) -> Iterator[Result]:
    scale = plan.scale

    # A write that no other process sees is nothing to compare with.
    sharing = [peer for peer in peers if not isinstance(peer, PrivateDict)]
    servers = [peer.server_pid for peer in peers if peer.server_pid is not None]
    stored = scale.stored
    for where, placement in {"as it comes": None, **placements()}.items():
        with placed(placement, servers):
            contend = single_inserts(stored, scale)
            yield beside(Case(f"insert, 1 event, {where}", INSERT), plan, sharing, contend)
        stored += scale.inserts * (scale.rounds + 1)

    def contend_batch(peer: Peer) -> Contender:
        insert_many = peer.batch_inserter()
        return lambda number: seconds_each(insert_many, [peer.prepared(fresh(number, BATCH, stored))]) / BATCH

    yield beside(INSERT_MANY, plan, sharing, contend_batch)


def single_inserts(stored: int, scale: Scale) -> Callable[[Peer], Contender]:
    def contend(peer: Peer) -> Contender:
        insert = peer.inserter()
        return lambda number: seconds_each(insert, peer.prepared(fresh(number, scale.inserts, stored)))

    return contend


def fresh(number: int, size: int, stored: int) -> list[Event]:
    """The events of round ``number`` (-1 is the warm-up): the same for every peer, and stored by no earlier round."""
    start = stored + (number + 1) * size
    return events(start, start + size)


def seconds_each(call: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    begin = time.perf_counter()
    for argument in arguments:
        call(argument)
    return (time.perf_counter() - begin) / len(arguments)


@contextmanager
def quiet_memory() -> Iterator[None]:
    """The collector stays on, as in real life, but does not walk through what the benchmark itself keeps."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


# small beside large


def measured_sizes(plan: Plan) -> Iterator[Result]:
    """What must not depend on the size of the store: the same store twice, with few and with many events."""
    scale = plan.scale
    sizes = (scale.small, scale.large)
    with ExitStack() as stack:
        stores = {f"{size:,} events": stack.enter_context(Papertiger()) for size in sizes}
        for size, store in zip(sizes, stores.values()):
            load(store, size, plan)
        for name, contend in READS.items():
            yield same(name, plan, {label: contend(store, scale) for label, store in stores.items()}, scale.rounds)
    yield measured_clear(plan)


def same(name: str, plan: Plan, contenders: Mapping[str, Contender], rounds: int, *, warm_up: bool = True) -> Result:
    small, large = contenders
    advance = plan.step(name, rounds + warm_up)
    with quiet_memory():
        samples = interleaved(contenders, rounds, advance, warm_up)
    return Result(Case(name, (Ratio(large, small, same=True),)), samples)


def contend_list(store: Papertiger, scale: Scale) -> Contender:
    return lambda number: seconds_each(lambda limit: store.events.list(limit=limit), [10] * scale.lists)


def contend_count(store: Papertiger, scale: Scale) -> Contender:
    return lambda number: seconds_each(lambda _: store.events.count(), range(scale.counts))


ATTACH = """
import json, sys, time
from papertiger_shm import Events, connect
begin = time.perf_counter()
connection = connect(sys.argv[1])
Events(connection, "bench").get(sys.argv[2])
print(json.dumps(time.perf_counter() - begin))
"""


def contend_attach(store: Papertiger, scale: Scale) -> Contender:
    """A fresh interpreter, which measures from ``connect`` to its first event, what these import included."""

    def attach(number: int) -> float:
        command = [sys.executable, "-c", ATTACH, store.url, event_id(scale.large - 1 - (number + 1) * 37 % scale.small)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
        return float(json.loads(done.stdout))

    return attach


READS: dict[str, Callable[[Papertiger, Scale], Contender]] = {
    "list(limit=10)": contend_list,
    "count()": contend_count,
    "attach: connect() to first get, new interpreter": contend_attach,
}


def measured_clear(plan: Plan) -> Result:
    """A namespace can be cleared once, so that every round loads its own, in a store of its own."""
    sizes = (plan.scale.small, plan.scale.large)
    contenders = {f"{size:,} events": clearing(size, plan) for size in sizes}
    return same("clear_namespace", plan, contenders, plan.scale.clears, warm_up=False)


def clearing(size: int, plan: Plan) -> Contender:
    def clear(number: int) -> float:
        with Papertiger() as store:
            load(store, size, plan)
            for event in events(0, 200):
                # Both sides as awake as they are in the other rounds; in a namespace that stays.
                store.other.update(event)
            begin = time.perf_counter()
            store.events.clear_namespace("bench")
            return time.perf_counter() - begin

    return clear


def load(store: Papertiger, size: int, plan: Plan) -> None:
    """The newest ``size`` events of the large store, so that what a reader meets first is the same in both."""
    advance = plan.step(f"loading {size:,} events", size // BATCH)
    for batch in batches(plan.scale.large - size, plan.scale.large):
        store.events.insert_many(batch)
        advance()
