"""A proxy between clients and a Valkey server, which does to what passes what networks do, or ends a TLS line."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

__all__ = ["Fault", "Proxy", "between", "cut_short", "late", "lost"]

Way = Literal["requests", "answers"]
Fault = Callable[[bytes], "bytes | None"]
"""What is left of some bytes on their way; after None, or fewer than there were, the connection is cut."""


def lost(_: bytes) -> None:
    """Nothing arrives."""


def cut_short(data: bytes) -> bytes:
    """The first half arrives."""
    return data[: len(data) // 2]


def late(seconds: float) -> Fault:
    """It arrives, after a while."""

    def wait(data: bytes) -> bytes:
        time.sleep(seconds)
        return data

    return wait


class Proxy:
    """Carries bytes to a server's unix socket and back, with one fault for each that was asked for."""

    def __init__(self, listener: socket.socket, server: str, tls: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._server = server
        self._tls = tls
        self._faults: dict[Way, list[Fault]] = {"requests": [], "answers": []}
        self._weather: Callable[[Way], Fault | None] = lambda _: None
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def next(self, way: Way, fault: Fault) -> None:
        """Do this to what comes that way next."""
        self._faults[way].append(fault)

    def all_faults_were_met(self) -> bool:
        return not any(self._faults.values())

    def storm(self, seed: int, share: float) -> None:
        """From now on do any of the faults to a share of what passes."""
        chance = random.Random(seed)
        faults = [lost, cut_short, late(0.005)]
        self._weather = lambda _: chance.choice(faults) if chance.random() < share else None

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:  # whoever is at the other end may never say that it has gone
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:  # whoever is there does not trust us
                client.close()
                return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        self._sockets += [client, server]
        self._start(self._carry, server, client, "answers")
        self._carry(client, server, "requests")

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def _carry(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                faults = self._faults[way]
                fault = faults.pop(0) if faults else self._weather(way)
                left = data if fault is None else fault(data)
                if left:
                    target.sendall(left)
                if left != data:
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


@contextmanager
def between(
    server: str, *, listen: str | tuple[str, int] = ("127.0.0.1", 0), tls: ssl.SSLContext | None = None
) -> Iterator[tuple[Proxy, str]]:
    """A proxy for the server at ``unix://...``, and its URL: of a unix socket at a path, or at a host and port."""
    listener = socket.socket(socket.AF_UNIX if isinstance(listen, str) else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(listen)
    listener.listen()
    proxy = Proxy(listener, server.removeprefix("unix://"), tls)
    try:
        if isinstance(listen, str):
            yield proxy, f"unix://{listen}"
        else:
            host, port = listener.getsockname()
            yield proxy, f"{'valkeys' if tls else 'valkey'}://{host}:{port}"
    finally:
        proxy.close()
