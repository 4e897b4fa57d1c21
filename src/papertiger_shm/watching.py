"""Waiting for an item, and watching a collection: look, be woken, look at what changed.

Which items are meant, and where, is a store's business; how one is woken, a backend's. What comes of a look is decided
here alone, so that nothing is told twice and the last state of nothing is missed, whatever was lost in between.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, NamedTuple, TypeAlias

from papertiger_shm.backend import Changed, Collection
from papertiger_shm.codec import MISSING, decode, field_value, index_key, shown

__all__ = ["Change", "Wanted", "changes", "first_written", "what_came"]

Item: TypeAlias = dict[str, Any]
Entry: TypeAlias = tuple[int, bytes]  # version, payload

_KINDS_TOLD = 5


class Change(NamedTuple):
    """One change that ``watch`` saw.

    ``kind``: ``"insert"``, ``"update"`` or ``"delete"``; ``item``: the item as it is now, None once deleted;
    ``version``: the item's version, for a deleted one the last it was seen with.
    """

    kind: Literal["insert", "update", "delete"]
    id: str
    item: dict[str, Any] | None
    version: int


class Wanted(NamedTuple):
    """What items have to be like: a value for each of some indexed fields, and the index keys of these."""

    equals: dict[str, Any]
    keys: list[bytes]

    def entries(self, view: Collection, changed: Changed) -> dict[str, Entry | None] | None:
        """How the items are that have changed, None for those that are gone or not as wanted; None: look at all.

        That is also where one was written again since: what others were before it cannot be told from a look at one.
        """
        if changed.ids is None:
            return None
        entries: dict[str, Entry | None] = {}
        for id in changed.ids:
            entry = view.entry(id)
            if entry is not None and entry[0] > changed.until:
                return None
            entries[id] = entry if entry is not None and self.fits(entry[1]) else None
        return entries

    def fits(self, payload: bytes) -> bool:
        """Whether an item is as wanted."""
        if not self.keys:
            return True
        item = decode(payload)
        values = ((field, field_value(item, field)) for field in self.equals)
        return all(
            value is not MISSING and index_key(field, value) == key
            for (field, value), key in zip(values, self.keys, strict=True)
        )


def first_written(view: Collection, wanted: Wanted, after: int, seconds: float) -> Item | None:
    """The item that was written first after a version, now or within so many seconds."""
    deadline = time.monotonic() + seconds
    written = [entry for entry in view.entries(wanted.keys) if entry[0] > after]
    if not written and seconds > 0:
        with closing(view.subscribe()) as subscription:
            while not written and (left := deadline - time.monotonic()) > 0:
                entries = wanted.entries(view, subscription.wait(left))
                found = view.entries(wanted.keys) if entries is None else filter(None, entries.values())
                written = [entry for entry in found if entry[0] > after]
    return decode(min(written)[1]) if written else None


# ---- watching ---------------------------------------------------------------------------------------------------


def changes(view: Collection, wanted: Wanted, after: int | None) -> Iterator[Change]:
    """The changes of what is wanted, in commit order, for ever; first what was written after a version, if given."""
    known = _Known()
    for version, payload in view.entries(wanted.keys):
        if after is None or version <= after:
            known.add(version, decode(payload)["id"])
    return _changes(view, wanted, known)


def _changes(view: Collection, wanted: Wanted, known: _Known) -> Iterator[Change]:
    with closing(view.subscribe()) as subscription:
        while True:
            entries = wanted.entries(view, subscription.wait(math.inf))
            if entries is None:
                yield from known.differences(view.entries(wanted.keys))
            else:
                yield from known.differences_of(entries)


class _Known:
    """The items that have been told of: of each the id and the version."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._versions: dict[str, int] = {}

    def add(self, version: int, id: str) -> None:
        self._ids[version] = id
        self._versions[id] = version

    def differences(self, entries: list[Entry]) -> list[Change]:
        """What has changed if these are all that is there now."""
        written = [entry for entry in entries if entry[0] not in self._ids]
        gone: list[str] = []
        if len(self._ids) + len(written) != len(entries):
            present = {version for version, _ in entries}
            gone = [id for version, id in self._ids.items() if version not in present]
        return self._told(written, gone)

    def differences_of(self, entries: dict[str, Entry | None]) -> list[Change]:
        """What has changed if this is how these ids are now, and no other has changed."""
        written = [entry for entry in entries.values() if entry is not None and entry[0] not in self._ids]
        gone = [
            id
            for id, entry in entries.items()
            if id in self._versions and (entry is None or entry[0] != self._versions[id])
        ]
        return self._told(written, gone)

    def _told(self, written: list[Entry], gone: list[str]) -> list[Change]:
        """``gone`` are the ids that are not what they were, those that were written again included."""
        before = {id: self._versions.pop(id) for id in gone}
        for version in before.values():
            del self._ids[version]
        updates = []
        for version, payload in sorted(written):
            item = decode(payload)
            id = item["id"]
            self.add(version, id)
            updates.append(Change("insert" if before.pop(id, None) is None else "update", id, item, version))
        return [*(Change("delete", id, None, version) for id, version in before.items()), *updates]


# ---- what came instead ------------------------------------------------------------------------------------------


def what_came(view: Collection, wanted: Wanted, after: int, fields: Sequence[str]) -> str:
    """In words, what is there in place of what was waited for: how many of which kind, and the one most like it.

    The kinds are the values of the first of ``fields``.
    """
    came = [(version, decode(payload)) for version, payload in view.entries(()) if version > after]
    if not came:
        return "nothing else came either"
    told = f"{len(came)} other{'s' if len(came) > 1 else ''} came"
    for field in [*wanted.equals, *fields][:1]:
        counts = Counter(_value(item, field) for _, item in came).most_common()
        kinds = ", ".join(f"{count} with {field} {value}" for value, count in counts[:_KINDS_TOLD])
        told += f" ({kinds}{', ...' if len(counts) > _KINDS_TOLD else ''})"
    values = {field: shown(value) for field, value in wanted.equals.items()}
    if values:
        _, nearest = max(came, key=lambda entry: (_likeness(entry[1], values), entry[0]))
        unlike = [f"{field} {_value(nearest, field)}" for field in values if _value(nearest, field) != values[field]]
        told += f"; the nearest is {shown(nearest['id'])} with {' and '.join(unlike)}"
    return told


def _value(item: Item, field: str) -> str:
    value = field_value(item, field)
    return "missing" if value is MISSING else shown(value)


def _likeness(item: Item, values: dict[str, str]) -> int:
    return sum(_value(item, field) == value for field, value in values.items())
