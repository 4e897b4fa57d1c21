"""One file for each thing to compare with, behind one small protocol.

A peer is used the way its own documentation recommends for this job, and says in ``about`` what was chosen. What is
timed is the callable that it hands out, so no peer pays for a wrapper that another does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event

__all__ = ["Cannot", "Peer"]


class Cannot(Exception):
    """The peer has no such operation; the message is the reason, and stands in the empty cell."""


class Peer:
    """A context manager around whatever the peer needs: processes, files, sockets."""

    name: str
    about: str
    server_pid: int | None = None
    """The process that does the writing, where it is not the caller's own."""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        """Take away what ``__enter__`` made."""

    def getter(self) -> Callable[[str], Event]:
        """A callable that gives the event with this id, decoded."""
        raise Cannot("has no look-up")

    def inserter(self) -> Callable[[Any], object]:
        """A callable that stores one event; returns when every reader can see it."""
        raise Cannot("has no insert")

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        """A callable that stores a list of events, all or none."""
        raise Cannot("has no batches")

    def prepared(self, events: Sequence[Event]) -> Sequence[Any]:
        """What to hand to the inserters for these events; made before the clock starts."""
        return events
