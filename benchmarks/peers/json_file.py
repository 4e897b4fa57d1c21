"""The recipe of pytest-xdist's documentation for shared fixtures: a JSON file and a lock beside it.

The recipe has a file for each fixture, so there is a file for each item here: the lock is taken, then the file is
read or written. JSON is part of the recipe; the codec of the others is not used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmarks.events import NUMBER, Event
from benchmarks.peers import Peer, memory_directory

__all__ = ["JsonFile"]


class JsonFile(Peer):
    name = "filelock + JSON"
    about = "the recipe of pytest-xdist: FileLock(file + '.lock') around a JSON file, one for each item, in memory"
    packages = ("filelock",)

    def __enter__(self) -> JsonFile:
        self._directory = memory_directory("json")
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._directory)

    def address(self) -> str:
        return str(self._directory)

    @classmethod
    def attached(cls, address: Any) -> JsonFile:
        peer = cls()
        peer._directory = Path(address)
        return peer

    def load(self, events: Sequence[Event]) -> None:
        for event in events:
            (self._directory / event["id"]).write_text(json.dumps(event))

    def getter(self) -> Callable[[str], Event]:
        directory = self._directory

        def get(id: str) -> Event:
            file = directory / id
            with FileLock(f"{file}.lock"):
                event: Event = json.loads(file.read_text())
                return event

        return get

    def seeker(self) -> Callable[[str], Event | None]:
        directory = self._directory

        def seek(id: str) -> Event | None:
            file = directory / id
            with FileLock(f"{file}.lock"):
                return json.loads(file.read_text()) if file.is_file() else None

        return seek

    def membership(self) -> Callable[[str], bool]:
        directory = self._directory

        def contains(id: str) -> bool:
            file = directory / id
            with FileLock(f"{file}.lock"):
                return file.is_file()

        return contains

    def inserter(self) -> Callable[[Any], object]:
        directory = self._directory

        def insert(event: Event) -> None:
            file = directory / event["id"]
            with FileLock(f"{file}.lock"):
                file.write_text(json.dumps(event))

        return insert

    def incrementer(self) -> Callable[[str], object]:
        directory = self._directory

        def increment(id: str) -> None:
            file = directory / id
            with FileLock(f"{file}.lock"):
                event = json.loads(file.read_text())
                event[NUMBER] += 1
                file.write_text(json.dumps(event))

        return increment
