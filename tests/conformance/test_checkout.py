"""All resource stores on one namespace, at once."""

from __future__ import annotations

import pytest

from papertiger_shm import Connection, InvalidRequest, namespace


@pytest.fixture
def connection(new_connection: object) -> Connection:
    return new_connection()  # type: ignore[no-any-return, operator]


def test_they_share_the_namespace_and_are_cleared_together(connection: Connection) -> None:
    ours, others = connection.checkout("shop-1"), connection.checkout("shop-2")
    for checkout in (ours, others, connection.checkout("shop-1/acct_1")):
        customer = checkout.customers.insert({"email": "a@example.com"})
        checkout.charges.insert({"customer": customer["id"], "status": "succeeded"})
    assert ours.namespace == "shop-1"
    assert [charge["status"] for charge in ours.charges.find_by_customer(ours.customers.list().data[0]["id"])] == [
        "succeeded"
    ]
    ours.clear()
    assert [store.count() for store in ours] == [0] * 45
    assert connection.checkout("shop-1/acct_1").charges.count() == 0
    assert (others.customers.count(), others.charges.count()) == (1, 1)
    others.clear()


def test_without_a_namespace_it_is_the_current_one(connection: Connection) -> None:
    checkout = connection.checkout()
    with namespace("shop-3"):
        checkout.products.insert({"id": "prod_1", "active": True})
        assert checkout.namespace == "shop-3"
    assert checkout.products.count() == 0
    with namespace("shop-3"):
        assert [product["id"] for product in checkout.products.find_active()] == ["prod_1"]
        checkout.clear()
        assert checkout.products.count() == 0


def test_a_transaction_spans_them(connection: Connection) -> None:
    checkout = connection.checkout("shop-4")
    with pytest.raises(InvalidRequest, match="x"), connection.transaction():
        checkout.customers.insert({"id": "cus_1"})
        raise InvalidRequest("x")
    with connection.transaction():
        checkout.customers.insert({"id": "cus_1"})
        checkout.invoices.insert({"id": "in_1", "customer": "cus_1"})
    assert [invoice["id"] for invoice in checkout.invoices.find_by_customer("cus_1")] == ["in_1"]
    checkout.clear()
