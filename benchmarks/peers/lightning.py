"""lmdb: the other store that many processes read directly from memory.

Settings as its documentation recommends where durability is not asked for: ``sync=False`` (no flush at commit),
``writemap=True`` (the pages themselves are written), a large ``map_size``, and files in memory (/dev/shm) where
there is such a place, so that no disk takes part. One read transaction per get: a long-lived one would keep showing
the past. The two index entries are keys in two sub-databases, ordered as papertiger-shm orders its lists.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb

from benchmarks.events import Event
from benchmarks.peers import Peer
from papertiger_shm.codec import decode, encode

__all__ = ["Lightning"]

MAP_SIZE = 8 * 1024**3
MEMORY = Path("/dev/shm")


class Lightning(Peer):
    name = "lmdb"
    about = (
        "sync=False, writemap=True, map_size 8 GiB, in /dev/shm; one read txn per get; record + 2 index keys per write"
    )

    def __enter__(self) -> Lightning:
        self._directory = tempfile.mkdtemp(prefix="bench-lmdb-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self._env: Any = lmdb.open(self._directory, map_size=MAP_SIZE, max_dbs=3, sync=False, writemap=True)
        self._records, self._by_created, self._by_type = (
            self._env.open_db(name) for name in (b"records", b"by_created", b"by_type")
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._env.close()
        shutil.rmtree(self._directory)

    def getter(self) -> Callable[[str], Event]:
        begin, records = self._env.begin, self._records

        def get(id: str) -> Event:
            with begin(records) as transaction:
                return decode(transaction.get(id.encode()))

        return get

    def inserter(self) -> Callable[[Any], object]:
        insert_many = self.batch_inserter()
        return lambda event: insert_many((event,))

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        begin, records, by_created, by_type = self._env.begin, self._records, self._by_created, self._by_type

        def insert_many(events: Sequence[Event]) -> None:
            with begin(write=True) as transaction:
                put = transaction.put
                for event in events:
                    id = event["id"].encode()
                    order = event["created"].to_bytes(8, "big") + id
                    put(id, encode(event), db=records)
                    put(order, b"", db=by_created)
                    put(event["type"].encode() + b"\0" + order, b"", db=by_type)

        return insert_many
