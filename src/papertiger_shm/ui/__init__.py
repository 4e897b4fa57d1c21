"""The inspector: pages that show a running store in a browser, and write nothing; in the extra ``http``.

It stands on the public API alone, as its sibling ``papertiger_shm.http`` does, whose server it runs in. Starlette and
Jinja2 are imported when an ``Inspector`` is made, and not before.
"""

from __future__ import annotations

from types import TracebackType

from papertiger_shm import Connection
from papertiger_shm.http import Server
from papertiger_shm.http.installed import see_whether_installed

__all__ = ["Inspector"]


class Inspector:
    """The pages of one store, served by a thread of this process from its making until ``stop()``.

    A context manager. ``host``: this machine alone unless told otherwise; ``port`` 0: one that is free. The connection
    is the caller's, to be closed after this. Raises ``InvalidRequest`` for an address that cannot be had, and where the
    extra is not installed.
    """

    def __init__(self, connection: Connection, host: str = "127.0.0.1", port: int = 0) -> None:
        see_whether_installed("papertiger_shm.ui", "starlette", "uvicorn", "jinja2")
        from papertiger_shm.ui.admission import Admission
        from papertiger_shm.ui.application import application
        from papertiger_shm.ui.feed import Feed

        self.store = connection.url
        """The store's URL, in which there is never a password."""
        self._feed = Feed(connection)
        try:
            self._admission = Admission(application(connection, self._feed), host)
            self._server = Server(self._admission, host, port)
        except BaseException:
            self._feed.close()
            raise
        self.url = self._server.url

    @property
    def address(self) -> str:
        """What to open in a browser. It opens once; from then on there is another, for another browser."""
        return f"{self.url}/?token={self._admission.token}"

    @property
    def store_has_gone(self) -> bool:
        """Whether the store does not answer any more; the pages say so, and will show nothing else."""
        return self._feed.store_has_gone

    def stop(self) -> None:
        """Tell the pages that are open, and end; again does nothing."""
        self._feed.close()
        self._server.stop()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Inspector {self.url} of {self.store}>"
