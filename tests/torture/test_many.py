"""Many of everything: threads, processes, collections, restarts and forks, and a clock that runs backwards."""

from __future__ import annotations

import _posixsubprocess
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from papertiger_shm import Connection, Events, Manager, ManagerUnavailable, NotFound, WaitTimeout, connect

from .books import Keeper, Watcher, audit, open_shared
from .children import Child
from .killing import kill_writer, kill_writer_at
from .sizes import CLIENT_PROCESSES, COLLECTIONS, RESTARTS, THREAD_CALLS
from .waiting import eventually

THREADS = 32
BATCH = 500


# ---- threads and processes ------------------------------------------------------------------------------------------


def in_threads(works: list[Callable[[], None]]) -> None:
    """Run all at once; the first error of any is raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def often(work: Callable[[], None], times: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(times):
            work()

    return repeat


@pytest.mark.parametrize("dying", [False, True], ids=["undisturbed", "while its manager dies"])
def test_32_threads_on_one_connection(manager: Manager, connection: Connection, dying: bool) -> None:
    open_shared(connection)
    keepers = [Keeper(connection, f"t{n}", n) for n in range(THREADS * 3 // 4)]
    names = [keeper.name for keeper in keepers]
    watchers = [Watcher(connection, names, n) for n in range(THREADS // 4)]
    works = [often(keeper.write, THREAD_CALLS) for keeper in keepers]
    works += [often(watcher.read, THREAD_CALLS) for watcher in watchers]
    if dying:
        commits = connection.stats()["commits"] + 50
        works.append(lambda: kill_once(manager.url, commits))
    in_threads(works)
    audit(connection, [keeper.report() for keeper in keepers])
    assert connection.stats()["generation"] == 1 + dying
    assert connection.stats()["clients"] == 1


def kill_once(url: str, commits: int) -> None:
    """Seen through a connection of its own."""
    with connect(url, timeout=60) as connection:
        kill_writer_at(connection, commits)


def keep_and_watch(url: str, name: str, seed: int, times: int, gate: int) -> dict[str, Any]:
    """Be one of many clients, and start when all are there."""
    with connect(url, timeout=60) as connection:
        keeper = Keeper(connection, name, seed)
        watcher = Watcher(connection, [*{name, "p0"}], seed)
        os.read(gate, 1)
        for _ in range(times):
            keeper.write()
            watcher.read()
        return keeper.report()


def test_64_client_processes(manager: Manager, connection: Connection) -> None:
    open_shared(connection)
    gate, opener = os.pipe()
    with ExitStack() as stack:
        children = [
            stack.enter_context(Child(keep_and_watch, manager.url, f"p{n}", n, THREAD_CALLS, gate))
            for n in range(CLIENT_PROCESSES)
        ]
        eventually(lambda: connection.stats()["clients"] == CLIENT_PROCESSES + 1, "all clients")
        os.write(opener, b"!" * CLIENT_PROCESSES)
        reports = [child.result() for child in children]
        os.close(gate)
        os.close(opener)
    audit(connection, reports)
    eventually(lambda: connection.stats()["clients"] == 1, "all clients to be gone")
    assert connection.stats()["sessions"] == 1


# ---- collections ----------------------------------------------------------------------------------------------------


def test_10000_collections(manager: Manager, connection: Connection) -> None:
    stores = [Events(connection, f"run/{n % 10}/{n}") for n in range(COLLECTIONS)]
    for start in range(0, COLLECTIONS, BATCH):
        with connection.transaction():
            for n in range(start, start + BATCH):
                stores[n].insert({"id": "evt_same", "created": 1, "type": f"kind.{n % 3}", "n": n})
    assert len(connection.collections()) == COLLECTIONS
    assert connection.stats()["collections"] == COLLECTIONS
    kill_writer(connection)
    assert [store.get("evt_same")["n"] for store in stores] == [*range(COLLECTIONS)]
    assert [len(store) for store in stores[::100]] == [1] * (COLLECTIONS // 100)
    connection.verify()
    stores[0].clear_namespace("run/3")
    left = [n for n in range(COLLECTIONS) if n % 10 != 3]
    assert sorted(connection.collections()) == sorted(("paper_tiger_events", f"run/{n % 10}/{n}", 1) for n in left)
    assert "evt_same" not in stores[13]
    assert stores[14].increment("evt_same", "n") == 15
    stores[0].clear()
    assert connection.collections() == []
    assert connection.verify()


# ---- restarts and forks ---------------------------------------------------------------------------------------------


def test_many_restarts_in_one_clients_life(manager: Manager, connection: Connection) -> None:
    """A client of few words: it meets each manager with its next request."""
    open_shared(connection)
    keeper, watcher = Keeper(connection, "lifelong", 1), Watcher(connection, ["lifelong"], 1)
    for number in range(RESTARTS):
        pid = connection.stats()["writer_pid"]
        os.kill(pid, signal.SIGKILL)
        watcher.read()
        for _ in range(5):
            keeper.write()
            watcher.read()
        figures = connection.stats()
        assert figures["writer_pid"] != pid
        assert figures["generation"] == number + 2
        assert figures["sessions"] == 1
    audit(connection, [keeper.report()])


def go_on(connection: Connection, name: str, depth: int) -> list[dict[str, Any]]:
    """With the connection that was there before the fork; and fork again."""
    keeper = Keeper(connection, name, depth)
    reports = []
    with ExitStack() as stack:
        if depth:
            reports = stack.enter_context(Child(go_on, connection, f"{name}x", depth - 1)).result()
        watcher = Watcher(connection, [name], depth)
        for _ in range(50):
            keeper.write()
            watcher.read()
    return [keeper.report(), *reports]


def test_parent_and_children_go_on_after_a_fork(manager: Manager, connection: Connection) -> None:
    """Forked while other threads use the very connection, and while the manager dies."""
    open_shared(connection)
    parents = [Keeper(connection, f"parent{n}", n) for n in range(2)]
    commits = connection.stats()["commits"] + 20
    stop = threading.Event()
    reports: list[dict[str, Any]] = []

    def work(keeper: Keeper) -> None:
        while not stop.is_set():
            keeper.write()

    def fork() -> None:
        try:
            with ExitStack() as stack:
                children = [stack.enter_context(Child(go_on, connection, f"child{n}", 2)) for n in range(4)]
                kill_once(manager.url, commits)
                for child in children:
                    reports.extend(child.result())
        finally:
            stop.set()

    in_threads([lambda: work(parents[0]), lambda: work(parents[1]), fork])
    assert len(reports) == 12
    audit(connection, [*reports, *(parent.report() for parent in parents)])


# ---- the clock ------------------------------------------------------------------------------------------------------


def test_the_clock_is_set_back(manager: Manager, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order is by ``created`` as it was written; whatever waits, waits by a clock that nobody can set."""
    events = Events(connection, "clock")
    now = time.time()
    readings = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(readings))
    stored = [events.insert({"id": f"evt_{n}"}) for n in range(20)]
    seconds = [item["created"] for item in stored]
    assert seconds == sorted(seconds, reverse=True), "every item is older than the one before"
    assert [item["id"] for item in events] == [f"evt_{n}" for n in range(20)]
    versions = [events.version(f"evt_{n}") for n in range(20)]
    assert versions == sorted(versions), "versions follow the order of the writes, not the clock"
    begun = time.monotonic()
    with pytest.raises(WaitTimeout):
        events.wait_for(0.2, type="never")
    assert 0.2 <= time.monotonic() - begun < 30
    os.kill(manager.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(ManagerUnavailable), connect(manager.url, timeout=0.2):
            pass
        assert time.monotonic() - begun < 30
    finally:
        os.kill(manager.pid, signal.SIGCONT)
    kill_writer(connection)
    assert events.insert({"id": "evt_after"})["created"] < seconds[-1]
    assert [item["id"] for item in events][-1] == "evt_after"


def test_explicit_seconds_order_everything_whatever_the_order_of_writing(connection: Connection) -> None:
    chance = random.Random(11)
    events = Events(connection, "clock")
    seconds = [
        chance.choice([-(2**63), -1, 0, 1, 1735689600, 2**63 - 1, chance.randrange(1 << 40)]) for _ in range(200)
    ]
    for n, created in enumerate(seconds):
        events.insert({"id": f"evt_{n}", "created": created})
    expected = sorted(range(200), key=lambda n: (seconds[n], n), reverse=True)
    assert [item["id"] for item in events] == [f"evt_{n}" for n in expected]
    for n in chance.sample(range(200), 50):
        events.delete(f"evt_{n}")
        with pytest.raises(NotFound):
            events.get(f"evt_{n}")
        expected.remove(n)
    assert [item["id"] for item in events] == [f"evt_{n}" for n in expected]
    connection.verify()


def test_a_fork_while_the_manager_is_being_restarted(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child must not get the pipe by which the owner learns that the next manager runs."""
    home, name = (subprocess, "_fork_exec") if hasattr(subprocess, "_fork_exec") else (_posixsubprocess, "fork_exec")
    real, entered, forked = getattr(home, name), threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        entered.set()
        forked.wait(1)
        return real(*arguments)

    monkeypatch.setattr(home, name, slow)
    seconds: list[float] = []
    thread = threading.Thread(target=lambda: seconds.append(kill_writer(connection)))
    thread.start()
    assert entered.wait(30)
    with Child(time.sleep, 60):
        forked.set()
        thread.join()
    assert seconds[0] < 30
