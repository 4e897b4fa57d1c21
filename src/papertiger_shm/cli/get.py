"""``papertiger-shm get``: one item, as JSON. Where it is not, what there is instead is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from papertiger_shm import Connection, InvalidRequest, NotFound, Store, current_namespace
from papertiger_shm.cli.console import on_terminal, show
from papertiger_shm.cli.folding import folded, printable_json
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.tables import no_such_collection, open_table
from papertiger_shm.transfer import json_line

__all__ = ["get"]

MOST_NEAR = 5


def get(store: str | None, id: str, *, table: str | None, namespace: str | None, full: bool, as_json: bool) -> None:
    """Print the item. Raises NotFound, InvalidRequest where several tables have one of this id."""
    with open_store(store) as connection:
        place = current_namespace() if namespace is None else namespace
        tables = [table] if table is not None else _tables_in(connection, place)
        found = [
            (name, item) for name in tables if (item := open_table(connection, name, place).get(id, None)) is not None
        ]
        if not found:
            raise _not_found(connection, id, table, place)
        if len(found) > 1:
            names = ", ".join(name for name, _ in found)
            raise InvalidRequest(f"get: several tables have an item {id!r}, {names}: choose with --table")
    plain = json.loads(json_line(found[0][1]))
    if as_json or not on_terminal():
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2).encode())  # JSON is UTF-8, whatever the locale
    else:
        _print(plain, full=full)


def _tables_in(connection: Connection, namespace: str) -> list[str]:
    return sorted(table for table, place, _ in connection.collections() if place == namespace)


def _print(plain: dict[str, Any], *, full: bool) -> None:
    from rich.highlighter import JSONHighlighter
    from rich.text import Text

    text, is_cut = (printable_json(plain), False) if full else folded(plain)
    shown = JSONHighlighter()(Text(text))
    shown.highlight_regex(r"….*?(?=[\]}]|$)|…", "dim")
    show(shown, *([Text("folded; --full prints all of it", style="dim")] if is_cut else []))


# ---- where it is not --------------------------------------------------------------------------------------------


def _not_found(connection: Connection, id: str, table: str | None, namespace: str) -> NotFound:
    stores = [
        (name, place, open_table(connection, name, place))
        for name, place, _ in connection.collections()
        if table is None or name == table
    ]
    here = [items for _, place, items in stores if place == namespace]
    if not here:
        return no_such_collection(connection, "get", table, namespace)
    where = f"namespace {namespace!r} of {connection.url}"
    elsewhere = [
        f"{name} in namespace {place!r}" for name, place, items in stores if place != namespace and id in items
    ]
    if elsewhere:
        remedy = f"it is in {', '.join(elsewhere[:MOST_NEAR])}: choose with --table and --namespace"
    elif near := _near(id, here):
        remedy = f"the nearest are {', '.join(near)}"
    else:
        remedy = "`papertiger-shm ls --table TABLE` lists those that are there"
    return NotFound(f"get: no item {id!r} in {where}; {remedy}")


def _near(id: str, stores: list[Store]) -> list[str]:
    """The newest ids that begin as this one does, and for longest; none for what has only the prefix in common."""
    least = len(id.partition("_")[0]) + 1 if "_" in id else 0
    best: list[str] = []
    for other in _ids(stores):
        common = next(
            (place for place, (one, its) in enumerate(zip(id, other)) if one != its), min(len(id), len(other))
        )
        if common > least:
            least, best = common, [other]
        elif best and common == least and len(best) < MOST_NEAR:
            best.append(other)
    return best


def _ids(stores: list[Store]) -> Iterator[str]:
    for items in stores:
        for item in items:
            yield item["id"]
