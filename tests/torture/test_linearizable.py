"""Histories of concurrent calls from several processes could have happened one after the other; transactions whole."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from papertiger_shm import AlreadyExists, Conflict, Connection, Events, Manager, NotFound, connect

from .children import Child
from .killing import kill_writer_at
from .linearizability import Call, Item, apply, linearizable
from .sizes import HISTORY_CALLS, HISTORY_KILLS, TRANSACTIONS

PROCESSES = 4
KEYS = ["x", "y", "z"]
GROUP = 12


def history_of(url: str, name: str, seed: int, calls: int) -> list[tuple[str, Call]]:
    """Calls at random on few keys, each with the interval in which it happened and what it was answered."""
    chance = random.Random(seed)
    done = []
    with connect(url, timeout=60) as connection:
        events = Events(connection, "history")
        versions: dict[str, int] = {}
        for turn in range(calls):
            key = chance.choice(KEYS)
            value = f"{name}{turn}"
            kind = chance.choice(
                ["get", "get", "insert", "insert_new", "delete", "version", "compare_and_set", "increment", "increment"]
            )
            if kind == "compare_and_set" and key not in versions:
                kind = "version"
            operation = {
                "insert": (kind, value),
                "insert_new": (kind, value),
                "compare_and_set": (kind, value, versions.get(key)),
            }.get(kind, (kind,))
            begun = time.monotonic_ns()
            result = perform(events, key, operation)
            ended = time.monotonic_ns()
            if kind == "version" and result is not None:
                versions[key] = result
            done.append((key, Call(begun, ended, operation, result)))
    return done


def perform(events: Events, key: str, operation: tuple[Any, ...]) -> Any:
    """Carry it out; the result as ``linearizability.apply`` knows it."""
    kind, *arguments = operation
    if kind == "get":
        item = events.get(key, None)
        return None if item is None else (item["value"], item["n"])
    if kind == "delete":
        events.delete(key)
        return "ok"
    if kind == "increment":
        try:
            return events.increment(key, "n")
        except NotFound:
            return None
    if kind == "version":
        try:
            return events.version(key)
        except NotFound:
            return None
    item = {"id": key, "created": 1, "value": arguments[0], "n": 0}
    try:
        if kind == "insert":
            events.insert(item)
        elif kind == "insert_new":
            events.insert_new(item)
        else:
            events.compare_and_set(item, arguments[1])
    except AlreadyExists:
        return "exists"
    except Conflict:
        return "conflict"
    return "ok"


@pytest.mark.parametrize("kills", [0, HISTORY_KILLS], ids=["undisturbed", "while managers die"])
def test_histories_are_linearizable(manager: Manager, connection: Connection, kills: int, record_property: Any) -> None:
    chance = random.Random()
    before = connection.stats()["commits"]
    with ExitStack() as stack:
        seed = chance.randrange(1 << 30)
        children = [
            stack.enter_context(Child(history_of, manager.url, f"p{number}.", seed + number, HISTORY_CALLS))
            for number in range(PROCESSES)
        ]
        for number in range(kills):
            kill_writer_at(connection, before + 10 * (number + 1))
        calls = [call for child in children for call in child.result()]
    results = {(call.operation[0], _kind(call.result)) for _, call in calls}
    overlapping = sum(
        first.ended > second.begun
        for key in KEYS
        for mine in [sorted((call for k, call in calls if k == key), key=lambda call: call.begun)]
        for first, second in pairwise(mine)
    )
    record_property("overlapping", overlapping)
    print(f"{len(calls):,} calls, {overlapping:,} of them overlap the next one on their key; {len(results)} outcomes")
    assert len(results) >= 10, results
    for key in KEYS:
        mine = [call for k, call in calls if k == key]
        assert linearizable(mine, Item(), apply), (key, seed, sorted(mine, key=lambda call: call.begun))
    connection.verify()


def _kind(result: Any) -> Any:
    return result if isinstance(result, str) or result is None else type(result).__name__


def write_rounds(url: str, rounds: int, parity: int) -> int:
    """Transactions of a whole group at a time, in one of two halves of the ids, with some that fail at their end."""
    failed = 0
    with connect(url, timeout=60) as connection:
        events = Events(connection, "groups")
        for round in range(rounds):
            side = (round + parity) % 2
            spoilt = round % 3 == 2
            try:
                with connection.transaction():
                    for n in range(GROUP):
                        events.delete(f"{1 - side}_{n}")
                    for n in random.sample(range(GROUP), GROUP):
                        word = "spoilt" if spoilt else f"{parity}.{round}"
                        item = {"id": f"{side}_{n}", "created": n % 5, "type": "member", "round": word, "n": 0}
                        events.insert(item)
                    for n in range(GROUP):
                        events.increment(f"{side}_{n}", "n")
                    if spoilt:
                        events.insert_new({"id": f"{side}_0"})
            except AlreadyExists:
                failed += 1
    return failed


def read_groups(url: str, stop: str) -> dict[str, int]:
    """Every way to read several shows one group as one transaction left it."""
    views = {"list": 0, "get_many": 0, "iteration": 0, "find_by": 0}
    ids = [f"{side}_{n}" for n in range(GROUP) for side in range(2)]
    with connect(url, timeout=60) as connection:
        events, told = Events(connection, "groups"), Events(connection, "told")
        while stop not in told:
            for way, items in (
                ("list", events.list(limit=100).data),
                ("get_many", [item for item in events.get_many(ids) if item is not None]),
                ("iteration", list(events)),
                ("find_by", events.find_by_type("member")),
            ):
                assert len(items) == GROUP, (way, items)
                assert len({(item["id"][0], item["round"], item["n"]) for item in items}) == 1, (way, items)
                assert items[0]["n"] == 1, (way, items)
                assert items[0]["round"] != "spoilt", (way, items)
                views[way] += 1
    return views


def test_transactions_are_all_or_nothing(manager: Manager, connection: Connection) -> None:
    write_rounds(manager.url, 1, 0)
    with ExitStack() as stack:
        readers = [stack.enter_context(Child(read_groups, manager.url, "stop")) for _ in range(2)]
        writers = [stack.enter_context(Child(write_rounds, manager.url, TRANSACTIONS, parity)) for parity in range(2)]
        assert [writer.result() for writer in writers] == [TRANSACTIONS // 3] * 2
        Events(connection, "told").insert({"id": "stop"})
        views = [reader.result() for reader in readers]
    print(views)
    assert all(number > 5 for view in views for number in view.values()), views
    connection.verify()
