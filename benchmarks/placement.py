"""Which core a process runs on, where the system lets one say so.

A round trip between two processes costs a few microseconds when they share a core, since each goes to sleep just as
the other wakes, and many times that when a sleeping core has to be woken, above all on a virtual machine. The
scheduler chooses one or the other and stays with it for seconds. A ratio means something only when both sides of it
ran in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["placed", "placements"]

Placement = tuple[int, int]


def placements() -> dict[str, Placement]:
    """Name and (client's core, server's core) of each way to place two processes; none where it cannot be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return {}
    cores = sorted(os.sched_getaffinity(0))
    ways = {"one core": (cores[0], cores[0])}
    if len(cores) > 1:
        ways["two cores"] = (cores[0], cores[1])
    return ways


@contextmanager
def placed(placement: Placement | None, servers: Iterable[int]) -> Iterator[None]:
    """This process on the first core of ``placement`` and ``servers`` on the second, for the time of the block."""
    if placement is None:
        yield
        return
    wanted = {0: placement[0], **dict.fromkeys(servers, placement[1])}
    before = {pid: os.sched_getaffinity(pid) for pid in wanted}
    try:
        for pid, core in wanted.items():
            os.sched_setaffinity(pid, {core})
        yield
    finally:
        for pid, cores in before.items():
            os.sched_setaffinity(pid, cores)
