"""``papertiger-shm gc``: removes what killed runs left. What may be removed is decided behind the public API.

They leave stores, where those were their own, and data in stores that live on, as on a server.
"""

from __future__ import annotations

import json

import click

from papertiger_shm import InvalidRequest, Leftover, ManagerUnavailable, connect, leftovers, remove_leftover
from papertiger_shm.cli.address import store_url
from papertiger_shm.testing import DeadRun, dead_runs, remove_dead_run


def collect(store: str | None, *, everywhere: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what dead runs left, of one store or of all, and say what it was."""
    url = store_url(store)
    found = leftovers(everywhere=everywhere) if url is None or url.startswith("shm://") else []
    if url is not None:
        found = [leftover for leftover in found if f"shm://{leftover.name}" == url]
        if not found:
            _collect_runs(url, dry_run=dry_run, as_json=as_json)
            return
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


def _collect_runs(url: str, *, dry_run: bool, as_json: bool) -> None:
    """The same within a store that lives."""
    try:
        connection = connect(url)
    except ManagerUnavailable:
        if not url.startswith("shm://"):
            raise
        raise InvalidRequest(
            f"gc was asked to remove what {url} left, and there is no such store, or its owner or one of its readers "
            "is alive: it removes itself when they have ended"
        ) from None
    with connection:
        told = [(dead, not dry_run and remove_dead_run(connection, dead)) for dead in dead_runs(connection)]
    if as_json:
        runs = [_run_figures(*each) for each in told]
        answer = {"dry_run": dry_run, "url": connection.url, "leftovers": [], "runs": runs}
        click.echo(json.dumps(answer, indent=2))
        return
    for dead, removed in told:
        click.echo(f"{_verb(dry_run, removed)} {_run_described(dead)} of {connection.url}")
        for fixture in dead.never_torn_down:
            click.echo(f"  {_never_torn_down(fixture)}")
    if not told:
        click.echo(
            f"nothing to remove: no dead run has left anything in {connection.url}, which is alive; "
            "`papertiger-shm stop` ends it, data and all"
        )


def _verb(dry_run: bool, removed: bool) -> str:
    if dry_run:
        return "would remove"
    return "removed" if removed else "left alone, since it is in use by now,"


def _described(leftover: Leftover) -> str:
    memory = f"{leftover.segment}, {leftover.bytes:,} bytes" if leftover.segment else "no memory"
    return f"shm://{leftover.name} ({memory})" if leftover.name else f"a segment of no store ({memory})"


def _run_described(dead: DeadRun) -> str:
    workers = ", ".join(worker["worker"] for worker in dead.workers) or "none known"
    return f"run {dead.run} (workers: {workers}; {dead.items:,} items in {len(dead.namespaces):,} namespaces of tests)"


def _never_torn_down(fixture: dict[str, str | None]) -> str:
    reap = "it has no reap function" if fixture["reap"] is None else f"gc cannot call its {fixture['reap']}"
    return f"never torn down: shared fixture {fixture['name']}, set up by {fixture['owner']}; {reap}"


def _run_figures(dead: DeadRun, removed: bool) -> dict[str, object]:
    return {
        "run": dead.run,
        "workers": [{key: worker[key] for key in ("worker", "state", "test")} for worker in dead.workers],
        "namespaces": dead.namespaces,
        "items": dead.items,
        "never_torn_down": dead.never_torn_down,
        "removed": removed,
    }


def _figures(leftover: Leftover, removed: bool) -> dict[str, object]:
    return {
        "url": f"shm://{leftover.name}" if leftover.name else None,
        "segment": leftover.segment,
        "bytes": leftover.bytes,
        "removed": removed,
    }
