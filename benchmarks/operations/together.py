"""Several processes at once: readers beside each other, readers beside writers, writers beside each other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.crew import Crew
from benchmarks.events import STRIPE, Event, random_ids
from benchmarks.measure import Contender, Samples, seconds_each
from benchmarks.peers import Cannot, Peer
from benchmarks.peers.everyone import OURS
from benchmarks.peers.papertiger import Papertiger
from benchmarks.plan import Plan
from benchmarks.results import COUNT, RATE, Chart, Limit, Ratio, Result

__all__ = ["busy", "readers", "writers"]

WRITERS = 2
READ_SHARE = 10
"""The readers' events are one in so many of the store's; the others are the writers'."""
INSERTERS = (1, 2, 4)


# ---- readers beside each other


def readers(plan: Plan) -> Iterator[Result]:
    """Gets of all readers together in a second."""
    scale = plan.scale
    peers = plan.stock.peers(STRIPE)
    contenders: dict[str, Contender] = {}
    points: dict[str, tuple[str, float]] = {}
    cannot = dict(plan.stock.missing)
    with Crew(max(scale.readers)) as crew:
        for peer in peers.values():
            try:
                for count in scale.readers:
                    label = f"{peer.name}, {count} reader{'s' * (count > 1)}"
                    contenders[label] = reading_together(plan, crew, peer, count)
                    points[label] = (peer.name, count)
            except Cannot as reason:
                cannot[peer.name] = str(reason)
        chart = Chart("readers", points)
        name = "get, all readers together"
        result = plan.among("readers", name, contenders, unit=RATE, rounds=scale.slow_rounds, chart=chart)
    result.cannot = cannot
    yield result


def reading_together(plan: Plan, crew: Crew, peer: Peer, count: int) -> Contender:
    scale = plan.scale
    peer.getter()
    job = {"peer": peer.name, "address": peer.address(), "payload": STRIPE.name, "size": scale.stored, "top": scale.top}

    def gets_in_a_second(number: int) -> float:
        with crew.at_work(count, "read", seconds=scale.seconds, **job) as reports:
            crew.wait(count)
        return float(sum(report["calls"] / report["seconds"] for report in reports))

    return gets_in_a_second


# ---- a reader beside writers


IDLE = "nobody writes"
OTHERS = f"{WRITERS} write other keys"
SAME_KEYS = f"{WRITERS} write the same keys"


def busy(plan: Plan) -> Iterator[Result]:
    """A reader's CPU time for one get: with more processes than cores, wall time tells who had to wait for a core."""
    ours = plan.stock.ours(STRIPE)
    if ours is None:
        return
    retries: dict[str, list[float]] = defaultdict(list)
    with Crew(WRITERS) as crew:
        contenders: dict[str, Contender] = {
            IDLE: reading_beside(plan, ours, retries[IDLE]),
            OTHERS: beside_writers(plan, ours, crew, retries[OTHERS], same=False),
            SAME_KEYS: beside_writers(plan, ours, crew, retries[SAME_KEYS], same=True),
        }
        name = "get while others write, CPU time of the reader"
        yield plan.among("busy", name, contenders, (Ratio(OTHERS, IDLE, 1.15),), rounds=plan.scale.slow_rounds)
    samples = {name: Samples(tuple(counts[1:])) for name, counts in retries.items()}
    yield Result("busy", "retries per 1,000 gets", samples, (Limit(OTHERS, 0, COUNT),), unit=COUNT)


def reading_beside(plan: Plan, ours: Papertiger, retries: list[float]) -> Contender:
    """Gets of the readers' share through a connection of its own, whose end says how often a read began anew."""
    scale = plan.scale

    def one_round(number: int) -> float:
        share = scale.stored // READ_SHARE
        ids = random_ids(STRIPE, scale.calls, share, scale.top, seed=number)
        before = ours.connection.stats()["reader_retries"]
        peer = Papertiger.attached(ours.address())
        get: Callable[[str], Event] = peer.getter()
        get(ids[0])
        seconds = seconds_each(get, ids, time.process_time, longest=1.0)
        peer.connection.close()
        time.sleep(0.01)  # its last word to the manager, the retries, is not answered
        retries.append((ours.connection.stats()["reader_retries"] - before) * 1_000 / len(ids))
        return seconds

    return one_round


def beside_writers(plan: Plan, ours: Papertiger, crew: Crew, retries: list[float], *, same: bool) -> Contender:
    scale = plan.scale
    share = scale.stored // READ_SHARE
    first, last = (scale.top - share, scale.top) if same else (scale.top - 2 * share, scale.top - share)
    job = {"peer": OURS, "address": ours.address(), "payload": STRIPE.name, "first": first, "last": last}
    one_round = reading_beside(plan, ours, retries)

    def one_round_beside(number: int) -> float:
        with crew.at_work(WRITERS, "update", **job):
            return one_round(number)

    return one_round_beside


# ---- writers beside each other


def writers(plan: Plan) -> Iterator[Result]:
    """What an insert costs the manager, and what it takes, when several processes insert at once."""
    ours = plan.stock.ours(STRIPE)
    if ours is None or ours.server_pid is None:
        return
    wall: dict[str, list[float]] = defaultdict(list)
    with Crew(max(INSERTERS)) as crew:
        contenders = {
            by(count): inserting_together(plan, crew, ours, ours.server_pid, count, wall[by(count)])
            for count in INSERTERS
        }
        targets = (Ratio(by(INSERTERS[-1]), by(INSERTERS[0]), 1 / 2),)
        name = "insert by several at once, CPU time of the manager"
        yield plan.among("writers", name, contenders, targets, rounds=plan.scale.slow_rounds)
    samples = {label: Samples(tuple(seconds[1:])) for label, seconds in wall.items()}
    yield Result("writers", "insert by several at once, time per insert of all together", samples)


def by(count: int) -> str:
    return f"{OURS}, {count} at once"


def inserting_together(
    plan: Plan, crew: Crew, ours: Papertiger, manager: int, count: int, wall: list[float]
) -> Contender:
    each = 4 * plan.scale.writes
    job = {"peer": OURS, "address": ours.address(), "payload": STRIPE.name, "count": each}

    def one_round(number: int) -> float:
        first = plan.fresh_numbers(f"{count} at once", number, each * count)
        with crew.at_work(count, "insert", first=first, **job) as reports:
            begin = cpu_seconds(manager)
            crew.wait(count)
            spent = cpu_seconds(manager) - begin
        wall.append(max(report["seconds"] for report in reports) / (each * count))
        return spent / (each * count)

    return one_round


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, to the nanosecond where the kernel keeps it."""
    tasks = [*Path(f"/proc/{pid}/task").glob("*/schedstat")]
    if not tasks:
        raise Cannot("this system does not tell other processes' CPU time")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
