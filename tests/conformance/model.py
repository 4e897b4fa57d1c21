"""The contract in plain dicts: what a set of tables holds after each operation. No store is used here.

An operation is a tuple: its name, the table, the namespace, and its arguments. Table "b" has two indexes, the second
of them dotted; table "a" has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from papertiger_shm import AlreadyExists, Conflict, InvalidItem, InvalidRequest, NotFound

MISSING = object()

Operation = tuple[Any, ...]


@dataclass(frozen=True)
class Entry:
    """One item; ``place`` is the number of the change that inserted it, ``version`` None until it is known."""

    item: dict[str, Any]
    place: int
    version: int | None


class Model:
    """All tables. An operation that fails raises what the store has to raise, and then the model is of no more use."""

    def __init__(self, tables: dict[tuple[str, str], dict[str, Entry]] | None = None, changes: int = 0) -> None:
        self.tables = tables or {}
        self.changes = changes

    def copy(self) -> Model:
        return Model({name: dict(entries) for name, entries in self.tables.items()}, self.changes)

    def entries(self, table: str, namespace: str) -> dict[str, Entry]:
        return self.tables.setdefault((table, namespace), {})

    # ---- writes

    def apply(self, operation: Operation) -> Any:
        """Carry it out; gives the number of an increment, else None."""
        name, table, *arguments = operation
        return getattr(self, name)(table, *arguments)

    def insert(self, table: str, namespace: str, item: dict[str, Any]) -> None:
        entries = self.entries(table, namespace)
        self.changes += 1
        before = entries.get(item["id"])
        entries[item["id"]] = Entry(item, before.place if before else self.changes, None)

    update = insert

    def insert_new(self, table: str, namespace: str, item: dict[str, Any]) -> None:
        if item["id"] in self.entries(table, namespace):
            raise AlreadyExists
        self.insert(table, namespace, item)

    def insert_many(self, table: str, namespace: str, items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            self.insert(table, namespace, item)

    def compare_and_set(self, table: str, namespace: str, item: dict[str, Any], version: int) -> None:
        entry = self.entries(table, namespace).get(item["id"])
        if entry is None or entry.version != version:
            raise Conflict
        self.insert(table, namespace, item)

    def delete(self, table: str, namespace: str, id: str) -> None:
        self.entries(table, namespace).pop(id, None)

    def clear(self, table: str) -> None:
        for (each, _), entries in self.tables.items():
            if each == table:
                entries.clear()

    def clear_namespace(self, table: str, namespace: str) -> None:
        for (each, where), entries in self.tables.items():
            if each == table and f"{where}/".startswith(f"{namespace}/"):
                entries.clear()

    def increment(self, table: str, namespace: str, id: str, field: str, by: float) -> int | float:
        entry = self.entries(table, namespace).get(id)
        if entry is None:
            raise NotFound
        before = field_of(entry.item, field)
        after = added(0 if before is MISSING else before, by)
        if field == "created" and not (type(after) is int and -(2**63) <= after < 2**63):
            raise InvalidRequest
        self.insert(table, namespace, with_field(entry.item, field, after))
        return after

    # ---- reads

    def newest_first(self, table: str, namespace: str, equals: dict[str, Any]) -> list[dict[str, Any]]:
        entries = self.entries(table, namespace).values()
        found = [entry for entry in entries if all(matches(entry.item, *one) for one in equals.items())]
        found.sort(key=lambda entry: (entry.item["created"], entry.place), reverse=True)
        return [entry.item for entry in found]

    def page(
        self, table: str, namespace: str, limit: int, after: str | None, before: str | None, equals: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], bool]:
        entries = self.entries(table, namespace)
        matching = self.newest_first(table, namespace, equals)
        cursor = after if before is None else before
        if cursor is None:
            return matching[:limit], len(matching) > limit
        if cursor not in entries:
            raise NotFound
        order = {item["id"]: place for place, item in enumerate(self.newest_first(table, namespace, {}))}
        if before is None:
            behind = [item for item in matching if order[item["id"]] > order[cursor]]
            return behind[:limit], len(behind) > limit
        ahead = [item for item in matching if order[item["id"]] < order[cursor]]
        return ahead[-limit:], len(ahead) > limit

    # ---- versions

    def unknown(self) -> Iterator[tuple[str, str, str]]:
        """(table, namespace, id) of every item that was written and whose version is not known yet."""
        for (table, namespace), entries in self.tables.items():
            for id, entry in entries.items():
                if entry.version is None:
                    yield table, namespace, id

    def learn(self, table: str, namespace: str, id: str, version: int) -> None:
        entries = self.entries(table, namespace)
        entries[id] = replace(entries[id], version=version)


def field_of(item: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(item, dict) or step not in item:
            return MISSING
        item = item[step]
    return item


def with_field(item: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    step, _, rest = path.partition(".")
    if not rest:
        return {**item, step: value}
    below = item.get(step, {})
    if not isinstance(below, dict):
        raise InvalidItem
    return {**item, step: with_field(below, rest, value)}


def added(before: Any, by: float) -> int | float:
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        raise InvalidItem
    after = before + by
    if isinstance(after, int) and not -(2**63) <= after < 2**64:
        raise InvalidRequest
    return after


def matches(item: dict[str, Any], path: str, wanted: Any) -> bool:
    found = field_of(item, path)
    if isinstance(found, float) and isinstance(wanted, float) and math.isnan(found) and math.isnan(wanted):
        return True
    if isinstance(found, datetime) != isinstance(wanted, datetime):
        return False
    return found is not MISSING and bool(found == wanted)
