"""What killed runs left in a store that lives on: finding it, and taking it away. A run that lives is never touched.

A run is dead when no process that is known to have a part in it holds its lease any more. What is its own, is what its
tests wrote to, each in a namespace that begins with the run's id and the worker's name, and what its workers shared. A
store that is a run's own goes with the run, and is none of this room's business.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from papertiger_shm import AlreadyExists, Conflict, Connection, NotFound
from papertiger_shm.testing.naming import store_url
from papertiger_shm.testing.overview import run_in, runs_of
from papertiger_shm.testing.ownership import READY, TEARING_DOWN, SharedFixtures
from papertiger_shm.testing.roster import Arrivals, Members, Roster, run_namespace

__all__ = ["DeadRun", "dead_runs", "remove_dead_run"]

SECOND_LOOK_SECONDS: Final = 3.0
"""Longer than it takes until leases are renewed on a server that was away: they have run out there meanwhile."""


@dataclass(frozen=True)
class DeadRun:
    """One run of which nobody lives, and what it left."""

    run: str
    workers: list[dict[str, Any]]
    """As ``runs_in`` tells them."""
    namespaces: list[str]
    """Those of its tests that hold any items."""
    items: int
    """How many those are."""
    never_torn_down: list[dict[str, Any]]
    """Shared fixtures whose values are nobody's now: "name", "owner", and "reap", which only its suite can call."""
    places: list[str]
    """The namespaces, with those below them, in which all that it left is."""
    arrivals: int | None
    """The version of the last arrival; another one means that somebody has come meanwhile."""


def dead_runs(connection: Connection) -> list[DeadRun]:
    """What runs left in the store that ended without clearing up; takes some seconds where there are any."""
    before = {dead.run: dead.arrivals for dead in _look(connection)}
    if not before:
        return []
    time.sleep(SECOND_LOOK_SECONDS)
    return [dead for dead in _look(connection) if before.get(dead.run, 0) == dead.arrivals]


def remove_dead_run(connection: Connection, dead: DeadRun) -> bool:
    """Take it all away, in one step; False, and nothing is removed, where somebody takes part in the run by now."""
    namespace = run_namespace(dead.run)
    if _lives(connection, namespace):
        return False
    arrivals, mark = Arrivals(connection, namespace), {"id": "last", "member": None}
    try:
        with connection.transaction():
            if dead.arrivals is None:
                arrivals.insert_new(mark)
            else:
                arrivals.compare_and_set(mark, dead.arrivals)
            for place in dead.places:
                connection.clear_namespace(place)
    except (AlreadyExists, Conflict):
        return False
    return True


def _look(connection: Connection) -> list[DeadRun]:
    found = []
    sizes = connection.collections()
    for run in runs_of(sizes):
        namespace = run_namespace(run)
        arrivals = _arrivals(connection, namespace)  # before the leases are looked at
        if store_url(run) != connection.url and not _lives(connection, namespace):
            found.append(_dead_run(connection, run, arrivals, sizes))
    return found


def _arrivals(connection: Connection, namespace: str) -> int | None:
    try:
        return Arrivals(connection, namespace).version("last")
    except NotFound:
        return None


def _lives(connection: Connection, namespace: str) -> bool:
    roster = Roster(connection, namespace)
    return any(roster.may_live(member) for member in roster.members)


def _dead_run(connection: Connection, run: str, arrivals: int | None, sizes: list[tuple[str, str, int]]) -> DeadRun:
    namespace = run_namespace(run)
    of_tests = [f"{run}/{member['id']}" for member in Members(connection, namespace)]
    held = [
        (place, items)
        for _, place, items in sizes
        if any(f"{place}/".startswith(f"{of_worker}/") for of_worker in of_tests)
    ]
    never_torn_down = [
        {"name": record["name"], "owner": record["owner"], "reap": _reaper(record["reap"])}
        for record in SharedFixtures(connection, namespace)
        if record["state"] in (READY, TEARING_DOWN) and (record["reap"] is not None or record["to_undo"])
    ]
    return DeadRun(
        run,
        run_in(connection, run, sizes)["workers"],
        sorted({place for place, _ in held}),
        sum(items for _, items in held),
        never_torn_down,
        [namespace, *of_tests],
        arrivals,
    )


def _reaper(disposal: dict[str, Any] | None) -> str | None:
    return None if disposal is None else ":".join(disposal["function"].split(":")[:2])
