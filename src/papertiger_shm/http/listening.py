"""A uvicorn server in a thread of this process. What it serves never enters this room."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import uvicorn

from papertiger_shm import InvalidRequest

__all__ = ["Listener"]

LAST_ANSWERS_SECONDS = 2
"""How long ``stop()`` waits for requests that are being answered."""


class Listener:
    """Accepts connections from its making on, until ``stop()``."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        listening = _listening(host, port)
        self.url = _url(listening)
        config = uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            log_config=None,  # the process has its own logging, which is no business of ours
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._socket = listening
        self._owner = os.getpid()
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name=f"papertiger {self.url}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and close the socket."""
        if os.getpid() == self._owner:
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        # The first address the name has; the queue of connections is there before the thread looks at it.
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address, family=family, backlog=1024)
    except (OSError, OverflowError) as problem:
        raise InvalidRequest(
            f"Server: it cannot listen on {host} port {port}: {problem}; give another address, or port 0 for a free one"
        ) from problem
    # Accepted connections inherit it. asyncio sets it only on sockets that name their protocol, and without it each
    # answer waits 40 ms for the acknowledgement of its own head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if listening.family == socket.AF_INET6 else f"http://{host}:{port}"
