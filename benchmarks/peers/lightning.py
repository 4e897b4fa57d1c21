"""lmdb: the other store that many processes read directly from memory.

Settings as its documentation recommends where durability is not asked for: ``sync=False`` (no flush at commit),
``writemap=True`` (the pages themselves are written), a large ``map_size``, and files in memory. One read transaction
per read: a long-lived one would keep showing the past. The two index entries are keys in two sub-databases, ordered
as papertiger-shm orders its lists.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import PAGE, Peer, memory_directory
from papertiger_shm.codec import decode, encode

__all__ = ["Lightning"]

MAP_SIZE = 12 * 1024**3


class Lightning(Peer):
    name = "lmdb"
    about = "sync=False, writemap=True, in memory; one transaction per read; record + 2 index keys per write"
    packages = ("lmdb",)

    def __enter__(self) -> Lightning:
        self._directory = memory_directory("lmdb")
        self._open(self._directory)
        return self

    def __exit__(self, *exception: object) -> None:
        self._env.close()
        shutil.rmtree(self._directory)

    def _open(self, directory: Path) -> None:
        import lmdb

        self._env: Any = lmdb.open(str(directory), map_size=MAP_SIZE, max_dbs=3, sync=False, writemap=True)
        names = (b"records", b"by_created", b"by_type")
        self._records, self._by_created, self._by_type = (self._env.open_db(name) for name in names)

    def address(self) -> str:
        return str(self._directory)

    @classmethod
    def attached(cls, address: Any) -> Lightning:
        peer = cls()
        peer._open(Path(address))
        return peer

    # what is read

    def getter(self) -> Callable[[str], Event]:
        begin, records = self._env.begin, self._records

        def get(id: str) -> Event:
            with begin(records) as transaction:
                return decode(transaction.get(id.encode()))

        return get

    def seeker(self) -> Callable[[str], Event | None]:
        begin, records = self._env.begin, self._records

        def seek(id: str) -> Event | None:
            with begin(records) as transaction:
                payload = transaction.get(id.encode())
                return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        begin, records = self._env.begin, self._records

        def contains(id: str) -> bool:
            with begin(records) as transaction:
                return transaction.get(id.encode()) is not None

        return contains

    def counter(self) -> Callable[[object], int]:
        begin, records = self._env.begin, self._records

        def count(_: object) -> int:
            with begin(records) as transaction:
                entries: int = transaction.stat(records)["entries"]
                return entries

        return count

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        begin, records, by_created = self._env.begin, self._records, self._by_created

        def page(after: str | None) -> Sequence[Event]:
            with begin(records) as transaction:
                cursor = transaction.cursor(by_created)
                if after is None:
                    there = cursor.last()
                else:
                    key = after.encode()
                    there = cursor.set_key(order_of(decode(transaction.get(key)), key)) and cursor.prev()
                found: list[Event] = []
                while there and len(found) < PAGE:
                    found.append(decode(transaction.get(cursor.key()[8:])))
                    there = cursor.prev()
                return found

        return page

    def finder(self) -> Callable[[str], Sequence[Event]]:
        begin, records, by_type = self._env.begin, self._records, self._by_type

        def find(type: str) -> Sequence[Event]:
            prefix = type.encode() + b"\0"
            with begin(records) as transaction:
                cursor = transaction.cursor(by_type)
                # Right behind the last key of the type, then backwards.
                there = cursor.prev() if cursor.set_range(type.encode() + b"\1") else cursor.last()
                found: list[Event] = []
                while there and (key := cursor.key()).startswith(prefix):
                    found.append(decode(transaction.get(key[len(prefix) + 8 :])))
                    there = cursor.prev()
                return found

        return find

    # what is written

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
                    order = order_of(event, id)
                    put(id, encode(event), db=records)
                    put(order, b"", db=by_created)
                    put(event["type"].encode() + b"\0" + order, b"", db=by_type)

        return insert_many

    def incrementer(self) -> Callable[[str], object]:
        begin, records = self._env.begin, self._records

        def increment(id: str) -> None:
            with begin(records, write=True) as transaction:
                event = decode(transaction.get(id.encode()))
                event[NUMBER] += 1
                transaction.put(id.encode(), encode(event))

        return increment


def order_of(event: Event, id: bytes) -> bytes:
    created: int = event["created"]
    return created.to_bytes(8, "big") + id
