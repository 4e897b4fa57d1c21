"""All resources on one namespace, for asyncio. Which there are is said in ``resources``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_type_hints

from papertiger_shm.aio.store import AsyncStore
from papertiger_shm.resources.checkout import Checkout

if TYPE_CHECKING:
    from papertiger_shm.aio.connection import AsyncConnection

__all__ = ["AsyncCheckout"]


class AsyncCheckout:
    """An ``AsyncStore`` of each resource, under the names that ``Checkout`` has."""

    def __init__(self, connection: AsyncConnection, namespace: str | None = None) -> None:
        self._connection = connection
        kinds = get_type_hints(Checkout)
        self._stores: dict[str, AsyncStore] = {name: kind(connection, namespace) for name, kind in kinds.items()}

    @property
    def namespace(self) -> str:
        """The namespace a call made now would use."""
        return self._stores["events"].namespace

    def __getattr__(self, name: str) -> AsyncStore:
        if name.startswith("_") or name not in self._stores:
            raise AttributeError(f"{type(self).__name__} has no store {name!r}; those there are: {[*self._stores]}")
        return self._stores[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._stores]

    def __iter__(self) -> Iterator[AsyncStore]:
        """The stores, by the order of their names."""
        return iter(self._stores.values())

    def __getitem__(self, name: str) -> AsyncStore:
        """The store of this name, as ``checkout["payment_intents"]``; KeyError where there is none."""
        return self._stores[name]

    async def clear(self) -> None:
        """Remove everything in the namespace and those below it, other tables' items too, in one request."""
        await self._connection.clear_namespace(self.namespace)

    def __repr__(self) -> str:
        return f"<AsyncCheckout {self._connection.url} {self.namespace}>"
