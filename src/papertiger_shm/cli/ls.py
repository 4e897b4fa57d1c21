"""``papertiger-shm ls``: which stores run, what a store holds, or the newest items of a collection.

Nothing is read that is not shown, but for one item more, which tells whether there are more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from papertiger_shm import Connection, ManagerUnavailable, Store, connect, stores
from papertiger_shm.cli.console import answer_console, on_terminal, show
from papertiger_shm.cli.folding import cut, one_line, printable
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.tables import no_such_collection, open_table
from papertiger_shm.transfer import json_line

__all__ = ["list_collections", "list_items", "list_stores"]

PAGE = 100
ANSWER_SECONDS = 1.0
"""For how long each of several stores is asked."""

STRIPES_ID = 28
USUAL_WIDTH = 80

SHOWN_APART = ("id", "type", "created")


# ---- stores -----------------------------------------------------------------------------------------------------


def list_stores(*, as_json: bool) -> None:
    """Print the stores of this user that run."""
    found = [about for url in stores() if (about := _about(url)) is not None]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        rows = [[each["name"], *(f"{each[key]:,}" for key in FIGURES), str(each["pid"])] for each in found]
        _print_table(["store", "items", "collections", "bytes", "clients", "writer"], rows, right=range(1, 6))
    else:
        click.echo(
            "no store of yours runs here: start one with `papertiger-shm serve NAME`, or with Manager(NAME) in Python"
        )


FIGURES = ("items", "collections", "bytes", "clients")


def _about(url: str) -> dict[str, Any] | None:
    """A store's figures; None where it has stopped meanwhile."""
    try:
        with connect(url, timeout=ANSWER_SECONDS) as connection:
            figures = connection.stats()
    except ManagerUnavailable:
        return None
    return {
        "url": url,
        "name": url.removeprefix("shm://"),
        "items": figures["items"],
        "collections": figures["collections"],
        "bytes": figures["bytes_live"],
        "clients": figures["clients"] - 1,  # without this one
        "pid": figures["writer_pid"],
    }


# ---- collections ------------------------------------------------------------------------------------------------


def list_collections(store: str | None, *, namespace: str | None, as_json: bool) -> None:
    """Print the tables and namespaces that hold items; ``namespace``: only those in it and below it."""
    with open_store(store) as connection:
        found = _collections(connection, namespace)
        if not found and namespace is not None:
            raise no_such_collection(connection, "ls", None, namespace)
        url = connection.url
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        rows = [[each["table"], each["namespace"], f"{each['items']:,}"] for each in found]
        _print_table(["table", "namespace", "items"], rows, right=(2,))
    else:
        click.echo(f"{url} is empty: there is no item in any table")


def _collections(connection: Connection, namespace: str | None) -> list[dict[str, Any]]:
    return [
        {"table": table, "namespace": place, "items": items}
        for table, place, items in sorted(connection.collections())
        if namespace is None or place == namespace or place.startswith(namespace + "/")
    ]


# ---- items ------------------------------------------------------------------------------------------------------


def list_items(
    store: str | None,
    *,
    table: str,
    namespace: str | None,
    limit: int,
    starting_after: str | None,
    type: str | None,
    as_json: bool,
) -> None:
    """Print the newest items of one table in one namespace."""
    with open_store(store) as connection:
        items = open_table(connection, table, namespace)
        filters = {} if type is None else {"type": type}
        found = _newest(items, limit + 1, starting_after, filters)
        if not found and starting_after is None and not items.count():
            raise no_such_collection(connection, "ls", table, items.namespace)
    shown, more = found[:limit], len(found) > limit
    if as_json:
        lines = ",\n".join(json_line(item).decode() for item in shown)
        click.echo(f"[\n{lines}\n]" if lines else "[]")
        return
    if not shown:
        click.echo("no item of that type" if starting_after is None else f"no item behind {printable(starting_after)}")
        return
    _print_items(shown)
    if more and on_terminal():
        click.secho(f"there are more: --starting-after {printable(shown[-1]['id'])}, or --limit", dim=True)


def _newest(items: Store, limit: int, starting_after: str | None, filters: dict[str, str]) -> list[dict[str, Any]]:
    page = items.list(limit=min(limit, PAGE), starting_after=starting_after, **filters)
    return [item for _, item in zip(range(limit), page.auto_paging_iter())]


def _print_items(items: list[dict[str, Any]]) -> None:
    width = answer_console().width if on_terminal() else None
    # Something of the item is to be seen, and an id of Stripe's, which is copied to ``get``, wherever there is room.
    most_id = None if width is None else max(width // 4, STRIPES_ID if width >= USUAL_WIDTH else 10)
    most_type = None if width is None else max(width // 5, 8)
    moment = time.time()
    rows = [
        [
            cut(printable(item["id"]), most_id),
            cut(printable(item["type"]) if isinstance(item.get("type"), str) else "", most_type),
            _when(item.get("created"), moment),
        ]
        for item in items
    ]
    headings = ["id", "type", "created", "item"]
    if not any(row[1] for row in rows):
        del headings[1]
        for row in rows:
            del row[1]
    taken = sum(max(map(len, column)) + GAP for column in zip(headings, *rows))
    room = None if width is None else max(width - taken, 8)
    for row, item in zip(rows, items):
        plain = json.loads(json_line(item))
        rest = {key: inner for key, inner in plain.items() if key not in SHOWN_APART}
        if width is not None:  # what tells a person little does not take the room of what does
            rest = {key: inner for key, inner in rest.items() if inner is not None and key != "object"}
        row.append(one_line(rest, room))
    _print_table(headings, rows)


def _when(created: object, moment: float) -> str:
    """How long ago for a person, the date for what is not of these days, and for programs the time in UTC."""
    if not isinstance(created, (int, float)) or isinstance(created, bool):
        return ""
    try:
        date = datetime.fromtimestamp(created, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return str(created)
    if not on_terminal():
        return f"{date:%Y-%m-%dT%H:%M:%SZ}"
    seconds = moment - created
    for unit, length, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 24), ("d", 86400, 7)):
        if 0 <= seconds < length * most:
            return f"{int(seconds // length)} {unit} ago"
    return f"{date:%Y-%m-%d}"


# ---- tables -----------------------------------------------------------------------------------------------------

GAP = 2


def _print_table(headings: list[str], rows: list[list[str]], right: Sequence[int] = ()) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, GAP, 0, 0), pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place in right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    show(table)
