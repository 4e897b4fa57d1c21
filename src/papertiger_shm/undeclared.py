"""Stores for tables that a program knows by name only, such as one that shows what there is. Nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from papertiger_shm import Connection, Store

__all__ = ["store_of"]


def store_of(connection: Connection, table: str, namespace: str | None = None, indexes: Sequence[str] = ()) -> Store:
    """The table in the namespace, as the package's own class declares it if there is one and no ``indexes`` are given.

    Raises TypeError for what is no name of a table or an index, as a class that declares it would.
    """
    if not indexes:
        for store in connection.checkout(namespace):
            if store.table_name == table:
                return store
    return _made_up(table, tuple(indexes))(connection, namespace)


@lru_cache(maxsize=256)  # classes are slow to make, and collected late
def _made_up(table: str, declared: tuple[str, ...]) -> type[Store]:
    class Table(Store, table=table, resource=table, indexes=declared):
        """Known by its name only."""

    return Table
