"""How long to look for what is about to come before going to sleep until it comes.

Most of a round trip is two wake-ups: an insert took 143 us between two cores of a virtual machine when both sides slept
at once, and 60 when both looked for a while first, giving way to whoever else wants the core between two looks.
"""

from __future__ import annotations

import os

__all__ = ["patience"]


def patience(seconds: float) -> float:
    """``seconds``, or 0 where this process has one core and looking would only keep the other side from it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return seconds if cores > 1 else 0.0
