"""``papertiger-shm check``: is every word of a store what a writer leaves? What that means is said by the engine."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import click

from papertiger_shm import CorruptSegment
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.stats import print_table


def check(store: str | None, *, as_json: bool) -> int:
    """Have the whole segment verified and print the figures; the exit status, 1 for a damaged one."""
    with open_store(store) as connection:
        url = connection.url
        try:
            with _spinner(f"checking {url}"):
                figures = connection.verify()
        except CorruptSegment as damage:
            if as_json:
                click.echo(json.dumps({"url": url, "sound": False, "damage": str(damage)}))
            click.echo(f"Error: {url}: {damage}. What can still be read, `papertiger-shm dump` saves", err=True)
            return 1
    if as_json:
        click.echo(json.dumps({"url": url, "sound": True, **figures}, indent=2, default=str))
    else:
        print_table({"url": url, **figures})
        click.echo(f"{url} is sound: every word is accounted for")
    return 0


def _spinner(text: str) -> contextlib.AbstractContextManager[Any]:
    """Something that moves while one waits, where there is a terminal to move on."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else contextlib.nullcontext()
