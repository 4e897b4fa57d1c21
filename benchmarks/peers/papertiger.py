"""papertiger-shm itself, as a user has it: a manager of its own, one connection, one ``Events``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event
from benchmarks.peers import Peer
from papertiger_shm import Events, Manager

__all__ = ["Papertiger"]


class Papertiger(Peer):
    name = "papertiger-shm"
    about = "one manager process, default settings"

    def __init__(self, max_size: str = "12 GiB") -> None:
        self._manager = Manager(max_size=max_size)

    def __enter__(self) -> Papertiger:
        self._manager.start()
        self.url = self._manager.url
        self.server_pid = self._manager.pid
        self.connection = self._manager.connect()
        self.events = Events(self.connection, "bench")
        self.other = Events(self.connection, "other")
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()
        self._manager.stop()

    def getter(self) -> Callable[[str], Event]:
        return self.events.get

    def inserter(self) -> Callable[[Any], object]:
        return self.events.insert

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        return self.events.insert_many
