"""papertiger-shm itself, as a user has it: a manager of its own, one connection, one ``Events``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import PAGE, Peer
from papertiger_shm import Connection, Events, Manager, connect

__all__ = ["Papertiger"]


class Papertiger(Peer):
    name = "papertiger-shm"
    about = "one manager process, default settings but max_size, which is the most that may be used"
    packages: tuple[str, ...] = ("papertiger-shm",)

    def __init__(self, max_size: str = "12 GiB") -> None:
        self._max_size = max_size
        self._manager: Manager | None = None

    def __enter__(self) -> Papertiger:
        self._manager = Manager(max_size=self._max_size)
        self._manager.start()
        self.server_pid = self._manager.pid
        self._use(self._manager.connect())
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()
        if self._manager is not None:
            self._manager.stop()

    def _use(self, connection: Connection) -> None:
        self.connection = connection
        self.events = Events(connection, "bench")
        self.other = Events(connection, "other")

    def getter(self) -> Callable[[str], Event]:
        return self.events.get

    def seeker(self) -> Callable[[str], Event | None]:
        get = self.events.get
        return lambda id: get(id, None)

    def membership(self) -> Callable[[str], bool]:
        events = self.events
        return lambda id: id in events

    def counter(self) -> Callable[[object], int]:
        count = self.events.count
        return lambda _: count()

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        page = self.events.list
        return lambda cursor: page(PAGE, cursor).data

    def finder(self) -> Callable[[str], Sequence[Event]]:
        return self.events.find_by_type

    def inserter(self) -> Callable[[Any], object]:
        return self.events.insert

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        return self.events.insert_many

    def incrementer(self) -> Callable[[str], object]:
        increment = self.events.increment
        return lambda id: increment(id, NUMBER)

    def address(self) -> str:
        return self.connection.url

    @classmethod
    def attached(cls, address: Any) -> Papertiger:
        peer = cls()
        peer._use(connect(address))
        return peer
