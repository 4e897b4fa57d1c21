"""A dict of encoded bytes in the reader's own memory: the limit for any read that decodes. It shares nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event
from benchmarks.peers import PAGE, Cannot, Peer
from papertiger_shm.codec import decode, encode

__all__ = ["PrivateDict"]

ALONE = "a write that no other process sees is nothing to compare with"


class PrivateDict(Peer):
    name = "private dict"
    about = "dict[str, bytes] in the reader's own process, decoded at each read; order and types are known beforehand"

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._newest_last: list[str] = []
        self._by_type: dict[str, list[str]] = defaultdict(list)

    def load(self, events: Sequence[Event]) -> None:
        for event in events:
            self._payloads[event["id"]] = encode(event)
            self._newest_last.append(event["id"])
            self._by_type[event["type"]].append(event["id"])

    def getter(self) -> Callable[[str], Event]:
        payloads = self._payloads

        def get(id: str) -> Event:
            return decode(payloads[id])

        return get

    def seeker(self) -> Callable[[str], Event | None]:
        payloads = self._payloads

        def seek(id: str) -> Event | None:
            payload = payloads.get(id)
            return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        return self._payloads.__contains__

    def counter(self) -> Callable[[object], int]:
        payloads = self._payloads
        return lambda _: len(payloads)

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        order = self._newest_last[::-1]
        behind = {id: place + 1 for place, id in enumerate(order)}
        payloads = self._payloads

        def page(cursor: str | None) -> Sequence[Event]:
            first = 0 if cursor is None else behind[cursor]
            return [decode(payloads[id]) for id in order[first : first + PAGE]]

        return page

    def finder(self) -> Callable[[str], Sequence[Event]]:
        by_type, payloads = self._by_type, self._payloads

        def find(type: str) -> Sequence[Event]:
            return [decode(payloads[id]) for id in reversed(by_type[type])]

        return find

    def inserter(self) -> Callable[[Any], object]:
        raise Cannot(ALONE)

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        raise Cannot(ALONE)

    def incrementer(self) -> Callable[[str], object]:
        raise Cannot(ALONE)

    def address(self) -> str:
        """Nowhere: it shares nothing, and whoever wants one loads one."""
        return ""
