"""The command line as its users meet it: in processes of its own, its words, its JSON and its exit status."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import COMMAND, SECONDS, answered, going_on, refused, run, said
from papertiger_shm import Connection, Customers, Events, Manager, ManagerUnavailable, connect, leftovers
from papertiger_shm.shm import segment as segments
from patience import set_timeout

SIZE = "16 MiB"

OWNER = """
import sys
from papertiger_shm import Events, Manager
with Manager(sys.argv[1], max_size="16 MiB") as manager, manager.connect() as connection:
    Events(connection).insert({"id": "evt_1", "created": 1})
    print(manager.pid, connection.stats()["segment"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A rendezvous directory of this test's own, which every test leaves empty."""
    with tempfile.TemporaryDirectory(prefix="pt-", dir="/tmp") as directory:
        monkeypatch.setenv("PAPERTIGER_DIR", directory)
        yield Path(directory)
        eventually(lambda: os.listdir(directory) == [], "a store was left behind")


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager("ci", max_size=SIZE) as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    with manager.connect() as connection:
        yield connection


def eventually(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return result


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


def word_of(segment: str, index: int, value: int) -> None:
    with open(f"/dev/shm/{segment}", "r+b") as file:
        file.seek(index * 8)
        file.write(value.to_bytes(8, "little"))


# --- what all commands have in common -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["check", "gc", "dump", "load", "stop", "serve", "stats", "demo", "ls", "get", "top", "ui", "completion"]
)
def test_every_command_has_help(command: str) -> None:
    assert f"papertiger-shm {command} [OPTIONS]" in said(command, "--help")


@pytest.mark.parametrize("arguments", [["check"], ["stop"], ["dump", "x.jsonl"], ["load", "x.jsonl"], ["stats"]])
def test_without_a_store_and_without_the_variable(arguments: list[str]) -> None:
    assert "$PAPERTIGER_URL is not set" in refused(1, *arguments)


@pytest.mark.parametrize("arguments", [["check", "ci"], ["stop", "ci"], ["dump", "ci", "x.jsonl"], ["stats", "ci"]])
def test_a_store_that_is_not_there(arguments: list[str]) -> None:
    assert "papertiger-shm serve ci" in refused(1, *arguments)


@pytest.mark.parametrize(
    "arguments", [["check", "no name"], ["stop", "ftp://ci"], ["serve", "a/b"], ["serve", "x://y"]]
)
def test_names_that_no_store_has(arguments: list[str]) -> None:
    assert "'shm://ci'" in (reason := refused(1, *arguments)) or "letters, digits" in reason


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["check", "a", "b"], ["dump"], ["dump", "a", "b", "c"], ["gc", "--nonsense"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert "Usage: " in refused(2, *arguments)


def test_the_variable_names_the_store(connection: Connection, tmp_path: Path) -> None:
    Events(connection).insert({"id": "evt_1"})
    assert answered("check", PAPERTIGER_URL="shm://ci")["url"] == "shm://ci"
    file = str(tmp_path / "events.jsonl")
    assert answered("dump", file, PAPERTIGER_URL="shm://ci")["items"] == 1
    assert answered("stop", PAPERTIGER_URL="shm://ci") == {"url": "shm://ci", "stopped": True}


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_of_a_sound_store(connection: Connection) -> None:
    Events(connection).insert_many([{"type": "a"} for _ in range(50)])
    assert "shm://ci is sound" in said("check", "ci")
    figures = answered("check", "shm://ci")
    assert (figures["url"], figures["sound"]) == ("shm://ci", True)
    assert len(figures) > 4


def test_check_of_a_damaged_store(connection: Connection) -> None:
    Events(connection).insert({"id": "evt_1"})
    word_of(connection.stats()["segment"], 13, 77)  # how many items there are
    assert "damaged" in (reason := refused(1, "check", "ci"))
    assert "papertiger-shm dump" in reason
    done = run("check", "ci", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["sound"] is False
    assert "damaged" in answer["damage"]


def test_check_shows_that_it_is_busy_on_a_terminal_only(connection: Connection) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*COMMAND, "check", "ci"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            timeout=SECONDS,
            check=True,
        )
        assert b"checking shm://ci" in os.read(ours, 1 << 16)
        assert b"\x1b" not in done.stdout
    finally:
        os.close(ours)
        os.close(theirs)


# --- dump and load --------------------------------------------------------------------------------------------------


def test_load_knows_the_indexes_of_the_packages_own_tables(connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "charges.jsonl"
    file.write_text('{"id": "ch_1", "created": 1, "customer": "cus_1"}\n')
    said("load", "ci", str(file), "--table", "paper_tiger_charges")
    assert connection.checkout("global").charges.find_by_customer("cus_1")[0]["id"] == "ch_1"


@pytest.mark.parametrize("suffix", [".jsonl", ".msgpack"])
def test_dump_and_load(suffix: str, connection: Connection, tmp_path: Path) -> None:
    file = str(tmp_path / f"events{suffix}")
    here, there = Events(connection, "here"), Events(connection, "there")
    here.insert_many([{"id": f"evt_{number}", "type": "a", "created": number} for number in range(2_500)])
    assert answered("dump", "ci", file, "--namespace", "here") == {
        "url": "shm://ci",
        "table": "paper_tiger_events",
        "namespace": "here",
        "file": file,
        "items": 2_500,
    }
    assert "loaded 2,500 items" in said("load", "shm://ci", file, PAPERTIGER_NAMESPACE="there")
    assert list(there) == list(here)
    assert len(there.find_by_type("a")) == 2_500


DUMPS = """
import sys
from papertiger_shm import Events, connect
with connect(sys.argv[1]) as connection:
    for number in range(200):
        Events(connection).dump(f"{sys.argv[2]}/{number}.jsonl")
"""


def test_a_dump_is_one_view_while_writes_go_on(connection: Connection, tmp_path: Path) -> None:
    events = Events(connection)
    events.insert_many([{"id": f"evt_{number}", "n": 0} for number in range(500)])
    dumping = subprocess.Popen([sys.executable, "-c", DUMPS, connection.url, str(tmp_path)])
    turn = 0
    while dumping.poll() is None:
        turn += 1
        events.insert_many([{"id": f"evt_{number}", "n": turn} for number in range(500)])
    assert dumping.returncode == 0
    seen = set()
    for file in tmp_path.iterdir():
        dumped = [json.loads(line)["n"] for line in file.read_text().splitlines()]
        assert len(dumped) == 500
        assert len({*dumped}) == 1
        seen.update(dumped)
    assert len(seen) > 1


def test_other_tables(connection: Connection, tmp_path: Path) -> None:
    file = str(tmp_path / "customers.jsonl")
    customers = Customers(connection)
    customers.insert({"id": "cus_1", "email": "jenny@example.com", "created": 1})
    assert answered("dump", "ci", file, "--table", customers.table_name)["items"] == 1
    customers.clear()
    assert answered("load", "ci", file, "--table", customers.table_name)["items"] == 1
    assert customers.find_by("email", "jenny@example.com")
    assert answered("load", "ci", file, "--table", "people", "--index", "email")["items"] == 1
    assert ("people", "global", 1) in connection.collections()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("events.jsonl", '{"id": "evt_1"}\n{"id": 7}\n', "line 2"),
        ("events.jsonl", "nonsense\n", "line 1"),
        ("events.msgpack", "\x93", "item 1"),
        ("events.txt", "{}", ".jsonl"),
        ("no/events.jsonl", None, "give the path"),
    ],
)
def test_files_that_cannot_be_loaded(
    name: str, content: str | None, why: str, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    assert why in refused(1, "load", "ci", str(file))
    assert Events(connection).count() == 0


def test_files_that_cannot_be_written(connection: Connection, tmp_path: Path) -> None:
    assert "give the path" in refused(1, "dump", "ci", str(tmp_path / "no" / "events.jsonl"))
    assert "give the path" in refused(1, "dump", "ci", str(make(tmp_path / "folder.jsonl")))
    assert "namespace" in refused(1, "dump", "ci", str(tmp_path / "events.jsonl"), "--namespace", "a//b")
    assert "table" in refused(2, "dump", "ci", str(tmp_path / "events.jsonl"), "--table", "")
    assert os.listdir(tmp_path) == ["folder.jsonl"]


def make(directory: Path) -> Path:
    directory.mkdir()
    return directory


# --- stop and serve -------------------------------------------------------------------------------------------------


def test_stop_ends_the_store_whoever_started_it(manager: Manager, root: Path) -> None:
    assert said("stop", "ci") == "stopped shm://ci; its data is gone\n"
    eventually(lambda: os.listdir(root) == [], "the store goes")
    assert "papertiger-shm serve ci" in refused(1, "stop", "ci")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_ends_cleanly(number: signal.Signals, root: Path) -> None:
    with going_on("serve", "ci", "--max-size", SIZE) as (process, url):
        assert url == "shm://ci"
        with connect(url) as connection:
            segment = connection.stats()["segment"]
            assert connection.stats()["bytes_max"] == 16 << 20
        process.send_signal(number)
        rest, words = process.communicate(timeout=SECONDS)
        assert (process.returncode, rest) == (0, "")
        assert words.endswith("stopped shm://ci; its data is gone\n")
    assert not segments.exists(segment)
    assert os.listdir(root) == []


def test_serve_goes_on_under_nohup() -> None:
    with going_on("serve", "ci", "--max-size", SIZE, under=["nohup"]) as (process, _):
        status = Path(f"/proc/{process.pid}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        assert ignored & 1 << (signal.SIGHUP - 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def test_serve_joins_the_manager_that_runs(connection: Connection) -> None:
    with going_on("serve", "ci", "--json") as (process, line):
        answer = json.loads(line)
        assert answer == {"url": "shm://ci", "pid": connection.stats()["writer_pid"], "joined": True}
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=SECONDS)[1].endswith("goes on to serve\n")
        assert process.returncode == 0
    assert connection.stats()["items"] == 0


def test_serve_without_a_name_makes_one_up_and_ends_with_its_store() -> None:
    with going_on("serve", "--max-size", SIZE) as (process, url):
        assert said("stop", url).startswith("stopped")
        words = process.communicate(timeout=SECONDS)[1]
        assert (process.returncode, words.endswith(f"{url} was stopped; its data is gone\n")) == (0, True)


def test_serve_restarts_its_writer(root: Path) -> None:
    with (
        going_on("serve", "ci", "--max-size", SIZE, "--json") as (process, line),
        connect("shm://ci", timeout=SECONDS) as store,
    ):
        Events(store).insert({"id": "evt_1"})
        os.kill(json.loads(line)["pid"], signal.SIGKILL)
        Events(store).insert({"id": "evt_2"})
        assert (Events(store).count(), store.stats()["generation"]) == (2, 2)
        assert answered("check", "ci")["sound"]
        process.terminate()
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize(("typed", "host"), [("0", "127.0.0.1"), (":0", "127.0.0.1"), ("localhost:0", "127.0.0.1")])
def test_serve_with_stripes_endpoints(typed: str, host: str) -> None:
    pytest.importorskip("starlette")
    with going_on("serve", "ci", "--max-size", SIZE, "--http", typed) as (process, url), connect(url) as store:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(rf"http://{re.escape(host)}:[1-9]\d+", address)
        Events(store, "global").insert({"id": "evt_1", "type": "charge.refunded"})
        asked = urllib.request.Request(f"{address}/v1/events/evt_1", headers={"Authorization": "Bearer sk_test_1"})
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            assert json.load(answer)["type"] == "charge.refunded"
        # It joins, and serves at an address of its own.
        with going_on("serve", "ci", "--http", typed, "--json") as (second, line):
            assert json.loads(line)["joined"]
            assert json.loads(line)["http"] not in (address, None)
            second.send_signal(signal.SIGINT)
            assert second.wait(SECONDS) == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize("typed", ["", "a", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1"])
def test_serve_refuses_an_address_that_is_none(typed: str) -> None:
    assert "HOST:PORT" in refused(2, "serve", "ci", "--http", typed)


def test_serve_at_an_address_that_cannot_be_had_leaves_nothing(root: Path) -> None:
    pytest.importorskip("starlette")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in refused(1, "serve", "ci", "--http", f"127.0.0.1:{port}")
    assert os.listdir(root) == []


def test_serve_refuses_a_size_that_is_none() -> None:
    assert "max_size" in refused(1, "serve", "ci", "--max-size", "huge")


def test_serve_ends_while_the_manager_that_it_joined_is_gone() -> None:
    with Manager("ci", max_size=SIZE) as manager, going_on("serve", "ci") as (process, _):
        manager.stop()
        assert "run this command again" in process.communicate(timeout=SECONDS)[1]
        assert process.returncode == 0


# --- gc -------------------------------------------------------------------------------------------------------------


def left_by_a_dead_run(name: str) -> str:
    """The segment of a store whose owner and manager were killed together."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid, segment = owner.stdout.readline().split()
    os.kill(owner.pid, signal.SIGSTOP)
    os.kill(int(pid), signal.SIGKILL)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    eventually(lambda: not is_running(int(pid)), "the manager is dead")
    return segment


def test_gc_with_nothing_to_do() -> None:
    assert said("gc").startswith("nothing to remove")
    assert answered("gc") == {"dry_run": False, "leftovers": []}


def test_gc_removes_what_a_killed_run_left_and_leaves_living_stores_alone(connection: Connection, root: Path) -> None:
    Events(connection).insert({"id": "evt_1"})
    mine = connection.stats()["segment"]
    segment = left_by_a_dead_run("dead")
    listed = answered("gc", "--dry-run")
    assert listed["dry_run"] is True
    (left,) = listed["leftovers"]
    assert (left["url"], left["segment"], left["removed"]) == ("shm://dead", segment, False)
    assert left["bytes"] > 0
    assert segments.exists(segment)
    assert said("gc").startswith(f"removed shm://dead ({segment}, ")
    assert not segments.exists(segment)
    assert os.listdir(root) == ["ci"]
    assert segments.exists(mine)
    Events(connection).insert({"id": "evt_2"})
    assert connection.verify()
    assert said("gc").startswith("nothing to remove")


def test_gc_of_one_store(manager: Manager, root: Path) -> None:
    left_by_a_dead_run("dead-1")
    left_by_a_dead_run("dead-2")
    assert [left["url"] for left in answered("gc", "shm://dead-1")["leftovers"]] == ["shm://dead-1"]
    assert sorted(os.listdir(root)) == ["ci", "dead-2"]
    assert "papertiger-shm stop" in said("gc", "ci")
    assert "there is no such store" in refused(1, "gc", "nobody")
    said("gc", "dead-2")


def test_a_dead_store_is_told_from_none(tmp_path: Path) -> None:
    segment = left_by_a_dead_run("dead")
    for arguments in (["check", "dead"], ["stop", "dead"]):
        reason = refused(1, *arguments)
        assert "papertiger-shm serve dead" in reason
        assert "papertiger-shm gc dead" in reason
    with going_on("serve", "dead"):
        file = str(tmp_path / "events.jsonl")
        assert answered("dump", "dead", file)["items"] == 1
        said("stop", "dead")
    assert not segments.exists(segment)


def test_gc_leaves_a_store_whose_owner_may_restart_it() -> None:
    with Manager("ci", max_size=SIZE, restart=False) as manager:
        os.kill(manager.pid, signal.SIGKILL)
        eventually(lambda: not unanswered(manager), "the owner notices")
        assert leftovers() == []
        assert answered("gc")["leftovers"] == []


def unanswered(manager: Manager) -> bool:
    """Whether the owner still believes in its manager."""
    try:
        return bool(manager.pid)
    except ValueError:
        return False


def test_gc_leaves_a_store_that_someone_still_reads(root: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, "ci"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid, segment = owner.stdout.readline().split()
    with connect("shm://ci", timeout=SECONDS) as reader:
        set_timeout(reader._backend, 0.3)
        events = Events(reader)
        assert events["evt_1"]
        os.kill(owner.pid, signal.SIGSTOP)
        os.kill(int(pid), signal.SIGKILL)
        os.kill(owner.pid, signal.SIGKILL)
        owner.communicate()
        eventually(lambda: not is_running(int(pid)), "the manager is dead")
        assert answered("gc")["leftovers"] == []
        assert events["evt_1"]
        with pytest.raises(ManagerUnavailable):
            events.insert({"id": "evt_2"})
    del events, reader
    assert answered("gc")["leftovers"][0]["segment"] == segment


def test_gc_removes_a_segment_that_no_store_claims(manager: Manager, root: Path) -> None:
    alone = segments.fresh_name(str(root))
    segments.create(alone, 1 << 20).close()
    with Manager(max_size=SIZE):
        (left,) = answered("gc")["leftovers"]
    assert (left["url"], left["segment"], left["removed"]) == (None, alone, True)
    assert not segments.exists(alone)


def test_gc_leaves_a_segment_that_a_manager_has_open(root: Path) -> None:
    name = segments.fresh_name(str(root))
    held = segments.create(name, 1 << 20)
    try:
        assert answered("gc")["leftovers"] == []
        assert not segments.unlink_unclaimed(name)
        assert segments.exists(name)
    finally:
        held.close()
    assert segments.unlink_unclaimed(name)
    assert not segments.unlink_unclaimed(name)


def test_gc_leaves_other_rendezvous_directories_alone() -> None:
    name = segments.fresh_name("/somewhere/else")
    segments.create(name, 1 << 20).close()
    try:
        assert answered("gc")["leftovers"] == []
        # Only listed here: what it would remove may be another test's.
        everywhere = answered("gc", "--everywhere", "--dry-run")["leftovers"]
        assert name in [left["segment"] for left in everywhere]
    finally:
        segments.unlink(name)


def test_gc_leaves_directories_that_are_no_stores(root: Path) -> None:
    other = root / "keys"
    other.mkdir(0o700)
    (other / "key").write_text("precious")
    assert answered("gc")["leftovers"] == []
    assert (other / "key").read_text() == "precious"
    (other / "key").unlink()
    other.rmdir()


def test_gc_refuses_a_place_that_others_can_write_to(root: Path) -> None:
    root.chmod(0o777)
    assert "chmod 700" in refused(1, "gc")
    root.chmod(0o700)


def test_output_that_nobody_reads_ends_the_command_quietly(connection: Connection) -> None:
    process = subprocess.Popen([*COMMAND, "check", "ci"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert select.select([process.stderr], [], [], SECONDS)[0]
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(SECONDS)
