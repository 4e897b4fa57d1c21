"""Shared memory blocks: created sparse, reserved in steps, mapped by readers without the right to write.

A block is never known to multiprocessing's resource tracker: the tracker unlinks what its process leaves behind, and
this data outlives its manager. What the bytes mean never enters here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import sys
from typing import TYPE_CHECKING

from ..errors import AccessDenied, ManagerUnavailable, StoreFull

if TYPE_CHECKING:
    from multiprocessing.shared_memory import SharedMemory

__all__ = [
    "Segment",
    "attach",
    "attach_writable",
    "create",
    "exists",
    "fresh_name",
    "own_names",
    "size_of",
    "unlink",
    "unlink_unclaimed",
]

STEP = 4 << 20
"""Bytes asked of the kernel at a time; small enough that a nearly empty store costs little."""

_LINUX = sys.platform == "linux"
_FOLDER = "/dev/shm"
_PREFIX = "ptshm_"


class Segment:
    """One mapped block: its ``name``, its ``size`` in bytes and a ``buffer`` to read (and, for a manager, write)."""

    def __init__(self, name: str, buffer: mmap.mmap | memoryview, descriptor: int, keeper: SharedMemory | None) -> None:
        self.name = name
        self.size = len(buffer)
        self.buffer = buffer
        self._descriptor = descriptor
        self._keeper = keeper
        self._reserved = 0

    def reserve(self, up_to: int) -> int:
        """Make bytes 0 to ``up_to`` safe to touch; return how many are.

        Raises OSError (ENOSPC) when the segment or the machine's shared memory has no room; nothing is lost then.
        """
        if up_to <= self._reserved:
            return self._reserved
        if up_to > self.size:
            raise OSError(errno.ENOSPC, f"byte {up_to:,} is past the end of segment {self.name} ({self.size:,} bytes)")
        if self._descriptor < 0 or not hasattr(os, "posix_fallocate"):
            self._reserved = self.size
            return self._reserved
        generous = min(self.size, -(-up_to // STEP) * STEP)
        exact = min(self.size, -(-up_to // mmap.PAGESIZE) * mmap.PAGESIZE)
        try:
            self._allocate(generous)
        except OSError:
            if exact == generous:
                raise
            self._allocate(exact)
        return self._reserved

    def _allocate(self, end: int) -> None:
        os.posix_fallocate(self._descriptor, self._reserved, end - self._reserved)
        self._reserved = end

    def close(self) -> None:
        """Unmap; raises BufferError while views of the buffer are still in use."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        elif isinstance(self.buffer, mmap.mmap):
            self.buffer.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def fresh_name(directory: str = "") -> str:
    """A name that no block has yet; with the slash that POSIX puts before it, well within macOS's 31 characters.

    It tells for which rendezvous directory the block was made, so that whoever cleans up there knows its own.
    """
    return _PREFIX + _tag(directory) + os.urandom(6).hex()


def create(name: str, size: int) -> Segment:
    """Make a block of ``size`` bytes, all zero and none of them reserved yet; mode 0600.

    Raises FileExistsError for a taken name, StoreFull where the system refuses a block of this size.
    """
    from .untracked import open_untracked

    try:
        block = open_untracked(name, create=True, size=size)
    except FileExistsError:
        raise
    except (OSError, OverflowError, ValueError) as error:
        unlink(name)
        raise StoreFull(
            f"a segment of {size:,} bytes was asked for, and the system refused it ({error}): choose a smaller max_size"
        ) from error
    if not _LINUX:
        return _kept_open(name, block)
    block.close()
    return attach_writable(name)


def attach_writable(name: str) -> Segment:
    """Map an existing block for its next manager. Raises FileNotFoundError, AccessDenied.

    The block is claimed for as long as it is open: see ``unlink_unclaimed``.
    """
    if not _LINUX:
        return _kept_open(name)
    descriptor = _open_own(name, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not os.fstat(descriptor).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "the block was removed just now", f"{_FOLDER}/{name}")
        return Segment(name, mmap.mmap(descriptor, 0), descriptor, None)
    except BaseException:
        os.close(descriptor)
        raise


def attach(name: str) -> Segment:
    """Map an existing block for reading only, where the system can. Raises ManagerUnavailable, AccessDenied."""
    try:
        if not _LINUX:
            return _kept_open(name)
        descriptor = _open_own(name, os.O_RDONLY)
    except FileNotFoundError:
        raise ManagerUnavailable(
            f"the segment {name} is not there any more: its store was stopped; start it again and connect anew"
        ) from None
    try:
        return Segment(name, mmap.mmap(descriptor, 0, prot=mmap.PROT_READ), -1, None)
    finally:
        os.close(descriptor)


def unlink(name: str) -> None:
    """Remove the block's name, if it is there; who has it mapped keeps it until they let go."""
    with contextlib.suppress(FileNotFoundError):
        if _LINUX:
            os.unlink(f"{_FOLDER}/{name}")
        else:
            import _posixshmem

            _posixshmem.shm_unlink("/" + name)


def unlink_unclaimed(name: str) -> bool:
    """Remove the block's name unless a living manager has the block open; whether it was removed.

    A manager holds a shared lock on its block, which the kernel drops however the manager ends. Who gets an exclusive
    one has no manager beside it, and a manager that opens the block meanwhile waits for that lock and then sees that
    the name is gone. So this is true wherever the manager's rendezvous directory is, and for other containers too.
    """
    if not _LINUX:
        return False
    try:
        descriptor = _open_own(name, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlink(name)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def own_names(directory: str | None = None) -> list[str]:
    """The names of this user's blocks, made for that rendezvous directory or, with None, for any.

    None at all where the system cannot list them.
    """
    if not _LINUX:
        return []
    prefix = _PREFIX if directory is None else _PREFIX + _tag(directory)
    found = []
    with os.scandir(_FOLDER) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        found.append(entry.name)
    return sorted(found)


def size_of(name: str) -> int:
    """Bytes of memory that the block takes; 0 where there is none, or the system does not say."""
    try:
        return os.lstat(f"{_FOLDER}/{name}").st_blocks * 512
    except OSError:
        return 0


def exists(name: str) -> bool:
    """Whether a block has this name."""
    if _LINUX:
        return os.path.lexists(f"{_FOLDER}/{name}")
    from .untracked import open_untracked

    try:
        open_untracked(name).close()
    except FileNotFoundError:
        return False
    return True


def _tag(directory: str) -> str:
    return hashlib.blake2b(os.fsencode(directory), digest_size=4).hexdigest()


def _open_own(name: str, access: int) -> int:
    path = f"{_FOLDER}/{name}"
    try:
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP):
            raise AccessDenied(f"{path} cannot be opened as a segment ({error.strerror}): it is not ours") from error
        raise
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        os.close(descriptor)
        raise AccessDenied(
            f"{path} belongs to user {status.st_uid}, and we are {os.geteuid()}: only the user who started a store "
            "can use it"
        )
    return descriptor


def _kept_open(name: str, block: SharedMemory | None = None) -> Segment:
    from .untracked import open_untracked

    block = open_untracked(name) if block is None else block
    assert block.buf is not None
    return Segment(name, block.buf, -1, block)
