"""Stripe's read endpoints, asked by Stripe's own library and by hand: what is listed, found, refused, and for whom."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papertiger_shm import (
    ApplicationFeeRefunds,
    Charges,
    Connection,
    Events,
    Manager,
    connect,
    namespace,
)
from suites import run_suite
from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

stripe = pytest.importorskip("stripe")
pytest.importorskip("starlette")

from papertiger_shm.http import Server, app  # noqa: E402

SECONDS = 60
KEY = {"Authorization": "Bearer sk_test_123"}
# Stripe's own example of balance_settings.updated has a null that Stripe's own library cannot read.
EVENTS = [
    event
    for line in (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes().splitlines()
    if (event := json.loads(line))["type"] != "balance_settings.updated"
]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with Manager() as manager:
        yield manager.connect()


@pytest.fixture(scope="module")
def server(connection: Connection) -> Iterator[Server]:
    with Server(app(connection, namespace="here")) as server:
        yield server


@pytest.fixture
def all(connection: Connection) -> Iterator[Any]:
    checked_out = connection.checkout("here")
    yield checked_out
    checked_out.clear()


@pytest.fixture
def events(all: Any) -> Events:
    all.events.insert_many(EVENTS)
    return all.events


@pytest.fixture
def sdk(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(stripe, "api_base", server.url)
    monkeypatch.setattr(stripe, "api_key", "sk_test_123")
    monkeypatch.setattr(stripe, "default_http_client", None)
    yield
    if stripe.default_http_client is not None:
        stripe.default_http_client.close()


Answer = tuple[int, dict[str, str], Any]


def ask(url: str, headers: dict[str, str] = KEY, method: str = "GET", **parameters: Any) -> Answer:
    """Status, headers by their names in lower case, and body of the answer."""
    query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
    request = urllib.request.Request(url + query, headers=headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        names = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, names, json.loads(body) if body else None


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["data"]]


# --- Stripe's own library ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sdk")
def test_sdk_lists_and_retrieves(events: Events) -> None:
    page = stripe.Event.list()
    assert [event.id for event in page.data] == [event["id"] for event in events.list()]
    assert (page.object, page.has_more, page.url) == ("list", True, "/v1/events")
    listed = [event.id for event in stripe.Event.list(limit=100).auto_paging_iter()]
    assert listed == [event["id"] for event in events]
    event = stripe.Event.retrieve(listed[7])
    assert isinstance(event, stripe.Event)
    assert json.loads(str(event)) == events.get(listed[7])


@pytest.mark.usefixtures("sdk")
def test_sdk_pages_backwards(events: Events) -> None:
    listed = [event["id"] for event in events]
    page = stripe.Event.list(limit=10, ending_before=listed[25])
    assert [event.id for event in page.data] == listed[15:25]
    backwards = stripe.Event.list(limit=7, ending_before=listed[25]).auto_paging_iter()
    assert [event.id for event in backwards] == listed[:25][::-1]


@pytest.mark.usefixtures("sdk")
def test_sdk_filters(events: Events) -> None:
    types = ["charge.refunded", "invoice.paid", "customer.created"]
    assert [event.type for event in stripe.Event.list(type="invoice.paid")] == ["invoice.paid"]
    assert {event.type for event in stripe.Event.list(types=types)} == {*types}
    invoices = stripe.Event.list(type="invoice.*", limit=100)
    expected = [event["id"] for event in events if event["type"].startswith("invoice.")]
    assert len(expected) > 10
    assert [event.id for event in invoices] == expected
    for wanted in (True, False):
        found = [event.id for event in stripe.Event.list(delivery_success=wanted, limit=9).auto_paging_iter()]
        assert found == [event["id"] for event in events if (event["pending_webhooks"] == 0) is wanted]
        assert found


@pytest.mark.usefixtures("sdk")
def test_sdk_ranges(events: Events) -> None:
    seconds = [event["created"] for event in events]
    low, high = seconds[200], seconds[50]
    between = stripe.Event.list(created={"gte": low, "lt": high}, limit=20).auto_paging_iter()
    expected = [event["id"] for event in events if low <= event["created"] < high]
    assert [event.id for event in between] == expected
    assert [event.created for event in stripe.Event.list(created=high)] == [
        second for second in seconds if second == high
    ]


@pytest.mark.usefixtures("sdk")
def test_sdk_errors() -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        stripe.Event.retrieve("evt_none")
    error = missing.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "id")
    assert str(error).startswith(f"Request {error.request_id}: No such event: 'evt_none'")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        stripe.Event.list(limit=101)
    assert (refused.value.http_status, refused.value.param) == (400, "limit")
    for key in ("sk_live_123", "pk_test_123"):
        with pytest.raises(stripe.AuthenticationError) as stranger:
            stripe.Event.list(api_key=key)
        assert key not in str(stranger.value)
    with pytest.raises(stripe.PermissionError):
        stripe.Event.list(stripe_account="a/b")
    with pytest.raises(stripe.InvalidRequestError, match="only GET"):
        stripe.Customer.create(email="a@b")
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        stripe.Balance.retrieve()


def test_sdk_async(events: Events, server: Server) -> None:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": server.url})

    async def everything() -> None:
        listed = await client.v1.events.list_async({"limit": 50})
        assert [event.id async for event in listed.auto_paging_iter()] == [event["id"] for event in events]
        one = await client.v1.events.retrieve_async(listed.data[3].id)
        assert one.id == listed.data[3].id
        many = await asyncio.gather(*(client.v1.events.retrieve_async(event.id) for event in listed.data[:20]))
        assert [event.id for event in many] == [event.id for event in listed.data[:20]]
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.events.retrieve_async("evt_none")

    asyncio.run(everything())


@pytest.mark.usefixtures("sdk")
def test_sdk_knows_the_other_resources(all: Any) -> None:
    all.checkout_sessions.insert({"id": "cs_1", "customer": "cus_1"})
    all.invoice_items.insert({"id": "ii_1", "customer": "cus_1"})
    all.webhooks.insert({"id": "we_1", "url": "https://a"})
    all.customer_balance_transactions.insert({"id": "cbtxn_1", "customer": "cus_1", "amount": 5})
    all.prices.insert_many([{"id": "price_1", "active": True}, {"id": "price_2", "active": False}])
    assert stripe.checkout.Session.list(customer="cus_1").data[0].id == "cs_1"
    assert stripe.checkout.Session.retrieve("cs_1").customer == "cus_1"
    assert [type(item) for item in stripe.InvoiceItem.list(customer="cus_1")] == [stripe.InvoiceItem]
    assert stripe.WebhookEndpoint.list().data[0].url == "https://a"
    assert stripe.Customer.list_balance_transactions("cus_1").data[0].amount == 5
    assert stripe.Customer.retrieve_balance_transaction("cus_1", "cbtxn_1").amount == 5
    assert stripe.Customer.list_balance_transactions("cus_2").data == []
    with pytest.raises(stripe.InvalidRequestError):
        stripe.Customer.retrieve_balance_transaction("cus_2", "cbtxn_1")
    assert [price.id for price in stripe.Price.list(active=True)] == ["price_1"]
    assert [price.id for price in stripe.Price.list(active=False)] == ["price_2"]


# --- pages, against a model -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["shm", *(["valkey"] if SERVERS_CAN_BE_HAD else [])])
def listing(request: pytest.FixtureRequest) -> Iterator[tuple[Events, str]]:
    """Events of a namespace of their own, and the address of the endpoints that list them."""
    with Manager() as manager, server_for_tests() if request.param == "valkey" else manager as url:
        connection = connect(f"{url}?name=http") if request.param == "valkey" else manager.connect()
        with connection, Server(app(connection, namespace="model")) as server:
            yield Events(connection, "model"), server.url


TYPES = st.sampled_from(["a.x", "a.y", "b.x"])
SECOND = st.integers(0, 3)
MOMENTS = st.fixed_dictionaries(
    {}, optional={f"created[{bound}]": SECOND for bound in ("gt", "gte", "lt", "lte")} | {"created": SECOND}
)
LISTS = st.fixed_dictionaries(
    {"limit": st.integers(1, 6)},
    optional={"delivery_success": st.booleans(), "way": st.sampled_from(["starting_after", "ending_before"])},
)
BY_TYPE = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"type": st.one_of(TYPES, st.sampled_from(["a.*", "*", "*.x"]))}),
    st.fixed_dictionaries({"types[]": st.lists(TYPES, min_size=1, max_size=4)}),
)


def matches(event: dict[str, Any], asked: dict[str, Any]) -> bool:
    compare: dict[str, Callable[[int, int], bool]] = {
        "created": int.__eq__,
        "created[gt]": int.__gt__,
        "created[gte]": int.__ge__,
        "created[lt]": int.__lt__,
        "created[lte]": int.__le__,
    }
    type = asked.get("type", event["type"])
    fits = {"a.*": event["type"][0] == "a", "*.x": event["type"][2] == "x", "*": True}.get(type, event["type"] == type)
    return (
        fits
        and event["type"] in asked.get("types[]", [event["type"]])
        and (event["pending"] == 0 if asked.get("delivery_success") else True)
        and (event["pending"] != 0 if asked.get("delivery_success") is False else True)
        and [name for name in compare if name in asked and not compare[name](event["created"], asked[name])] == []
    )


@settings(max_examples=150)
@given(data=st.data(), stored=st.lists(st.tuples(TYPES, SECOND, st.integers(0, 1)), max_size=25))
def test_pages_are_those_of_a_model(
    data: st.DataObject, stored: list[tuple[str, int, int]], listing: tuple[Events, str]
) -> None:
    events, url = listing
    events.clear()
    for place, (type, created, pending) in enumerate(stored):
        event = {"id": f"evt_{place}", "type": type, "created": created, "pending_webhooks": pending}
        events.insert({**event, "pending": pending})
    everything = [*events]
    asked = {**data.draw(LISTS), **data.draw(BY_TYPE), **data.draw(MOMENTS)}
    way = asked.pop("way", None) if everything else asked.pop("way", None) and None
    fitting = everything
    if way is not None:
        place = data.draw(st.integers(0, len(everything) - 1))
        asked[way] = everything[place]["id"]
        fitting = everything[place + 1 :] if way == "starting_after" else everything[:place]
    fitting = [event for event in fitting if matches(event, asked)]
    limit = asked["limit"]
    expected = fitting[-limit:] if way == "ending_before" else fitting[:limit]
    status, _, answer = ask(
        f"{url}/v1/events", **{name: str(value) if isinstance(value, bool) else value for name, value in asked.items()}
    )
    assert status == 200, answer
    assert ids(answer) == [event["id"] for event in expected]
    assert answer["has_more"] == (len(fitting) > limit)


@pytest.mark.parametrize("types", [["a", "b"], ["b", "a"], ["b", "a", "a"]])
def test_several_types_within_one_second_keep_the_order_of_the_store(
    types: list[str], all: Any, server: Server
) -> None:
    all.events.insert_many([{"id": f"{type}{n}", "type": type, "created": 1} for n, type in enumerate("abcbaab")])
    order = ["b6", "a5", "a4", "b3", "b1", "a0"]
    for limit in range(1, 7):
        found, more = [], True
        while more:
            cursor = {"starting_after": found[-1]} if found else {}
            answer = ask(f"{server.url}/v1/events", limit=limit, **{"types[]": types}, **cursor)[2]
            found, more = found + ids(answer), answer["has_more"]
        assert found == order
    before = ask(f"{server.url}/v1/events", ending_before="a0", limit=3, **{"types[]": types})[2]
    assert (ids(before), before["has_more"]) == (["a4", "b3", "b1"], True)


def test_a_page_near_the_newest_does_not_read_all(all: Any, server: Server) -> None:
    all.events.insert_many([{"id": f"evt_{n}", "type": f"t{n % 3}", "created": n} for n in range(5000)])
    asked = {"created[gte]": 10, "types[]": ["t0", "t1"], "limit": 5}
    with_range = ask(f"{server.url}/v1/events", **asked)[2]
    assert ids(with_range) == ["evt_4999", "evt_4998", "evt_4996", "evt_4995", "evt_4993"]
    older = ask(f"{server.url}/v1/events", **asked, starting_after="evt_100")[2]
    assert ids(older) == ["evt_99", "evt_97", "evt_96", "evt_94", "evt_93"]
    all.events.delete("evt_100")
    status, _, answer = ask(f"{server.url}/v1/events", **asked, starting_after="evt_100")
    assert (status, answer["error"]["param"]) == (400, "starting_after")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        ({"foo": 1}, "parameter_unknown", "foo"),
        ({"foo[bar]": 1}, "parameter_unknown", "foo[bar]"),
        ({"created[ge]": 1}, "parameter_unknown", "created[ge]"),
        ({"][": 1}, "parameter_unknown", "]["),
        ({"limit": 0}, "parameter_invalid_integer", "limit"),
        ({"limit": "ten"}, "parameter_invalid_integer", "limit"),
        ({"limit": ""}, "parameter_invalid_empty", "limit"),
        ({"created[gt]": "yesterday"}, "parameter_invalid_integer", "created[gt]"),
        ({"created": "9" * 5000}, "parameter_invalid_integer", "created"),
        ({"starting_after": "evt_none"}, "resource_missing", "starting_after"),
        ({"ending_before": "evt_none", "type": "x"}, "resource_missing", "ending_before"),
        ({"starting_after": "e" * 999, "created": 1}, "resource_missing", "starting_after"),
        ({"starting_after": "a", "ending_before": "b"}, None, "ending_before"),
        ({"type": "a", "types[]": "b"}, None, "types"),
        ({"types[]": ["a", ""]}, "parameter_invalid_empty", "types[]"),
        ({"types[]": [f"t{n}" for n in range(21)]}, None, "types"),
        ({"types[]": ["a", "a.*"]}, None, "types"),
        ({"delivery_success": "maybe"}, None, "delivery_success"),
    ],
)
def test_bad_parameters(server: Server, parameters: dict[str, Any], code: str | None, param: str) -> None:
    status, headers, answer = ask(f"{server.url}/v1/events", **parameters)
    error = answer["error"]
    assert (status, error["type"], error.get("code"), error["param"]) == (400, "invalid_request_error", code, param)
    assert error["message"]
    assert ("doc_url" in error) == (code is not None)
    assert headers["request-id"].startswith("req_")


def test_parameters_are_those_of_the_resource(server: Server, all: Any) -> None:
    for path, parameter in (("events/evt_1", "limit"), ("charges", "types[]"), ("charges", "email")):
        assert ask(f"{server.url}/v1/{path}", **{parameter: "x"})[2]["error"]["code"] == "parameter_unknown"
    all.customers.insert({"id": "cus_1", "email": "a+b@c", "metadata": {"plan": "gold"}})
    assert ids(ask(f"{server.url}/v1/customers", email="a+b@c")[2]) == ["cus_1"]
    assert ids(ask(f"{server.url}/v1/customers", email="a b@c")[2]) == []
    assert ids(ask(f"{server.url}/v1/customers", **{"metadata[plan]": "gold", "expand[]": ["data.x", "y"]})[2]) == [
        "cus_1"
    ]
    all.invoices.insert({"id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}}})
    all.invoices.insert({"id": "in_2", "subscription": "sub_1"})
    all.invoices.insert({**all.invoices.get("in_1"), "id": "in_3", "subscription": "sub_1"})
    assert ids(ask(f"{server.url}/v1/invoices", subscription="sub_1")[2]) == ["in_3", "in_2", "in_1"]


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({}, "No API key"),
        ({"Authorization": "sk_test_123"}, "No API key"),
        ({"Authorization": "Bearer"}, "No API key"),
        ({"Authorization": "Bearer sk_live_secret"}, "Invalid API Key"),
        ({"Authorization": "Basic !"}, "No API key"),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff:").decode()}, "No API key"),
        ({"Authorization": "Basic " + base64.b64encode(b"sk_live_secret:").decode()}, "Invalid API Key"),
        ({"Authorization": "Basic " + base64.b64encode(b"sk_test_1:").decode()}, None),
        ({"Authorization": "bearer sk_test_1"}, None),
    ],
)
def test_keys(server: Server, headers: dict[str, str], refusal: str | None) -> None:
    status, names, answer = ask(f"{server.url}/v1/events", headers)
    assert status == (200 if refusal is None else 401)
    assert ("www-authenticate" in names) == (refusal is not None)
    if refusal is not None:
        assert answer["error"]["type"] == "invalid_request_error"
        assert answer["error"]["message"].startswith(refusal)
        assert "secret" not in str(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/events", 400),
        ("DELETE", "/v1/customers/cus_1", 400),
        ("PUT", "/v1/customers/cus_1", 400),
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("POST", "/v1/nothing", 404),
    ],
)
def test_what_there_is_not(server: Server, method: str, path: str, status: int) -> None:
    answered, headers, answer = ask(server.url + path, method=method)
    assert (answered, answer["error"]["type"]) == (status, "invalid_request_error")
    assert path in answer["error"]["message"]
    assert headers["request-id"].startswith("req_")


# --- answers ----------------------------------------------------------------------------------------------------------


def test_what_json_has_not(server: Server, all: Any) -> None:
    moment = datetime(2025, 1, 1, tzinfo=timezone.utc)
    stored = {
        "id": "evt_1",
        "created": 1,
        "type": "x",
        "at": moment,
        "raw": b"\xff\x00",
        "big": 2**64 - 1,
        "ü": ["\u2028", None],
    }
    all.events.insert(stored)
    _, headers, answer = ask(f"{server.url}/v1/events/evt_1", {**KEY, "Stripe-Version": "2025-01-01"})
    assert answer == {**stored, "at": 1735689600, "raw": "/wA=", "object": "event"}
    assert headers["content-type"] == "application/json"
    assert headers["stripe-version"] == "2025-01-01"


def test_a_store_that_has_gone_is_an_error_of_the_api() -> None:
    with Manager() as manager:
        connection = manager.connect()
        with Server(app(connection)) as server:
            connection.close()
            assert ask(f"{server.url}/v1/events")[0] == 400
            again = manager.connect()
        with Server(app(again)) as server:
            manager.stop()
            status, headers, answer = ask(f"{server.url}/v1/events")
    assert (status, answer["error"]["type"]) == (500, "api_error")
    assert headers["stripe-should-retry"] == "false"
    assert "ManagerUnavailable" in answer["error"]["message"]


# --- whose namespace --------------------------------------------------------------------------------------------------


def test_namespaces(server: Server, connection: Connection) -> None:
    def listed(**headers: str) -> list[str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ids(ask(f"{server.url}/v1/charges", {**KEY, **named})[2])

    places = ("here", "there", "here/acct_1", "there/acct_1")
    for place in places:
        Charges(connection, place).insert({"id": f"ch {place}"})
    assert listed() == ["ch here"]
    assert listed(x_paper_tiger_namespace="there") == ["ch there"]
    assert listed(Stripe_Account="acct_1") == ["ch here/acct_1"]
    assert listed(Stripe_Account="acct_1", x_paper_tiger_namespace="there") == ["ch there/acct_1"]
    assert listed(Stripe_Account="acct_2") == []
    assert ids(ask(f"{server.url_of('there')}/v1/charges")[2]) == ["ch there"]
    assert ids(ask(f"{server.url_of('here/acct_1')}/v1/charges")[2]) == ["ch here/acct_1"]
    assert ask(f"{server.url_of('a//b')}/v1/charges")[0] == 400
    assert ask(f"{server.url}/v1/charges", {**KEY, "x-paper-tiger-namespace": "a//b"})[0] == 400
    assert ask(f"{server.url}/v1/charges", {**KEY, "Stripe-Account": "acct_1/x"})[0] == 403
    for place in places:
        connection.clear_namespace(place)


def test_without_a_namespace_it_is_that_of_the_environment(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Charges(connection, "global").insert({"id": "ch_global"})
    Charges(connection, "mine").insert({"id": "ch_mine"})
    with Server(app(connection)) as server, namespace("not seen by another thread"):
        assert ids(ask(f"{server.url}/v1/charges")[2]) == ["ch_global"]
        monkeypatch.setenv("PAPERTIGER_NAMESPACE", "mine")
        assert ids(ask(f"{server.url}/v1/charges")[2]) == ["ch_mine"]
    for place in ("global", "mine"):
        connection.clear_namespace(place)


def test_refunds_of_a_fee_are_below_it(server: Server, connection: Connection) -> None:
    refunds = ApplicationFeeRefunds(connection, "here")
    refunds.insert_many([{"id": "fr_1", "fee": "fee_1"}, {"id": "fr_2", "fee": "fee_2"}])
    _, _, answer = ask(f"{server.url}/v1/application_fees/fee_1/refunds")
    assert (ids(answer), answer["url"]) == (["fr_1"], "/v1/application_fees/fee_1/refunds")
    assert ask(f"{server.url}/v1/application_fees/fee_1/refunds", fee="fee_2")[0] == 400
    connection.clear_namespace("here")


# --- servers ----------------------------------------------------------------------------------------------------------


def test_a_server_ends_and_gives_its_address_back(connection: Connection) -> None:
    server = Server(app(connection))
    assert ask(f"{server.url}/v1/events")[0] == 200
    port = int(server.url.rpartition(":")[2])
    server.stop()
    server.stop()
    with pytest.raises(urllib.error.URLError):
        ask(f"{server.url}/v1/events")
    with Server(app(connection), "localhost", port) as another:
        assert another.url == server.url


WORKERS = """
import os
from urllib.parse import quote
import stripe
import pytest

URL = os.environ["ADDRESS"]

@pytest.mark.parametrize("number", range(16))
def test_reads_its_own(number, papertiger_namespace, papertiger_store):
    from papertiger_shm import Events, Customers
    events = papertiger_store(Events)
    events.insert_many([{"id": f"evt_{place}", "type": f"t.{number}", "created": place} for place in range(30)])
    base = f"{URL}/namespaces/{quote(papertiger_namespace)}"
    listed = stripe.StripeClient("sk_test_1", base_addresses={"api": base}).v1.events.list({"limit": 7})
    found = [(event.id, event.type) for event in listed.auto_paging_iter()]
    assert found == [(f"evt_{place}", f"t.{number}") for place in reversed(range(30))]
"""


def test_four_workers_share_a_server_and_see_their_own(connection: Connection, server: Server, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_workers.py").write_text(WORKERS, encoding="utf-8")
    ran = run_suite(tmp_path, "-n", "4", environment={"ADDRESS": server.url, "PAPERTIGER_URL": connection.url})
    assert (ran.status, ran.counts) == (0, {"passed": 16}), ran.output


# --- the documentation ------------------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parent.parent / "docs" / "stripe.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if PAGE.is_file() else []


@pytest.mark.usefixtures("sdk")
@pytest.mark.parametrize("block", BLOCKS)
def test_code_block(block: str, connection: Connection, server: Server, all: Any) -> None:
    all.events.insert({"id": "evt_1", "type": "charge.refunded"})
    with namespace("page"):
        exec(block.replace("http://127.0.0.1:43127", server.url), {"connection": connection, "stripe": stripe})
    connection.clear_namespace("gw0")
    connection.clear_namespace("page")
