"""What the command line shows of a store to programs: ls, get and top. How it looks to a person: test_terminal."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from command_line import COMMAND, SECONDS, answered, refused, said
from papertiger_shm import Connection, Customers, Events, Manager, stores
from papertiger_shm.transfer import json_line

WIDE = {"id": "evt_wide", "created": 5, "type": "charge.refunded", "data": {"text": "x" * 3_000}, "object": "event"}


pytestmark = pytest.mark.usefixtures("apart_from_all")


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Manager("ci", max_size="16 MiB") as manager, manager.connect() as connection:
        yield connection


@pytest.fixture
def events(connection: Connection) -> Events:
    events = Events(connection, "global")
    events.insert_many([{"id": f"evt_{number}", "created": number, "type": f"t.{number % 2}"} for number in range(150)])
    return events


# --- ls -------------------------------------------------------------------------------------------------------------


def test_ls_lists_the_stores_that_run(connection: Connection) -> None:
    Events(connection).insert({"id": "evt_1"})
    with Manager("other", max_size="16 MiB"):
        assert stores() == ["shm://ci", "shm://other"]
        listed = answered("ls")
        assert [(each["url"], each["items"], each["collections"]) for each in listed] == [
            ("shm://ci", 1, 1),
            ("shm://other", 0, 0),
        ]
        assert listed[0]["pid"] == connection.stats()["writer_pid"]
        assert listed[0]["clients"] == 1
        assert [line.split()[0] for line in said("ls").splitlines()] == ["store", "ci", "other"]
        assert answered("ls", "--stores", PAPERTIGER_URL="shm://ci") == answered("ls")
    assert stores() == ["shm://ci"]


def test_ls_where_no_store_runs() -> None:
    assert "papertiger-shm serve" in said("ls")
    assert answered("ls") == []
    assert "papertiger-shm serve ci" in refused(1, "ls", "ci")


def test_ls_lists_what_a_store_holds(connection: Connection) -> None:
    assert "is empty" in said("ls", "ci")
    assert answered("ls", "ci") == []
    Events(connection, "gw0").insert({"id": "evt_1"})
    Events(connection, "gw0/test_a").insert_many([{"id": "evt_1"}, {"id": "evt_2"}])
    Customers(connection, "global").insert({"id": "cus_1"})
    everything = [
        {"table": "paper_tiger_customers", "namespace": "global", "items": 1},
        {"table": "paper_tiger_events", "namespace": "gw0", "items": 1},
        {"table": "paper_tiger_events", "namespace": "gw0/test_a", "items": 2},
    ]
    assert answered("ls", PAPERTIGER_URL="shm://ci") == everything
    assert answered("ls", "ci", "--namespace", "gw0") == everything[1:]
    assert said("ls", "ci").splitlines()[-1].split() == ["paper_tiger_events", "gw0/test_a", "2"]


def test_ls_lists_items_newest_first(events: Events) -> None:
    lines = said("ls", "ci", "--table", events.table_name).splitlines()
    assert [line.split()[0] for line in lines] == ["id", *(f"evt_{number}" for number in range(149, 129, -1))]
    assert lines[1].split() == ["evt_149", "t.1", "1970-01-01T00:02:29Z", "{}"]
    listed = answered("ls", "ci", "--table", events.table_name, "--limit", "120")
    assert listed == list(events)[:120]
    assert answered("ls", "ci", "--table", events.table_name, "--limit", str(10**20)) == list(events)
    behind = answered("ls", "ci", "--table", events.table_name, "--starting-after", "evt_3", "--limit", "100")
    assert [item["id"] for item in behind] == ["evt_2", "evt_1", "evt_0"]
    typed = answered("ls", "ci", "--table", events.table_name, "--type", "t.0", "--limit", "2")
    assert [item["id"] for item in typed] == ["evt_148", "evt_146"]
    assert answered("ls", "ci", "--table", events.table_name, "--type", "t.7") == []


def test_ls_cuts_nothing_for_a_program(connection: Connection) -> None:
    Events(connection, "global").insert(WIDE)
    line = said("ls", "ci", "--table", "paper_tiger_events", COLUMNS="40").splitlines()[1]
    assert "x" * 3_000 in line
    assert json.loads(line[line.index("{") :]) == {"data": WIDE["data"], "object": "event"}


def test_ls_tells_what_there_is_in_place_of_what_is_not(events: Events, connection: Connection) -> None:
    Customers(connection, "elsewhere").insert({"id": "cus_1"})
    assert "there are the namespaces elsewhere, global" in refused(1, "ls", "ci", "--namespace", "nowhere")
    assert "the namespace has the tables paper_tiger_events" in refused(1, "ls", "ci", "--table", "nothing")
    assert "in the namespaces elsewhere" in refused(1, "ls", "ci", "--table", "paper_tiger_customers")
    assert "no index on 'type'" in refused(1, "ls", "ci", "--table", "own", "--type", "x")
    assert "cursor 'evt_x'" in refused(1, "ls", "ci", "--table", "paper_tiger_events", "--starting-after", "evt_x")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stores", "ci"],
        ["--table", "t"],
        ["ci", "--type", "t"],
        ["ci", "--limit", "0"],
        ["ci", "--starting-after", "e"],
    ],
)
def test_wrong_usage_of_ls(arguments: list[str]) -> None:
    assert "Usage: " in refused(2, "ls", *arguments)


def test_what_would_move_a_terminals_cursor_is_escaped(connection: Connection) -> None:
    Events(connection, "global").insert({"id": "evt_\x1b[2J", "type": "\x9b1m", "text": "\x1b]0;title\x07\x7f"})
    words = said("ls", "ci", "--table", "paper_tiger_events")
    assert "evt_\\u001b[2J" in words
    assert "\x1b" not in words
    assert "\x9b" not in words
    assert "\x7f" not in words


# --- get ------------------------------------------------------------------------------------------------------------


def test_get_prints_the_whole_item(connection: Connection) -> None:
    Events(connection, "global").insert(WIDE)
    assert json.loads(said("get", "ci", "evt_wide")) == WIDE
    assert json.loads(said("get", "evt_wide", PAPERTIGER_URL="shm://ci", NO_COLOR="1")) == WIDE
    assert answered("get", "ci", "evt_wide", "--table", "paper_tiger_events") == WIDE


def test_get_writes_what_json_has_not_as_dump_does(connection: Connection) -> None:
    item = {"id": "evt_1", "created": 1, "bytes": b"\xff", "at": datetime(2026, 1, 1, tzinfo=timezone.utc), "ü": 1e400}
    Events(connection, "global").insert(item)
    assert json.loads(said("get", "ci", "evt_1", LC_ALL="C")) == json.loads(json_line(item))


def test_get_looks_in_all_tables_of_the_namespace(connection: Connection) -> None:
    Customers(connection, "here").insert({"id": "cus_1", "created": 1})
    assert answered("get", "ci", "cus_1", "--namespace", "here")["created"] == 1
    assert answered("get", "ci", "cus_1", PAPERTIGER_NAMESPACE="here")["created"] == 1
    Events(connection, "here").insert({"id": "cus_1", "created": 2})
    assert "choose with --table" in refused(1, "get", "ci", "cus_1", "--namespace", "here")
    assert answered("get", "ci", "cus_1", "--namespace", "here", "--table", "paper_tiger_events")["created"] == 2


def test_what_an_error_names_does_nothing_to_the_terminal(connection: Connection) -> None:
    Events(connection, "here\x1b[2J").insert({"id": "evt_1\x1b[31m"})
    assert "namespaces here\\u001b[2J" in refused(1, "get", "ci", "evt_1")
    assert "nearest are evt_1\\u001b[31m" in refused(1, "get", "ci", "evt_1x", "--namespace", "here\x1b[2J")


def test_get_tells_what_there_is_in_place_of_what_is_not(events: Events, connection: Connection) -> None:
    assert "the namespaces global" in refused(1, "get", "ci", "evt_1", "--namespace", "here")
    near = refused(1, "get", "ci", "evt_14x")
    assert "the nearest are evt_149, evt_148, evt_147, evt_146, evt_145\n" in near
    assert "papertiger-shm ls" in refused(1, "get", "ci", "evt_x")
    Customers(connection, "there").insert({"id": "cus_1"})
    assert "it is in paper_tiger_customers in namespace 'there'" in refused(1, "get", "ci", "cus_1")
    assert "Usage: " in refused(2, "get")
    assert "Usage: " in refused(2, "get", "a", "b", "c")


def test_an_answer_that_nobody_reads_on_ends_quietly(events: Events) -> None:
    Events(events.connection, "global").insert({"id": "evt_large", "text": "x" * (1 << 20)})
    for arguments in (["ls", "ci", "--table", events.table_name, "--limit", "200"], ["get", "ci", "evt_large"]):
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait(SECONDS)


# --- top ------------------------------------------------------------------------------------------------------------


def test_top_elsewhere_than_on_a_terminal_is_shown_once(events: Events) -> None:
    words = said("top", "ci", "--interval", "0.1", COLUMNS="20")
    assert f"writer {events.connection.stats()['writer_pid']}, generation 1, 1 other client\n" in words
    assert "\n150 items in 1 collection\nreads/s 0  commits/s 0  retries/s 0\n" in words
    assert words.splitlines()[-1].split() == ["150", "paper_tiger_events", "global"]
    assert "papertiger-shm serve nobody" in refused(1, "top", "nobody")
    for interval in ("0", "nan", "inf"):
        assert "Usage: " in refused(2, "top", "ci", "--interval", interval)


def test_top_for_programs(events: Events) -> None:
    Customers(events.connection, "global").insert({"id": "cus_1"})
    asked = subprocess.Popen([*COMMAND, "top", "ci", "--json", "--interval", "3"], stdout=subprocess.PIPE, text=True)
    reads = commits = 0
    while asked.poll() is None:
        events.get("evt_1")
        events.insert({"id": "evt_1"})
        reads, commits = reads + 1, commits + 1
        time.sleep(0.001)
    assert asked.stdout is not None
    seen = json.loads(asked.stdout.read())
    asked.stdout.close()
    assert (seen["url"], seen["runs"]) == ("shm://ci", [])
    assert seen["collections"] == [
        {"table": "paper_tiger_events", "namespace": "global", "items": 150},
        {"table": "paper_tiger_customers", "namespace": "global", "items": 1},
    ]
    assert seen["figures"]["writer_pid"] == events.connection.stats()["writer_pid"]
    assert 0 < seen["per_second"]["commits"] * seen["seconds"] <= commits
    assert 0 < seen["per_second"]["reads"] * seen["seconds"] <= reads
