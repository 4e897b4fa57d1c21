"""A dict of encoded bytes in the reader's own memory: the limit for any read that decodes. It shares nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event
from benchmarks.peers import Peer
from papertiger_shm.codec import decode, encode

__all__ = ["PrivateDict"]


class PrivateDict(Peer):
    name = "private dict"
    about = "dict[str, bytes] in the reader's own process, decoded at each get"

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}

    def getter(self) -> Callable[[str], Event]:
        payloads = self._payloads

        def get(id: str) -> Event:
            return decode(payloads[id])

        return get

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        def insert_many(events: Sequence[Event]) -> None:
            self._payloads.update({event["id"]: encode(event) for event in events})

        return insert_many
