"""The manager process, from its first line to its last: lock, segment, loop, and nothing left behind.

Runs in a fresh interpreter that knows nothing of the program that wanted it. How that interpreter is started is said
in ``launch``; what is served, in ``server``.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from dataclasses import replace
from typing import Any

from .. import codec
from ..engine import Memory, Writer, create
from ..errors import AlreadyExists, CorruptSegment, PaperTigerError
from . import failpoint
from . import segment as segments
from .admission import Admission
from .lock import Lock
from .rendezvous import Card, Place
from .segment import Segment
from .server import Server

__all__ = ["main"]

LOCK_SECONDS = 5.0
"""How long to wait for a lock whose holder does not answer: one that is just stopping, or just looking around."""


def main(orders: dict[str, Any]) -> None:
    """Be a manager. ``orders`` come from ``launch``; standard input is the lifeline, ``ready`` where to report."""
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = Place(orders["name"], orders["root"])
    try:
        tenure = _Tenure(place, orders)
    except PaperTigerError as error:
        _report(orders["ready"], {"error": [type(error).__name__, str(error)]})
        sys.exit(1)
    _report(orders["ready"], {"pid": os.getpid(), "segment": tenure.segment.name})
    os.close(orders["ready"])
    _be_silent(place)
    tenure.serve()
    tenure.end()


class _Tenure:
    """What one manager holds while it lives. Once made, it accepts clients."""

    def __init__(self, place: Place, orders: dict[str, Any]) -> None:
        self._place = place
        self._orders = orders
        self._failpoint = failpoint.asked()
        self._lock = _take_lock(place)
        self._card = self._draw_card()
        try:
            self.segment = self._take_segment()
            self._memory = Memory(self.segment.buffer)
            if self._failpoint is not None:
                self._failpoint.watch(self._memory)
            self._writer = self._open_writer()
            if self._failpoint is not None:
                self._failpoint.serving(first=not self._card.laid_out)
            self._card = replace(self._card, generation=self._writer.stats()["generation"], laid_out=True)
            place.write_card(self._card)
            listener = _listen(place)
            admission = Admission(listener, place.make_key())
            idle = orders["idle_seconds"] if self._card.kind == "on-demand" else None
            self._server = Server(self._writer, self._memory, admission, self._about(), idle)
            self._listen_for_the_end()
            listener.listen(512)
        except BaseException:
            self._give_up()
            raise

    def serve(self) -> None:
        """Until the owner has gone, a signal or a client says stop, or nobody has been there for a while."""
        self._server.run(self._tick)

    def end(self) -> None:
        """Tell the readers, and leave nothing."""
        self._writer.close()
        # The socket's name goes before the connections: who loses one and looks again finds nothing.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place.socket)
        segments.unlink(self.segment.name)
        self._server.close()
        self._place.remove(self._lock)

    def _give_up(self) -> None:
        """Leave things as they were found: what an earlier manager left stays, what we made goes."""
        if self._card.laid_out:
            self._lock.release()
            return
        segments.unlink(self._card.segment)
        self._place.remove(self._lock)

    def _draw_card(self) -> Card:
        """The card of a new manager, with the segment that the one before it left, or with a new one's name."""
        orders = self._orders
        left = self._place.card()
        if left is not None and not left.laid_out:
            segments.unlink(left.segment)
            left = None
        if left is not None and not segments.exists(left.segment):
            left = None
        return Card(
            pid=os.getpid(),
            owner=orders["owner"],
            kind=orders["kind"],
            url=self._place.url,
            segment=left.segment if left is not None else segments.fresh_name(self._place.root),
            size=left.size if left is not None else orders["max_size"],
            generation=left.generation if left is not None else 0,
            laid_out=left is not None,
            started=time.time(),
        )

    def _take_segment(self) -> Segment:
        # The name is written down before it is used, so that no crash leaves a segment that nobody knows of.
        self._place.write_card(self._card)
        if self._card.laid_out:
            return segments.attach_writable(self._card.segment)
        return segments.create(self._card.segment, self._card.size)

    def _open_writer(self) -> Writer:
        reserve = self.segment.reserve
        if not self._card.laid_out:
            create(self._memory, reserve, identity=secrets.randbits(64))
        try:
            return Writer(self._memory, reserve, codec.pack, codec.unpack)
        except CorruptSegment as error:
            raise CorruptSegment(
                f"{self._place.url} has left a segment that cannot be taken over: {error} "
                "(`papertiger-shm gc` removes what is left of it, data and all)"
            ) from error

    def _about(self) -> dict[str, Any]:
        card = self._card
        return {
            "name": self._place.name,
            "kind": card.kind,
            "segment": card.segment,
            "size": card.size,
            "generation": card.generation,
            "pid": card.pid,
        }

    def _listen_for_the_end(self) -> None:
        server = self._server
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._waker = waker

        def on_signal() -> None:
            with contextlib.suppress(BlockingIOError):
                if woken.recv(4096):
                    server.stop("a signal")

        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        server.watch(woken, on_signal)
        if self._card.kind == "owned":
            server.watch(0, self._on_lifeline)

    def _on_lifeline(self) -> None:
        if not os.read(0, 4096):
            self._server.stop("the owner has gone")

    def _tick(self) -> None:
        # A child that the owner forked may hold on to the lifeline, where the fork was not Python's own.
        if self._card.kind == "owned" and os.getppid() != self._orders["owner"]:
            self._server.stop("the owner has gone")


def _take_lock(place: Place) -> Lock:
    """Become the one manager of the store. Raises AlreadyExists where there is a living one."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        lock = place.hold("lock", 0.1)
        if lock is not None:
            return lock
        if _answers(place) or time.monotonic() >= deadline:
            card = place.card()
            by = f"process {card.pid}" if card is not None else "another process"
            raise AlreadyExists(
                f"a manager was asked for under the name {place.name!r}, which {by} has taken: connect to it with "
                f"connect({place.url!r}), stop it, or choose another name"
            )


def _answers(place: Place) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(place.socket)
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def _listen(place: Place) -> socket.socket:
    """The store's socket, bound; private from its first moment, since the umask says so."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.socket)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place.socket)
    listener.setblocking(False)
    return listener


def _report(ready: int, report: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the starter has gone; the lifeline will say so too
        os.write(ready, json.dumps(report).encode() + b"\n")


def _be_silent(place: Place) -> None:
    """Let go of the starter's pipes; what goes wrong from now on is written to the store's log."""
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
