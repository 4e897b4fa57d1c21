"""The manager is stopped (SIGSTOP) for a while: reads go on, writes give up in time, late requests count once."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from papertiger_shm import AlreadyExists, Connection, Events, Manager, ManagerUnavailable, connect
from patience import set_timeout

from .children import Child
from .processes import state
from .sizes import STOPPED_SECONDS, STOPPED_TIMEOUT
from .waiting import eventually

CLIENTS = 4
SLACK = 20.0
"""Seconds that anything may take beyond what it should, on a machine that is busy with other things."""


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: state(pid) == "T", "the manager to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def latencies(events: Events, seconds: float) -> list[float]:
    """Of single reads, each of which must bring the right item."""
    found = []
    until = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until:
        turn += 1
        begun = time.perf_counter()
        item = events.get(f"evt_{turn % 50}")
        found.append(time.perf_counter() - begun)
        assert item["n"] == turn % 50
    return found


def test_reads_are_as_quick_as_ever(manager: Manager, connection: Connection, record_property: Any) -> None:
    events = Events(connection, "stopped")
    events.insert_many({"id": f"evt_{n}", "created": n, "n": n, "type": f"kind.{n % 5}"} for n in range(50))
    before = latencies(events, 0.2)
    with stopped(manager.pid):
        during = latencies(events, STOPPED_SECONDS)
        assert [item["n"] for item in events.list(limit=50)] == [*range(49, -1, -1)]
        assert [item["n"] for item in events.get_many(["evt_3", "evt_1"]) if item] == [3, 1]
        assert [item["n"] for item in events] == [*range(49, -1, -1)]
        assert len(events.find_by_type("kind.2")) == 10
        assert len(events) == 50
        assert state(manager.pid) == "T", "it was stopped all the while"
    figures = {
        "median before": statistics.median(before),
        "median during": statistics.median(during),
        "slowest during": max(during),
        "reads": len(during),
    }
    record_property("figures", figures)
    print(figures)
    assert figures["slowest during"] < SLACK, figures


def late_writes(url: str, name: str, stop: int, go_on: int) -> dict[str, Any]:
    """Write while the manager is stopped, again and again; then, told so, go on. What was answered, and when."""
    with connect(url, timeout=60) as connection:
        events = Events(connection, "late")
        events.insert({"id": f"{name}_number", "created": 1, "n": 0})
        set_timeout(connection._backend, STOPPED_TIMEOUT)
        os.write(stop, b"!")
        os.read(go_on, 1)
        waits = []
        for write in (
            lambda: events.increment(f"{name}_number", "n"),
            lambda: events.insert_new({"id": f"{name}_new", "created": 2}),
            lambda: events.increment(f"{name}_number", "n"),
        ):
            begun = time.monotonic()
            with pytest.raises(ManagerUnavailable):
                write()
            waits.append(time.monotonic() - begun)
        os.write(stop, b"!")
        os.read(go_on, 1)
        set_timeout(connection._backend, 60)
        begun = time.monotonic()
        number = events.increment(f"{name}_number", "n")
        after = time.monotonic() - begun
        return {"waits": waits, "number": number, "after": after}


def test_a_late_request_is_applied_at_most_once_and_the_next_one_works(manager: Manager, record_property: Any) -> None:
    """Three requests in a row fail; only the first had a connection to lie in, so none may count twice."""
    told, tell = os.pipe()
    with ExitStack() as stack:
        pipes = [os.pipe() for _ in range(CLIENTS)]
        children = [
            stack.enter_context(Child(late_writes, manager.url, f"c{n}", tell, ends[0])) for n, ends in enumerate(pipes)
        ]
        _await_bytes(told, CLIENTS)
        with stopped(manager.pid):
            begun = time.monotonic()
            for _, end in pipes:
                os.write(end, b"!")
            _await_bytes(told, CLIENTS)
            eventually(lambda: time.monotonic() - begun > STOPPED_SECONDS, "the whole stop")
        for _, end in pipes:
            os.write(end, b"!")
        reports = [child.result() for child in children]
        for end in (told, tell, *(end for ends in pipes for end in ends)):
            os.close(end)
    record_property("reports", reports)
    print(reports)
    with connect(manager.url, timeout=60) as connection:
        events = Events(connection, "late")
        for n, report in enumerate(reports):
            assert all(STOPPED_TIMEOUT * 0.9 < wait < STOPPED_TIMEOUT + SLACK for wait in report["waits"]), report
            assert 1 <= report["number"] <= 3, report
            # What is late is applied before the next request is answered, or never.
            assert events.get(f"c{n}_number")["n"] == report["number"], report
            if f"c{n}_new" in events:
                with pytest.raises(AlreadyExists):
                    events.insert_new({"id": f"c{n}_new"})
        connection.verify()
        assert connection.stats()["generation"] == 1


def test_a_request_in_time_for_the_end_of_the_stop_is_answered(manager: Manager) -> None:
    """It waits in the manager's buffer, and its client in patience."""
    with connect(manager.url, timeout=60) as connection:
        events = Events(connection, "late")
        events.insert({"id": "number", "created": 1, "n": 0})
        with stopped(manager.pid), Child(_increment, manager.url) as child:
            assert events.get("number")["n"] == 0
            eventually(lambda: state(child.pid) == "S", "the child to wait")
            os.kill(manager.pid, signal.SIGCONT)
            assert child.result() == 1
        assert events.get("number")["n"] == 1


def _increment(url: str) -> Any:
    with connect(url, timeout=60) as connection:
        return Events(connection, "late").increment("number", "n")


def _await_bytes(source: int, count: int) -> None:
    while count:
        count -= len(os.read(source, count))
