"""``papertiger-shm gc``: removes what killed runs left. What may be removed is decided behind the public API."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import click

from papertiger_shm import InvalidRequest, Leftover, ManagerUnavailable, connect, leftovers, remove_leftover
from papertiger_shm.cli.address import store_url

__all__ = ["collect"]


class Found(NamedTuple):
    """Something that was left: how it is told of, and whether it was removed."""

    described: str
    figures: dict[str, Any]
    removed: bool


def collect(store: str | None, *, everywhere: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what dead runs left, of one store or of all, and say what it was."""
    url = store_url(store)
    found = _stores(url, everywhere=everywhere, dry_run=dry_run)
    if url is not None and not found:
        found = _runs(url, dry_run=dry_run)
    if as_json:
        told = [{**each.figures, "removed": each.removed} for each in found]
        click.echo(json.dumps({"dry_run": dry_run, "leftovers": told}, indent=2))
        return
    for each in found:
        click.echo(f"{_verb(dry_run, each.removed)} {each.described}")
    if not found:
        click.echo("nothing to remove: no dead run has left anything")


def _stores(url: str | None, *, everywhere: bool, dry_run: bool) -> list[Found]:
    """Stores whose manager is dead: the one, or all there are."""
    found = []
    for leftover in leftovers(everywhere=everywhere):
        if url is None or f"shm://{leftover.name}" == url:
            removed = not dry_run and remove_leftover(leftover)
            figures = {
                "url": f"shm://{leftover.name}" if leftover.name else None,
                "segment": leftover.segment,
                "bytes": leftover.bytes,
            }
            found.append(Found(_described(leftover), figures, removed))
    return found


def _runs(url: str, *, dry_run: bool) -> list[Found]:
    """Runs of tests that died and left their data in a store that lives."""
    from papertiger_shm.testing.abandoned import abandoned_runs, remove_run

    try:
        connection = connect(url)
    except ManagerUnavailable as error:
        if not url.startswith("shm://"):
            raise
        raise InvalidRequest(
            f"gc was asked to remove what {url} left, and there is no such store, or one of its readers is alive"
        ) from error
    with connection:
        return [
            Found(
                f"the run {run.run_id} in {connection.url} ({run.items:,} items)",
                {"url": connection.url, "run": run.run_id, "items": run.items},
                not dry_run and remove_run(connection, run),
            )
            for run in abandoned_runs(connection)
        ]


def _verb(dry_run: bool, removed: bool) -> str:
    if dry_run:
        return "would remove"
    return "removed" if removed else "left alone, since it is in use by now,"


def _described(leftover: Leftover) -> str:
    memory = f"{leftover.segment}, {leftover.bytes:,} bytes" if leftover.segment else "no memory"
    return f"shm://{leftover.name} ({memory})" if leftover.name else f"a segment of no store ({memory})"
