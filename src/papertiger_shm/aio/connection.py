"""async_connect() and what it gives: a connection whose requests are awaited, and carried out in their order.

Requests go through one thread, one after another, so that one whose task was cancelled is behind a later one never: it
has been carried out as a whole, or will be before that, or never. How a request travels, and is repeated where a
connection was lost, is the business of the connection below; no item enters here.
"""

from __future__ import annotations

import asyncio
import os
import types
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from papertiger_shm.aio.checkout import AsyncCheckout
from papertiger_shm.aio.store import AsyncStore
from papertiger_shm.aio.thread import in_thread
from papertiger_shm.backend import ClearNamespace
from papertiger_shm.connection import Connection, Transaction, connect
from papertiger_shm.errors import InvalidRequest
from papertiger_shm.namespace import check_namespace
from papertiger_shm.store import Store

if TYPE_CHECKING:
    from papertiger_shm.backend import Lease, Operation

__all__ = ["AsyncConnection", "Connecting", "async_connect"]

T = TypeVar("T")


def async_connect(url: str | None = None, *, start: bool = False, timeout: float = 5.0) -> Connecting:
    """``await async_connect("shm://ci")``, or ``async with async_connect("shm://ci") as connection:``.

    Arguments and errors are those of ``connect``, and come with the ``await``. Raises ``InvalidRequest`` where no
    asyncio loop runs.
    """
    return Connecting(lambda: connect(url, start=start, timeout=timeout))


class Connecting:
    """What ``async_connect`` gives: awaited once, or used once as an asynchronous context manager."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: AsyncConnection | None = None

    def __await__(self) -> Generator[Any, None, AsyncConnection]:
        return self._connected().__await__()

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._connected()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> AsyncConnection:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise InvalidRequest(
                "async_connect: no asyncio loop runs here; await it in asyncio, or in anyio with asyncio below, "
                "and use connect() elsewhere"
            ) from None
        line = _line()
        connecting = line.submit(self._connect)
        try:
            return AsyncConnection(await asyncio.wrap_future(connecting, loop=loop), line)
        except BaseException:
            connecting.add_done_callback(_close)  # it may still come, for nobody
            line.shutdown(wait=False)
            raise


class AsyncConnection:
    """An open connection to one store for asyncio, made by ``async_connect``.

    A store on it, ``Events(connection)``, is an ``AsyncStore``. May be shared by tasks, threads and loops, and used
    after ``fork``. It is an asynchronous context manager, which closes it.

    A request whose task is cancelled has happened as a whole and once, or will before any later request of this
    connection, or was not begun and never will.
    """

    def __init__(self, connection: Connection, line: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._line = line
        self._pid = os.getpid()
        self._closed = False

    @property
    def url(self) -> str:
        """Where the store is; ``connect`` and ``async_connect`` take it in any process of the same user."""
        return self._connection.url

    @property
    def closed(self) -> bool:
        """Whether ``close()`` has been called."""
        return self._closed

    async def close(self) -> None:
        """Let go of the store, once what is under way has been answered; waits end with an error.

        Again does nothing.
        """
        if self._closed:
            return
        try:
            closing = self.submit(self._connection.close)
        except InvalidRequest:  # another thread was quicker
            return
        self._closed = True
        self._line.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(closing))

    async def stats(self) -> dict[str, Any]:
        """Figures of the store, as ``Connection.stats``."""
        return await self.request(self._connection.stats)

    async def verify(self) -> dict[str, Any]:
        """Check everything stored, as ``Connection.verify``; other requests do not wait for it here."""
        return await in_thread(self._open().verify)

    async def collections(self) -> list[tuple[str, str, int]]:
        """(table, namespace, number of items) of every collection that holds any."""
        return await self.request(self._connection.collections)

    async def stop_manager(self) -> None:
        """Have the store's manager stop and remove the store, data and all, whoever started it."""
        await self.request(self._connection.stop_manager)

    async def lease(self) -> Lease:
        """A new lease of this process, as ``Connection.lease``."""
        return await self.request(self._connection.lease)

    async def leased(self, id: str) -> bool:
        """Whether a living process holds the lease with this ``id``."""
        return await self.request(self._connection.leased, id)

    async def clear_namespace(self, namespace: str) -> None:
        """Delete every item of every table in the namespace and those below it, as ``Connection.clear_namespace``."""
        await self.commit((ClearNamespace(check_namespace(namespace)),))

    def checkout(self, namespace: str | None = None) -> AsyncCheckout:
        """All resource stores on one namespace, as ``Connection.checkout``; to clear it is awaited."""
        return AsyncCheckout(self, namespace)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Writes of this task inside the block happen all at once at its end; on an exception, none.

        As ``Connection.transaction``: ``async with connection.transaction() as transaction:``. Inside, an ``await`` of
        a write takes note of it, and waits for nothing; the block's end does.
        """
        with self._open()._gathering() as transaction:
            yield transaction
        if transaction._over:
            operations = transaction._operations
            transaction._results = await self.request(self._connection.commit, operations) if operations else []

    async def commit(self, operations: Sequence[Operation]) -> list[Any] | None:
        """Carry out all operations as one atomic request; inside a transaction keep them for its end and give None."""
        if self._open()._kept(operations):
            return None
        return await self.request(self._connection.commit, operations)

    def in_transaction(self) -> bool:
        """Whether this task is inside a transaction of this connection."""
        return self._open()._transaction() is not None

    async def request(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function gives, called once all that was asked for before has been answered."""
        return await asyncio.wrap_future(self.submit(function, *arguments))

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """As ``request``, for who does not run in a loop."""
        self._open()
        if self._pid != os.getpid():  # a child made by fork does not have the thread
            self._line, self._pid = _line(), os.getpid()
        try:
            return self._line.submit(function, *arguments)
        except RuntimeError:
            self._open()  # another thread may have closed it since, which is then what there is to say
            raise

    def kind_for(self, kind: type[Store]) -> type[AsyncStore]:
        """The class of this connection's handles of a store."""
        if issubclass(kind, AsyncStore):
            return kind
        if kind is Store:
            return AsyncStore
        made: type[AsyncStore] | None = vars(kind).get("_asynchronous")
        if made is None:
            # Behind the declared class, and before Store: what the class itself defines calls what is awaited.
            about = {"__module__": kind.__module__, "__doc__": kind.__doc__}
            made = types.new_class(
                f"Async{kind.__name__}", (kind, AsyncStore), exec_body=lambda body: body.update(about)
            )
            kind._asynchronous = made  # type: ignore[attr-defined]
        return made

    def _open(self) -> Connection:
        if self._closed:
            raise InvalidRequest(
                f"the connection to {self.url} is closed, and was used all the same; "
                "connect again, or close it after the last use"
            )
        return self._connection

    async def __aenter__(self) -> AsyncConnection:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncConnection {self.url}{' closed' if self._closed else ''}>"


def _line() -> ThreadPoolExecutor:
    """One thread, which carries out one request after another."""
    return ThreadPoolExecutor(1, thread_name_prefix="papertiger requests")


def _close(connecting: Future[Connection]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()
