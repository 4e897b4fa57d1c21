"""Waiting for other processes: how long, how often to look, and telling the run what is waited for.

What is looked at, and what a look finds, never enters this room.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from papertiger_shm import InvalidRequest

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Patience", "seconds"]

SHORTEST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.02

MOMENT: Final = 0.02
"""Seconds of waiting that nobody is told of, since telling costs a commit."""

TELL_EVERY: Final = 0.25
"""Seconds, at least, between two things told of one wait."""

INSPECT_EVERY: Final = 0.05
"""Seconds, at least, between two looks at who is alive: each costs some system calls."""


def seconds(call: str, timeout: object) -> float:
    """The timeout in seconds, infinite for None; ``InvalidRequest`` for what is no number, or below 0."""
    if timeout is None:
        return math.inf
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and timeout >= 0:
        return float(timeout)
    raise InvalidRequest(
        f"{call}: timeout is {timeout!r}; it is a number of seconds, 0 or more, or None to wait as long as it takes"
    )


class Patience:
    """One wait of at most ``timeout`` seconds; a context manager around the looks."""

    def __init__(self, participant: Participant, timeout: float) -> None:
        self._participant = participant
        self._began = time.monotonic()
        self._ends = self._began + timeout
        self._next = SHORTEST_PAUSE
        self._inspect_at = 0.0
        self._tell_at = self._began + MOMENT
        self._told: str | None = None
        self._telling = ExitStack()

    def pause(self, awaited: str) -> bool:
        """Sleep before the next look; False, at once, when the time is over.

        ``awaited``: what is waited for and who has it, as ``"lock port-8000, held by gw1"``.
        """
        now = time.monotonic()
        if now >= self._ends:
            return False
        if now >= self._tell_at and awaited != self._told:
            self._tell_at, self._told = now + TELL_EVERY, awaited
            self._telling.close()
            self._telling.enter_context(self._participant.waiting(awaited))
        time.sleep(min(self._next, self._ends - now))
        self._next = min(self._next * 1.5, LONGEST_PAUSE)
        return True

    def is_time_to_inspect(self) -> bool:
        """Whether to see now if those who are waited for are alive: at the first look, and then every 50 ms."""
        now = time.monotonic()
        if now < self._inspect_at:
            return False
        self._inspect_at = now + INSPECT_EVERY
        return True

    @property
    def waited(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._began

    def __enter__(self) -> Patience:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._telling.close()
