"""SQLite with a write-ahead log and the two indexes.

As its documentation recommends for many readers beside one writer: ``journal_mode=WAL`` with ``synchronous=NORMAL``,
memory-mapped reads, prepared statements (the sqlite3 module keeps them), and the file in memory. Every write begins
with ``BEGIN IMMEDIATE``, so that it waits for its turn instead of failing. A table with rowid: its documentation
advises WITHOUT ROWID for rows that are much smaller than an event is.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import PAGE, Peer, memory_directory
from papertiger_shm.codec import decode, encode

__all__ = ["SQLite"]

MAPPED = 2**31 - 2**16
"""The most that SQLite maps unless it is compiled otherwise."""

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA mmap_size = {MAPPED}",
    "PRAGMA busy_timeout = 10000",
)
TABLE = """
CREATE TABLE events (id TEXT PRIMARY KEY, created INTEGER NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL);
CREATE INDEX by_created ON events (created, id);
CREATE INDEX by_type ON events (type, created, id);
"""
PUT = "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)"
FIRST = f"SELECT payload FROM events ORDER BY created DESC, id DESC LIMIT {PAGE}"
NEXT = (
    "SELECT payload FROM events WHERE (created, id) < (SELECT created, id FROM events WHERE id = ?) "
    f"ORDER BY created DESC, id DESC LIMIT {PAGE}"
)


class SQLite(Peer):
    name = "SQLite"
    about = "WAL, synchronous=NORMAL, mmap, in memory; indexes on (created, id) and (type, created, id)"

    def __enter__(self) -> SQLite:
        self._directory = memory_directory("sqlite")
        self._open(self._directory)
        self._database.executescript(TABLE)
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()
        shutil.rmtree(self._directory)

    def _open(self, directory: Path) -> None:
        self._database = sqlite3.connect(directory / "events.db", isolation_level=None)
        for setting in SETTINGS:
            self._database.execute(setting).fetchall()

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def address(self) -> str:
        return str(self._directory)

    @classmethod
    def attached(cls, address: Any) -> SQLite:
        peer = cls()
        peer._open(Path(address))
        return peer

    # what is read

    def getter(self) -> Callable[[str], Event]:
        execute = self._database.execute

        def get(id: str) -> Event:
            return decode(execute("SELECT payload FROM events WHERE id = ?", (id,)).fetchone()[0])

        return get

    def seeker(self) -> Callable[[str], Event | None]:
        execute = self._database.execute

        def seek(id: str) -> Event | None:
            row = execute("SELECT payload FROM events WHERE id = ?", (id,)).fetchone()
            return None if row is None else decode(row[0])

        return seek

    def membership(self) -> Callable[[str], bool]:
        execute = self._database.execute
        return lambda id: execute("SELECT 1 FROM events WHERE id = ?", (id,)).fetchone() is not None

    def counter(self) -> Callable[[object], int]:
        execute = self._database.execute

        def count(_: object) -> int:
            rows: int = execute("SELECT count(*) FROM events").fetchone()[0]
            return rows

        return count

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        execute = self._database.execute

        def page(cursor: str | None) -> Sequence[Event]:
            rows = execute(FIRST) if cursor is None else execute(NEXT, (cursor,))
            return [decode(payload) for (payload,) in rows]

        return page

    def finder(self) -> Callable[[str], Sequence[Event]]:
        execute = self._database.execute
        find = "SELECT payload FROM events WHERE type = ? ORDER BY created DESC, id DESC"
        return lambda type: [decode(payload) for (payload,) in execute(find, (type,))]

    # what is written

    def inserter(self) -> Callable[[Any], object]:
        execute = self._database.execute
        return lambda event: execute(PUT, row_of(event))

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        database = self._database

        def insert_many(events: Sequence[Event]) -> None:
            database.execute("BEGIN IMMEDIATE")
            with database:
                database.executemany(PUT, map(row_of, events))

        return insert_many

    def incrementer(self) -> Callable[[str], object]:
        database = self._database
        execute = database.execute

        def increment(id: str) -> None:
            execute("BEGIN IMMEDIATE")
            with database:
                event = decode(execute("SELECT payload FROM events WHERE id = ?", (id,)).fetchone()[0])
                event[NUMBER] += 1
                execute("UPDATE events SET payload = ? WHERE id = ?", (encode(event), id))

        return increment


def row_of(event: Event) -> tuple[str, int, str, bytes]:
    return event["id"], event["created"], event["type"], encode(event)
