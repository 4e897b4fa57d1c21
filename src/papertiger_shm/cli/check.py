"""``papertiger-shm check``: is every word of a store what a writer leaves? What that means is said by the engine."""

from __future__ import annotations

import json

import click

from papertiger_shm import CorruptSegment
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.progress import bar
from papertiger_shm.cli.stats import print_table


def check(store: str | None, *, as_json: bool) -> int:
    """Have the whole segment verified and print the figures; the exit status, 1 for a damaged one."""
    with open_store(store) as connection:
        url = connection.url
        try:
            with bar(f"checking {url}") as progress:
                figures = connection.verify(progress=progress)
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
