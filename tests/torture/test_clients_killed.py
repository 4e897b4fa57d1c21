"""Clients that die at any moment: nobody else notices, and the manager keeps nothing of them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from papertiger_shm import Connection, Events, Manager, connect
from papertiger_shm.shm import launch

from .books import NAMESPACE, Keeper, Watcher, audit, open_shared
from .children import Child
from .processes import anonymous_memory, descriptors, threads
from .sizes import CLIENT_KILLS, TORTURE
from .waiting import eventually

GRACE = 1.0
"""Seconds for which the manager of the short form keeps a lost client's session; the long form waits for the real."""

ANON_GROWTH = 4 << 20

NAMES = 40
"""Clients of a name that a dead one had write over what it wrote: else the manager would rightly grow with the data."""


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    if not TORTURE:
        shorter = f"import papertiger_shm.shm.server as server\nserver.GRACE = {GRACE}\nmain(orders)\n"
        monkeypatch.setattr(launch, "_BOOT", launch._BOOT.replace("main(orders)\n", shorter))
    with Manager(max_size="256 MiB") as manager:
        yield manager


def write_until_killed(url: str, name: str, seed: int) -> None:
    with connect(url, timeout=60) as connection:
        with connection.transaction():
            for id in Keeper.ids_of(name):
                Events(connection, NAMESPACE).delete(id)
        keeper = Keeper(connection, name, seed)
        while True:
            keeper.write()


def batches_until_killed(url: str, name: str, seed: int) -> None:
    """Requests of some hundred kilobytes, so that many die in the midst of one."""
    with connect(url, timeout=60) as connection:
        events = Events(connection, "batches")
        while True:
            with connection.transaction():
                events.insert_many({"id": f"{name}_{n}", "created": seed, "data": "x" * 4000} for n in range(100))


def come_and_go_until_killed(url: str, name: str, seed: int) -> None:
    """Many die in the handshake."""
    while True:
        with connect(url, timeout=60) as connection:
            Events(connection, "visitors").insert({"id": name, "created": seed})


def read_until_killed(url: str, name: str, seed: int) -> None:
    with connect(url, timeout=60) as connection:
        watcher = Watcher(connection, ["survivor"], seed)
        while True:
            watcher.read()


def inherit_until_killed(connection: Connection, name: str, seed: int) -> None:
    """Go on with the connection of the process that this one was forked from."""
    events = Events(connection, "heirs")
    while True:
        events.insert({"id": name, "created": seed})


def kill_some(connection: Connection, url: str, number: int, chance: random.Random, survivor: Keeper) -> None:
    """Start clients and kill each at a random moment, a few at work at a time; the survivor works on meanwhile."""
    ways = [write_until_killed, batches_until_killed, come_and_go_until_killed, read_until_killed]
    at_work: list[Child] = []
    for turn in range(number):
        seed = chance.randrange(1 << 30)
        name = f"n{turn % NAMES}"
        if turn % 5 == 4:
            at_work.append(Child(inherit_until_killed, connection, name, seed))
        else:
            at_work.append(Child(ways[turn % 5], connection.url, name, seed))
        until = time.monotonic() + chance.random() ** 2 * 0.1
        while time.monotonic() < until:
            survivor.write()
        if len(at_work) > 3:
            with at_work.pop(chance.randrange(len(at_work))):
                pass  # leaving kills it
    for child in at_work:
        with child:
            pass


def test_killed_clients_leave_nothing_and_disturb_nobody(
    manager: Manager, connection: Connection, record_property: Any
) -> None:
    chance = random.Random()
    open_shared(connection)
    survivor = Keeper(connection, "survivor", 1)
    before = connection.stats()
    eventually(lambda: threads(manager.pid) == 1, "the last handshake to end")
    files = descriptors(manager.pid)
    kill_some(connection, manager.url, max(10, CLIENT_KILLS // 4), chance, survivor)
    eventually(lambda: connection.stats()["clients"] == 1, "the manager to notice all deaths")
    eventually(lambda: threads(manager.pid) == 1, "the last handshake to end")
    warm = anonymous_memory(manager.pid)

    kill_some(connection, manager.url, CLIENT_KILLS, chance, survivor)
    eventually(lambda: connection.stats()["clients"] == 1, "the manager to notice all deaths")
    eventually(lambda: descriptors(manager.pid) == files, "descriptors to be closed")
    eventually(lambda: threads(manager.pid) == 1, "the last handshake to end")
    sessions = connection.stats()["sessions"]
    eventually(lambda: connection.stats()["sessions"] == 1, "sessions to end after their grace", 90)
    grown = anonymous_memory(manager.pid) - warm
    figures = {"kills": CLIENT_KILLS, "sessions": sessions, "grown": grown, "slowest write": survivor.slowest}
    record_property("figures", figures)
    print(figures)
    assert grown < ANON_GROWTH, figures
    assert survivor.slowest < 30, figures
    assert connection.stats()["writer_pid"] == before["writer_pid"]
    assert connection.stats()["generation"] == before["generation"]
    connection.verify()
    whole_batches_only(connection)
    books_of_the_survivor(connection, survivor)


def whole_batches_only(connection: Connection) -> None:
    """A transaction of one that was killed happened, or did not."""
    batches: dict[str, int] = {}
    for item in Events(connection, "batches"):
        name = item["id"].partition("_")[0]
        batches[name] = batches.get(name, 0) + 1
    assert set(batches.values()) <= {100}, batches


def books_of_the_survivor(connection: Connection, survivor: Keeper) -> None:
    """With what the dead left in its namespace out of the way, the survivor's books are all there is."""
    report = survivor.report()
    for item in survivor.events:
        if item["id"] == "shared":
            assert item["n"] >= report["shared_added"]
            report["shared_added"] = item["n"]
        elif not item["id"].startswith("survivor"):
            survivor.events.delete(item["id"])
    audit(connection, [report])
