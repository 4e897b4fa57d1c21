"""``papertiger-shm gc``: removes what killed runs left. What may be removed is decided behind the public API."""

from __future__ import annotations

import json

import click

from papertiger_shm import InvalidRequest, Leftover, leftovers, remove_leftover
from papertiger_shm.cli.address import store_url


def collect(store: str | None, *, everywhere: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what dead runs left, of one store or of all, and say what it was."""
    found = leftovers(everywhere=everywhere)
    if store is not None:
        found = _of_store(found, store)
    told = []
    for leftover in found:
        removed = not dry_run and remove_leftover(leftover)
        told.append((leftover, removed))
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "leftovers": [_figures(*each) for each in told]}, indent=2))
        return
    for leftover, removed in told:
        click.echo(f"{_verb(dry_run, removed)} {_described(leftover)}")
    if not told:
        click.echo("nothing to remove: no dead run has left anything")


def _of_store(found: list[Leftover], store: str) -> list[Leftover]:
    url = store_url(store)
    mine = [leftover for leftover in found if f"shm://{leftover.name}" == url]
    if not mine:
        raise InvalidRequest(
            f"gc was asked to remove what {url} left, and there is no such store, or its manager, its owner or one of "
            "its readers is alive: `papertiger-shm stop` ends a living one"
        )
    return mine


def _verb(dry_run: bool, removed: bool) -> str:
    if dry_run:
        return "would remove"
    return "removed" if removed else "left alone, since it is in use by now,"


def _described(leftover: Leftover) -> str:
    memory = f"{leftover.segment}, {leftover.bytes:,} bytes" if leftover.segment else "no memory"
    return f"shm://{leftover.name} ({memory})" if leftover.name else f"a segment of no store ({memory})"


def _figures(leftover: Leftover, removed: bool) -> dict[str, object]:
    return {
        "url": f"shm://{leftover.name}" if leftover.name else None,
        "segment": leftover.segment,
        "bytes": leftover.bytes,
        "removed": removed,
    }
