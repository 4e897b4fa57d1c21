"""What is where in a store: its namespaces, its tables, and a handle for a table that is known by its name only.

No item is read here.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from papertiger_shm import Connection, InvalidRequest, Store
from papertiger_shm.undeclared import store_of

__all__ = ["Place", "Places", "Table", "handle", "worker_of"]

SHOWN: Final = 100
"""Namespaces on a page."""


class Place(NamedTuple):
    """A namespace, and (table, number of items) of each of its tables that has any."""

    name: str
    tables: list[tuple[str, int]]


class Table(NamedTuple):
    """A table by its name, and what is in it in all namespaces that were asked for."""

    name: str
    namespaces: int
    items: int


class Places:
    """The namespaces with items in them, of one worker, of one table, or with a text in their names; by name."""

    def __init__(
        self, connection: Connection, *, worker: str = "", table: str = "", text: str = "", after: str = ""
    ) -> None:
        found: dict[str, list[tuple[str, int]]] = {}
        workers: Counter[str] = Counter()
        namespaces: Counter[str] = Counter()
        items: Counter[str] = Counter()
        for name, namespace, count in connection.collections():
            workers[worker_of(namespace)] += count
            if (worker and worker_of(namespace) != worker) or text.casefold() not in namespace.casefold():
                continue
            namespaces[name] += 1
            items[name] += count
            if not table or table == name:
                found.setdefault(namespace, []).append((name, count))
        names = sorted(found)
        following = [name for name in names if name > after]
        self.total = len(names)
        self.workers = sorted(workers.items())
        """(worker, number of items), of all there are."""
        self.tables = [Table(name, namespaces[name], items[name]) for name in sorted(namespaces)]
        self.shown = [Place(name, sorted(found[name])) for name in following[:SHOWN]]
        self.more_after = self.shown[-1].name if len(following) > SHOWN else None


def worker_of(namespace: str) -> str:
    """The first part of a namespace, which in a run of tests is the worker."""
    return namespace.partition("/")[0]


def handle(connection: Connection, table: str, namespace: str) -> Store:
    """A handle on the table that an address names. ``InvalidRequest`` for what is no name."""
    try:
        return store_of(connection, table, namespace)
    except TypeError as error:
        raise InvalidRequest(str(error)) from None
