"""``papertiger-shm ui``: the inspector page of one store, for as long as this command runs.

What the page shows, and to whom, is the business of ``papertiger_shm.ui``.
"""

from __future__ import annotations

import json

import click

from papertiger_shm.cli.ending import until_asked
from papertiger_shm.cli.opening import open_store

LOOK_SECONDS = 0.2
"""How often to see whether the store is still there, and whether the address has been used."""


def ui(store: str | None, *, http: tuple[str, int] | None, as_json: bool) -> int:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP, or until the store has gone; the exit status."""
    from papertiger_shm.ui import Inspector

    asked_to_end = until_asked()
    with open_store(store) as connection, Inspector(connection, *(http or ("127.0.0.1", 0))) as inspector:
        told = inspector.address
        click.echo(json.dumps({"url": told, "store": inspector.store}) if as_json else told)
        click.echo(f"shows {inspector.store} and writes nothing; the address opens once; Ctrl-C ends it", err=True)
        while not asked_to_end(LOOK_SECONDS):
            if inspector.store_has_gone:
                click.echo(f"{inspector.store} has gone; run this command again when there is one", err=True)
                return 0
            if told != inspector.address:
                told = inspector.address
                click.echo(f"opened; for another browser: {told}", err=True)
    click.echo(f"the page has ended, {inspector.store} goes on", err=True)
    return 0
