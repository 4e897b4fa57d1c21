"""``papertiger-shm stats``: one store's figures, once. What the figures mean is said where they are made."""

from __future__ import annotations

import json
from typing import Any

import click

from papertiger_shm import connect
from papertiger_shm.cli.address import store_url


def show(store: str | None, *, as_json: bool) -> None:
    """Print the figures of ``store`` as a table, or as one JSON object."""
    with connect(store_url(store)) as connection:
        figures = {"url": connection.url, **connection.stats()}
    if as_json:
        click.echo(json.dumps(figures, indent=2, default=str))
    else:
        print_table(figures)


def print_table(figures: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from papertiger_shm.cli import console

    table = Table("figure", "value", box=None, header_style="bold")
    for name, value in figures.items():
        table.add_row(Text(name.replace("_", " ")), Text(shown(value)))
    console.show(table)


def shown(value: Any) -> str:
    """A figure as a person reads it: thousands apart, collections as a count."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return str(value)
