"""Clearing a namespace: what the caller waits for, and what a reader feels while the memory is taken back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.events import BATCH, STRIPE, random_ids
from benchmarks.measure import Contender
from benchmarks.operations.writes import OUR_INSERT
from benchmarks.peers.everyone import OURS
from benchmarks.peers.papertiger import Papertiger
from benchmarks.plan import Plan
from benchmarks.results import Ratio, Result, Same
from papertiger_shm import Events

__all__ = ["clear"]

CLEARED = "bench/cleared"
AWAKE = 200
"""Writes before the measured one, so that both sides are as awake in every round."""

IDLE = "idle"
RECLAIMING = "while memory is taken back"


def clear(plan: Plan) -> Iterator[Result]:
    """As the caller sees it, and the slowest of a hundred reads meanwhile."""
    ours = plan.stock.ours(STRIPE)
    if ours is None:
        return
    sizes = plan.scale.cleared
    contenders: dict[str, Contender] = {OUR_INSERT: one_insert(plan, ours)}
    contenders.update({of(size): one_clear(ours, size) for size in sizes})
    targets = [Same(of(sizes[-1]), of(sizes[0])), *(Ratio(of(size), OUR_INSERT, 2.0) for size in sizes)]
    yield plan.among("clear", "clear_namespace", contenders, targets)

    early: list[int] = []
    slow: dict[str, Contender] = {
        IDLE: lambda number: ninety_ninth(ours, plan, number),
        RECLAIMING: reading_while_reclaiming(ours, plan, sizes[-1], early),
    }
    name = "get, slowest of 100, in another namespace"
    result = plan.among("clear", name, slow, (Ratio(RECLAIMING, IDLE, 2.0),), rounds=plan.scale.slow_rounds)
    if early:
        result.notes.append(f"in {len(early)} rounds all memory had been taken back before the reads were done")
    yield result


def of(size: int) -> str:
    return f"{OURS}, {size:,} event{'s' * (size != 1)}"


def filled(ours: Papertiger, size: int) -> Events:
    """A namespace of so many events, and a manager that has nothing left to do."""
    events = Events(ours.connection, CLEARED)
    for first in range(0, size, BATCH):
        events.insert_many(STRIPE.range(first, min(first + BATCH, size)))
    settle(ours)
    return events


def settle(ours: Papertiger) -> None:
    """Wait until no memory is being taken back."""
    live = -1
    while live != (live := ours.connection.stats()["bytes_live"]):
        time.sleep(0.02)


def wake(ours: Papertiger) -> None:
    for event in STRIPE.range(0, AWAKE):
        ours.other.update(event)


def one_clear(ours: Papertiger, size: int) -> Contender:
    def clear_once(number: int) -> float:
        events = filled(ours, size)
        wake(ours)
        begin = time.perf_counter()
        events.clear_namespace(CLEARED)
        taken = time.perf_counter() - begin
        settle(ours)
        return taken

    return clear_once


def one_insert(plan: Plan, ours: Papertiger) -> Contender:
    """A single insert under the same circumstances: a clear is single too."""

    def insert_once(number: int) -> float:
        insert = ours.inserter()
        (event,) = plan.fresh(STRIPE, "clear", number, 1)
        wake(ours)
        begin = time.perf_counter()
        insert(event)
        return time.perf_counter() - begin

    return insert_once


def reading_while_reclaiming(ours: Papertiger, plan: Plan, size: int, early: list[int]) -> Contender:
    """``early`` gets the rounds in which the reads were not done before the reclaiming was."""

    def read_while_reclaiming(number: int) -> float:
        filled(ours, size).clear_namespace(CLEARED)
        slowest = ninety_ninth(ours, plan, number)
        live = ours.connection.stats()["bytes_live"]
        settle(ours)
        if ours.connection.stats()["bytes_live"] == live:
            early.append(number)
        return slowest

    return read_while_reclaiming


def ninety_ninth(ours: Papertiger, plan: Plan, number: int) -> float:
    get: Callable[[str], object] = ours.getter()
    ids = random_ids(STRIPE, plan.scale.calls, plan.scale.stored, plan.scale.top, seed=number)
    return percentile([timed(get, id) for id in ids], 99)


def timed(call: Callable[[str], object], argument: str) -> float:
    begin = time.perf_counter()
    call(argument)
    return time.perf_counter() - begin


def percentile(values: Sequence[float], which: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[which - 1]
