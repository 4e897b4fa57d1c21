"""How much one client has read, which only it knows: reads touch no other process, so the manager has to be told.

What is told, and over which line, never enters here.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import repeat
from operator import length_hint

__all__ = ["TELL_SECONDS", "Tally"]

TELL_SECONDS = 0.5
"""How often, at most, the manager is told: it serves writers, and who looks at the figures looks once a second."""

MOST = 2048
"""Reads after which the clock is looked at, where they are quick: that costs each of them 1 ns. Slower ones look after
fewer, so that a client that only reads, ten times a second, is heard of too."""

FIRST = 16


class Tally:
    """Counts of one connection, in all its threads and collections.

    A collection keeps ``ticks``, and a read takes one, as ``for _ in ticks: break``; where there is none left it goes
    on with what ``go_on(ticks)`` gives. An iterator is the cheapest counter that CPython has, and an atomic one:
    docs/performance.md has what it costs, and what others did.
    """

    __slots__ = ("__weakref__", "_begun", "_due_at", "_retries", "_round", "_told")

    def __init__(self, retries: Callable[[], int] = lambda: 0) -> None:
        """``retries``: how many reads there were that a write had overtaken, since when does not matter."""
        self._retries = retries
        self._told = 0, 0
        self._due_at = 0.0
        self._give(0, FIRST)
        _tallies.add(self)

    @property
    def ticks(self) -> Iterator[None]:
        """What reads take from just now."""
        return self._round[2]

    @property
    def reads(self) -> int:
        """All reads so far."""
        before, given, ticks = self._round  # at once: another thread may put the next in its place
        return before + given - length_hint(ticks)

    def fresh(self) -> tuple[int, int]:
        """Reads, and retries, that the manager has not been told of.

        Threads that start over at once, or retry at once, may lose some, never more.
        """
        reads, retries = self._told
        return max(self.reads - reads, 0), max(self._retries() - retries, 0)

    def go_on(self, ticks: Iterator[None]) -> Iterator[None]:
        """One more read, and the ticks to go on with where these have run out."""
        if ticks is not self.ticks:
            ticks = self.ticks
            for _ in ticks:  # that another collection has begun meanwhile
                return ticks
        self._start_over()
        return self.ticks

    def _start_over(self) -> None:
        """One more read, and as many ticks as will be taken, at this pace, until the manager may be told again."""
        pace = (self._round[1] + 1) / max(time.monotonic() - self._begun, 1e-6)  # with this one: there may be no other
        self._give(self.reads + 1, min(max(int(pace * TELL_SECONDS) - 1, 0), MOST))

    def _give(self, before: int, ticks: int) -> None:
        self._begun = time.monotonic()
        self._round: tuple[int, int, Iterator[None]] = before, ticks, repeat(None, ticks)

    def is_due(self) -> bool:
        """Whether it is time to tell; then not again for a while, told or not: there may be nobody to tell."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + TELL_SECONDS
        return True

    def told(self, fresh: tuple[int, int]) -> None:
        """The manager has been told of so many more; for one thread at a time."""
        reads, retries = self._told
        self._told = reads + fresh[0], retries + fresh[1]


_tallies: weakref.WeakSet[Tally] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked child: what was read before is the parent's to tell."""
    for tally in list(_tallies):
        tally._told = tally.reads, tally._retries()


os.register_at_fork(after_in_child=_leave_to_parent)
