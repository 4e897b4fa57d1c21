"""``papertiger-shm stop``: ends a store, data and all, from outside; of a server that it is on nothing else."""

from __future__ import annotations

import json
import time

import click

from papertiger_shm import ManagerUnavailable, connect
from papertiger_shm.cli.opening import open_store

GONE_SECONDS = 10.0
"""How long a manager that has promised to stop may take over it."""


def stop(store: str | None, *, as_json: bool) -> None:
    """Have the manager stop, and return when it has gone."""
    with open_store(store) as connection:
        url = connection.url
        connection.stop_manager()
    if not url.startswith("shm://"):
        click.echo(json.dumps({"url": url, "stopped": True}) if as_json else f"removed {url}; the server goes on")
        return
    deadline = time.monotonic() + GONE_SECONDS
    while _answers(url):
        if time.monotonic() >= deadline:
            raise click.ClickException(
                f"{url} was told to stop and still answers after {GONE_SECONDS:g} s: someone has started it again, or "
                "it is overloaded; look with `papertiger-shm stats`"
            )
        time.sleep(0.01)
    click.echo(json.dumps({"url": url, "stopped": True}) if as_json else f"stopped {url}; its data is gone")


def _answers(url: str) -> bool:
    try:
        connect(url, timeout=0.5).close()
    except ManagerUnavailable:
        return False
    return True
