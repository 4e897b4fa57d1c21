"""All resources on one namespace, for asyncio. Which there are is said in ``resources``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from papertiger_shm.aio.store import AsyncStore
from papertiger_shm.resources.checkout import Checkout, Stores, kinds

if TYPE_CHECKING:
    from papertiger_shm.aio.connection import AsyncConnection

__all__ = ["AsyncCheckout"]


class AsyncCheckout(Stores[AsyncStore]):
    """An ``AsyncStore`` of each resource, under the names that ``Checkout`` has."""

    def __init__(self, connection: AsyncConnection, namespace: str | None = None) -> None:
        super().__init__(connection.url, {name: kind(connection, namespace) for name, kind in kinds(Checkout).items()})
        self._connection = connection

    def __getattr__(self, name: str) -> AsyncStore:
        if name.startswith("_") or name not in self._stores:
            raise AttributeError(f"{type(self).__name__} has no store {name!r}; those there are: {[*self._stores]}")
        return self._stores[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._stores]

    async def clear(self) -> None:
        """Remove everything in the namespace and those below it, other tables' items too, in one request."""
        await self._connection.clear_namespace(self.namespace)
