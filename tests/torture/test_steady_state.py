"""Endless updates, deletes and clears: the memory used stays within one and a half times what was alive."""

from __future__ import annotations

import random
from typing import Any

import pytest

from papertiger_shm import Connection, Events
from papertiger_shm.shm.segment import STEP

from .sizes import STEADY_OPERATIONS

KEYS = 1_500
BATCH = 25
LOOK_EVERY = 40


def an_event(chance: random.Random, key: int, largest: int) -> dict[str, Any]:
    return {
        "id": f"evt_{key}",
        "created": chance.randrange(100),
        "type": f"kind.{chance.randrange(30)}",
        "data": "x" * chance.randrange(largest),
    }


def updates(chance: random.Random, connection: Connection) -> None:
    """Items of ever changing size."""
    events = Events(connection, "steady")
    events.insert_many(an_event(chance, chance.randrange(KEYS), 8_000) for _ in range(BATCH))


def deletes(chance: random.Random, connection: Connection) -> None:
    """The store breathes: for a while more come than go, then more go than come."""
    events = Events(connection, "steady")
    with connection.transaction():
        for _ in range(BATCH):
            key = chance.randrange(KEYS)
            if chance.random() < 0.5:
                events.delete(f"evt_{key}")
            else:
                events.insert(an_event(chance, key, 8_000))


def clears(chance: random.Random, connection: Connection) -> None:
    """Namespaces of a test's kind: filled, read, cleared; never the same one twice."""
    number = chance.randrange(1 << 60)
    events = Events(connection, f"run/{number}")
    events.insert_many(an_event(chance, key, 20_000) for key in range(BATCH - 1))
    if number % 64:
        Events(connection).clear_namespace(f"run/{number}")
    elif number % 640 == 0:
        Events(connection).clear_namespace("run")


def everything(chance: random.Random, connection: Connection) -> None:
    chance.choice((updates, deletes, clears))(chance, connection)


@pytest.mark.parametrize("work", [updates, deletes, clears, everything])
def test_memory_stays_bounded(connection: Connection, work: Any, record_property: Any) -> None:
    chance = random.Random(7)
    events = Events(connection, "steady")
    for start in range(0, KEYS, 500):
        events.insert_many(an_event(chance, key, 8_000) for key in range(start, start + 500))
    live_peak = used = 0
    for turn in range(STEADY_OPERATIONS // BATCH // 4):
        work(chance, connection)
        if turn % LOOK_EVERY == 0:
            figures = connection.stats()
            live_peak, used = max(live_peak, figures["bytes_live"]), figures["bytes_used"]
            assert used <= 1.5 * live_peak + STEP, (turn, figures)
    figures = connection.stats()
    print(f"{work.__name__}: {live_peak:,} bytes alive at most, {used:,} used, {figures['bytes_reserved']:,} reserved")
    record_property("ratio", used / live_peak)
    assert figures["bytes_reserved"] <= figures["bytes_used"] + 2 * STEP
    connection.verify()


def test_clears_without_a_pause_leave_nothing_behind(connection: Connection) -> None:
    """Lazy work has to keep pace where there is never a quiet moment: alive is at any time one namespace."""
    for turn in range(STEADY_OPERATIONS // 30):
        events = Events(connection, f"run/{turn}")
        events.insert_many({"id": f"evt_{n}", "created": 1, "data": "x" * 10_000} for n in range(24))
        events.clear_namespace(f"run/{turn}")
    assert connection.stats()["bytes_used"] <= 1.5 * 24 * 10_500 + STEP
    connection.verify()
