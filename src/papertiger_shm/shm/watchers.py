"""Who has asked to be told of changes, by collection, and which of them a request concerns.

One who has asked is told once, and then again only after asking again, so that nobody is sent more than they read. No
socket and no answer enters this room: connections are keys here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from ..engine import ClearAcross, ClearBelow, Operation

__all__ = ["Watchers"]

Peer = TypeVar("Peer")

_QUIET, _CHANGED = 0, -1


class Watchers(Generic[Peer]):
    """Of each collection those who watch it, and the number of the request with which each waits.

    In place of a number: 0 for one who does not wait, and for whom nothing has changed; -1 where something has.
    """

    def __init__(self) -> None:
        self._of: dict[bytes, dict[Peer, int]] = {}
        self._watched_by: dict[Peer, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def ask(self, peer: Peer, number: int, collection: bytes) -> bool:
        """Whether to tell ``peer`` at once; otherwise with the next change.

        At once is whoever begins to watch the collection, and whoever missed a change since the last answer.
        """
        if self._watched_by.get(peer) != collection:
            self.forget(peer)
            self._watched_by[peer] = collection
            self._of.setdefault(collection, {})[peer] = _QUIET
            return True
        watching = self._of[collection]
        at_once = watching[peer] == _CHANGED
        watching[peer] = _QUIET if at_once else number
        return at_once

    def forget(self, peer: Peer) -> None:
        """It does not watch any more, if it did."""
        collection = self._watched_by.pop(peer, None)
        if collection is not None:
            watching = self._of[collection]
            del watching[peer]
            if not watching:
                del self._of[collection]

    def concerned(self, operations: Iterable[Operation]) -> list[tuple[Peer, int]]:
        """Those who wait and are to be told now, each with the number of its request."""
        told = []
        for collection in {name for operation in operations for name in self._touched(operation)}:
            watching = self._of[collection]
            for peer, number in watching.items():
                if number > _QUIET:
                    told.append((peer, number))
                    watching[peer] = _QUIET
                else:
                    watching[peer] = _CHANGED
        return told

    def _touched(self, operation: Operation) -> Iterator[bytes] | Sequence[bytes]:
        """The watched collections that an operation may have changed."""
        if isinstance(operation, ClearBelow):
            return (name for name in self._of if name.startswith(operation.prefix))
        if isinstance(operation, ClearAcross):
            return (name for name in self._of if _is_across(name.partition(b"\0")[2], operation))
        return (operation.collection,) if operation.collection in self._of else ()


def _is_across(name: bytes, clear: ClearAcross) -> bool:
    return name == clear.name or name.startswith(clear.below)
