"""Books: what a client was told is stored, compared with what the store answers, at every step and at the end.

A keeper does every kind of write, knows what must come of each, and writes down what was acknowledged. A watcher reads
what keepers write and knows what it must never see. Neither knows who dies meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from papertiger_shm import AlreadyExists, Connection, Events, NotFound

KEYS = 12
NAMESPACE = "books"
SHARED = "shared"


def whole_item(id: str, sequence: int, created: int) -> dict[str, Any]:
    """An item that tells by itself whether it is whole, of a size and place that changes each time."""
    filler = f"{sequence}." * (sequence * 7919 % 150)
    digest = blake2b(f"{id} {sequence} {filler}".encode(), digest_size=16).hexdigest()
    kind = f"kind.{sequence % 3}"
    return {"id": id, "created": created, "type": kind, "sequence": sequence, "filler": filler, "digest": digest}


def open_shared(connection: Connection) -> None:
    """Make the number that all keepers increment."""
    Events(connection, NAMESPACE).insert({"id": SHARED, "created": 0, "n": 0})


class Keeper:
    """One writing client. ``name`` begins the ids that nobody else writes."""

    def __init__(self, connection: Connection, name: str, seed: int) -> None:
        self.connection = connection
        self.events = Events(connection, NAMESPACE)
        self.name = name
        self.chance = random.Random(seed)
        self.sequence = 0
        self.held: dict[str, dict[str, Any]] = {}
        self.n = 0
        self.shared_added = 0
        self.shared_seen = 0
        self.slowest = 0.0
        self.counter = f"{name}_counter"
        self.events.insert_new({"id": self.counter, "created": 0, "n": 0})
        self._writes: list[Callable[[], None]] = [
            self._insert,
            self._insert,
            self._insert_many,
            self._insert_new,
            self._increment,
            self._increment,
            self._increment_shared,
            self._compare_and_set,
            self._transaction,
            self._failing_transaction,
            self._delete,
        ]

    @staticmethod
    def ids_of(name: str) -> list[str]:
        """Every id that a keeper of this name may write."""
        return [f"{name}_{key}" for key in (*range(KEYS), "left", "right", "counter")]

    def write(self) -> None:
        """One more write of whatever kind; raises if it was not what it had to be."""
        begun = time.monotonic()
        self.chance.choice(self._writes)()
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def report(self) -> dict[str, Any]:
        """All that was acknowledged, for ``audit``."""
        return {
            "name": self.name,
            "held": self.held,
            "n": self.n,
            "shared_added": self.shared_added,
            "writes": self.sequence,
            "slowest": self.slowest,
        }

    def _item(self, id: str | None = None) -> dict[str, Any]:
        self.sequence += 1
        id = id or f"{self.name}_{self.chance.randrange(KEYS)}"
        return whole_item(id, self.sequence, self.chance.randrange(5))

    def _keep(self, *items: dict[str, Any]) -> None:
        self.held.update((item["id"], item) for item in items)

    def _insert(self) -> None:
        item = self._item()
        self.events.insert(item)
        self._keep(item)

    def _insert_many(self) -> None:
        items = [self._item(f"{self.name}_{key}") for key in range(KEYS)]
        assert self.events.insert_many(items) == KEYS
        self._keep(*items)

    def _insert_new(self) -> None:
        item = self._item()
        try:
            self.events.insert_new(item)
        except AlreadyExists:
            assert item["id"] in self.held, f"{item['id']} was inserted twice, or is there after its deletion"
        else:
            assert item["id"] not in self.held, f"{item['id']} was acknowledged and is gone"
            self._keep(item)

    def _increment(self) -> None:
        by = self.chance.randrange(1, 10)
        number = self.events.increment(self.counter, "n", by)
        assert number == self.n + by, f"{self.n} + {by} gave {number}"
        self.n = number

    def _increment_shared(self) -> None:
        number = self.events.increment(SHARED, "n")
        assert number > self.shared_seen, f"{number} after {self.shared_seen}"
        self.shared_seen = number
        self.shared_added += 1

    def _compare_and_set(self) -> None:
        item = self._item()
        try:
            version = self.events.version(item["id"])
        except NotFound:
            assert item["id"] not in self.held, f"{item['id']} was acknowledged and is gone"
            return
        assert item["id"] in self.held
        self.events.compare_and_set(item, version)  # a Conflict would mean that it was applied twice
        self._keep(item)

    def _transaction(self) -> None:
        """Two items that are only ever written together, and a number."""
        self.sequence += 1
        pair = [whole_item(f"{self.name}_{side}", self.sequence, self.sequence % 4) for side in ("left", "right")]
        with self.connection.transaction() as transaction:
            self.events.insert(pair[0])
            self.events.increment(self.counter, "n")
            self.events.insert(pair[1])
        assert transaction.results == [None, self.n + 1, None], (transaction.results, self.n)
        self.n += 1
        self._keep(*pair)

    def _failing_transaction(self) -> None:
        item = self._item()
        try:
            with self.connection.transaction():
                self.events.insert({**item, "digest": "never to be seen"})
                self.events.increment(self.counter, "n")
                self.events.insert_new({"id": SHARED})
        except AlreadyExists:
            return
        raise AssertionError("a transaction that cannot happen was acknowledged")

    def _delete(self) -> None:
        id = f"{self.name}_{self.chance.randrange(KEYS)}"
        self.events.delete(id)
        self.held.pop(id, None)


class Watcher:
    """One reading client."""

    def __init__(self, connection: Connection, names: list[str], seed: int) -> None:
        self.events = Events(connection, NAMESPACE)
        self.names = names
        self.chance = random.Random(seed)
        self.newest: dict[str, int] = {}
        self.slowest = 0.0
        self.reads = 0
        self._ways: list[Callable[[], None]] = [
            self._get,
            self._get,
            self._get_many,
            self._list,
            self._iterate,
            self._find,
        ]

    def read(self) -> None:
        """One more read of whatever kind; raises at what must not be seen."""
        begun = time.monotonic()
        self.chance.choice(self._ways)()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.reads += 1

    def _examine(self, item: dict[str, Any]) -> None:
        id = item["id"]
        sequence = item["n"] if "n" in item else item["sequence"]
        if "n" not in item:
            assert item == whole_item(id, sequence, item["created"]), f"{id} is not whole: {item}"
        before = self.newest.get(id, 0)
        assert sequence >= before, f"{id} was at {before} and then at {sequence}"
        self.newest[id] = sequence

    def _examine_view(self, items: list[dict[str, Any]]) -> None:
        ids = [item["id"] for item in items]
        assert len(set(ids)) == len(ids), ids
        found = {item["id"]: item for item in items}
        for item in items:
            self._examine(item)
        for name in self.names:
            sides = [found[id]["sequence"] if (id := f"{name}_{side}") in found else None for side in ("left", "right")]
            assert sides[0] == sides[1], f"half a transaction of {name}: {sides}"

    def _get(self) -> None:
        id = f"{self.chance.choice(self.names)}_{self.chance.choice([*range(KEYS), 'left', 'right', 'counter'])}"
        item = self.events.get(id, None)
        if item is not None:
            assert item["id"] == id
            self._examine(item)

    def _get_many(self) -> None:
        ids = [f"{name}_{key}" for name in self.names for key in ("left", 1, "counter", "right", 0)]
        items = self.events.get_many(ids)
        assert all(item is None or item["id"] == id for id, item in zip(ids, items))
        self._examine_view([item for item in items if item is not None])

    def _list(self) -> None:
        page = self.events.list(limit=100)
        seconds = [item["created"] for item in page.data]
        assert seconds == sorted(seconds, reverse=True), seconds
        if not page.has_more:
            self._examine_view(page.data)

    def _iterate(self) -> None:
        self._examine_view(list(self.events))

    def _find(self) -> None:
        kind = f"kind.{self.chance.randrange(3)}"
        for item in self.events.find_by_type(kind):
            assert item["type"] == kind, item
            self._examine(item)


def audit(connection: Connection, reports: list[dict[str, Any]]) -> None:
    """At the end: everything that was acknowledged, and nothing else."""
    events = Events(connection, NAMESPACE)
    expected: dict[str, Any] = {SHARED: sum(report["shared_added"] for report in reports)}
    for report in reports:
        expected[f"{report['name']}_counter"] = report["n"]
        expected.update(report["held"])
    found = {item["id"]: item.get("n", item) for item in events}
    wrong = {id: (expected.get(id), found.get(id)) for id in {*expected, *found} if expected.get(id) != found.get(id)}
    assert not wrong, f"expected and found differ: {wrong}"
    assert len(events) == len(expected)
    for id in expected:
        assert events.get(id)["id"] == id
    connection.verify()
