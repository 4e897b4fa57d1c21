"""Manager: a store's writer process, owned by this one.

Ownership is a pipe whose other end nobody else holds, so that the manager stops however its owner ends. What the
manager process does is said in ``process``, how it is started in ``launch``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import InvalidRequest, ManagerUnavailable, PaperTigerError
from .launch import Started, launch
from .leftovers import remove_leftovers
from .rendezvous import Place, fresh_name
from .size import parse_size

if TYPE_CHECKING:
    from ..connection import Connection

__all__ = ["Manager"]

STOP_SECONDS = 10.0
"""How long a manager may take to stop before it is killed and cleaned up after."""

RESTART_TRIES = 6
"""Failed starts in a row, 0.05 s after the first and twice as long after each, before the owner gives up."""


SOON = 1.0
"""Seconds: a manager that ends by itself so soon after it was ready is likely to do so again."""

LONGEST_PAUSE = 0.8
"""Seconds between two such starts in the end; less than clients wait before they see to a manager themselves."""


class Manager:
    """Owns a store: its segment and the one process that writes to it.

    ``name``: 1 to 64 letters, digits, dots, dashes and underscores; None makes one up. ``max_size``: how large the
    store may ever get, from 64 KiB up, as bytes or a str such as "64 MiB"; memory is only taken as it is needed.
    ``restart``: start the writer process again should it die; it takes over the same data. Raises ``InvalidRequest``
    for a name or a size that cannot be used.

    The store lasts until ``stop()``, the end of the ``with`` block, or the end of this process in whatever way.
    In a child made by fork a Manager owns nothing, but ``connect`` works.
    """

    def __init__(self, name: str | None = None, *, max_size: int | str = "4 GiB", restart: bool = True) -> None:
        self._place = Place(fresh_name() if name is None else name)
        self._owner = _Owner(self._place, parse_size(max_size), _always if restart else _never)
        self._finalizer = weakref.finalize(self, self._owner.stop)

    @property
    def name(self) -> str:
        """The store's name."""
        return self._place.name

    @property
    def url(self) -> str:
        """Where other processes of this user find the store, as "shm://ci"."""
        return self._place.url

    @property
    def pid(self) -> int:
        """Process id of the writer process. Raises ``InvalidRequest`` while there is none."""
        started = self._owner.started
        if started is None:
            raise InvalidRequest(f"the manager of {self.url} has no writer process: start() it first")
        return started.pid

    def start(self) -> Manager:
        """Start the writer process and return when it accepts clients; again does nothing.

        Data that a manager of this name left when it was killed is taken over. Raises
        ``AlreadyExists`` where a living manager has the name, ``StoreFull`` where the machine's shared memory is,
        ``AccessDenied`` where the place is another user's, ``CorruptSegment`` for data that cannot be taken over, and
        ``ManagerUnavailable`` where the process does not come up.
        """
        self._owner.start()
        return self

    def stop(self) -> None:
        """Stop the writer process and remove the store, data and all; again does nothing."""
        self._owner.stop()

    def connect(self) -> Connection:
        """A new connection to the store, which may be closed before or after the manager stops.

        Raises ``InvalidRequest`` where the manager has not been started, and ``ManagerUnavailable`` where it has died
        and could not be started again.
        """
        from ..connection import connect

        if self._owner.failure is not None:
            raise self._owner.failure
        if self._owner.started is None:
            raise InvalidRequest(f"the manager of {self.url} is not running: start() it, or use it in a with statement")
        return connect(self.url)

    def __enter__(self) -> Manager:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        started = self._owner.started
        return f"<Manager {self.url} {'stopped' if started is None else f'pid {started.pid}'}>"


class _Owner:
    """Keeps one writer process running. Knows nothing of the Manager, which can thus be collected.

    ``may_restart`` is asked each time the process has died.
    """

    def __init__(self, place: Place, max_size: int, may_restart: Callable[[], bool]) -> None:
        self.started: Started | None = None
        self.failure: PaperTigerError | None = None
        self.may_restart = may_restart
        self._place = place
        self._max_size = max_size
        self._pid = os.getpid()
        # Re-entrant, since the collector may call stop() at any point of a thread that holds it.
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._remains = False
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        if self._pid != os.getpid():
            raise InvalidRequest(f"the manager of {self._place.url} belongs to process {self._pid}: start one here")
        with self._lock:
            if self.started is not None:
                return
            self._stopping.clear()
            self.failure = None
            self.started = launch(self._place, kind="owned", max_size=self._max_size)
            self._remains = False
            self._watcher = threading.Thread(target=self._watch, name=f"owner of {self._place.name}", daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        if self._pid != os.getpid():
            return
        watcher = self._watcher
        with self._lock:
            self._stopping.set()
            started = self.started
            if started is not None:
                started.let_go()
                _send(started, signal.SIGCONT)
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(STOP_SECONDS)
            if watcher.is_alive():
                _send(self.started, signal.SIGKILL)
                # Not for ever: the collector may have called this in a thread that has what the watcher waits for.
                watcher.join(STOP_SECONDS)
        self._remove_remains()

    def _remove_remains(self) -> None:
        """After a death nobody else may clean up; a manager that has taken over meanwhile holds the lock."""
        with self._lock:
            remains, self._remains = self._remains, False
            if remains:
                remove_leftovers(self._place)

    def _watch(self) -> None:
        """Wait for the process to end, for as often as it is to be started again."""
        in_a_row = 0
        while True:
            started = self.started
            assert started is not None
            ready = time.monotonic()
            status = started.process.wait()
            # Who was killed has no fault that it would meet again.
            faulty = status not in (0, -signal.SIGKILL) and time.monotonic() - ready < SOON
            in_a_row = in_a_row + 1 if faulty else 0
            if in_a_row > 1 and self.may_restart is _always:  # a supervisor has a limit of its own, and counts by time
                self._stopping.wait(min(0.05 * 2**in_a_row, LONGEST_PAUSE))
            # 0 is a stop on purpose: by us, or because someone told it to. Then it has removed everything itself.
            if status == 0 or self._stopping.is_set() or not self.may_restart() or not self._restart():
                break
        with self._lock:
            started.let_go()
            self._remains = status != 0
            self.started = None
            if self._stopping.is_set():
                self._remove_remains()

    def _restart(self) -> bool:
        pause = 0.05
        for _ in range(RESTART_TRIES):
            try:
                started = launch(self._place, kind="owned", max_size=self._max_size)
            except (PaperTigerError, OSError) as error:
                self.failure = ManagerUnavailable(f"the manager of {self._place.url} could not be restarted: {error}")
            else:
                with self._lock:
                    before, self.started = self.started, started
                    if self._stopping.is_set():
                        started.let_go()
                if before is not None:
                    before.let_go()
                self.failure = None
                return True
            if self._stopping.is_set():
                return False
            self._stopping.wait(pause)
            pause *= 2
        return False


def _send(started: Started | None, number: int) -> None:
    if started is not None:
        with contextlib.suppress(ProcessLookupError):
            started.process.send_signal(number)


def _always() -> bool:
    return True


def _never() -> bool:
    return False
