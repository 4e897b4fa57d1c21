"""Tables that the command line knows by name only: opening one, and saying which there are. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from papertiger_shm import Connection, NotFound, Store

__all__ = ["no_such_collection", "open_table"]

MOST_NAMES = 8


def open_table(connection: Connection, table: str, namespace: str | None, indexes: Sequence[str] = ()) -> Store:
    """A handle on the table, as the package's own class declares it, if there is one and no ``indexes`` are given."""
    known = None if indexes else _known_class(connection, table)
    return (known or _made_up_class(table, indexes))(connection, namespace)


def _made_up_class(table: str, indexes: Sequence[str]) -> type[Store]:
    declared = tuple(indexes)
    try:

        class Table(Store, table=table, resource=table, indexes=declared):
            """A table that this program knows by name only."""

    except TypeError as error:
        raise click.UsageError(str(error)) from error
    return Table


def _known_class(connection: Connection, table: str) -> type[Store] | None:
    return next((type(store) for store in connection.checkout() if store.table_name == table), None)


def no_such_collection(connection: Connection, asked: str, table: str | None, namespace: str) -> NotFound:
    """The error for a table or a namespace in which there is nothing: it tells where there is something."""
    what = f"namespace {namespace!r}" if table is None else f"table {table!r} in namespace {namespace!r}"
    return NotFound(
        f"{asked}: there is nothing in {what} of {connection.url}; {_what_there_is(connection, table, namespace)}"
    )


def _what_there_is(connection: Connection, table: str | None, namespace: str) -> str:
    found = connection.collections()
    if not found:
        return "the store is empty"
    said = []
    if table is not None:
        said.append(_named("the namespace has the tables", (name for name, place, _ in found if place == namespace)))
        said.append(
            _named("the table has items in the namespaces", (place for name, place, _ in found if name == table))
        )
    if not any(said):
        said = [
            _named("there are the namespaces", (place for _, place, _ in found)),
            _named("the tables", (name for name, _, _ in found)),
        ]
    return " and ".join(filter(None, said)) + ": choose with --table and --namespace"


def _named(said: str, names: Iterable[str]) -> str:
    several = sorted({*names})
    if not several:
        return ""
    more = f" and {len(several) - MOST_NAMES:,} more" if len(several) > MOST_NAMES else ""
    return f"{said} {', '.join(several[:MOST_NAMES])}{more}"
