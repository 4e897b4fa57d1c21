"""Managers and their clients, on real processes: starting, stopping, dying, taking over, and nothing left behind."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from papertiger_shm.backend import Clear, Delete, Increment, Put
from papertiger_shm.codec import decode, encode, index_key
from papertiger_shm.errors import (
    AccessDenied,
    AlreadyExists,
    Conflict,
    CorruptSegment,
    InvalidItem,
    InvalidRequest,
    ManagerUnavailable,
    NotFound,
    PaperTigerError,
    StoreFull,
)
from papertiger_shm.shm import admission, channel, failpoint, introduction, launch, rendezvous, wire
from papertiger_shm.shm import manager as managers
from papertiger_shm.shm import segment as segments
from papertiger_shm.shm.client import ShmBackend, open_backend
from papertiger_shm.shm.leftovers import remove_leftovers
from papertiger_shm.shm.manager import Manager
from papertiger_shm.shm.rendezvous import Place
from papertiger_shm.shm.size import parse_size
from papertiger_shm.shm.supervisor import ChildSpec, Supervisor
from papertiger_shm.shm.tally import TELL_SECONDS, Tally
from patience import set_timeout

SIZE = "16 MiB"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A rendezvous root of this test's own, which every test leaves empty."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    monkeypatch.setenv("PAPERTIGER_DIR", str(directory))
    yield directory
    eventually(lambda: list(directory.iterdir()) == [], "stores left behind")
    shutil.rmtree(directory)


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return result


def soon() -> float:
    """A deadline that no working manager misses."""
    return time.monotonic() + 30


def put(id: str, item: dict[str, Any] | None = None, expect: int | None = None, **more: Any) -> Put:
    content = {"id": id, "created": 1, **(item or {}), **more}
    postings = tuple(index_key(field, content[field]) for field in ("type",) if field in content)
    return Put("t", "ns", id, content["created"], postings, encode(content), expect)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def python(script: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A fresh interpreter in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    found = process.stdout.readline().strip()
    if not found:
        raise AssertionError(process.communicate())
    return found


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager(max_size=SIZE) as manager:
        yield manager


@pytest.fixture
def backend(manager: Manager) -> Iterator[ShmBackend]:
    backend = open_backend(manager.name, start=False, timeout=30)
    yield backend
    backend.close()


def raw_client(name: str, client: bytes | None = None) -> socket.socket:
    """A connection that has proven itself, and said hello if it has an id."""
    place = Place(name)
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(20)
    link.connect(place.socket)
    link.setblocking(True)
    introduction.set_patience(link, 20)
    introduction.prove_to_manager(link, place.key())
    if client is not None:
        link.sendall(wire.request_frame([0, wire.HELLO, wire.PROTOCOL, client]))
        receive(link)
    return link


def receive(link: socket.socket) -> list[Any]:
    """The next message, and not a byte more."""

    def take(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = link.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    return wire.message_of(take(int.from_bytes(take(4), "big")))


# ---- what a backend has to do -----------------------------------------------------------------------------------


def test_what_is_written_is_read(backend: ShmBackend) -> None:
    view = backend.collection("t", "ns")
    assert view.get("a") is None
    assert backend.commit([put("a", type="x"), put("b", type="y"), put("c", type="x", created=5)]) == [None] * 3
    assert decode(view.get("a") or b"")["type"] == "x"
    assert view.count() == 3
    assert [p and decode(p)["id"] for p in view.get_many(["c", "no", "a"])] == ["c", None, "a"]
    assert [decode(p)["id"] for p in view.scan(())] == ["c", "b", "a"]
    assert [decode(p)["id"] for p in view.scan([index_key("type", "x")])] == ["c", "a"]
    payloads, more = view.page(1, "c", None, ())
    assert ([decode(p)["id"] for p in payloads], more) == (["b"], True)
    payloads, more = view.page(1, None, "b", ())
    assert ([decode(p)["id"] for p in payloads], more) == (["c"], False)
    versions = [version for version, _ in view.entries(())]
    assert versions == [view.version(id) for id in "cba"]
    assert backend.collections() == [("t", "ns", 3)]
    backend.commit([Delete("t", "ns", "a"), Delete("t", "ns", "never")])
    assert view.get("a") is None


def test_the_manager_reads_in_turn_what_a_reader_reads(backend: ShmBackend) -> None:
    backend.commit([put(str(n), type="x", created=n) for n in range(20)])
    view = backend.collection("t", "ns")
    filters = [index_key("type", "x")]
    reads: list[tuple[str, tuple[Any, ...]]] = [
        ("get", (b"3",)),
        ("version", (b"3",)),
        ("entry", (b"3",)),
        ("count", ()),
        ("get_many", ([b"1", b"no"],)),
        ("page", (5, b"10", None, filters)),
        ("scan", (filters,)),
        ("entries", (filters,)),
    ]
    for method, arguments in reads:
        directly = getattr(view._reader, method)(*arguments)
        in_turn = backend.read_in_turn(view._name, method, arguments, soon())
        assert encode({"": in_turn}) == encode({"": directly}), method
    with pytest.raises(NotFound):
        backend.read_in_turn(view._name, "page", (5, b"no", None, ()), soon())


def test_an_unknown_cursor_is_named(backend: ShmBackend) -> None:
    for after, before in (("evt_no", None), (None, "evt_no")):
        with pytest.raises(NotFound, match="evt_no"):
            backend.collection("t", "ns").page(10, after, before, ())


def test_a_request_happens_wholly_or_not_at_all(backend: ShmBackend) -> None:
    backend.commit([put("a", n=1)])
    view = backend.collection("t", "ns")
    with pytest.raises(AlreadyExists):
        backend.commit([put("b"), put("a", expect=0)])
    with pytest.raises(Conflict):
        backend.commit([put("b"), put("a", expect=10**6)])
    with pytest.raises(NotFound):
        backend.commit([put("b"), Increment("t", "ns", "no", "n", 1, ())])
    assert view.get("b") is None
    backend.commit([put("a", n=2, expect=view.version("a"))])
    assert decode(view.get("a") or b"")["n"] == 2


def test_clear_takes_the_namespaces_below(backend: ShmBackend) -> None:
    def in_namespaces() -> set[str]:
        return {namespace for _, namespace, _ in backend.collections()}

    for namespace in ("a", "a/b", "a/b/c", "ab", "b"):
        backend.commit([put("x")._replace(namespace=namespace)])
    results = backend.commit([put("x")._replace(namespace="z"), Clear("t", "a"), put("n", n=0), put("x")])
    assert results == [None] * 4
    assert in_namespaces() == {"ab", "b", "z", "ns"}
    backend.commit([put("x")._replace(table="other"), Clear("t", None)])
    assert backend.collections() == [("other", "ns", 1)]


def test_stats_and_verify(backend: ShmBackend, manager: Manager) -> None:
    backend.commit([put("a"), put("b")])
    stats = backend.stats()
    assert stats["items"] == 2
    assert stats["commits"] == 1
    assert stats["writer_pid"] == manager.pid
    assert stats["clients"] == 1
    assert stats["reader_retries"] == 0
    assert stats["url"] == manager.url
    assert stats["size"] == 16 << 20
    assert {"collections", "bytes_used", "bytes_reserved", "generation", "segment", "kind"} <= stats.keys()
    assert backend.verify()["records"] == 2


def test_a_long_verification_tells_how_far_it_is(backend: ShmBackend) -> None:
    for start in range(0, 20_000, 1_000):
        backend.commit([put(f"{start + number}") for number in range(1_000)])
    told: list[tuple[int, int]] = []
    assert backend.verify(lambda done, total: told.append((done, total)))["records"] == 20_000
    assert told == sorted(told)
    assert {total for _, total in told} == {told[0][1]}
    assert 0 < told[-1][0] <= told[0][1]


def test_retries_of_readers_reach_the_manager(backend: ShmBackend) -> None:
    backend.commit([put("a")])
    attached = backend._attached
    assert attached is not None
    attached.reader.retries = 7
    assert backend.stats()["reader_retries"] == 7


def test_the_retries_of_a_reader_that_only_reads_are_told_when_it_goes(backend: ShmBackend, manager: Manager) -> None:
    other = open_backend(manager.name, start=False, timeout=30)
    attached = other._attached
    assert attached is not None
    attached.reader.retries = 5
    other.close()
    eventually(lambda: backend.stats()["reader_retries"] == 5, "the retries were never told")


def test_reads_are_counted_whatever_they_give(backend: ShmBackend) -> None:
    backend.commit([put("a"), put("b")])
    before = backend.stats()["reads"]
    things = backend.collection("t", "ns")
    for _ in range(1_000):
        things.get("a")
    things.get("none")
    things.count()
    things.page(2, None, None, [])
    things.scan([])
    things.get_many(["a", "b"])
    others = [backend.collection("t", f"ns/{number}") for number in range(5)]
    for _ in range(3_000):
        for other in others:
            other.get("a")
    assert backend.stats()["reads"] - before == 1_005 + 15_000


def test_who_only_reads_is_seen_meanwhile(backend: ShmBackend, manager: Manager) -> None:
    backend.commit([put("a")])
    reading = open_backend(manager.name, start=False, timeout=30)
    things = reading.collection("t", "ns")
    read = 0

    def seen() -> int:
        nonlocal read
        for _ in range(100):
            things.get("a")
        read += 100
        return backend.stats()["reads"]

    first = eventually(seen, "the reads were never told")
    eventually(lambda: seen() > first, "they were told once only")
    reading.close()
    eventually(lambda: backend.stats()["reads"] == read, "the last of them were never told")


def test_a_slow_reader_is_seen_as_soon_as_a_quick_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("papertiger_shm.shm.tally.time.monotonic", lambda: now)
    tally = Tally()
    ticks = tally.ticks
    for pause in (1e-6, 1e-3, 0.1, 2.0):
        looks = []
        for _ in range(5_000):
            now += pause
            for _ in ticks:
                break
            else:
                ticks = tally.go_on(ticks)
                looks.append(now)
        # It takes one turn at the old pace to see the new one.
        assert max(later - sooner for sooner, later in pairwise(looks[1:])) <= max(pause, TELL_SECONDS) + pause
    assert tally.reads == 20_000


def test_a_reader_that_was_slow_is_quick_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("papertiger_shm.shm.tally.time.monotonic", lambda: now)
    tally = Tally()
    ticks = tally.ticks
    for pause, reads, most in ((2.0, 40, 40), (1e-6, 5_000, 10)):
        looks = 0
        for _ in range(reads):
            now += pause
            for _ in ticks:
                break
            else:
                ticks = tally.go_on(ticks)
                looks += 1
        assert looks <= most


def test_what_is_told_is_never_less_than_nothing() -> None:
    """Whoever starts over while another does may put an older count in its place; a negative one costs the line."""
    tally = Tally()
    for _ in tally.ticks:
        pass
    tally.told((tally.fresh()[0] + 1, 1))
    assert tally.fresh() == (0, 0)


def test_threads_that_tell_at_once_tell_nothing_twice(backend: ShmBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.commit([put("a")])
    attached = backend._attached
    assert attached is not None
    tell = backend._channel.tell

    def overtaken(*news: Any) -> Any:
        monkeypatch.setattr(backend._channel, "tell", tell)
        backend._tell_all_reads()
        return tell(*news)

    things = backend.collection("t", "ns")
    for _ in range(10):
        things.get("a")
    attached.reader.retries = 7
    monkeypatch.setattr(backend._channel, "tell", overtaken)
    figures = backend.stats()
    assert (figures["reads"], figures["reader_retries"]) == (10, 7)
    attached.reader.retries += 1
    figures = backend.stats()
    assert (figures["reads"], figures["reader_retries"]) == (10, 8)


def test_a_reader_stays_connected_however_long_the_manager_is_stopped(backend: ShmBackend, manager: Manager) -> None:
    backend.commit([put("a")])
    reading = open_backend(manager.name, start=False, timeout=30)
    things = reading.collection("t", "ns")
    os.kill(manager.pid, signal.SIGSTOP)
    try:
        for _ in range(5_000):
            things.get("a")
            reading._tell_all_reads()
        assert reading.tally.fresh() > (1_000, 0), "the socket takes more than it is given here"
    finally:
        os.kill(manager.pid, signal.SIGCONT)
    eventually(lambda: backend.stats()["reads"], "what was told is never heard")
    assert backend.stats()["clients"] == 2
    reading.close()
    eventually(lambda: backend.stats()["reads"] == 5_000, "some of the reads were never told")


def test_a_child_does_not_tell_what_its_parent_read(backend: ShmBackend, manager: Manager) -> None:
    backend.commit([put("a")])
    things = backend.collection("t", "ns")
    assert backend._attached is not None
    backend._attached.reader.retries = 3
    for _ in range(10):
        things.get("a")
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            things.get("a")
            os._exit(backend.stats()["reads"])
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 1
    figures = backend.stats()
    assert (figures["reads"], figures["reader_retries"]) == (11, 3)


def test_a_child_that_only_reads_is_a_client_of_its_own(backend: ShmBackend) -> None:
    backend.commit([put("a")])
    things = backend.collection("t", "ns")
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            while True:
                things.get("a")
    try:
        eventually(lambda: backend.stats()["clients"] == 2, "the child was never seen")
        read = backend.stats()["reads"]
        eventually(lambda: backend.stats()["reads"] > read, "the child's reads were never told")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# ---- increment --------------------------------------------------------------------------------------------------


def increment(backend: ShmBackend, field: str, by: Any, indexes: tuple[str, ...] = ()) -> Any:
    [result] = backend.commit([Increment("t", "ns", "a", field, by, indexes)])
    return result


def test_increment_adds_where_a_path_leads(backend: ShmBackend) -> None:
    backend.commit([put("a", n=1, f=0.5, deep={"er": {"n": 10}})])
    assert increment(backend, "n", 4) == 5
    assert increment(backend, "n", -10) == -5
    assert increment(backend, "f", 0.25) == 0.75
    assert increment(backend, "n", 0.5) == -4.5
    assert increment(backend, "deep.er.n", 1) == 11
    assert increment(backend, "new", 3) == 3
    assert increment(backend, "deep.new.n", 2) == 2
    item = decode(backend.collection("t", "ns").get("a") or b"")
    assert item == {
        "id": "a",
        "created": 1,
        "n": -4.5,
        "f": 0.75,
        "deep": {"er": {"n": 11}, "new": {"n": 2}},
        "new": 3,
    }


def test_increment_moves_the_item_in_its_index_and_its_order(backend: ShmBackend) -> None:
    backend.commit([put("a", type=1), put("b", created=2)])
    view = backend.collection("t", "ns")
    assert increment(backend, "type", 1, ("type",)) == 2
    assert view.scan([index_key("type", 1)]) == []
    assert len(view.scan([index_key("type", 2)])) == 1
    assert [decode(p)["id"] for p in view.scan(())] == ["b", "a"]
    assert increment(backend, "created", 5, ("type",)) == 6
    assert [decode(p)["id"] for p in view.scan(())] == ["a", "b"]
    assert increment(backend, "fresh", 1, ("fresh",)) == 1
    assert len(view.scan([index_key("fresh", 1)])) == 1
    assert backend.verify()["records"] == 2


@pytest.mark.parametrize(
    ("field", "by", "kind", "text"),
    [
        ("text", 1, InvalidItem, "text: .*not a number"),
        ("flag", 1, InvalidItem, "flag: .*not a number"),
        ("nothing", 1, InvalidItem, "nothing: .*not a number"),
        ("deep.list", 1, InvalidItem, r"deep\.list: .*not a number"),
        ("text.below", 1, InvalidItem, "text: .*not a dict"),
        ("id", 1, InvalidItem, "id: .*not a number"),
        ("large", 1, InvalidRequest, "large: .*64 bits"),
        ("small", -1, InvalidRequest, "small: .*64 bits"),
        ("created", 0.5, InvalidRequest, "created: "),
        ("created", 2**63 - 1, InvalidRequest, "created: "),
        ("n", True, InvalidRequest, "add an int or a float"),
        ("n", "1", InvalidRequest, "add an int or a float"),
    ],
)
def test_increment_refuses_and_changes_nothing(
    backend: ShmBackend, field: str, by: Any, kind: type[PaperTigerError], text: str
) -> None:
    backend.commit([put("a", text="x", flag=True, nothing=None, deep={"list": []}, large=2**64 - 1, small=-(2**63))])
    before = backend.collection("t", "ns").get("a")
    with pytest.raises(kind, match=text):
        increment(backend, field, by)
    assert backend.collection("t", "ns").get("a") == before


def test_increments_of_many_threads_add_up(manager: Manager) -> None:
    backends = [open_backend(manager.name, start=False, timeout=30) for _ in range(3)]
    backends[0].commit([put("a")])

    def work(backend: ShmBackend) -> None:
        for _ in range(50):
            increment(backend, "n", 1)

    threads = [threading.Thread(target=work, args=(backends[n % 3],)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert increment(backends[0], "n", 0) == 600
    for backend in backends:
        backend.close()


# ---- names, sizes, life -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [(1 << 20, 1 << 20), ("64 MiB", 64 << 20), ("1GB", 1_000_013_824), ("0.5 g", 1 << 29), (" 128KiB ", 128 << 10)],
)
def test_sizes(size: int | str, bytes_: int) -> None:
    assert parse_size(size) == bytes_


@pytest.mark.parametrize("size", ["", "x", "4 XB", "-1", -1, 0, 1000, 1.5, None, True, "1 KiB", 1 << 60, "MiB"])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(InvalidRequest, match="max_size"):
        Manager(max_size=size)


def test_a_manager_before_and_after_its_life() -> None:
    manager = Manager("life", max_size=SIZE)
    assert (manager.name, manager.url) == ("life", "shm://life")
    for use in (lambda: manager.pid, manager.connect):
        with pytest.raises(InvalidRequest, match="start"):
            use()
    manager.stop()
    assert manager.start() is manager
    pid = manager.pid
    assert manager.start().pid == pid
    assert is_running(pid)
    manager.stop()
    manager.stop()
    assert not is_running(pid)
    with manager:
        assert manager.pid != pid
    with pytest.raises(InvalidRequest):
        _ = manager.pid


def test_names_are_made_up_where_none_is_given() -> None:
    first, second = Manager(), Manager()
    assert first.name != second.name


def test_a_second_manager_under_a_taken_name(manager: Manager, backend: ShmBackend) -> None:
    backend.commit([put("a")])
    with pytest.raises(AlreadyExists, match=f"{manager.name}.*process {manager.pid}"):
        Manager(manager.name, max_size=SIZE).start()
    assert backend.collection("t", "ns").get("a")
    backend.commit([put("b")])


def test_connecting_to_nothing() -> None:
    started = time.monotonic()
    with pytest.raises(ManagerUnavailable, match=r"shm://nothing.*looked in .*/nothing.*Manager\('nothing'\)"):
        open_backend("nothing", start=False, timeout=60)
    assert time.monotonic() - started < 30  # it is not waited for


def test_no_interpreter_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for executable, text in (("", "sys.executable is empty"), ("/no/python", "/no/python"), ("/bin/false", "nothing")):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(ManagerUnavailable, match=text):
            Manager("ci", max_size=SIZE).start()


def test_what_a_failing_manager_says_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 3\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(ManagerUnavailable, match="the disk is on fire"):
        Manager("ci", max_size=SIZE).start()


def test_a_store_too_large_for_the_machine_leaves_nothing() -> None:
    with pytest.raises(PaperTigerError):
        Manager("large", max_size=(1 << 47) - (1 << 20)).start()


def test_a_closed_connection(manager: Manager) -> None:
    backend = open_backend(manager.name, start=False, timeout=30)
    backend.commit([put("a")])
    view = backend.collection("t", "ns")
    backend.close()
    backend.close()
    uses: list[Callable[[], Any]] = [
        lambda: view.get("a"),
        lambda: view.scan(()),
        view.count,
        lambda: backend.commit([put("b")]),
        lambda: backend.collection("t", "ns"),
        backend.stats,
        backend.collections,
    ]
    for use in uses:
        with pytest.raises(InvalidRequest, match="closed"):
            use()


def test_after_a_stop_everything_is_unavailable_at_once() -> None:
    with Manager("ci", max_size=SIZE) as manager:
        backend = open_backend("ci", start=False, timeout=30)
        backend.commit([put("a")])
        view = backend.collection("t", "ns")
        manager.stop()
        for use in (lambda: view.get("a"), lambda: view.scan(()), lambda: backend.commit([put("b")])):
            with pytest.raises(ManagerUnavailable, match="shm://ci"):
                use()
        with Manager("ci", max_size=SIZE):
            assert view.get("a") is None
            backend.commit([put("c")])
            assert view.get("c")
        backend.close()


def test_a_client_may_stop_the_manager(root: pathlib.Path) -> None:
    manager = Manager("ci", max_size=SIZE).start()
    pid = manager.pid
    backend = open_backend("ci", start=False, timeout=30)
    backend.stop_manager()
    eventually(lambda: not is_running(pid) and not list(root.iterdir()), "the manager goes")
    backend.close()
    manager.stop()


# ---- nothing left behind ----------------------------------------------------------------------------------------

OWNER = """
import os, signal, sys, time
from papertiger_shm.shm.manager import Manager
from papertiger_shm.shm.client import open_backend
from papertiger_shm.shm.rendezvous import Place
manager = Manager("ci", max_size="16 MiB").start()
backend = open_backend("ci", start=False, timeout=30)
print(manager.pid, Place("ci").card().segment, flush=True)
sys.stdin.readline()
"""

ENDINGS = {
    "exit": "",
    "stop": "manager.stop()",
    "exception": "raise RuntimeError('on purpose')",
    "sys.exit": "sys.exit(3)",
    "os._exit": "os._exit(4)",
    "collected": "del manager; import gc; gc.collect(); os.write(1, b'x')",
    "ctrl-c": "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)",
    "sigterm": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "sigkill": "os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)",
    "after a fork": "pid = os.fork()\nif not pid: time.sleep(60)\nprint(pid, flush=True)\nos._exit(0)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_however_the_owner_ends(ending: str, root: pathlib.Path) -> None:
    owner = python(OWNER + ENDINGS[ending])
    pid, segment = line(owner).split()
    assert is_running(int(pid))
    assert segments.exists(segment)
    out, complaints = owner.communicate("\n") if ending != "after a fork" else (end_by_hand(owner), "")
    if ending == "after a fork":
        os.kill(int(out), signal.SIGKILL)
    eventually(lambda: not is_running(int(pid)), "the manager goes")
    assert not segments.exists(segment)
    assert list(root.iterdir()) == []
    known = {"exception": "on purpose", "ctrl-c": "KeyboardInterrupt"}
    if ending in known:
        assert known[ending] in complaints
        assert "esourceWarning" not in complaints
    else:
        assert complaints == ""


def end_by_hand(owner: subprocess.Popen[str]) -> str:
    """The owner ends while a child of its lives on, which holds its standard output too."""
    assert owner.stdin is not None
    assert owner.stdout is not None
    assert owner.stderr is not None
    owner.stdin.write("\n")
    owner.stdin.flush()
    child = line(owner)
    owner.wait()
    eventually(lambda: not rendezvous.names(), "the manager goes though the child lives")
    for file in (owner.stdin, owner.stdout, owner.stderr):
        file.close()
    return child


def test_a_signal_to_the_manager_stops_it_cleanly(root: pathlib.Path) -> None:
    manager = Manager("ci", max_size=SIZE).start()
    pid = manager.pid
    os.kill(pid, signal.SIGINT)
    backend = open_backend("ci", start=False, timeout=30)
    backend.commit([put("a")])
    backend.close()
    assert manager.pid == pid
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not is_running(pid) and not list(root.iterdir()), "the manager goes")
    manager.stop()


def test_a_stopped_process_is_stopped_too() -> None:
    manager = Manager("ci", max_size=SIZE).start()
    pid = manager.pid
    os.kill(pid, signal.SIGSTOP)
    manager.stop()
    assert not is_running(pid)


def test_a_dead_manager_s_remains_are_removed_by_stop(root: pathlib.Path) -> None:
    manager = Manager("ci", max_size=SIZE, restart=False).start()
    card = Place("ci").card()
    assert card is not None
    os.kill(manager.pid, signal.SIGKILL)
    eventually(lambda: manager._owner.started is None, "the owner notices")
    assert segments.exists(card.segment)
    manager.stop()
    assert not segments.exists(card.segment)


# ---- starting from anywhere -------------------------------------------------------------------------------------

START = """
from papertiger_shm.shm.manager import Manager
from papertiger_shm.shm.client import open_backend
def work(name):
    with Manager(name, max_size="16 MiB") as manager:
        backend = open_backend(name, start=False, timeout=30)
        assert backend.collection("t", "ns").count() == 0
        backend.close()
"""

WAYS = {
    "no main guard": START + "print('once'); work('ci')",
    "thread": START
    + "import threading; t = threading.Thread(target=work, args=('ci',)); t.start(); t.join(); print('once')",
    "forked daemon": START
    + "import multiprocessing as m\np = m.get_context('fork').Process(target=work, args=('ci',), "
    "daemon=True)\np.start(); p.join(); assert p.exitcode == 0; print('once')",
}


@pytest.mark.parametrize("way", WAYS)
def test_starting_from_a_script(way: str, tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WAYS[way])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("once\n", "", 0)


def test_modules_in_the_current_directory_have_no_say(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "selectors", "secrets", "filelock"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stray module was imported')")
    monkeypatch.chdir(tmp_path)
    with Manager(max_size=SIZE) as manager:
        assert is_running(manager.pid)


def test_starting_from_the_interactive_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-i", "-q", "-c", "import sys; sys.ps1 = sys.ps2 = ''"],
        input=START + "\n\nwork('ci')\nprint('done')\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr.strip(), done.returncode) == ("done", "", 0)


def test_starting_in_a_worker_of_a_pool() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(manager_in_a_pool) == 0


def manager_in_a_pool() -> int:
    with Manager(max_size=SIZE) as manager:
        backend = open_backend(manager.name, start=False, timeout=30)
        count = backend.collection("t", "ns").count()
        backend.close()
        return count


# ---- dying and taking over --------------------------------------------------------------------------------------


def test_a_manager_that_dies_is_restarted_and_nothing_is_lost(manager: Manager, backend: ShmBackend) -> None:
    view = backend.collection("t", "ns")
    for round_ in range(3):
        backend.commit([put(f"before {round_}")])
        pid = manager.pid
        os.kill(pid, signal.SIGKILL)
        assert view.get(f"before {round_}")  # reads need no manager
        backend.commit([put(f"after {round_}")])
        eventually(lambda pid=pid: manager.pid != pid, "the owner knows the new process")
    assert view.count() == 6
    stats = backend.stats()
    assert stats["generation"] == 4
    assert backend.verify()["records"] == 6


def test_every_request_is_applied_once_while_managers_die(manager: Manager) -> None:
    def work(count: int) -> None:
        mine = open_backend(manager.name, start=False, timeout=60)
        for _ in range(count):
            increment(mine, "n", 1)
        mine.close()

    backend = open_backend(manager.name, start=False, timeout=60)
    backend.commit([put("a")])
    threads = [threading.Thread(target=work, args=(150,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for reached in (50, 120, 200):
        eventually(lambda reached=reached: increment(backend, "n", 0) >= reached, "progress")
        with contextlib.suppress(InvalidRequest, ProcessLookupError):
            os.kill(manager.pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert increment(backend, "n", 0) == 450
    backend.close()


def test_what_was_posted_is_applied_once_though_the_manager_dies(manager: Manager, backend: ShmBackend) -> None:
    """Before it comes to it, and also when the answer was on its way."""
    backend.commit([put("a")])
    for number, signals in enumerate([(signal.SIGSTOP, signal.SIGKILL), (signal.SIGKILL,)] * 3):
        pid = manager.pid
        if signal.SIGSTOP in signals:
            os.kill(pid, signal.SIGSTOP)
        results = backend.post([Increment("t", "ns", "a", "n", 1, ())])
        os.kill(pid, signal.SIGKILL)
        assert results() == [number + 1]
        assert increment(backend, "n", 0) == number + 1
        eventually(lambda pid=pid: manager.pid != pid, "the owner knows the new process")


def test_what_was_posted_and_is_not_answered_is_told_of_in_time(manager: Manager) -> None:
    backend = open_backend(manager.name, start=False, timeout=30)
    backend.commit([put("a")])
    os.kill(manager.pid, signal.SIGSTOP)
    set_timeout(backend, 0.3)
    first = backend.post([Increment("t", "ns", "a", "n", 1, ())])
    with pytest.raises(ManagerUnavailable, match="did not answer in time"):
        backend.post([Increment("t", "ns", "a", "n", 1, ())])
    with pytest.raises(ManagerUnavailable, match="did not answer in time"):
        first()
    os.kill(manager.pid, signal.SIGCONT)
    set_timeout(backend, 30)
    assert increment(backend, "n", 0) == 1
    backend.close()


def test_a_forked_child_leaves_what_was_posted_to_its_parent(manager: Manager, backend: ShmBackend) -> None:
    backend.commit([put("a")])
    results = backend.post([Increment("t", "ns", "a", "n", 1, ())])
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            increment(backend, "n", 10)
            try:
                results()
            except ManagerUnavailable:
                status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert results() == [1]
    assert increment(backend, "n", 0) == 11


def test_requests_that_failed_leave_no_doubt_about_the_next(manager: Manager, backend: ShmBackend) -> None:
    """A manager remembers nothing of them, and its successor must not take their client for one that was forgotten."""
    backend.commit([put("a")])
    other = open_backend(manager.name, start=False, timeout=30)
    with pytest.raises(AlreadyExists):
        other.commit([put("a", expect=0)])
    os.kill(manager.pid, signal.SIGSTOP)
    before = other._channel._number
    writer = threading.Thread(target=other.commit, args=([put("b")],))
    writer.start()
    eventually(lambda: other._channel._number > before, "the request to be on its way")
    os.kill(manager.pid, signal.SIGKILL)
    writer.join()
    assert backend.collection("t", "ns").get("b") is not None
    other.close()


def test_a_first_request_is_not_repeated_to_a_manager_that_may_have_forgotten_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was applied and not answered, and its client comes back when its session has ended."""
    forgetful = "import papertiger_shm.shm.server as server\nserver.GRACE = 0.0\nmain(orders)\n"
    monkeypatch.setattr(launch, "_BOOT", launch._BOOT.replace("main(orders)\n", forgetful))
    monkeypatch.setattr(channel, "FORGOTTEN", 0.0)
    monkeypatch.setenv(failpoint.VARIABLE, "journal-cleared:3")
    with Manager() as manager:
        monkeypatch.delenv(failpoint.VARIABLE)
        backend = open_backend(manager.name, start=False, timeout=30)
        backend.commit([put("a")])
        backend.commit([put("a")])
        late = open_backend(manager.name, start=False, timeout=30)
        with pytest.raises(ManagerUnavailable, match="does not know this client"):
            increment(late, "n", 1)
        assert increment(late, "n", 0) == 1
        late.close()
        backend.close()


def test_a_request_sent_again_is_answered_again(manager: Manager, backend: ShmBackend) -> None:
    backend.commit([put("a")])
    client = os.urandom(16)
    message = [5, wire.COMMIT, [[wire.INCREMENT, b"t\0ns", b"a", "n", 1, []]]]
    first = raw_client(manager.name, client)
    first.sendall(wire.request_frame(message))
    assert receive(first) == [5, wire.OK, [1]]
    second = raw_client(manager.name, client)
    assert first.recv(1) == b""  # one client, one connection
    second.sendall(wire.request_frame(message))
    assert receive(second) == [5, wire.OK, [1]]
    second.sendall(wire.request_frame([4, *message[1:]]))
    assert receive(second)[:3] == [4, wire.ERROR, "InvalidRequest"]
    os.kill(manager.pid, signal.SIGKILL)
    assert second.recv(1) == b""
    backend.commit([put("b")])
    third = raw_client(manager.name, client)
    third.sendall(wire.request_frame(message))
    assert receive(third) == [5, wire.OK, [1]]
    for link in (first, second, third):
        link.close()


def test_sessions_end_with_their_clients(manager: Manager, backend: ShmBackend) -> None:
    for _ in range(3):
        other = open_backend(manager.name, start=False, timeout=30)
        other.commit([put("a")])
        assert backend.stats()["sessions"] == 1
        other.close()
        eventually(lambda: backend.stats()["sessions"] == 0, "the session goes")


def test_a_collector_may_stop_a_manager_where_another_one_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """In that thread, in the midst of it: what the watcher of the one needs to end, that thread holds."""
    monkeypatch.setattr(managers, "STOP_SECONDS", 60.0)
    manager = Manager().start()
    begun = time.monotonic()
    with launch._FORKING:
        manager.stop()
    assert time.monotonic() - begun < 30  # it hung


@pytest.mark.parametrize(("status", "least"), [(3, 0.2 + 0.4 + 0.8 + 0.8), (-signal.SIGKILL, 0.0)])
def test_what_ends_as_soon_as_it_is_ready_is_not_started_again_at_once(
    status: int, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it was killed from outside. The processes are pretended, so that starting them takes no time."""
    starts: list[float] = []
    ended = SimpleNamespace(wait=lambda: status, send_signal=lambda number: None)

    def start(*arguments: Any, **options: Any) -> Any:
        starts.append(time.monotonic())
        return SimpleNamespace(process=ended, pid=0, let_go=lambda: None)

    monkeypatch.setattr(managers, "launch", start)
    monkeypatch.setattr(managers, "STOP_SECONDS", 60.0)
    manager = Manager().start()
    eventually(lambda: len(starts) > 6, "six restarts")
    assert starts[6] - starts[1] > least
    begun = time.monotonic()
    manager.stop()
    assert time.monotonic() - begun < 30


def test_what_a_killed_owner_and_manager_leave_is_taken_over(root: pathlib.Path) -> None:
    owner = python(
        OWNER.replace("sys.stdin", "backend.commit(eval(sys.argv[1])); print('x', flush=True); sys.stdin"), "[]"
    )
    pid, segment = line(owner).split()
    line(owner)
    os.kill(owner.pid, signal.SIGSTOP)
    mine = open_backend("ci", start=False, timeout=30)
    mine.commit([put("a")])
    os.kill(int(pid), signal.SIGKILL)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    eventually(lambda: not is_running(int(pid)), "the manager is dead")
    assert segments.exists(segment)
    with Manager("ci", max_size="64 MiB") as manager:
        assert mine.collection("t", "ns").get("a")
        mine.commit([put("b")])
        stats = mine.stats()
        assert (stats["segment"], stats["generation"], stats["items"]) == (segment, 2, 2)
        assert stats["writer_pid"] == manager.pid
    mine.close()
    assert not segments.exists(segment)


def leave(damage: Callable[[Place], None]) -> Place:
    """What a manager leaves that is killed together with its owner, damaged."""
    manager = Manager("ci", max_size=SIZE, restart=False).start()
    place = Place("ci")
    os.kill(manager.pid, signal.SIGKILL)
    eventually(lambda: manager._owner.started is None, "the owner notices")
    manager._owner._remains = False
    damage(place)
    return place


def test_a_segment_that_cannot_be_taken_over_is_told_so_and_kept() -> None:
    def scribble(place: Place) -> None:
        card = place.card()
        assert card is not None
        with open(f"/dev/shm/{card.segment}", "r+b") as file:
            file.write(b"garbage!")

    place = leave(scribble)
    for _ in range(2):
        with pytest.raises(CorruptSegment, match="papertiger-shm gc"):
            Manager("ci", max_size=SIZE).start()
    assert remove_leftovers(place)


@pytest.mark.parametrize("missing", ["segment", "card", "key", "socket", "layout"])
def test_incomplete_remains_are_made_good(missing: str) -> None:
    def remove(place: Place) -> None:
        card = place.card()
        assert card is not None
        if missing == "segment":
            segments.unlink(card.segment)
        elif missing == "layout":
            lock = place.hold("lock", 0)
            assert lock is not None
            place.write_card(rendezvous.Card(**{**card.__dict__, "laid_out": False}))
            lock.release()
        else:
            os.unlink(os.path.join(place.directory, missing))
            if missing == "card":
                segments.unlink(card.segment)

    leave(remove)
    with Manager("ci", max_size=SIZE):
        backend = open_backend("ci", start=False, timeout=30)
        backend.commit([put("a")])
        backend.close()


def test_remains_are_only_removed_from_the_dead(manager: Manager, backend: ShmBackend) -> None:
    assert not remove_leftovers(Place(manager.name))
    assert not remove_leftovers(Place("nobody"))
    backend.commit([put("a")])


def test_reads_and_timeouts_while_the_manager_is_stopped(manager: Manager) -> None:
    backend = open_backend(manager.name, start=False, timeout=30)
    backend.commit([put("a")])
    view = backend.collection("t", "ns")
    os.kill(manager.pid, signal.SIGSTOP)
    set_timeout(backend, 3.0)
    try:
        assert view.get("a")
        assert view.count() == 1
        assert len(view.scan(())) == 1
        started = time.monotonic()
        errors: list[Exception] = []

        def attempt() -> None:
            try:
                increment(backend, "n", 1)
            except ManagerUnavailable as error:
                errors.append(error)

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == 8
        assert time.monotonic() - started < 20  # not eight times the timeout
        with pytest.raises(ManagerUnavailable):
            open_backend(manager.name, start=False, timeout=0.3)
    finally:
        os.kill(manager.pid, signal.SIGCONT)
    patient = open_backend(manager.name, start=False, timeout=30)
    before = increment(patient, "n", 0)
    assert before <= 1  # what was sent before the connection was given up may have been applied, once
    assert eventually(lambda: commits_again(backend), "the impatient client comes back")
    assert increment(patient, "n", 0) == before
    backend.close()
    patient.close()


@contextlib.contextmanager
def in_place_of_its_manager(backend: ShmBackend, talk: Callable[[socket.socket], None]) -> Iterator[None]:
    """Let the backend's next request go to ``talk``, in a thread, instead of its manager."""
    ours, theirs = (channel._Link(fileno=end.detach()) for end in socket.socketpair())
    introduction.set_patience(ours, backend.timeout)
    assert backend._channel._link is not None
    backend._channel._link.close()
    backend._channel._link = ours
    thread = threading.Thread(target=talk, args=(theirs,))
    thread.start()
    try:
        yield
    finally:
        ours.close()
        thread.join()
        theirs.close()


def test_a_large_request_gives_up_in_time_however_slowly_it_is_taken(manager: Manager) -> None:
    def take_slowly(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while link.recv(128 << 10):
                time.sleep(0.2)  # a manager that is let run now and then

    backend = open_backend(manager.name, start=False, timeout=30)
    set_timeout(backend, 1)
    with in_place_of_its_manager(backend, take_slowly):
        begun = time.monotonic()
        with pytest.raises(ManagerUnavailable):
            backend.commit([put(str(n))._replace(payload=bytes(1 << 20)) for n in range(24)])
        assert time.monotonic() - begun < 25  # 38 s if each piece that is taken bought another second
    backend.close()


@contextlib.contextmanager
def signals_all_the_time() -> Iterator[None]:
    """As a profiler's timer sends them to this thread, which is the main one."""
    over, me = threading.Event(), threading.get_ident()

    def send() -> None:
        while not over.wait(0.1):
            signal.pthread_kill(me, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        over.set()
        sending.join()
        signal.signal(signal.SIGUSR1, before)


def test_signals_do_not_lengthen_a_wait_to_post(manager: Manager) -> None:
    """The line is full of what a stopped manager was told meanwhile."""
    backend = open_backend(manager.name, start=False, timeout=30)
    set_timeout(backend, 1)
    backend.commit([put("a")])
    os.kill(manager.pid, signal.SIGSTOP)
    going_on = threading.Timer(45, os.kill, (manager.pid, signal.SIGCONT))
    going_on.start()
    went_out: list[tuple[int, int]] = []
    before = -1
    while len(went_out) > before:
        before = len(went_out)
        backend._channel.tell(wire.READS, lambda: (0, 0), went_out.append)
    begun = time.monotonic()
    with signals_all_the_time():
        posted = backend.post([Increment("t", "ns", "a", "n", 1, ())])
    assert time.monotonic() - begun < 25  # 45 s if it waited for as long as signals come
    going_on.cancel()
    os.kill(manager.pid, signal.SIGCONT)
    set_timeout(backend, 30)
    assert posted() == [1]
    backend.close()


@pytest.mark.parametrize("greeting", [False, True])
def test_signals_do_not_lengthen_the_wait(manager: Manager, greeting: bool) -> None:
    backend = open_backend(manager.name, start=False, timeout=30)
    set_timeout(backend, 1)
    if greeting:
        backend._channel._hang_up()
    os.kill(manager.pid, signal.SIGSTOP)
    going_on = threading.Timer(45, os.kill, (manager.pid, signal.SIGCONT))
    going_on.start()
    begun = time.monotonic()
    with signals_all_the_time(), pytest.raises(ManagerUnavailable):
        backend.stats()
    assert time.monotonic() - begun < 25  # 45 s if each signal bought another second
    going_on.cancel()
    os.kill(manager.pid, signal.SIGCONT)
    backend.close()


def test_a_slow_answer_does_not_lengthen_the_wait(manager: Manager) -> None:
    def drip(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            link.recv(1 << 16)
            link.sendall((100).to_bytes(4, "big"))
            for _ in range(90):
                time.sleep(0.5)
                link.sendall(b"x")

    backend = open_backend(manager.name, start=False, timeout=30)
    set_timeout(backend, 1)
    with in_place_of_its_manager(backend, drip):
        begun = time.monotonic()
        with pytest.raises(ManagerUnavailable):
            backend.stats()
        assert time.monotonic() - begun < 25  # 46 s if each byte bought another second
    backend.close()


def test_progress_that_is_always_there_does_not_lengthen_the_wait(manager: Manager) -> None:
    """It may come faster than the caller can tell of it."""
    over = threading.Event()

    def tell(link: socket.socket) -> None:
        number = receive(link)[0]
        until = time.monotonic() + 45
        with contextlib.suppress(OSError):
            while not over.is_set() and time.monotonic() < until:
                link.sendall(wire.progress_frame(number, 1, 2))

    backend = open_backend(manager.name, start=False, timeout=30)
    set_timeout(backend, 1)
    backend._channel.progress = lambda done, total: time.sleep(0.001)
    with in_place_of_its_manager(backend, tell):
        begun = time.monotonic()
        with pytest.raises(ManagerUnavailable):
            backend.stats()
        over.set()
        assert time.monotonic() - begun < 25  # 45 s if it waited for as long as there is anything
    backend.close()


def commits_again(backend: ShmBackend) -> bool:
    try:
        backend.commit([put("b")])
    except ManagerUnavailable:
        return False
    return True


# ---- on demand --------------------------------------------------------------------------------------------------


def test_one_that_does_not_wait_for_another_client_waits_for_the_first(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTIGER_IDLE_SECONDS", "0")
    backend = open_backend("ci", start=True, timeout=30)
    pid = backend.stats()["writer_pid"]
    assert is_running(pid)
    backend.close()
    eventually(lambda: not is_running(pid) and not list(root.iterdir()), "it goes after its last client")


def test_exactly_one_is_started_however_many_ask(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_IDLE_SECONDS", "1")
    script = """
    import sys
    from papertiger_shm.shm.client import open_backend
    print("here", flush=True)
    sys.stdin.readline()
    backend = open_backend("ci", start=True, timeout=30)
    print(backend.stats()["writer_pid"], flush=True)
    sys.stdin.readline()
    backend.close()
    """
    clients = [python(script) for _ in range(6)]
    assert {line(client) for client in clients} == {"here"}
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
    pids = {line(client) for client in clients}
    assert len(pids) == 1
    [pid] = pids
    for client in clients:
        assert client.communicate("\n") == ("", "")
        assert client.returncode == 0
    eventually(lambda: not is_running(int(pid)), "it goes after its last client")


def test_on_demand_it_outlives_its_starter_and_any_client_restarts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_IDLE_SECONDS", "1")
    starter = python("""
    from papertiger_shm.shm.client import open_backend
    from papertiger_shm.backend import Put
    import sys
    backend = open_backend("ci", start=True, timeout=30)
    backend.commit([Put("t", "ns", "a", 1, (), b"x", None)])
    print("there", flush=True)
    sys.stdin.readline()
    """)
    line(starter)
    mine = open_backend("ci", start=False, timeout=30)
    assert starter.communicate("\n") == ("", "")
    pid = mine.stats()["writer_pid"]
    os.kill(pid, signal.SIGKILL)
    mine.commit([put("b")])
    stats = mine.stats()
    assert stats["writer_pid"] != pid
    assert stats["items"] == 2
    assert stats["kind"] == "on-demand"
    mine.close()
    eventually(lambda: not is_running(stats["writer_pid"]), "it goes after its last client")


def test_who_only_reads_finds_the_next_manager_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_IDLE_SECONDS", "1")
    writing = open_backend("ci", start=True, timeout=30)
    reading = open_backend("ci", start=False, timeout=30)
    writing.commit([put("a")])
    things = reading.collection("t", "ns")
    os.kill(writing.stats()["writer_pid"], signal.SIGKILL)
    for _ in range(5_000):
        assert things.get("a")  # nobody is there to be told
    writing.commit([put("b")])

    def seen() -> bool:
        things.get("a")
        return bool(writing.stats()["clients"] == 2)

    eventually(seen, "who reads was never seen")
    pid = writing.stats()["writer_pid"]
    writing.close()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert things.get("b")
    assert is_running(pid)
    reading.close()
    eventually(lambda: not is_running(pid), "it goes after its last client")


def test_what_was_posted_is_sent_again_though_reads_go_on(backend: ShmBackend, manager: Manager) -> None:
    backend.commit([put("a", n=0)])
    things = backend.collection("t", "ns")
    os.kill(manager.pid, signal.SIGSTOP)
    posted = backend.post([Increment("t", "ns", "a", "n", 1, ())])
    os.kill(manager.pid, signal.SIGKILL)
    eventually(lambda: backend._channel._link is None or things.get("a") is None, "the loss was never noticed")
    other = open_backend(manager.name, start=False, timeout=30)  # as soon as the next manager is there
    assert things.get("a")
    backend._tell_all_reads()
    other.close()
    assert posted() == [1]


def test_what_was_posted_is_sent_again_though_figures_are_asked_for(backend: ShmBackend, manager: Manager) -> None:
    """Who connects for another reason does not wait for the answer to what the new line has never carried."""
    backend.commit([put("a", n=0)])
    lost = manager.pid
    os.kill(lost, signal.SIGKILL)
    eventually(lambda: manager.pid != lost, "the next manager never came")
    posted = backend.post([Increment("t", "ns", "a", "n", 1, ())])
    assert backend._channel._link is None, "the loss was not noticed as it was posted"
    assert backend.stats()["writer_pid"] != lost
    assert posted() == [1]


def test_a_handler_that_closes_just_when_a_reader_is_connected_again_leaves_no_line(
    backend: ShmBackend, manager: Manager
) -> None:
    backend.commit([put("a")])
    others = backend.stats()["clients"]
    reader = open_backend(manager.name, start=False, timeout=30)
    connected = reader._channel._connected

    def interrupted(about: dict[str, Any]) -> None:
        connected(about)
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: reader.close())
    try:
        reader._channel._connected = interrupted
        things = reader.collection("t", "ns")
        reader._channel._hang_up()
        assert things.get("a")
        reader._tell_all_reads()
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(InvalidRequest, match="closed"):
        reader.commit([put("b")])
    eventually(lambda: backend.stats()["clients"] == others, "the line of one that is closed stayed open")


def test_start_joins_a_manager_that_is_there(manager: Manager) -> None:
    backend = open_backend(manager.name, start=True, timeout=30)
    assert backend.stats()["writer_pid"] == manager.pid
    backend.close()


# ---- bad company ------------------------------------------------------------------------------------------------


def test_half_open_strangers_keep_nobody_waiting(manager: Manager) -> None:
    place = Place(manager.name)
    strangers = []
    for _ in range(admission.AT_ONCE + 10):
        link = socket.socket(socket.AF_UNIX)
        link.connect(place.socket)
        strangers.append(link)
    started = time.monotonic()
    backend = open_backend(manager.name, start=False, timeout=60)
    backend.commit([put("a")])
    # one after the other they would take minutes
    assert time.monotonic() - started < 20 * admission.SECONDS
    backend.close()
    for link in strangers:
        link.close()


def test_a_newcomer_for_whom_there_is_no_thread_is_turned_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as newcomer:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        listener.setblocking(False)
        door = admission.Admission(listener, b"key")
        newcomer.connect(str(tmp_path / "socket"))
        monkeypatch.setattr(threading.Thread, "start", no_more)
        door.accept()
        newcomer.settimeout(30)
        assert newcomer.recv(1) == b""
        assert not door.sweep()
        door.close()
        door._wake.close()


@pytest.mark.parametrize("said", [b"", b"\0", b"\xff" * 50, bytes(100), b"\0\0\0\x05hello", b"\x7f\xff\xff\xff"])
def test_strangers_that_say_nonsense_are_dropped(manager: Manager, backend: ShmBackend, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(Place(manager.name).socket)
        link.sendall(said)
        link.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while link.recv(1000):
                pass
    backend.commit([put("a")])


def test_a_wrong_key_is_refused(manager: Manager, backend: ShmBackend) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(Place(manager.name).socket)
        introduction.set_patience(link, 20)
        with pytest.raises(Exception, match=r"rejected|digest"):
            introduction.prove_to_manager(link, b"wrong key" * 4)
    backend.commit([put("a")])


NONSENSE: list[Any] = [
    None,
    [],
    ["x", "y"],
    [1, 99],
    [1, wire.HELLO],
    [1, wire.HELLO, wire.PROTOCOL, b"short"],
    [1, wire.COMMIT],
    [1, wire.COMMIT, 5],
    [-1, wire.COMMIT, []],
    [2**64 - 1, wire.COMMIT, []],
    [1, wire.COMMIT, [[99]]],
    [1, wire.COMMIT, [[]]],
    [1, wire.COMMIT, [[wire.PUT, b"c", b"k", "x", [], b"", None]]],
    [1, wire.COMMIT, [[wire.PUT, "c", b"k", 1, [], b"", None]]],
    [1, wire.COMMIT, [[wire.PUT, b"c", b"k", 1, 5, b"", None]]],
    [1, wire.COMMIT, [[wire.PUT, b"c", b"k", 1, [5], b"", None]]],
    [1, wire.COMMIT, [[wire.PUT, b"c", b"k", 1, [], b"", "x"]]],
    [1, wire.COMMIT, [[wire.INCREMENT, b"c", b"k", "", 1, []]]],
    [1, wire.COMMIT, [[wire.INCREMENT, b"c", b"k", "f", 1, None]]],
    [1, wire.READ, b"c", "__class__", []],
    [1, wire.READ, b"c", "get", [5]],
    [1, wire.READ, b"c", "page", ["x", 1, 2, 3]],
    [1, wire.READ, b"c", "scan", [[5]]],
    [1, wire.READ, b"c", "scan", []],
    [1, wire.READ, b"c", "count", [1]],
    [1, wire.READ, b"c", "get_many", [b"k"]],
    [1, wire.READ],
    [1, wire.READS, "many", 0],
    [1, wire.READS, 0, -1],
    [1, wire.READS, 1 << 48, 0],
    [1, wire.READS, 1],
    [1, wire.AWAIT, b"c"],
    [1, wire.AWAIT, "c", True],
    [1, wire.AWAIT, b"c", 1],
    [0, wire.AWAIT, b"c", True],
]


@pytest.mark.parametrize("message", NONSENSE, ids=str)
def test_nonsense_costs_the_connection_and_nothing_else(manager: Manager, backend: ShmBackend, message: Any) -> None:
    backend.commit([put("a")])
    pid = manager.pid
    link = raw_client(manager.name, os.urandom(16))
    link.sendall(wire.frame(b"\xc1" if message is None else wire.pack(message)))
    with pytest.raises((EOFError, ConnectionError)):
        receive(link)
    link.close()
    backend.commit([put("b")])
    assert (manager.pid, backend.stats()["items"]) == (pid, 2)


EXTREMES: list[list[Any]] = [
    [wire.PUT, b"t\0ns", b"", 1, [], b"x", None],
    [wire.PUT, b"t\0ns", b"k" * 70_000, 1, [], b"x", None],
    [wire.PUT, b"", b"k", 1, [], b"x", None],
    [wire.PUT, b"c" * 100_000, b"k", 1, [], b"x", None],
    [wire.PUT, b"t\0ns", b"k", 2**63, [], b"x", None],
    [wire.PUT, b"t\0ns", b"k", 1, [], b"x", 2**64 - 1],
    [wire.PUT, b"t\0ns", b"k", 1, [], b"x", -5],
    [wire.PUT, b"t\0ns", b"k", 1, [b"%d" % n for n in range(1000)], b"x", None],
    [wire.PUT, b"t\0ns", b"k", 1, [b"p" * 10_000], b"x", None],
    [wire.PUT, b"t\0ns", b"k", 1, [b"same", b"same"], b"x", None],
    [wire.PUT, b"t\0ns", b"k", 1, [], b"x" * (17 << 20), None],
    [wire.DELETE, b"t\0ns", b""],
    [wire.INCREMENT, b"t\0ns", b"garbage", "n", 1, []],
    [wire.INCREMENT, b"t\0ns", b"a", "..", 1, []],
    [wire.INCREMENT, b"t\0ns", b"a", "n", float("nan"), ["n"]],
    [wire.INCREMENT, b"t\0ns", b"a", "n", 10**400 if False else 1e308, []],
]


@pytest.mark.parametrize("operation", EXTREMES, ids=lambda operation: str(operation)[:40])
def test_extremes_do_not_bring_the_manager_down(manager: Manager, backend: ShmBackend, operation: list[Any]) -> None:
    backend.commit([put("a"), put("garbage")._replace(payload=b"\xc1")])
    pid = manager.pid
    link = raw_client(manager.name, os.urandom(16))
    link.sendall(wire.request_frame([1, wire.COMMIT, [operation]]))
    receive(link)
    link.close()
    backend.commit([put("b")])
    assert manager.pid == pid
    backend.verify()


def test_oversized_and_truncated_frames(manager: Manager, backend: ShmBackend) -> None:
    huge = raw_client(manager.name, os.urandom(16))
    huge.sendall((wire.MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises((EOFError, ConnectionError)):
        receive(huge)
    cut = raw_client(manager.name, os.urandom(16))
    cut.sendall(wire.request_frame([1, wire.PING])[:-1])
    backend.commit([put("a")])
    huge.close()
    cut.close()
    backend.commit([put("b")])


def test_frames_in_small_pieces_and_many_at_once(manager: Manager) -> None:
    link = raw_client(manager.name, os.urandom(16))
    for byte in wire.request_frame([1, wire.PING]):
        link.sendall(bytes([byte]))
    assert receive(link) == [1, wire.OK, None]
    puts = [
        wire.request_frame([n, wire.COMMIT, [[wire.PUT, b"c", b"%d" % n, 1, [], b"x", None]]]) for n in range(2, 50)
    ]
    link.sendall(b"".join([*puts, wire.request_frame([50, wire.READ, b"c", "count", []])]))
    for number in range(2, 50):
        assert receive(link) == [number, wire.OK, [None]]
    assert receive(link) == [50, wire.OK, 48]
    link.close()


def test_a_socket_that_the_system_refuses_leaves_no_further_error() -> None:
    said: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, said.append
    try:
        with pytest.raises(OSError, match="not supported"):
            channel._Link(999, socket.SOCK_STREAM)
        gc.collect()
    finally:
        sys.unraisablehook = before
    assert not said


def test_who_is_hung_up_on_each_time_gives_up_in_time(manager: Manager) -> None:
    backend = open_backend(manager.name, start=False, timeout=0.5)
    with pytest.raises(ManagerUnavailable, match="did not answer in time"):
        backend._channel.ask(wire.READ, b"t\0ns", "nothing that can be read", [])
    backend.close()


def test_a_client_that_does_not_read_holds_up_nobody(manager: Manager, backend: ShmBackend) -> None:
    backend.commit([put("a", text="x" * 1_000_000)])
    greedy = raw_client(manager.name, os.urandom(16))
    for number in range(1, 200):
        greedy.sendall(wire.request_frame([number, wire.READ, b"t\0ns", "scan", [[]]]))
    for n in range(20):
        backend.commit([put(f"b{n}")])
    # and once it reads, it is served in full
    for number in range(1, 200):
        assert receive(greedy)[:2] == [number, wire.OK]
    greedy.close()


def test_answers_of_many_megabytes(manager: Manager) -> None:
    with Manager(max_size="512 MiB") as large:
        backend = open_backend(large.name, start=False, timeout=60)
        payload = os.urandom(1 << 20)
        for n in range(0, 90, 30):
            backend.commit([put(str(m))._replace(payload=payload) for m in range(n, n + 30)])
        assert backend.read_in_turn(b"t\0ns", "scan", [[]], soon()) == [payload] * 90
        backend.close()


def test_a_batch_too_large_is_refused_and_the_connection_goes_on(backend: ShmBackend) -> None:
    with pytest.raises(InvalidRequest, match="smaller batches"):
        backend.commit([put(str(n))._replace(payload=bytes(1 << 20)) for n in range(65)])
    backend.commit([put("a")])
    with pytest.raises(StoreFull):
        backend.commit([put(str(n))._replace(payload=bytes(1 << 20)) for n in range(20)])
    backend.commit([put("b")])
    assert backend.collection("t", "ns").count() == 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")
def test_clients_that_come_and_go_leave_no_descriptors(manager: Manager, backend: ShmBackend) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{manager.pid}/fd"))

    before = descriptors()
    for n in range(30):
        if n % 3 == 0:
            other = open_backend(manager.name, start=False, timeout=30)
            other.commit([put("a")])
            other.close()
        elif n % 3 == 1:
            raw_client(manager.name, os.urandom(16)).close()
        else:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(Place(manager.name).socket)
    eventually(lambda: descriptors() == before, "all descriptors are closed")


# ---- threads, forks, leftovers of connections -------------------------------------------------------------------


def test_a_fork_after_connecting(manager: Manager, backend: ShmBackend) -> None:
    backend.commit([put("a")])
    view = backend.collection("t", "ns")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=in_child, args=(backend, view)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in range(100):
        increment(backend, "n", 1)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert increment(backend, "n", 0) == 300
    assert backend.stats()["clients"] == 1


def in_child(backend: ShmBackend, view: Any) -> None:
    assert view.get("a")
    for _ in range(100):
        increment(backend, "n", 1)
    backend.close()


def test_a_forked_child_does_not_own_the_manager(manager: Manager, backend: ShmBackend) -> None:
    child = multiprocessing.get_context("fork").Process(target=stop_in_child, args=(manager,))
    child.start()
    child.join()
    assert child.exitcode == 0
    backend.commit([put("a")])


def stop_in_child(manager: Manager) -> None:
    manager.stop()
    with pytest.raises(InvalidRequest, match="belongs to process"):
        manager.start()
    other = open_backend(manager.name, start=False, timeout=30)
    other.commit([put("b")])
    other.close()


HANDLERS = {
    "forks": """
def handler(*_):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
""",
    "connects": """
def handler(*_):
    connect(url).close()
""",
}


@pytest.mark.parametrize("what", HANDLERS)
def test_a_handler_forks_or_connects_wherever_a_connecting_is_interrupted(manager: Manager, what: str) -> None:
    script = """
import faulthandler, itertools, os, signal, sys
from papertiger_shm import connect

faulthandler.dump_traceback_later(60, exit=True)  # for one that waits for itself
url = sys.argv[1]
left = 0
HANDLER
def count(frame, event, argument):
    global left
    left -= event == "call"
    if not left:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGUSR1)

signal.signal(signal.SIGUSR1, handler)
for number in itertools.count(1):
    left = number
    sys.setprofile(count)
    connection = connect(url)
    sys.setprofile(None)
    connection.close()
    if left > 0:
        break
assert number > 20
"""
    with python(script.replace("HANDLER", HANDLERS[what]), manager.url) as process:
        out, complaints = process.communicate()
    assert (process.returncode, out, complaints) == (0, "", "")


def test_closing_while_others_read(manager: Manager) -> None:
    backend = open_backend(manager.name, start=False, timeout=30)
    backend.commit([put(str(n)) for n in range(50)])
    ended: list[BaseException] = []
    at_work = threading.Barrier(5)

    def read() -> None:
        view = backend.collection("t", "ns")
        try:
            at_work.wait(30)
            while True:
                assert len(view.scan(())) == 50
                assert view.get("7")
        except BaseException as error:
            ended.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    at_work.wait(30)
    backend.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in ended] == [InvalidRequest] * 4


def test_forgotten_connections_and_managers_warn_of_nothing() -> None:
    manager = Manager(max_size=SIZE).start()
    pid = manager.pid
    backend = open_backend(manager.name, start=False, timeout=30)
    backend.commit([put("a")])
    view = backend.collection("t", "ns")
    assert view.get("a")
    del backend, view
    gc.collect()
    del manager
    gc.collect()
    eventually(lambda: not is_running(pid), "the manager goes")


# ---- supervisor -------------------------------------------------------------------------------------------------


def test_a_supervisor_restarts_one_for_one() -> None:
    specs = [ChildSpec("a", "one", {"max_size": SIZE}), ChildSpec("b", None, {"max_size": SIZE})]
    with Supervisor(specs, max_restarts=2, max_seconds=60) as supervisor:
        first, second = supervisor["a"], supervisor["b"]
        assert dict(supervisor.managers) == {"a": first, "b": second}
        pids = first.pid, second.pid
        backend = open_backend("one", start=False, timeout=30)
        backend.commit([put("x")])
        os.kill(pids[0], signal.SIGKILL)
        backend.commit([put("y")])
        eventually(lambda: first.pid != pids[0], "the child is restarted")
        assert second.pid == pids[1]
        assert backend.collection("t", "ns").count() == 2
        backend.close()
        supervisor.check()
    assert not rendezvous.names()


def test_a_supervisor_gives_up_on_what_dies_too_often() -> None:
    specs = [ChildSpec("a", "one", {"max_size": SIZE}), ChildSpec("b", "two", {"max_size": SIZE})]
    supervisor = Supervisor(specs, max_restarts=1, max_seconds=60).start()
    pids = [supervisor["a"].pid, supervisor["b"].pid]
    os.kill(pids[0], signal.SIGKILL)
    again = eventually(lambda: pid_or_none(supervisor["a"]) not in (None, pids[0]) and supervisor["a"].pid, "restarted")
    os.kill(again, signal.SIGKILL)
    eventually(lambda: not rendezvous.names() and not is_running(pids[1]), "all are stopped")
    eventually(lambda: not supervisor.managers, "all are stopped")
    with pytest.raises(ManagerUnavailable, match="died 2 times within 60"):
        supervisor.stop()
    supervisor.stop()
    with supervisor:
        assert is_running(supervisor["a"].pid)


def pid_or_none(manager: Manager) -> int | None:
    try:
        return manager.pid
    except InvalidRequest:
        return None


def test_a_supervisor_starts_all_or_none(manager: Manager) -> None:
    specs = [ChildSpec("a", "one", {"max_size": SIZE}), ChildSpec("b", manager.name, {"max_size": SIZE})]
    with pytest.raises(AlreadyExists):
        Supervisor(specs).start()
    assert rendezvous.names() == [manager.name]
    with pytest.raises(InvalidRequest, match="'a'"):
        Supervisor([ChildSpec("a"), ChildSpec("a")])
    with pytest.raises(InvalidRequest, match="'c'"):
        _ = Supervisor(specs)["c"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_gets_nothing(manager: Manager) -> None:
    place = Place(manager.name)
    card = place.card()
    assert card is not None
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            denied = 0
            try:
                open_backend(manager.name, start=False, timeout=1)
            except AccessDenied:
                denied += 1
            # Known beforehand, as they may be to an attacker.
            with socket.socket(socket.AF_UNIX) as link:
                try:
                    link.connect(place.socket)
                except PermissionError:
                    denied += 1
            for attach in (segments.attach, segments.attach_writable):
                try:
                    attach(card.segment)
                except AccessDenied:
                    denied += 1
            try:
                os.open(f"/dev/shm/{card.segment}", os.O_RDONLY)
            except PermissionError:
                denied += 1
            status = 0 if denied == 5 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
