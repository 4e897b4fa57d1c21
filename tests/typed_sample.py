"""What a type checker makes of the public names. Checked by ``mypy --strict``, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from papertiger_shm import (
    AsyncCheckout,
    AsyncConnection,
    AsyncStore,
    Change,
    Checkout,
    Connection,
    Customers,
    Events,
    Manager,
    Page,
    Store,
    async_connect,
    connect,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type

Item = dict[str, Any]


class Orders(Store, table="orders", resource="order", indexes=("status",)):
    def open_ones(self) -> list[Item]:
        return self.find_by("status", "open")


def stores() -> None:
    with Manager("typed") as manager, connect(manager.url) as connection:
        assert_type(connection, Connection)
        orders = Orders(connection, namespace="x")
        assert_type(orders, Orders)
        assert_type(orders.open_ones(), list[Item])
        assert_type(orders.insert({"id": "a"}), Item)
        assert_type(orders.get("a"), Item)
        assert_type(orders.get("a", None), Item | None)
        assert_type(orders.list(5, status="open"), Page)
        assert_type(orders.wait_for(1), Item)
        for change in orders.watch():
            assert_type(change, Change)
        assert_type(connection.checkout("x"), Checkout)
        assert_type(connection.checkout("x").customers, Customers)
        with orders.transaction() as transaction:
            orders.delete("a")
        assert_type(transaction.results, list[Any])
    with Orders.start_link() as owner:
        assert_type(owner, Orders)


async def stores_for_asyncio() -> None:
    async with async_connect("shm://typed") as connection:
        assert_type(connection, AsyncConnection)
        events = Events(connection)
        assert_type(events, AsyncStore)
        assert_type(await events.insert({"id": "a"}), Item)
        assert_type(await events.insert_many([{"id": "b"}]), int)
        assert_type(events.get("a"), Item)
        assert_type(events.list(5, type="x"), Page)
        assert_type(await events.wait_for(1), Item)
        async for change in events.watch():
            assert_type(change, Change)
        async with events.transaction() as transaction:
            await events.delete("a")
        assert_type(transaction.results, list[Any])
        assert_type(connection.checkout("x"), AsyncCheckout)
        assert_type(await connection.checkout("x").customers.insert({}), Item)
    assert_type(await async_connect("shm://typed", start=True), AsyncConnection)
