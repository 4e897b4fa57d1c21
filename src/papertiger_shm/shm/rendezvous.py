"""Where managers and clients find each other: a private directory for each user, and one in it for each store.

A store's directory holds ``lock`` (held by the living manager: the proof of life), ``socket``, ``key`` (the
connection secret), ``card`` (what is running, for whoever finds only remains) and ``log``, and a file for each
lease (held as long as a client lives), and ``start`` while somebody starts a manager on demand. What is said over the
socket never enters here.

Names may vanish at any time, since a manager removes its directory when it stops. Three rules keep that safe: only
the holder of the lock removes anything, but for a lease and a ``start`` in vain, which their own holders remove; the
lock goes last, so that whoever locks its removed file knows it by the missing link and starts over; and after that the
holder touches nothing but an empty directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import time
from dataclasses import asdict, dataclass, fields

from ..errors import AccessDenied, InvalidRequest, ManagerUnavailable
from .descriptor import Descriptor
from .lock import Lock

__all__ = ["Card", "Place", "fresh_name", "is_running", "names", "runtime_directory", "valid_name"]

KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
_FILES = ("socket", "key", "card", "log")


@dataclass(frozen=True)
class Card:
    """What a manager says about itself to whoever finds only its files."""

    pid: int
    owner: int
    """Process id of the owner, or 0 for a manager started on demand."""
    kind: str
    """"owned" or "on-demand"."""
    url: str
    segment: str
    size: int
    generation: int
    laid_out: bool
    """False until the segment has its first layout: a segment that died before that holds nothing to save."""
    started: float


class Place:
    """The files of one store. Nothing is created before ``open``."""

    def __init__(self, name: str, root: str | None = None) -> None:
        self.name = valid_name(name)
        self.root = root if root is not None else runtime_directory()
        self.directory = os.path.join(self.root, name)
        self.socket = os.path.join(self.directory, "socket")
        self._key = os.path.join(self.directory, "key")
        self._card = os.path.join(self.directory, "card")
        self.log = os.path.join(self.directory, "log")
        length = len(os.fsencode(self.socket))
        if length > _SOCKET_PATH_BYTES:
            raise InvalidRequest(
                f"the socket path {self.socket} has {length} bytes and this system allows {_SOCKET_PATH_BYTES}: "
                "choose a shorter name or set PAPERTIGER_DIR to a shorter directory"
            )

    @property
    def url(self) -> str:
        """The store's address."""
        return "shm://" + self.name

    def exists(self) -> bool:
        """Whether a manager, living or dead, has left a directory here. Raises AccessDenied if it is not ours."""
        return _trusted(self.root) and _trusted(self.directory)

    def open(self) -> None:
        """Create the directories, private from their first moment, or verify those that are there."""
        for path in (self.root, self.directory):
            if not _trusted(path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(path, 0o700)
                _trusted(path)

    def hold(self, file: str, timeout: float) -> Lock | None:
        """Lock ``file`` ("lock" or "start") in the store's directory, or give up after ``timeout`` seconds (None)."""
        deadline = time.monotonic() + timeout
        path = os.path.join(self.directory, file)
        while True:
            try:
                # The directory may go at any moment between these two steps; then both are done again.
                self.open()
                lock = _locked(path)
            except FileNotFoundError:
                lock = None
            if lock is not None:  # with no call in between, where an interruption's frames would keep it
                return lock
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.01)

    def key(self) -> bytes:
        """The connection secret. Raises FileNotFoundError, AccessDenied."""
        with self._open_own(self._key) as file:
            return file.read(KEY_BYTES + 1)

    def make_key(self) -> bytes:
        """Write a fresh secret; only for the holder of the lock."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._key)
        secret = os.urandom(KEY_BYTES)
        descriptor = os.open(self._key, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
        return secret

    def card(self) -> Card | None:
        """What the last manager wrote about itself, or None. Raises AccessDenied."""
        import json  # here and below: who finds a living manager needs neither this nor a temporary file

        try:
            with self._open_own(self._card) as file:
                said = json.loads(file.read(1 << 16))
            return Card(**{field.name: said[field.name] for field in fields(Card)})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return None

    def write_card(self, card: Card) -> None:
        """Replace the card in one step; only for the holder of the lock."""
        import json
        import tempfile

        descriptor, temporary = tempfile.mkstemp(prefix="card.", dir=self.directory)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(card), file)
            os.rename(temporary, self._card)
        except BaseException:
            os.unlink(temporary)
            raise

    def remove(self, lock: Lock) -> None:
        """Remove every file of the store and give up the lock. A directory that someone has put to use stays."""
        for file in os.listdir(self.directory):
            if file in _FILES or file.startswith(("card.", "lease.")) or file == "start":
                _remove_file(os.path.join(self.directory, file))
        _remove_file(os.path.join(self.directory, "lock"))
        self.remove_if_empty()
        lock.release()

    def remove_if_empty(self) -> None:
        """Remove the directories that nobody uses; what is refused as not ours alone stays."""
        with contextlib.suppress(OSError):  # AccessDenied is one
            self.exists()
            for path in (self.directory, self.root):
                # The root that PAPERTIGER_DIR names is its user's to remove.
                if path != self.root or path == _default_root():
                    with contextlib.suppress(OSError):
                        os.rmdir(path)

    def _open_own(self, path: str) -> Descriptor:
        _trusted(self.root)
        _trusted(self.directory)
        try:
            file = Descriptor(path, opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AccessDenied(f"{path} cannot be opened ({error.strerror}): remove it if it is not yours") from error
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & 0o077 or not stat.S_ISREG(status.st_mode):
            file.close()
            raise AccessDenied(
                f"{path} is not a private file of user {os.geteuid()} (owner {status.st_uid}, "
                f"mode {stat.S_IMODE(status.st_mode):o}): find out who put it there, then remove it"
            )
        return file


def runtime_directory() -> str:
    """Where this user's stores meet: ``$PAPERTIGER_DIR``, else a directory of the user's own below /tmp.

    Not ``$XDG_RUNTIME_DIR``, which differs between cron, sudo, ssh and ``env -i``, and not /dev/shm, since a full one
    must not keep a manager from starting again.
    """
    told = os.environ.get("PAPERTIGER_DIR")
    return os.path.abspath(told) if told else _default_root()


def names() -> list[str]:
    """The names of all stores, living or dead, of this user."""
    root = runtime_directory()
    if not _trusted(root):
        return []
    return sorted(name for name in os.listdir(root) if _NAME.fullmatch(name) and _trusted(os.path.join(root, name)))


def valid_name(name: str) -> str:
    """``name`` itself, if a store can have it; else InvalidRequest."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"a store was asked for by the name {name!r}: a name has 1 to 64 letters, digits, dots, dashes and "
            "underscores, and begins with a letter or digit"
        )
    return name


def fresh_name() -> str:
    """A name for a store that was given none."""
    return "m-" + os.urandom(6).hex()


def is_running(pid: int) -> bool:
    """Whether this process is there and has not ended; one that nobody has waited for has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    return True


def unavailable(place: Place, why: str) -> ManagerUnavailable:
    """The error for a store that does not answer: what was looked for, where, and what to do."""
    return ManagerUnavailable(
        f"no manager answers for {place.url} ({why}; looked in {place.directory}): start one with "
        f"Manager({place.name!r}), with connect({place.url!r}, start=True) or with `papertiger-shm serve {place.name}`"
    )


def _locked(path: str) -> Lock | None:
    """Lock it if it is to be had just now. Raises FileNotFoundError without its directory, AccessDenied."""
    try:
        return Lock.take(path)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EMLINK):
            raise AccessDenied(
                f"{path} cannot be locked ({error.strerror}): it is not ours; find out who put "
                "it there, then remove it, or set PAPERTIGER_DIR to a directory of your own"
            ) from error
        raise


def _default_root() -> str:
    return f"/tmp/papertiger-shm-{os.geteuid()}"


def _trusted(path: str) -> bool:
    """True for a private directory of ours, False for nothing at all; anything else raises AccessDenied."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise AccessDenied(f"{path} cannot be a rendezvous directory: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        wrong = "is not a directory" + (" but a symbolic link" if stat.S_ISLNK(status.st_mode) else "")
    elif status.st_uid != os.geteuid():
        wrong = f"belongs to user {status.st_uid}, and we are {os.geteuid()}"
    elif status.st_mode & 0o077:
        wrong = f"is open to other users (mode {stat.S_IMODE(status.st_mode):o}; `chmod 700` closes it)"
    else:
        return True
    raise AccessDenied(
        f"{path} {wrong}: managers and clients only meet in a private directory; find out who made it, then remove it, "
        "or set PAPERTIGER_DIR to a directory of your own"
    )


def _remove_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
