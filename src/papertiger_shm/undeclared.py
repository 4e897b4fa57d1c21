"""Stores for tables that a program knows by name only, such as one that shows what there is. Nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from papertiger_shm import Checkout, Connection, Store
from papertiger_shm.namespace import check_namespace
from papertiger_shm.resources.checkout import kinds

__all__ = ["store_of"]


def store_of(connection: Connection, table: str, namespace: str | None = None, indexes: Sequence[str] = ()) -> Store:
    """The table in the namespace, as the package's own class declares it if there is one and no ``indexes`` are given.

    Raises InvalidRequest for what is no namespace, and TypeError for what is no name of a table or an index, as a class
    that declares it would.
    """
    if namespace is not None:
        check_namespace(namespace)
    declared = () if indexes else kinds(Checkout).values()
    kind = next((kind for kind in declared if kind.table_name == table), None)
    return (kind or _made_up(table, tuple(indexes)))(connection, namespace)


@lru_cache(maxsize=256)  # classes are slow to make, and collected late
def _made_up(table: str, declared: tuple[str, ...]) -> type[Store]:
    class Table(Store, table=table, resource=table, indexes=declared):
        """Known by its name only."""

    return Table
