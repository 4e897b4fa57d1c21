"""An item together with its version, and taking one away so that exactly one of those who try has it.

What the items mean never enters this room.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from papertiger_shm import Conflict, NotFound, Store

__all__ = ["change", "look", "outside_transactions", "settle", "take"]

_NOBODY = "\x7f"
"""An id that no item of a run has; deleting it changes nothing."""


def look(store: Store, id: str) -> tuple[int, dict[str, Any]] | None:
    """The item and a version that ``compare_and_set`` refuses once the item is not this one any more; or None."""
    try:
        # The version first: if the item moves in between, it is the newer one with a version that does not fit.
        version = store.version(id)
        return version, store.get(id)
    except NotFound:
        return None


def change(store: Store, id: str, function: Callable[[dict[str, Any]], dict[str, Any] | None]) -> dict[str, Any] | None:
    """As ``modify``; None, and nothing happens, where there is no item, or the function gives None for it."""

    def changed(item: dict[str, Any]) -> dict[str, Any]:
        after = function(item)
        if after is None:
            raise Conflict(f"{id!r} is not what was to be changed")
        return after

    try:
        return store.modify(id, changed)
    except (Conflict, NotFound):
        return None


def take(store: Store, id: str, wanted: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any] | None:
    """Delete the item and give it; None, and nothing happens, where there is none, or none that is ``wanted``."""
    while True:
        found = look(store, id)
        if found is None or (wanted is not None and not wanted(found[1])):
            return None
        version, item = found
        try:
            with store.transaction():
                # A delete asks for no version, so what it may delete is made sure of first; that need not be large.
                store.compare_and_set({"id": id, "created": 0}, version)
                store.delete(id)
        except Conflict:
            continue
        return item


def settle(store: Store) -> None:
    """After a write was interrupted: when this returns it has happened, or never will.

    It may lie in the manager's buffer, and be carried out a moment after one has looked. The manager refuses a
    request that comes after a later one of the same connection, so one that changes nothing does.
    """
    store.delete(_NOBODY)


def outside_transactions(function: Callable[[], object]) -> None:
    """Call it where no write waits for the end of a transaction, such as one whose end was interrupted."""
    Context().run(function)
