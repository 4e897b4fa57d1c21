"""Bad input through a real store: each a clear error, and afterwards the manager serves and all data is unharmed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interpreters import Interpreter, run
from papertiger_shm import (
    AlreadyExists,
    Connection,
    Customers,
    Events,
    InvalidItem,
    InvalidRequest,
    Manager,
    ManagerUnavailable,
    NotFound,
    PaperTigerError,
    Store,
    StoreFull,
    connect,
    namespace,
)

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with Manager(max_size="64 MiB") as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    """A connection to a store with data in it, which has to be there, all of it and no other, after the test."""
    with manager.connect() as connection:
        events, customers = Events(connection), Customers(connection)
        connection.verify()
        events.clear()
        customers.clear()
        for place in range(20):
            events.insert({"id": f"evt_{place}", "type": f"type.{place % 3}", "created": place // 2, "n": place})
        with namespace("a/b"):
            customers.insert({"id": "cus_1", "email": "jenny@example.com", "metadata": {"plan": "gold"}})
        before = everything(connection)
        pid = manager.pid
        yield connection
        assert manager.pid == pid
        assert everything(connection) == before
        connection.verify()
        with manager.connect() as another:
            assert everything(another) == before
            Events(another).insert({"id": "evt_after"})
            assert events.get("evt_after")["id"] == "evt_after"
            events.delete("evt_after")


@pytest.fixture
def events(connection: Connection) -> Events:
    return Events(connection)


def everything(connection: Connection) -> Any:
    found = {}
    for kind in (Events, Customers):
        for table, where, items in sorted(connection.collections()):
            if table == kind.table_name:
                store = kind(connection, where)
                assert store.count() == items
                indexed = store.find_by(*(("type", "type.1") if kind is Events else ("metadata.plan", "gold")))
                found[table, where] = list(store), [store.version(item["id"]) for item in store], indexed
    return found


def nested(depth: int) -> dict[str, Any]:
    item: dict[str, Any] = {"id": "deep"}
    for _ in range(depth):
        item = {"id": "deep", "x": item}
    return item


def nested_lists(depth: int) -> dict[str, Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return {"id": "deep", "x": value}


BAD_ITEMS: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: [1], "dict"),
    "None": (lambda: None, "dict"),
    "text": (lambda: '{"id": "x"}', "dict"),
    "pairs": (lambda: [("id", "x")], "dict"),
    "an int for a key": (lambda: {"id": "x", 1: 2}, "key 1 "),
    "None for a key below": (lambda: {"id": "x", "data": {None: 1}}, "data: .*None"),
    "bytes for a key in a list": (lambda: {"id": "x", "data": [{b"k": 1}]}, r"data\[0\]: .*b'k'"),
    "an object": (lambda: {"id": "x", "data": {"object": {"amount": object()}}}, r"data\.object\.amount: .*object"),
    "a set": (lambda: {"id": "x", "tags": {"a"}}, "tags: .*set"),
    "a complex": (lambda: {"id": "x", "n": 1j}, "n: .*complex"),
    "a bytearray": (lambda: {"id": "x", "n": bytearray(b"x")}, "n: .*bytearray"),
    "a function": (lambda: {"id": "x", "n": len}, "n: "),
    "2**64": (lambda: {"id": "x", "n": 2**64}, f"n: {2**64}"),
    "-2**63-1": (lambda: {"id": "x", "n": -(2**63) - 1}, f"n: -{2**63 + 1}"),
    "a huge int": (lambda: {"id": "x", "n": 10**10_000}, "n: "),
    "a surrogate": (lambda: {"id": "x", "name": "a\ud800b"}, r"name: .*\\ud800"),
    "a surrogate in a key": (lambda: {"id": "x", "\udfff": 1}, r"\\udfff"),
    "a surrogate in an indexed value": (lambda: {"id": "x", "type": "\ud800"}, r"type: .*\\ud800"),
    "a surrogate in the id": (lambda: {"id": "\ud800"}, r"id: .*\\ud800"),
    "an empty id": (lambda: {"id": ""}, "id: "),
    "an id of 256": (lambda: {"id": "x" * 256}, "id: .*256"),
    "an id of 256 bytes": (lambda: {"id": "ü" * 128}, "id: .*256"),
    "an int for an id": (lambda: {"id": 5}, "id: 5"),
    "None for an id": (lambda: {"id": None}, "id: None"),
    "20 MB of bytes": (lambda: {"id": "x", "data": b"x" * 20_000_000}, "20,000,0.. bytes"),
    "20 MB of text": (lambda: {"id": "x", "data": "x" * 20_000_000}, "20,000,0.. bytes"),
    "20 MB of lists": (lambda: {"id": "x", "data": [[0] * 1000] * 20_000}, "bytes"),
    "a byte too many": (lambda: {"id": "x", "created": 1, "data": b"x" * 16 * MEGABYTE}, "bytes"),
    "dicts 1,000 deep": (lambda: nested(1_000), r"x\.x\.x.*deep"),
    "lists 1,000 deep": (lambda: nested_lists(1_000), r"x\[0\]\[0\].*deep"),
    "dicts 100,000 deep": (lambda: nested(100_000), "deep"),
    "a list under an index": (lambda: {"id": "x", "type": ["a"]}, "type: .*list"),
    "a dict under an index": (lambda: {"id": "x", "type": {"a": 1}}, "type: .*dict"),
    "a tuple under an index": (lambda: {"id": "x", "type": ()}, "type: .*tuple|type: .*list"),
    "text for created": (lambda: {"id": "x", "created": "today"}, "created: .*today"),
}


@pytest.mark.parametrize("bad", BAD_ITEMS)
def test_a_bad_item(events: Events, bad: str) -> None:
    make, message = BAD_ITEMS[bad]
    item = make()
    for write in (events.insert, events.update, events.insert_new):
        with pytest.raises(InvalidItem, match=message) as caught:
            write(item)
        assert isinstance(caught.value, ValueError)
        assert len(str(caught.value)) < 1_000
    with pytest.raises(InvalidItem, match=r"items\[1\]"):
        events.insert_many([{"id": "good"}, item, {"id": "also good"}])
    with pytest.raises(InvalidItem), events.transaction():
        events.delete("evt_1")
        events.insert({"id": "good"})
        events.insert(item)


def test_an_item_just_small_enough(connection: Connection) -> None:
    with connection.transaction() as transaction:
        pass
    assert transaction.results == []
    events = Events(connection)
    data = b"x" * (16 * MEGABYTE - 100)
    events.insert({"id": "large", "created": 1, "data": data})
    assert events.get("large")["data"] == data
    events.delete("large")


def test_nan_is_kept(events: Events) -> None:
    events.insert({"id": "nan", "type": math.nan, "list": [math.nan, math.inf, -math.inf]})
    item = events.get("nan")
    assert math.isnan(item["type"])
    assert math.isnan(item["list"][0])
    assert item["list"][1:] == [math.inf, -math.inf]
    assert [found["id"] for found in events.find_by_type(math.nan)] == ["nan"]  # type: ignore[arg-type]
    events.delete("nan")


BAD_REQUESTS: dict[str, tuple[Callable[[Any], Any], type[PaperTigerError], str]] = {
    "limit=0": (lambda events: events.list(limit=0), InvalidRequest, "limit is 0"),
    "limit=101": (lambda events: events.list(limit=101), InvalidRequest, "limit is 101"),
    "limit=-1": (lambda events: events.list(limit=-1), InvalidRequest, "limit is -1"),
    "limit=None": (lambda events: events.list(limit=None), InvalidRequest, "limit is None"),
    "limit='5'": (lambda events: events.list(limit="5"), InvalidRequest, "limit is '5'"),
    "an unknown cursor": (lambda events: events.list(starting_after="evt_no"), NotFound, "evt_no"),
    "an unknown cursor back": (lambda events: events.list(ending_before="evt_no"), NotFound, "evt_no"),
    "a cursor with a surrogate": (lambda events: events.list(ending_before="\ud800"), NotFound, "ud800"),
    "an empty cursor": (lambda events: events.list(starting_after=""), NotFound, "''"),
    "both cursors": (
        lambda events: events.list(starting_after="evt_1", ending_before="evt_2"),
        InvalidRequest,
        "ending_before",
    ),
    "an unknown index": (lambda events: events.list(colour="red"), InvalidRequest, "colour"),
    "an unknown index to find by": (lambda events: events.find_by("colour", "red"), InvalidRequest, "colour"),
    "an unhashable index": (lambda events: events.find_by(["type"], "red"), InvalidRequest, "type"),
    "an unhashable value": (lambda events: events.find_by_type(["a"]), InvalidRequest, "type: .*list"),
    "an unhashable filter": (lambda events: events.list(type={"a": 1}), InvalidRequest, "type: .*dict"),
    "an unhashable wait": (lambda events: events.wait_for(0, type=[]), InvalidRequest, "type: .*list"),
    "a set to find": (lambda events: events.find_by_type({1}), InvalidRequest, "type: .*set"),
    "a surrogate to find": (lambda events: events.find_by_type("\ud800"), InvalidRequest, "ud800"),
    "a huge int to find": (lambda events: events.find_by_type(2**64), InvalidRequest, "type: "),
    "an id with a surrogate": (lambda events: events.get("\ud800"), NotFound, "ud800"),
    "an id too long": (lambda events: events.get("x" * 256), NotFound, "xxx"),
    "an empty id": (lambda events: events.get(""), NotFound, "''"),
    "an id that is no str": (lambda events: events.get(5), InvalidRequest, "5"),
    "an id that cannot be hashed": (lambda events: events.get(["evt_1"]), InvalidRequest, "evt_1"),
    "a namespace with a surrogate": (lambda events: events.clear_namespace("\ud800"), InvalidRequest, "ud800"),
    "an empty namespace": (lambda events: events.clear_namespace(""), InvalidRequest, "empty"),
    "an increment of text": (lambda events: events.increment("evt_1", "type"), InvalidItem, "type.*'type.1'"),
    "an increment too far": (lambda events: events.increment("evt_1", "n", 2**64 - 1), InvalidRequest, "n"),
    "an increment by NaN of created": (
        lambda events: events.increment("evt_1", "created", math.nan),
        InvalidRequest,
        "created",
    ),
    "an increment of nobody": (lambda events: events.increment("evt_no", "n"), NotFound, "evt_no"),
    "no version": (lambda events: events.compare_and_set({"id": "evt_1"}, 0), InvalidRequest, "version is 0"),
    "a dump to nowhere": (lambda events: events.dump("x.txt"), InvalidRequest, "x.txt"),
}


@pytest.mark.parametrize("bad", BAD_REQUESTS)
def test_a_bad_request(events: Events, bad: str) -> None:
    call, kind, message = BAD_REQUESTS[bad]
    with pytest.raises(kind, match=message) as caught:
        call(events)
    assert type(caught.value) is kind
    assert len(str(caught.value)) < 1_000


def test_connecting_to_nothing(connection: Connection) -> None:
    with pytest.raises(ManagerUnavailable, match="nobody-there") as caught:
        connect("shm://nobody-there", timeout=0.1)
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    "url", ["", "ci", "shm://", "shm:///", "shm://../x", "shm://a b", "tcp://x", "shm://" + "x" * 65, 5, b"shm://ci"]
)
def test_connecting_to_what_is_no_url(connection: Connection, url: Any) -> None:
    with pytest.raises(InvalidRequest):
        connect(url)


def test_connecting_to_what_is_not_said(connection: Connection) -> None:
    with pytest.raises(InvalidRequest, match="PAPERTIGER_URL"):
        connect()


def test_a_server_needs_its_client(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkey", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'papertiger-shm\[valkey\]'") as caught:
        connect("valkey://user:secret@localhost:6379")
    assert "secret" not in str(caught.value)


def test_using_a_closed_connection(manager: Manager, connection: Connection) -> None:
    closed = manager.connect()
    events = Events(closed)
    walk = iter(events)
    page = events.list(limit=2)
    closed.close()
    uses: list[Callable[[], Any]] = [
        lambda: events.get("evt_1"),
        lambda: events.list(),
        lambda: events.insert({"id": "evt_1"}),
        lambda: list(page.auto_paging_iter()),
        lambda: Events(closed).count(),
        closed.stats,
    ]
    for use in uses:
        with pytest.raises(InvalidRequest, match="closed"):
            use()
    assert len(list(walk)) == 20


def test_closing_inside_a_transaction(manager: Manager, connection: Connection) -> None:
    with pytest.raises(InvalidRequest, match="closed"), manager.connect() as another, another.transaction():
        Events(another).insert({"id": "lost"})
        another.close()


def test_a_second_manager_under_a_taken_name(manager: Manager, connection: Connection) -> None:
    second = Manager(manager.name)
    with pytest.raises(AlreadyExists, match=manager.name):
        second.start()
    second.stop()
    with pytest.raises(AlreadyExists, match=manager.name):
        Events.start_link(manager.name)


def test_a_second_manager_in_another_process(manager: Manager, connection: Connection) -> None:
    def in_second(name: str) -> str:
        from papertiger_shm import AlreadyExists, Manager

        try:
            Manager(name).start()
        except AlreadyExists as error:
            return str(error)
        return "it started"

    assert manager.name in run(in_second, manager.name)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x" * 65, ".", "a b", "ü", 5])
def test_names_no_manager_can_have(connection: Connection, name: Any) -> None:
    with pytest.raises((InvalidRequest, TypeError)):
        Manager(name).start()


@pytest.mark.parametrize("size", [0, -1, "huge", "4 XiB", None, 1.5, True])
def test_sizes_no_store_can_have(connection: Connection, size: Any) -> None:
    with pytest.raises(InvalidRequest, match="max_size"):
        Manager(max_size=size)


def test_a_client_that_is_killed_in_the_midst_of_writing(connection: Connection) -> None:
    def in_writer(url: str) -> None:
        from papertiger_shm import Events, connect

        events = Events(connect(url), "killed")
        while True:
            events.insert_many({"id": str(n), "data": "x" * 1000} for n in range(500))

    events = Events(connection, "killed")
    for _ in range(3):
        with Interpreter(in_writer, connection.url):
            events.wait_for(60)
        assert events.count() == 500
        events.clear_namespace("killed")


def test_every_call_to_a_manager_that_was_killed_gives_up_in_time() -> None:
    def in_client(url: str, pid: int) -> list[str]:
        import os
        import signal

        from papertiger_shm import Events, ManagerUnavailable, connect

        connection = connect(url, timeout=30)
        events = Events(connection)
        events.insert({"id": "evt_1"})
        backend = connection._backend
        backend.timeout = backend._channel._timeout = 0.2  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
        refused = []
        for call in (events.clear, connection.stats, connection.collections, connection.verify):
            try:
                call()
            except ManagerUnavailable:
                refused.append(call.__name__)
        return refused

    with Manager(restart=False) as killed, Interpreter(in_client, killed.url, killed.pid) as client:
        assert client.result() == ["clear", "stats", "collections", "verify"]


@pytest.mark.parametrize("failure", ["taken", "too large an increment", "exception"])
def test_a_large_transaction_that_fails_where_memory_was_freed(failure: str) -> None:
    """What it wrote before it failed must not lie across the borders of the blocks it would have taken."""
    with Manager(max_size="1 MiB") as small, small.connect() as connection:
        events = Events(connection)
        events.insert_many({"id": f"{n}", "created": n, "data": b"." * 10_000} for n in range(8))
        before = list(events)[:4]
        for n in range(4):
            events.delete(str(n))
        kinds = (AlreadyExists, InvalidRequest, ZeroDivisionError)
        with pytest.raises(kinds), events.transaction():
            events.insert({"id": "large", "data": b"." * 25_000})
            if failure == "taken":
                events.insert_new({"id": "7"})
            elif failure == "exception":
                raise ZeroDivisionError
            else:
                events.increment("7", "created", 2**63)
        connection.verify()
        assert list(events) == before
        events.insert({"id": "large", "data": b"." * 25_000})
        connection.verify()


@pytest.mark.parametrize("size", ["64 KiB", "256 KiB", "4 MiB"])
def test_a_small_store_cleared_of_items_with_many_indexed_values(size: str) -> None:
    """Taking them back is work for the moments in between, and must not need more room than there is for it."""
    many = {"64 KiB": 2, "256 KiB": 12, "4 MiB": 60}[size]

    class Wide(Store, table="wide", resource="wide", indexes=tuple(f"field{n}" for n in range(many))):
        pass

    with Manager(max_size=size) as small, small.connect() as connection:
        wide, events, pid = Wide(connection, "wide"), Events(connection), small.pid
        for round in range(3):
            for n in range(40 if many > 2 else 33):
                wide.insert({"id": str(n), **dict.fromkeys(Wide.indexes, f"{round}.{n}")})
            wide.clear_namespace("wide")
            for n in range(300):  # while it is so busy the manager still does a piece of it now and then
                events.insert({"id": "evt_1", "n": n})
            connection.stats()  # which says sooner than verify() if the manager has gone
            connection.verify()
        assert small.pid == pid
        assert [item["n"] for item in events] == [299]
        assert wide.count() == 0


def test_a_store_that_is_full() -> None:
    with Manager(max_size="1 MiB") as small, small.connect() as connection:
        events = Events(connection)
        for _ in range(3):
            with pytest.raises(StoreFull, match="max_size") as caught:
                for n in range(1_000):
                    events.insert({"id": str(n), "created": n, "data": b"." * 5_000})
            assert isinstance(caught.value, MemoryError)
            connection.verify()
            assert [item["created"] for item in events] == list(reversed(range(events.count())))
            assert events.count() > 100
            with pytest.raises(StoreFull):
                events.insert_many({"data": b"." * 5_000} for _ in range(500))
            connection.verify()
            events.clear()
            connection.verify()
