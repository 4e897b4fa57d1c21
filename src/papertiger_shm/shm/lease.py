"""Proof of life for clients: a file in the store's directory that a process holds locked for as long as it lives.

The kernel drops the lock on any death, so it says what no process id can, since those are used again. What the holder
does with its life never enters here.
"""

from __future__ import annotations

import fcntl
import os
import re

from ..errors import InvalidRequest, ManagerUnavailable
from .rendezvous import Place

__all__ = ["Lease", "is_held"]

_ID = re.compile(r"[0-9a-f]{16}")


class Lease:
    """Held from now until ``release()``, or the end of this process. A child made by fork does not hold it."""

    def __init__(self, place: Place) -> None:
        self.id = os.urandom(8).hex()
        lock = place.hold(_file(self.id), 0)
        if lock is None:
            raise ManagerUnavailable(f"the store {place.url} is just being removed: connect again")
        self._lock = lock

    def release(self) -> None:
        """Give it up, and leave no file; again does nothing."""
        self._lock.remove()

    def __repr__(self) -> str:
        return f"<Lease {self.id} {'held' if self._lock.is_held else 'released'}>"


def is_held(place: Place, id: str) -> bool:
    """Whether a living process holds the lease. Raises InvalidRequest for what is no lease's id."""
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise InvalidRequest(f"leased: {id!r} is not the id of a lease; pass the id of one that lease() gave")
    try:
        descriptor = os.open(os.path.join(place.directory, _file(id)), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that those who look at the same time do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _file(id: str) -> str:
    return f"lease.{id}"
