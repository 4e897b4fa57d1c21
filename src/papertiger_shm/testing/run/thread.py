"""Which thread is calling: a number that no other thread of this process has, or had before.

What a thread holds or does never enters this room.
"""

from __future__ import annotations

import itertools
import threading
from typing import Final

__all__ = ["this_thread"]

_numbers: Final = itertools.count(1)


class _Mark(threading.local):
    # Not threading.get_ident(): a new thread may get the number of one that has ended.
    def __init__(self) -> None:
        self.number = next(_numbers)


_mark: Final = _Mark()


def this_thread() -> int:
    """The calling thread's number; a forked child has other threads, and is told apart by its lease."""
    return _mark.number
