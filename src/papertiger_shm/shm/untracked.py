"""The standard library's shared memory, kept from multiprocessing's resource tracker.

A room of its own since it loads half of multiprocessing, which who maps a block for reading has no need of: on Linux
that takes a file in /dev/shm and nothing else.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import Any

__all__ = ["open_untracked"]

_TRACKER = threading.RLock()


class _Untracked(SharedMemory):
    """A block whose life is nobody's business but ours.

    The standard class unlinks the block, and tells the tracker, when mapping an *existing* one fails.
    """

    def unlink(self) -> None:
        """Do nothing; ``segment.unlink`` does it on purpose."""


def open_untracked(name: str, **options: Any) -> SharedMemory:
    """A block that the tracker never hears of; made, with the options ``create`` and ``size``, or one that is there."""
    if sys.version_info >= (3, 13):
        return _Untracked(name, track=False, **options)
    with _tracker_kept_out("/" + name):
        return _Untracked(name, **options)


@contextlib.contextmanager
def _tracker_kept_out(tracked_name: str) -> Iterator[None]:
    """Keep this one name from the tracker; what other threads register meanwhile goes through."""
    with _TRACKER:
        original = resource_tracker.register

        def register(name: str, rtype: str) -> None:
            if name != tracked_name:
                original(name, rtype)

        resource_tracker.register = register  # type: ignore[assignment,unused-ignore]
        try:
            yield
        finally:
            resource_tracker.register = original  # type: ignore[assignment,unused-ignore]
