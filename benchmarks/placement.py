"""Which core a process runs on, where the system lets one say so.

A round trip between two processes costs a few microseconds when they share a core, since each goes to sleep just as
the other wakes, and many times that when a sleeping core has to be woken, above all on a virtual machine. The
scheduler chooses one or the other and stays with it for seconds. A ratio means something only when both sides of it
ran in the same way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    wanted = {0: placement[0]}
    for server in servers:
        wanted.update(dict.fromkeys(threads_of(server), placement[1]))
    before = {thread: os.sched_getaffinity(thread) for thread in wanted}
    try:
        for thread, core in wanted.items():
            os.sched_setaffinity(thread, {core})
        yield
    finally:
        for thread, cores in before.items():
            with contextlib.suppress(ProcessLookupError):  # a thread may have ended meanwhile
                os.sched_setaffinity(thread, cores)


def threads_of(pid: int) -> list[int]:
    """All threads of a process: each has its own cores, and a server may answer from any of them."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()] or [pid]
