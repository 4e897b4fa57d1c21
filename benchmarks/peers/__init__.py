"""One file for each thing to compare with, behind one small protocol. What is measured, and how, never enters here.

A peer is used the way its own documentation recommends for this job, and says in ``about`` what was chosen. What is
timed is the callable that it hands out, so no peer pays for a wrapper that another does not have.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.events import Event

__all__ = ["PAGE", "Cannot", "Peer", "memory_directory"]

PAGE = 10
"""Events of a page."""


class Cannot(Exception):
    """The peer has no such operation; the message is the reason, and stands in the empty cell."""


class Peer:
    """A context manager around whatever the peer needs: processes, files, sockets."""

    name: str
    about: str
    packages: tuple[str, ...] = ()
    """The distributions it needs; who has none of them is part of Python."""
    server_pid: int | None = None
    """The process that does the writing, where it is not the caller's own."""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        """Take away what ``__enter__`` made."""

    @classmethod
    def require(cls) -> None:
        """Raise ``Cannot`` where a package that the peer needs is not installed."""
        missing = [package for package in cls.packages if not _installed(package)]
        if missing:
            raise Cannot(f"is not installed here; pip install {' '.join(missing)}")

    def version(self) -> str:
        """What exactly was measured."""
        if not self.packages:
            return f"Python {platform.python_version()}"
        return ", ".join(f"{package} {version(package)}" for package in self.packages)

    # what is read

    def getter(self) -> Callable[[str], Event]:
        """A callable that gives the event with this id, decoded."""
        raise Cannot("has no look-up")

    def seeker(self) -> Callable[[str], Event | None]:
        """As ``getter``, for ids that may not be there: None."""
        raise Cannot("has no look-up")

    def membership(self) -> Callable[[str], bool]:
        """A callable that tells whether there is an event with this id."""
        raise Cannot("has no look-up")

    def counter(self) -> Callable[[object], int]:
        """A callable that gives the number of events; its argument is not used."""
        raise Cannot("does not count")

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        """A callable that gives the ``PAGE`` newest events, or those right behind the one with this id."""
        raise Cannot("has no order to list by")

    def finder(self) -> Callable[[str], Sequence[Event]]:
        """A callable that gives all events of a type, newest first."""
        raise Cannot("has no index: every event would have to be decoded")

    # what is written

    def inserter(self) -> Callable[[Any], object]:
        """A callable that stores one event, indexes and all; returns when every reader can see it."""
        raise Cannot("has no insert")

    def bare_inserter(self) -> Callable[[Any], object]:
        """The same without indexes, where that is another thing to do."""
        raise Cannot("has but one way to insert")

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        """A callable that stores a list of events, all or none."""
        raise Cannot("has no batches that are stored wholly or not at all")

    def incrementer(self) -> Callable[[str], object]:
        """A callable that adds 1 to the field ``NUMBER`` of the event with this id, atomically."""
        raise Cannot("has no atomic change of a value")

    def load(self, events: Sequence[Event]) -> None:
        """Store events before anything is measured."""
        self.batch_inserter()(events)

    def prepared(self, events: Sequence[Event]) -> Sequence[Any]:
        """What to hand to the inserters for these events; made before the clock starts."""
        return events

    # other processes

    def address(self) -> Any:
        """Where ``attached`` finds this peer from another process; what msgpack can carry."""
        raise Cannot("cannot be reached from another process")

    @classmethod
    def attached(cls, address: Any) -> Peer:
        """This peer as another process has it; ready to use, and left to the end of that process."""
        raise Cannot("cannot be reached from another process")


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def memory_directory(prefix: str) -> Path:
    """A new directory in memory where the system has such a place, so that no disk takes part."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix=f"bench-{prefix}-", dir=memory if os.access(memory, os.W_OK) else None))
