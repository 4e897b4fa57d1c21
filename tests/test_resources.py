"""The resource stores: declared as Stripe has them, with finders that find."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import papertiger_shm
from papertiger_shm import Checkout, Manager, Store

NAMES = [
    "accounts",
    "application_fees",
    "application_fee_refunds",
    "balance_transactions",
    "bank_accounts",
    "billing_portal_configurations",
    "billing_portal_sessions",
    "cards",
    "charges",
    "checkout_sessions",
    "confirmation_tokens",
    "coupons",
    "credit_notes",
    "customers",
    "customer_balance_transactions",
    "disputes",
    "events",
    "invoice_items",
    "invoices",
    "mandates",
    "payment_intents",
    "payment_links",
    "payment_methods",
    "payment_method_configurations",
    "payment_method_domains",
    "payouts",
    "plans",
    "prices",
    "products",
    "promotion_codes",
    "refunds",
    "reviews",
    "setup_attempts",
    "setup_intents",
    "sources",
    "subscription_items",
    "subscription_schedules",
    "subscriptions",
    "tax_rates",
    "tokens",
    "topups",
    "transfers",
    "transfer_reversals",
    "webhook_deliveries",
    "webhooks",
]

EVENTS: list[dict[str, Any]] = [
    json.loads(line) for line in (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes().splitlines()
]
OBJECTS: dict[str, list[dict[str, Any]]] = {"event": EVENTS}
for event in EVENTS:
    OBJECTS.setdefault(event["data"]["object"]["object"], []).append(event["data"]["object"])


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    with Manager() as manager, manager.connect() as connection:
        yield connection.checkout()


def kinds() -> list[type[Store]]:
    names = [name for name in papertiger_shm.__all__ if inspect.isclass(getattr(papertiger_shm, name))]
    classes = [getattr(papertiger_shm, name) for name in names]
    return [kind for kind in classes if issubclass(kind, Store) and hasattr(kind, "table_name")]


def test_all_of_them_are_there(checkout: Checkout) -> None:
    assert [store.table_name for store in checkout] == [f"paper_tiger_{name}" for name in sorted(NAMES)]
    for name in NAMES:
        assert getattr(checkout, name) is checkout[name]
    assert {type(store) for store in checkout} == {*kinds()}
    with pytest.raises(KeyError):
        checkout["nonsense"]


def test_no_two_are_alike() -> None:
    for attribute in ("table_name", "resource", "plural", "url_path"):
        values = [getattr(kind, attribute) for kind in kinds()]
        assert len(set(values)) == len(NAMES), attribute
    prefixes = [kind.prefix for kind in kinds() if kind.prefix is not None]
    assert len(set(prefixes)) == len(NAMES) - 1


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_stripe_s_own_objects_go_in_and_are_found(kind: type[Store], checkout: Checkout) -> None:
    store = kind(checkout.events.connection)
    samples = OBJECTS.get(kind.resource, [])[:5] or [{"id": f"{kind.prefix}_1", "status": "new", "active": True}]
    for sample in samples:
        if kind.prefix is not None and kind is not papertiger_shm.Plans:  # what is made today as a price has its id
            assert sample["id"].startswith(f"{kind.prefix}_"), sample["id"]
        assert store.insert(sample) == store.get(sample["id"])
        for field in kind.indexes:
            value: Any = sample
            for step in field.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None:
                assert sample["id"] in [item["id"] for item in store.find_by(field, value)]
    if kind.prefix is not None:
        assert store.insert({})["id"].startswith(f"{kind.prefix}_")


ACTIVE: dict[str, tuple[str, Any, Any]] = {
    "Coupons": ("valid", True, False),
    "Mandates": ("status", "active", "pending"),
    "PaymentMethodDomains": ("enabled", True, False),
    "SubscriptionSchedules": ("status", "active", "not_started"),
    "Subscriptions": ("status", "active", "trialing"),
    "Webhooks": ("status", "enabled", "disabled"),
}
"""Where another field than ``active`` says so: its name, what it is then, and another value of it."""

FINDERS = [
    (kind, name) for kind in kinds() for name in dir(kind) if name.startswith("find_") and name not in ("find_by",)
]


@pytest.mark.parametrize(("kind", "name"), FINDERS, ids=lambda value: getattr(value, "__name__", value))
def test_finder(kind: type[Store], name: str, checkout: Checkout) -> None:
    store = kind(checkout.events.connection, "finders")
    finder = getattr(store, name)
    [*arguments] = inspect.signature(finder).parameters
    mine: Any
    if name == "find_active":
        field, mine, other = ACTIVE.get(kind.__name__, ("active", True, False))
    else:
        field, mine, other = ("metadata.plan" if name == "find_by_plan" else arguments[0]), "mine", "other"
    assert field in kind.indexes
    for id, value in (("a", mine), ("b", other), ("c", mine)):
        item: dict[str, Any] = {"id": id, "created": ord(id)}
        place = item
        *outer, last = field.split(".")
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = value
        store.insert(item)
    assert [item["id"] for item in finder(*[mine][: len(arguments)])] == ["c", "a"]
    store.clear()


def test_invoices_of_a_subscription_whatever_the_version_of_the_api(checkout: Checkout) -> None:
    def later(subscription: str) -> dict[str, Any]:
        return {"parent": {"subscription_details": {"subscription": subscription}}}

    checkout.invoices.insert_many(
        [
            {"id": "in_1", "created": 1, **later("sub_1")},
            {"id": "in_2", "created": 2, "subscription": "sub_1"},
            {"id": "in_3", "created": 3, **later("sub_1"), "subscription": "sub_1"},
            {"id": "in_4", "created": 4, **later("sub_2")},
        ]
    )
    assert [invoice["id"] for invoice in checkout.invoices.find_by_subscription("sub_1")] == ["in_3", "in_2", "in_1"]


@pytest.mark.parametrize(
    ("name", "resource", "prefix", "path"),
    [
        ("checkout_sessions", "checkout.session", "cs", "/v1/checkout/sessions"),
        ("billing_portal_sessions", "billing_portal.session", "bps", "/v1/billing_portal/sessions"),
        ("invoice_items", "invoiceitem", "ii", "/v1/invoiceitems"),
        ("webhooks", "webhook_endpoint", "we", "/v1/webhook_endpoints"),
        ("application_fee_refunds", "fee_refund", "fr", "/v1/application_fee_refunds"),
        ("coupons", "coupon", None, "/v1/coupons"),
        ("payment_intents", "payment_intent", "pi", "/v1/payment_intents"),
    ],
)
def test_names_that_are_stripe_s(name: str, resource: str, prefix: str | None, path: str, checkout: Checkout) -> None:
    store = checkout[name]
    assert (store.resource, store.prefix, store.url_path) == (resource, prefix, path)


PAGE = Path(__file__).resolve().parent.parent / "docs" / "resources.md"
needs_the_page = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not shipped with the tests")


@needs_the_page
def test_the_page_tells_of_each() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\w*) \| (\S+) \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    told = {name: rest for name, *rest in rows}
    declared = {}
    for name, kind in get_type_hints(Checkout).items():
        finders = [finder for finder in sorted(dir(kind)) if finder.startswith("find_") and finder != "find_by"]
        lists = [", ".join(f"`{each}`" for each in names) for names in (kind.indexes, finders)]
        declared[name] = [kind.__name__, kind.prefix or "", kind.url_path, *lists]
    assert told == declared


@needs_the_page
def test_the_code_on_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {})
