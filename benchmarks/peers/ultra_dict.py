"""UltraDict: every process has the whole dict, and changes go through a stream in shared memory.

The maintained fork, UltraDict2, which runs on the Pythons of today. As its documentation recommends: a buffer that
holds all changes, so that the whole dict is never dumped, and ``shared_lock=True`` among independent processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import Cannot, Peer
from papertiger_shm.codec import decode, encode

__all__ = ["Ultra"]

BUFFER = 2**30


class Ultra(Peer):
    name = "UltraDict"
    about = "shared_lock=True, a buffer that holds every change; each process keeps a copy of the whole dict"
    packages = ("ultradict2",)

    def __enter__(self) -> Ultra:
        from UltraDict2 import UltraDict

        self._dict: Any = UltraDict(create=True, shared_lock=True, buffer_size=BUFFER)
        return self

    def __exit__(self, *exception: object) -> None:
        self._dict.unlink()

    def address(self) -> str:
        return str(self._dict.name)

    @classmethod
    def attached(cls, address: Any) -> Ultra:
        from UltraDict2 import UltraDict

        peer = cls()
        peer._dict = UltraDict(name=address, create=False, shared_lock=True)
        return peer

    def load(self, events: Sequence[Event]) -> None:
        self._dict.update({event["id"]: encode(event) for event in events})

    def getter(self) -> Callable[[str], Event]:
        shared = self._dict
        return lambda id: decode(shared[id])

    def seeker(self) -> Callable[[str], Event | None]:
        get = self._dict.get

        def seek(id: str) -> Event | None:
            payload = get(id)
            return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        shared = self._dict
        return lambda id: id in shared

    def counter(self) -> Callable[[object], int]:
        shared = self._dict
        return lambda _: len(shared)

    def inserter(self) -> Callable[[Any], object]:
        shared = self._dict

        def insert(event: Event) -> None:
            shared[event["id"]] = encode(event)

        return insert

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        raise Cannot("streams a batch item by item: others may see a part of it")

    def incrementer(self) -> Callable[[str], object]:
        shared = self._dict

        def increment(id: str) -> None:
            with shared.lock:
                event = decode(shared[id])
                event[NUMBER] += 1
                shared[id] = encode(event)

        return increment
