"""Stripe's read endpoints over HTTP, so that Stripe's own libraries are clients of a store; the extra ``http``.

It stands on the public API alone. Starlette and uvicorn are imported in here and in ``papertiger_shm.ui`` alone, and
not before ``app`` or ``Server`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from papertiger_shm import Connection
from papertiger_shm.http.installed import see_whether_installed

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

__all__ = ["Server", "app"]


def app(connection: Connection, *, namespace: str | None = None) -> Starlette:
    """An ASGI app that answers ``GET /v1/events``, ``GET /v1/events/{id}`` and the like, as Stripe does.

    It reads what the connection leads to, and writes nothing. ``namespace``: where it reads if a request names no
    other, by its path or by the header ``x-paper-tiger-namespace``; None is the current one at each request, that is
    ``$PAPERTIGER_NAMESPACE``, else "global". Raises ``InvalidRequest`` where the extra is not installed.
    """
    see_whether_installed("papertiger_shm.http.app", "starlette")
    from papertiger_shm.http.application import application

    return application(connection, namespace)


class Server:
    """A server for an ASGI app, in a thread of this process, from its making until ``stop()`` or the process's end.

    A context manager. ``url``: its address, as ``"http://127.0.0.1:43127"``. ``host``: this machine alone unless told
    otherwise; ``port`` 0: one that is free. Raises ``InvalidRequest`` for an address that cannot be had, and where the
    extra is not installed.
    """

    def __init__(self, app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> None:
        see_whether_installed("papertiger_shm.http.Server", "uvicorn")
        from papertiger_shm.http.listening import Listener

        self._listener = Listener(app, host, port)
        self.url = self._listener.url

    def url_of(self, namespace: str) -> str:
        """The address below which this namespace is read, as ``"http://127.0.0.1:43127/namespaces/gw0/test_a"``."""
        return f"{self.url}/namespaces/{quote(namespace)}"

    def stop(self) -> None:
        """Answer what has been asked, and end; again does nothing. In a child made by fork it does nothing either."""
        self._listener.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.url}>"
