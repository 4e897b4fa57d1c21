"""Tables as they are typed: opening one, and saying which there are. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from papertiger_shm import Connection, NotFound, Store
from papertiger_shm.undeclared import store_of

__all__ = ["no_such_collection", "open_table"]

MOST_NAMES = 8


def open_table(connection: Connection, table: str, namespace: str | None, indexes: Sequence[str] = ()) -> Store:
    """A handle on the table that was typed; wrong usage where that is no name."""
    try:
        return store_of(connection, table, namespace, indexes)
    except TypeError as error:
        raise click.UsageError(str(error)) from error


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
