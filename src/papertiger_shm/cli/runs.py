"""``papertiger-shm top --run``: the workers of the runs in one store, and what they share, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from papertiger_shm import connect
from papertiger_shm.cli import console as terminal
from papertiger_shm.cli.address import store_url
from papertiger_shm.testing import runs_in

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["show", "tables_of"]


def show(store: str | None, *, as_json: bool) -> None:
    """Print the runs in ``store`` as tables, or as one JSON list."""
    with connect(store_url(store)) as connection:
        url, runs = connection.url, runs_in(connection)
    if as_json:
        click.echo(json.dumps(runs, indent=2))
    elif runs:
        terminal.show(*(part for run in runs for part in tables_of(run)))
    else:
        click.echo(f"no run of tests has to do with {url} just now")


def tables_of(run: dict[str, Any]) -> list[RenderableType]:
    """The run's id, its workers and its shared fixtures."""
    parts: list[RenderableType] = [f"run {run['run']}", _workers(run["workers"])]
    if run["shared_fixtures"]:
        parts.append(_fixtures(run["shared_fixtures"]))
    return parts


def _workers(workers: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    columns = {
        "worker": [worker["worker"] for worker in workers],
        "state": [worker["state"] for worker in workers],
        "test": [worker["test"] or "" for worker in workers],
        "for": [f"{worker['seconds']:.1f} s" for worker in workers],
        "namespace": [worker["namespace"] or "" for worker in workers],
        "items": [f"{worker['items']:,}" if worker["namespace"] else "" for worker in workers],
        "waits for": [
            f"{worker['waits_for']} ({worker['waits_seconds']:.1f} s)" if worker["waits_for"] else ""
            for worker in workers
        ],
    }
    if all(worker["namespace"] in (None, f"{worker['worker']}/{worker['test']}") for worker in workers):
        del columns["namespace"]  # it would say again what stands beside it, and leave no room for either
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # what tells two tests apart is at their names' end
    for cells in zip(*columns.values()):
        table.add_row(*map(Text, cells))  # the brackets in a test's name are no markup
    return table


def _fixtures(fixtures: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("shared fixture", "state", "owner", "seconds", "held by", box=None, header_style="bold")
    for fixture in fixtures:
        holders = ", ".join(fixture["holders"])
        cells = (fixture["name"], fixture["state"], fixture["owner"], f"{fixture['seconds']:.2f}", holders)
        table.add_row(*map(Text, cells))
    return table
