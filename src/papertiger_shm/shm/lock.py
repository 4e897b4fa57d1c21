"""A lock on a file, held until it is released or its process ends, whichever way: the kernel sees to that.

Taken with filelock's lock on a descriptor of our own. Its ``FileLock`` makes a missing directory first, with the
umask's mode; where a stopping manager had just removed the store's directory, that opened a new one to other users.
What a lock stands for, and who waits for it how long, never enters here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref

from .descriptor import Descriptor

__all__ = ["Lock"]


class Lock:
    """A lock that this process has. A child made by fork does not have it, and cannot keep it from being released."""

    def __init__(self, path: str, file: Descriptor) -> None:
        self.path = path
        self._file = file
        _held.add(self)

    @classmethod
    def take(cls, path: str) -> Lock | None:
        """Lock the file, made if need be, or say at once that it is not to be had (None).

        Raises OSError: FileNotFoundError without its directory, ELOOP for a symbolic link.
        """
        # Late, since it takes tens of milliseconds and a reader takes no lock.
        from filelock import lock_descriptor

        file = Descriptor(path, opener=_open)
        try:
            # A lock on a removed file locks nobody out.
            if lock_descriptor(file.fileno(), blocking=False) and os.fstat(file.fileno()).st_nlink:
                return cls(path, file)
        except BaseException:
            file.close()  # who keeps the exception keeps the file
            raise
        file.close()
        return None

    @property
    def is_held(self) -> bool:
        """Whether it is still this process's."""
        return not self._file.closed

    def release(self) -> None:
        """Let others have it; again does nothing. The file stays."""
        # Unlocked first: a child that was forked just now may not have come to closing its copy.
        if self.is_held:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()
        # The set itself would learn of its end in a callback, in which a Ctrl-C is lost.
        _held.discard(self)

    def remove(self) -> None:
        """As ``release``, and leave no file."""
        if self.is_held:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.release()


def _open(path: str, _: int) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _hold_none() -> None:
    # The lock is one for all copies of the descriptor: unlocking would take it from the parent, and keeping a copy
    # would keep it past the parent's death.
    for lock in list(_held):
        lock._file.close()


os.register_at_fork(after_in_child=_hold_none)
