"""Who may talk to the manager: connections are accepted here, and proven before the loop hears of them.

Each newcomer answers the HMAC challenge of ``multiprocess.connection`` in a short-lived thread of its own, so that a
half-open or slow one keeps nobody waiting. The newcomer's half is in ``introduction``. What is said after that never
enters here.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

from multiprocess.connection import Connection, answer_challenge, deliver_challenge

from .introduction import is_of_our_user, set_patience

__all__ = ["Admission"]

SECONDS = 3.0
"""How long a newcomer may take over the handshake, as a whole."""

AT_ONCE = 64
"""Newcomers in the handshake at one time; when one more comes, the oldest has had its chance."""


class Admission:
    """Accepts, checks and hands over; ``wake_source`` is readable when ``admitted`` has something to give."""

    def __init__(self, listener: socket.socket, key: bytes) -> None:
        self.listener = listener
        self.wake_source, self._wake = socket.socketpair()
        self.wake_source.setblocking(False)
        self._admitted: deque[socket.socket] = deque()
        self._key = key
        self._lock = threading.Lock()
        self._pending: dict[socket.socket, float] = {}

    def accept(self) -> None:
        """Take every newcomer that waits at the listener."""
        while True:
            try:
                newcomer, _ = self.listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Out of descriptors, or gone before we came: this newcomer's loss, and no reason to spin.
                time.sleep(0.001)
                return
            newcomer.setblocking(True)
            if not is_of_our_user(newcomer):
                newcomer.close()
                continue
            with self._lock:
                if len(self._pending) >= AT_ONCE:
                    _hang_up(next(iter(self._pending)))
                self._pending[newcomer] = time.monotonic() + SECONDS
            try:
                threading.Thread(target=self._examine, args=(newcomer,), daemon=True, name="newcomer").start()
            except RuntimeError:  # the system gives no more threads
                with self._lock:
                    del self._pending[newcomer]
                newcomer.close()

    def admitted(self) -> Iterator[socket.socket]:
        """Those who have proven themselves since the last call, not blocking from now on."""
        self.wake_source.recv(4096)
        while self._admitted:
            yield self._admitted.popleft()

    def sweep(self) -> bool:
        """Hang up on who takes too long; whether anyone is still in the handshake."""
        now = time.monotonic()
        with self._lock:
            for newcomer, deadline in self._pending.items():
                if deadline <= now:
                    _hang_up(newcomer)
            return bool(self._pending)

    def close(self) -> None:
        """Accept nobody any more."""
        self.listener.close()
        self.wake_source.close()
        with self._lock:
            for newcomer in [*self._pending, *self._admitted]:
                _hang_up(newcomer)

    def _examine(self, newcomer: socket.socket) -> None:
        proven = False
        try:
            set_patience(newcomer, SECONDS)
            with Connection(os.dup(newcomer.fileno())) as talk:
                deliver_challenge(talk, self._key)
                answer_challenge(talk, self._key)
            newcomer.setblocking(False)
            proven = True
        except Exception:
            # Whatever a stranger sends (AssertionError and ValueError among it) costs this connection only.
            pass
        finally:
            with self._lock:
                self._pending.pop(newcomer, None)
        if proven:
            self._admitted.append(newcomer)
            self._wake.send(b"!")
        else:
            newcomer.close()


def _hang_up(newcomer: socket.socket) -> None:
    try:
        newcomer.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
