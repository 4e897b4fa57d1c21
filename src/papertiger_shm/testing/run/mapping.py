"""Dicts that all workers of a run share. How long anything waits never enters here: nothing does."""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Final

from papertiger_shm import AlreadyExists, Conflict, InvalidRequest, NotFound, Store
from papertiger_shm.testing.run.names import checked_name, id_of, segment_of
from papertiger_shm.testing.run.versions import look, take

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["DictEntries", "SharedDict"]

_MISSING: Final = object()


class DictEntries(Store, table="papertiger_dicts", resource="dict_entry"):
    """``key`` and ``value``; each dict in a namespace of its own.

    ``created`` is always 0, so the order is that in which keys were added.
    """


class SharedDict(MutableMapping[str, Any]):
    """A dict from str to values that every worker of the run reads and writes, each call in one step.

    A value is whatever an item may hold, and a fresh copy whenever it is read: change it with ``modify``, or assign
    it anew. Iteration is in the order in which keys were added, over the dict as it is when it begins.
    """

    def __init__(self, participant: Participant, name: str) -> None:
        self.name = checked_name("dict", name)
        self._entries = DictEntries(participant.connection, f"{participant.namespace}/{segment_of(self.name)}")

    def modify(self, key: str, function: Callable[[Any], Any], default: Any = _MISSING) -> Any:
        """Put ``function(value)`` in the place of the value, so that no other change comes in between; gives it.

        The function may be called several times, each time with a fresh value, which it may change and return. Where
        there is no such key it gets ``default``; without one that is a ``NotFound``, which is a ``KeyError``.
        Raises ``InvalidRequest`` where it returns None: to store that, assign it.
        """
        id = self._id(key)
        while True:
            found = look(self._entries, id)
            if found is None and default is _MISSING:
                raise self._no_key("modify", key)
            value = function(copy.deepcopy(default) if found is None else found[1]["value"])
            if value is None:
                raise InvalidRequest(
                    f"modify: the function returned None for the key {key!r} of dict {self.name!r}; return the "
                    "changed value, or raise an exception to leave it as it is"
                )
            entry = self._entry(key, value)
            try:
                if found is None:
                    return self._entries.insert_new(entry)["value"]
                return self._entries.compare_and_set(entry, found[0])["value"]
            except (AlreadyExists, Conflict):
                continue

    # ---- one key

    def __getitem__(self, key: str) -> Any:
        entry = self._entries.get(self._id(key), None)
        if entry is None:
            raise self._no_key("dict", key)
        return entry["value"]

    def __setitem__(self, key: str, value: Any) -> None:
        self._entries.insert(self._entry(key, value))

    def __delitem__(self, key: str) -> None:
        if take(self._entries, self._id(key)) is None:
            raise self._no_key("del", key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._id(key) in self._entries

    def pop(self, key: str, default: Any = _MISSING) -> Any:
        """Remove the key and give its value to exactly one of those who try; others get ``default`` or ``KeyError``."""
        taken = take(self._entries, self._id(key))
        if taken is not None:
            return taken["value"]
        if default is _MISSING:
            raise self._no_key("pop", key)
        return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value; where there is none, ``default`` becomes it, for the first of those who try."""
        while True:
            entry = self._entries.get(self._id(key), None)
            if entry is not None:
                return entry["value"]
            try:
                return self._entries.insert_new(self._entry(key, default))["value"]
            except AlreadyExists:
                continue

    # ---- all keys

    def __len__(self) -> int:
        return self._entries.count()

    def __iter__(self) -> Iterator[str]:
        return iter([entry["key"] for entry in self._snapshot()])

    def items(self) -> ItemsView[str, Any]:
        """Keys and values, of one moment each time they are gone through."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """Values, of one moment each time they are gone through."""
        return _Values(self)

    def copy(self) -> builtins.dict[str, Any]:
        """A plain dict of all that is there at this moment."""
        return {entry["key"]: entry["value"] for entry in self._snapshot()}

    def clear(self) -> None:
        """Remove all keys, in one step."""
        self._entries.clear_namespace(self._entries.namespace)

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was added last and give it with its value; ``KeyError`` where there is none."""
        while True:
            newest = self._entries.list(limit=1).data
            if not newest:
                raise NotFound(f"popitem: dict {self.name!r} is empty; see that a key is there first")
            taken = take(self._entries, newest[0]["id"])
            if taken is not None:
                return taken["key"], taken["value"]

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set all the keys, in one step."""
        changes = {**builtins.dict(other), **more}
        self._entries.insert_many([self._entry(key, value) for key, value in changes.items()])

    def _snapshot(self) -> list[builtins.dict[str, Any]]:
        return [*self._entries][::-1]

    def _entry(self, key: str, value: Any) -> builtins.dict[str, Any]:
        return {"id": self._id(key), "created": 0, "key": key, "value": value}

    def _id(self, key: object) -> str:
        if not isinstance(key, str):
            raise InvalidRequest(
                f"dict {self.name!r}: the key {key!r} is of type {type(key).__name__}; keys are str, so use str(key)"
            )
        return id_of(f"={key}")  # an id is never empty, and a key may be

    def _no_key(self, call: str, key: str) -> NotFound:
        return NotFound(f"{call}: dict {self.name!r} has no key {key!r}; set it first, or use get() with a default")

    def __repr__(self) -> str:
        return f"<dict {self.name!r}: {len(self)} keys>"


class _Items(ItemsView[str, Any]):
    _mapping: SharedDict

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._mapping.copy().items())


class _Values(ValuesView[Any]):
    _mapping: SharedDict

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping.copy().values())
