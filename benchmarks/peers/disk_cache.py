"""diskcache: SQLite behind the interface of a dict.

As its documentation recommends: ``transact()`` around batches, native bytes as values, no eviction where nothing is
to be evicted, and its directory in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import Peer, memory_directory
from papertiger_shm.codec import decode, encode

__all__ = ["DiskCache"]

UNLIMITED = 2**40


class DiskCache(Peer):
    name = "diskcache"
    about = "Cache of encoded bytes, eviction_policy='none', in memory; transact() around batches"
    packages = ("diskcache",)

    def __enter__(self) -> DiskCache:
        self._directory = str(memory_directory("diskcache"))
        self._open(self._directory)
        return self

    def __exit__(self, *exception: object) -> None:
        self._cache.close()
        shutil.rmtree(self._directory)

    def _open(self, directory: str) -> None:
        from diskcache import Cache

        self._cache: Any = Cache(directory, size_limit=UNLIMITED, eviction_policy="none")

    def address(self) -> str:
        return self._directory

    @classmethod
    def attached(cls, address: Any) -> DiskCache:
        peer = cls()
        peer._open(address)
        return peer

    def getter(self) -> Callable[[str], Event]:
        cache = self._cache
        return lambda id: decode(cache[id])

    def seeker(self) -> Callable[[str], Event | None]:
        get = self._cache.get

        def seek(id: str) -> Event | None:
            payload = get(id)
            return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        cache = self._cache
        return lambda id: id in cache

    def counter(self) -> Callable[[object], int]:
        cache = self._cache
        return lambda _: len(cache)

    def inserter(self) -> Callable[[Any], object]:
        cache = self._cache

        def insert(event: Event) -> None:
            cache[event["id"]] = encode(event)

        return insert

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        cache = self._cache

        def insert_many(events: Sequence[Event]) -> None:
            with cache.transact():
                for event in events:
                    cache[event["id"]] = encode(event)

        return insert_many

    def incrementer(self) -> Callable[[str], object]:
        cache = self._cache

        def increment(id: str) -> None:
            with cache.transact():
                event = decode(cache[id])
                event[NUMBER] += 1
                cache[id] = encode(event)

        return increment
