"""Who has asked to be told of changes, by collection, and what a request is to tell them.

One who has asked is told once, and then again only after asking again, so that nobody is sent more than they read. No
socket and no answer enters this room: connections are keys here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeAlias, TypeVar

from ..engine import Clear, ClearAcross, ClearBelow, Operation

__all__ = ["ChangedKeys", "Watchers"]

Peer = TypeVar("Peer", bound=Hashable)

ChangedKeys: TypeAlias = "list[bytes] | None"
"""The keys that have changed; None: any of the collection may have."""

MOST_KEYS = 64


class _Watch:
    """What one peer has not been told of yet, and the number of the request with which it waits, or 0."""

    __slots__ = ("anything", "keys", "number")

    def __init__(self) -> None:
        self.number = 0
        self.keys: dict[bytes, None] = {}
        self.anything = False

    def add(self, key: bytes | None) -> None:
        """The key has changed; None: all may have."""
        if key is not None and len(self.keys) < MOST_KEYS:
            self.keys[key] = None
        else:
            self.anything = True

    def has_news(self) -> bool:
        return self.anything or bool(self.keys)

    def take(self) -> ChangedKeys:
        changed = None if self.anything else [*self.keys]
        self.keys, self.anything, self.number = {}, False, 0
        return changed


class Watchers(Generic[Peer]):
    """Each watches one collection, from the first time that it asks."""

    def __init__(self) -> None:
        self._of: dict[bytes, dict[Peer, _Watch]] = {}
        self._watched_by: dict[Peer, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def ask(self, peer: Peer, number: int, collection: bytes, *, begins: bool) -> Iterator[ChangedKeys]:
        """What to tell at once, if anything; otherwise the next change is told.

        At once is told whoever ``begins``, or is not known to watch the collection, and whoever has missed a change
        since the last answer.
        """
        if begins or self._watched_by.get(peer) != collection:
            self.forget(peer)
            self._watched_by[peer] = collection
            self._of.setdefault(collection, {})[peer] = _Watch()
            yield None
            return
        watch = self._of[collection][peer]
        if watch.has_news():
            yield watch.take()
        else:
            watch.number = number

    def forget(self, peer: Peer) -> None:
        """It does not watch any more, if it did."""
        collection = self._watched_by.pop(peer, None)
        if collection is not None:
            watching = self._of[collection]
            del watching[peer]
            if not watching:
                del self._of[collection]

    def tell(self, operations: Iterable[Operation]) -> list[tuple[Peer, int, ChangedKeys]]:
        """Those who wait and are to be told now, each with the number of its request."""
        concerned: dict[Peer, _Watch] = {}
        for operation in operations:
            key = None if isinstance(operation, (Clear, ClearBelow, ClearAcross)) else operation.key
            for collection in self._touched(operation):
                for peer, watch in self._of[collection].items():
                    watch.add(key)
                    concerned[peer] = watch
        return [(peer, watch.number, watch.take()) for peer, watch in concerned.items() if watch.number]

    def _touched(self, operation: Operation) -> Iterable[bytes]:
        """The watched collections that an operation may have changed."""
        if isinstance(operation, ClearBelow):
            return [name for name in self._of if name.startswith(operation.prefix)]
        if isinstance(operation, ClearAcross):
            return [name for name in self._of if _is_across(name.partition(b"\0")[2], operation)]
        return (operation.collection,) if operation.collection in self._of else ()


def _is_across(name: bytes, clear: ClearAcross) -> bool:
    return name == clear.name or name.startswith(clear.below)
