"""Work in a thread that stops when the task that wants it is cancelled. What the work is never enters this room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

__all__ = ["Interest"]

T = TypeVar("T")


class Interest:
    """Whether somebody still waits for the work: from ``with interest:`` to the end of that block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost = False

    def check(self) -> None:
        """In the thread, now and then: end the work where nobody waits for it."""
        if self._lost:
            raise _Lost

    def begin(self, step: Callable[[], T]) -> T:
        """In the thread: what the step gives, which is not begun once nobody waits any more. It must not take long."""
        with self._lock:
            self.check()
            return step()

    def __enter__(self) -> Interest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._lost = True


class _Lost(Exception):
    """Nobody waits any more; nobody gets this either."""
