"""Waiting for an item, and watching a collection: look, be woken, look at what changed.

Which items are meant, and where, is a store's business; how one is woken, a backend's. What comes of a look is decided
here alone, so that nothing is told twice and the last state of nothing is missed, whatever was lost in between.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, NamedTuple, TypeAlias

from papertiger_shm.backend import Changed, Collection
from papertiger_shm.codec import MISSING, decode, field_value, index_key, shown

__all__ = ["Change", "Search", "Wanted", "Watched", "came_to", "changes", "searched", "what_came"]

Item: TypeAlias = dict[str, Any]
Entry: TypeAlias = tuple[int, bytes]  # version, payload

_KINDS_TOLD = 5

_MOST_TOLD = 1000
"""Items that are decoded to tell of their kinds."""


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


class Search:
    """Looks for the item that was written first after a version, once at its making and then at what has changed.

    ``began``: the newest version of anything when the wait for it began, None where there was no wait.
    """

    def __init__(self, view: Collection, wanted: Wanted, after: int) -> None:
        self.view = view
        self.wanted = wanted
        self._after = after
        self.began: int | None = None
        self.found: Item | None = None
        self.look_at_all()

    def look(self, changed: Changed) -> None:
        """See whether it is there now."""
        if self.began is None and changed.ids is None:
            self.began = changed.until
        entries = self.wanted.entries(self.view, changed)
        if entries is None:
            self.look_at_all()
        else:
            self.found = self._first(filter(None, entries.values()))

    def look_at_all(self) -> None:
        """See whether it is there now, whatever was told: what came last may not have been."""
        self.found = self._first(self.view.entries(self.wanted.keys))

    def _first(self, entries: Iterable[Entry]) -> Item | None:
        written = [entry for entry in entries if entry[0] > self._after]
        return decode(min(written)[1]) if written else None


def searched(view: Collection, wanted: Wanted, after: int, seconds: float) -> Search:
    """A search that has found it, now or within so many seconds, or has not."""
    deadline = time.monotonic() + seconds
    search = Search(view, wanted, after)
    if search.found is None and seconds > 0:
        with closing(view.subscribe()) as subscription:
            while search.found is None and (left := deadline - time.monotonic()) > 0:
                search.look(subscription.wait(left))
        if search.found is None:
            search.look_at_all()
    return search


# ---- watching ---------------------------------------------------------------------------------------------------


def changes(view: Collection, wanted: Wanted, after: int | None) -> Iterator[Change]:
    """The changes of what is wanted, in commit order, for ever; first what was written after a version, if given."""
    return _changes(view, Watched(view, wanted, after))


def _changes(view: Collection, watched: Watched) -> Iterator[Change]:
    with closing(view.subscribe()) as subscription:
        while True:
            yield from watched.look(subscription.wait(math.inf))


class Watched:
    """What has been told of the items that are wanted: of each the id and the version.

    At its making that is all that is there, but what was written after a version, if one is given.
    """

    def __init__(self, view: Collection, wanted: Wanted, after: int | None) -> None:
        self._view = view
        self._wanted = wanted
        self._ids: dict[int, str] = {}
        self._versions: dict[str, int] = {}
        for version, payload in view.entries(wanted.keys):
            if after is None or version <= after:
                self._add(version, decode(payload)["id"])

    def look(self, changed: Changed) -> list[Change]:
        """What is to be told now, in commit order; from now on it has been."""
        entries = self._wanted.entries(self._view, changed)
        if entries is None:
            return self._differences(self._view.entries(self._wanted.keys))
        return self._differences_of(entries)

    def _add(self, version: int, id: str) -> None:
        self._ids[version] = id
        self._versions[id] = version

    def _differences(self, entries: list[Entry]) -> list[Change]:
        """What has changed if these are all that is there now."""
        written = [entry for entry in entries if entry[0] not in self._ids]
        gone: list[str] = []
        if len(self._ids) + len(written) != len(entries):
            present = {version for version, _ in entries}
            gone = [id for version, id in self._ids.items() if version not in present]
        return self._told(written, gone)

    def _differences_of(self, entries: dict[str, Entry | None]) -> list[Change]:
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
        items = [(version, decode(payload)) for version, payload in sorted(written)]  # an error here has told nothing
        before = {id: self._versions.pop(id) for id in gone}
        for version in before.values():
            del self._ids[version]
        updates = []
        for version, item in items:
            id = item["id"]
            self._add(version, id)
            updates.append(Change("insert" if before.pop(id, None) is None else "update", id, item, version))
        return [*(Change("delete", id, None, version) for id, version in before.items()), *updates]


# ---- what came instead ------------------------------------------------------------------------------------------


def what_came(view: Collection, wanted: Wanted, after: int | None, fields: Sequence[str]) -> list[str]:
    """In words, what came after a version in place of what was waited for: how many of which kind, and the nearest.

    The kinds are the values of the first of ``fields``. The nearest is the item most like what was waited for, of those
    that came, or else of all that are there. Without a version only that.
    """
    entries = [] if after is None else sorted(entry for entry in view.entries(()) if entry[0] > after)
    told = []
    if entries:
        items = [decode(payload) for _, payload in entries[-_MOST_TOLD:]]
        told.append(f"{len(entries)} other{'s' if len(entries) > 1 else ''} came{_kinds(items, wanted, fields)}")
    elif after is not None:
        told.append("nothing else came either")
    nearest = _nearest(view, wanted, {version for version, _ in entries})
    if nearest is None and entries and wanted.keys:
        nearest = entries[-1][1]
    if nearest is not None:
        told.append(_told_of(decode(nearest), wanted))
    return told


def _kinds(items: list[Item], wanted: Wanted, fields: Sequence[str]) -> str:
    for field in [*wanted.equals, *fields][:1]:
        counts = Counter(_value(item, field) for item in items).most_common()
        kinds = ", ".join(f"{count} with {field} {value}" for value, count in counts[:_KINDS_TOLD])
        return f" ({kinds}{', ...' if len(counts) > _KINDS_TOLD or len(items) == _MOST_TOLD else ''})"
    return ""


def _nearest(view: Collection, wanted: Wanted, versions: set[int]) -> bytes | None:
    """The item that has most of the index keys, and of several the latest; of these versions, where there are any."""
    likeness: Counter[int] = Counter()
    payloads: dict[int, bytes] = {}
    for key in wanted.keys:
        having = {version: payload for version, payload in view.entries((key,)) if not versions or version in versions}
        likeness.update(having.keys())
        payloads.update(having)
    return payloads[max(payloads, key=lambda version: (likeness[version], version))] if payloads else None


def _told_of(nearest: Item, wanted: Wanted) -> str:
    unlike = [
        f"{field} {_value(nearest, field)}"
        for field, value in wanted.equals.items()
        if _value(nearest, field) != shown(value)
    ]
    how = f"with {' and '.join(unlike)}" if unlike else "which was there before"
    return f"the nearest is {shown(nearest['id'])} {how}"


def came_to(views: Iterable[tuple[str, Collection]], wanted: Wanted, after: int) -> list[str]:
    """The namespaces of these to which what was waited for came after a version."""
    return [namespace for namespace, view in views if any(version > after for version, _ in view.entries(wanted.keys))]


def _value(item: Item, field: str) -> str:
    value = field_value(item, field)
    return "missing" if value is MISSING else shown(value)
