"""AsyncStore: a store's handle on a connection for asyncio. Writes and waits are awaited; reads are direct.

Which operations a write stands for, what is found and what is told is decided in ``store`` and ``watching``; here it is
only awaited.
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from papertiger_shm import transfer
from papertiger_shm.aio.interest import Interest
from papertiger_shm.aio.subscription import LoopSubscription
from papertiger_shm.aio.thread import in_thread
from papertiger_shm.aio.watch import AsyncWatch
from papertiger_shm.backend import Clear, Put
from papertiger_shm.connection import Transaction
from papertiger_shm.errors import Conflict, InvalidRequest
from papertiger_shm.namespace import check_namespace
from papertiger_shm.store import Store
from papertiger_shm.watching import Search, Watched

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from papertiger_shm.aio.connection import AsyncConnection

__all__ = ["AsyncStore"]

Item = dict[str, Any]

# A type checker is right that what is awaited cannot stand where a Store is wanted; that it inherits is for the sake of
# declared classes, whose own methods then call what is awaited, too.
# mypy: disable-error-code="override"


class AsyncStore(Store, abstract=True):
    """What ``Events(connection)`` is on an ``AsyncConnection``: also an ``Events``, but for what is said here.

    Reads (``get``, ``list``, finders, ``len``, ...) are direct, as everywhere: from shared memory they take
    microseconds. On ``valkey://`` each is a round trip that holds up the loop; where that is too long, use
    ``asyncio.to_thread``. Writes and waits are awaited, also by the declared class's own methods: what they call on
    ``self`` gives something to await.
    """

    def __init__(self, connection: AsyncConnection, namespace: str | None = None) -> None:
        if not hasattr(connection, "kind_for"):
            raise InvalidRequest(
                f"{type(self).__name__}: expected a connection for asyncio, not {type(connection).__name__}; "
                "pass what async_connect('shm://name') gives"
            )
        super().__init__(connection._connection, namespace)
        self._requests = connection

    if TYPE_CHECKING:  # the finders, and whatever else the declared class has

        def __getattr__(self, name: str) -> Any: ...

    @property
    def connection(self) -> AsyncConnection:
        """The connection the handle was made with."""
        return self._requests

    # ---- writing

    async def insert(self, item: Mapping[str, Any]) -> Item:
        """Insert the item, or replace the one with its id, as ``Store.insert``. Gives the item as stored."""
        put, stored = self._put(item, None)
        await self._requests.commit((put,))
        return stored

    async def update(self, item: Mapping[str, Any]) -> Item:
        """Replace the item with its id, or insert it: the same as ``insert``. Gives the item as stored."""
        return await self.insert(item)

    async def insert_new(self, item: Mapping[str, Any]) -> Item:
        """Insert the item; ``AlreadyExists`` where one has its id. Gives the item as stored."""
        put, stored = self._put(item, 0)
        await self._requests.commit((put,))
        return stored

    async def insert_many(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Insert or replace all items as one request, all or none, as ``Store.insert_many``. Gives their number."""
        puts = self._puts(items)
        if puts:
            await self._requests.commit(puts)
        return len(puts)

    async def delete(self, id: str) -> None:
        """Delete the item; nothing happens where there is none."""
        if deletion := self._deletion(id):
            await self._requests.commit(deletion)

    async def clear(self) -> None:
        """Delete every item of this table, in every namespace."""
        await self._requests.commit((Clear(self.table_name, None),))

    async def clear_namespace(self, namespace: str) -> None:
        """Delete every item of this table in the namespace and those below it: "a" takes "a/b" along."""
        await self._requests.commit((Clear(self.table_name, check_namespace(namespace)),))

    async def increment(self, id: str, field: str, by: int | float = 1) -> Any:
        """Add ``by`` to the number at the dotted path ``field``, atomically, as ``Store.increment``."""
        results = await self._requests.commit((self._increment(id, field, by),))
        return None if results is None else results[0]

    async def compare_and_set(self, item: Mapping[str, Any], version: int) -> Item:
        """Replace the item with its id if that still has ``version``, else ``Conflict``. Gives the item as stored."""
        put, stored = self._replacing(item, version)
        await self._requests.commit((put,))
        return stored

    async def modify(
        self, id: str, function: Callable[[Item], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
    ) -> Item:
        """Read the item, call ``function(item)``, store what it returns; again if the item has moved in between.

        As ``Store.modify``; the function may also be an ``async def``.
        """
        while True:
            item, version = self._to_modify(id)
            changed = function(item)
            if inspect.isawaitable(changed):
                changed = await changed
            self._check_modified(id, changed)
            try:
                return await self.compare_and_set(changed, version)
            except Conflict:
                continue

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """All writes of this task inside the block at once, at its end: ``AsyncConnection.transaction``."""
        return self._requests.transaction()

    # ---- waiting

    async def wait_for(self, timeout: float | None, *, since: int | None = None, **equals: Any) -> Item:
        """The first item that matches ``equals`` (on declared indexes), now or when it comes, as ``Store.wait_for``.

        Raises ``WaitTimeout`` after ``timeout`` seconds; the timeouts of asyncio do as well, with less to tell.
        """
        seconds, wanted = self._waited_for(timeout, since, equals)
        namespace = self.namespace
        search = Search(self._view(), wanted, since or 0)
        if search.found is None and seconds > 0:
            await _found(search, seconds)
        if search.found is None:
            # What came elsewhere has to be asked for.
            raise await in_thread(self._not_come, search, seconds, since, namespace)
        return search.found

    def watch(self, since: int | None = None, **equals: Any) -> AsyncWatch:
        """The changes of the items that match ``equals``, in commit order, for ever, as ``Store.watch``.

        ``async for change in events.watch():``. Without ``since`` those from this call on.
        """
        view = self._view()
        return AsyncWatch(view, Watched(view, self._watched_for(since, equals), since))

    # ---- files

    async def dump(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None) -> int:
        """Write the current namespace's items to a file, as ``Store.dump``, in a thread that also calls ``progress``.

        Where it is cancelled no file appears, and one that was there stays.
        """
        view = self._view()
        interest = Interest()

        def report(done: int, total: int) -> None:
            interest.check()
            if progress is not None:
                progress(done, total)

        def replace(partial: str, final: str) -> None:
            interest.begin(lambda: os.replace(partial, final))

        with interest:
            return await asyncio.to_thread(lambda: transfer.dump(path, view.scan(()), report, replace))

    async def load(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None) -> int:
        """Insert or replace every item of a file, as ``Store.load``, in a thread that also calls ``progress``.

        Where it is cancelled, whole batches have gone in, and no more do.
        """
        interest = Interest()
        kept: builtins.list[Put] = []

        def commit(puts: builtins.list[Put]) -> None:
            interest.begin(lambda: self._requests.submit(self._connection.commit, puts)).result()

        def prepare(item: Any) -> Put:
            return self._put(item, None)[0]

        take = kept.extend if self._requests.in_transaction() else commit
        with interest:
            count = await asyncio.to_thread(transfer.load, path, prepare, take, progress)
        if kept:
            await self._requests.commit(kept)
        return count


async def _found(search: Search, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    with closing(LoopSubscription(search.view.subscribe())) as subscription:
        while search.found is None and (left := deadline - loop.time()) > 0:
            search.look(await subscription.wait(left))
    if search.found is None:
        search.look_at_all()
