"""Memory: what the segment needs for what it holds, and what one more reader needs for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.events import BATCH, STRIPE
from benchmarks.measure import Contender, Samples
from benchmarks.operations.growth import at
from benchmarks.operations.starting import answered
from benchmarks.peers.everyone import OURS
from benchmarks.peers.papertiger import Papertiger
from benchmarks.plan import Plan
from benchmarks.results import COUNT, MEBIBYTES, Limit, Result, Same
from papertiger_shm.codec import encode

__all__ = ["memory"]

PRIVATE = """
import json, sys
from pathlib import Path
from papertiger_shm import Events, connect
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
{first}
before = private()
events = Events(connect(sys.argv[1]), "bench")
for id in sys.argv[2:]:
    events.get(id)
events.list(limit=100)
print(json.dumps(private() - before))
"""
CODE_FIRST = """
with connect(sys.argv[1]) as connection:
    Events(connection, "bench").list(limit=1)
"""
"""Loads the modules that a reader needs, which are there before the measured one begins."""
WITH_CODE = "with the modules it loads"
READ = 200
"""Events that the reader reads."""


def memory(plan: Plan) -> Iterator[Result]:
    """Bytes of the segment for each byte of payload; private bytes that connecting and reading adds to a process."""
    if OURS not in plan.stock.kinds:
        return
    label = at(OURS, plan.scale.stored)
    ratio = Samples((bytes_for_each(plan),))
    name = "segment bytes per live payload byte"
    yield Result("memory", name, {label: ratio}, (Limit(label, 1.25, COUNT),), unit=COUNT)

    sizes = plan.scale.sizes
    smallest, largest = at(OURS, sizes[0]), at(OURS, sizes[-1])
    contenders: dict[str, Contender] = {at(OURS, size): one_more_reader(plan, size, CODE_FIRST) for size in sizes}
    contenders[f"{largest}, {WITH_CODE}"] = one_more_reader(plan, sizes[-1], "")
    targets = (Limit(largest, 2**20, MEBIBYTES), Same(largest, smallest))
    name = "private memory of one more reader"
    yield plan.among("memory", name, contenders, targets, unit=MEBIBYTES, rounds=plan.scale.slow_rounds)


def bytes_for_each(plan: Plan) -> float:
    """In a store of its own: what other operations have left in theirs would count too."""
    advance = plan.step("segment bytes per live payload byte", plan.scale.stored // BATCH)
    payload = 0
    with Papertiger() as store:
        for batch in STRIPE.stored(plan.scale.stored, plan.scale.top):
            store.load(batch)
            payload += sum(len(encode(event)) for event in batch)
            advance()
        used: int = store.connection.stats()["bytes_used"]
    return used / payload


def one_more_reader(plan: Plan, size: int, first: str) -> Contender:
    ours = plan.stock.ours(STRIPE, size)
    assert ours is not None
    apart = size // READ
    ids = [STRIPE.make(plan.scale.top - 1 - place * apart)["id"] for place in range(READ)]
    return lambda number: float(json.loads(answered(PRIVATE.format(first=first), ours.address(), *ids)))
