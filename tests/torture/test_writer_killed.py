"""The writer process dies again and again under clients that keep books: nothing lost, doubled, torn, nor stuck.

Functions named ``in_...`` run in fresh interpreters: they import what they need and know nothing of this module.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from interpreters import Interpreter
from papertiger_shm import Connection, Events, Manager, connect

from .books import audit, open_shared
from .fresh import PYTHONPATH
from .killing import kill_writer
from .sizes import RECOVERED_EVENTS, WRITER_KILLS
from .waiting import eventually

KEEPERS = ["a", "b"]
WATCHERS = 2
STUCK = 20.0
"""Seconds beyond a recovery after which a reader counts as stuck."""


def in_keeper(url: str, name: str, seed: int) -> dict[str, Any]:
    from papertiger_shm import Events, connect
    from torture.books import Keeper

    with connect(url, timeout=60) as connection:
        told = Events(connection, "told")
        keeper = Keeper(connection, name, seed)
        told.insert({"id": f"ready {name}"})
        while "stop" not in told:
            keeper.write()
        return keeper.report()


def in_watcher(url: str, names: list[str], seed: int) -> dict[str, Any]:
    from papertiger_shm import Events, connect
    from torture.books import Watcher

    with connect(url, timeout=60) as connection:
        told = Events(connection, "told")
        watcher = Watcher(connection, names, seed)
        told.insert({"id": f"ready watcher {seed}"})
        while "stop" not in told:
            watcher.read()
        retries = connection._backend._attached.reader.retries  # type: ignore[attr-defined]
        return {"reads": watcher.reads, "slowest": watcher.slowest, "seen": len(watcher.newest), "retries": retries}


def starting_manager(manager: Manager) -> int | None:
    """Process id of the manager of this name that is starting or running, as the kernel knows it."""
    for children in Path("/proc/self/task").glob("*/children"):
        try:
            pids = children.read_text().split()
        except OSError:  # that thread has ended
            continue
        for pid in pids:
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if manager.name.encode() in command:
                return int(pid)
    return None


def kill_twice(manager: Manager, connection: Connection, pause: float) -> float:
    """Kill the writer process, and the one that follows it ``pause`` seconds after its birth."""
    first = connection.stats()["writer_pid"]
    begun = time.monotonic()
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: pid if (pid := starting_manager(manager)) != first else None, "a next manager")
    time.sleep(pause)  # anywhere in its first moments
    os.kill(second, signal.SIGKILL)
    eventually(lambda: connection.stats()["writer_pid"] not in (first, second), "the one after the next")
    return time.monotonic() - begun


def test_everything_acknowledged_survives_every_kill(
    manager: Manager, connection: Connection, record_property: Any
) -> None:
    chance = random.Random()
    told = Events(connection, "told")
    open_shared(connection)
    recoveries = []
    with ExitStack() as stack:
        keepers = [
            stack.enter_context(Interpreter(in_keeper, manager.url, name, seed, PYTHONPATH=PYTHONPATH))
            for seed, name in enumerate(KEEPERS)
        ]
        watchers = [
            stack.enter_context(Interpreter(in_watcher, manager.url, KEEPERS, seed, PYTHONPATH=PYTHONPATH))
            for seed in range(WATCHERS)
        ]
        eventually(lambda: len(told) == len(KEEPERS) + WATCHERS, "all clients at work")
        for number in range(WRITER_KILLS):
            time.sleep(chance.random() ** 2 * 0.1)  # the moment is the point
            if number % 5 == 4:
                recoveries.append(kill_twice(manager, connection, chance.random() * 0.2))
            else:
                recoveries.append(kill_writer(connection))
            connection.verify()
            for client in (*keepers, *watchers):
                assert client.is_running(), client.result()
        told.insert({"id": "stop"})
        reports = [keeper.result() for keeper in keepers]
        readers = [watcher.result() for watcher in watchers]
    figures = {
        "kills": len(recoveries),
        "slowest recovery": max(recoveries),
        "writes": [report["writes"] for report in reports],
        "slowest writes": [report["slowest"] for report in reports],
        "readers": readers,
    }
    record_property("figures", figures)
    print(figures)
    audit(connection, reports)
    assert connection.stats()["generation"] > WRITER_KILLS
    for reader in readers:
        assert reader["slowest"] < max(recoveries) + STUCK, figures
        assert reader["seen"] > len(KEEPERS), figures


def test_recovery_of_a_large_store(record_property: Any) -> None:
    """How long it takes is printed; that it takes no more than a minute is all that is asserted."""
    batch = 10_000
    with Manager(max_size="4 GiB") as manager, connect(manager.url, timeout=120) as connection:
        events = Events(connection, "large")
        for start in range(0, RECOVERED_EVENTS, batch):
            events.insert_many(
                {"id": f"evt_{number}", "created": number // 10, "type": f"kind.{number % 20}", "amount": number}
                for number in range(start, start + batch)
            )
        pid = manager.pid
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        events.increment("evt_7", "amount")
        seconds = time.monotonic() - begun
        print(f"{RECOVERED_EVENTS:,} events: the first write was acknowledged {seconds:.3f} s after the kill")
        record_property("seconds", seconds)
        assert seconds < 60
        assert connection.stats()["writer_pid"] != pid
        assert len(events) == RECOVERED_EVENTS
        assert events.get("evt_7")["amount"] == 8
        assert events.get(f"evt_{RECOVERED_EVENTS - 1}")["amount"] == RECOVERED_EVENTS - 1
        assert events.list(1).data[0]["id"] == f"evt_{RECOVERED_EVENTS - 1}"
