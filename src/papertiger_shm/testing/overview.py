"""What goes on in a run, as plain data: its workers, what each does and waits for, and its shared fixtures.

Read from the run's store by whoever is connected to it; nothing is written here.
"""

from __future__ import annotations

import time
from typing import Any

from papertiger_shm import Connection
from papertiger_shm.testing.ownership import SharedFixtures, value_id_of
from papertiger_shm.testing.roster import DEAD, EXPECTED, GONE, RUNS, Members, has, run_namespace

__all__ = ["run_in", "runs_in", "runs_of"]


def runs_in(connection: Connection) -> list[dict[str, Any]]:
    """A dict for each run in the store: "run", "workers" and "shared_fixtures", each a list of dicts.

    Of a worker: worker, state ("dead" where its process has gone without a word), test and seconds, namespace and
    items, waits_for. Of a shared fixture: name, state, owner, seconds, holders.
    """
    sizes = connection.collections()
    return [run_in(connection, run, sizes) for run in runs_of(sizes)]


def runs_of(sizes: list[tuple[str, str, int]]) -> list[str]:
    """The ids of the runs among a store's collections."""
    return sorted({place.split("/")[1] for _, place, _ in sizes if place.startswith(RUNS + "/")})


def run_in(connection: Connection, run: str, sizes: list[tuple[str, str, int]]) -> dict[str, Any]:
    """One of ``runs_in``; ``sizes`` are the store's collections."""
    place = run_namespace(run)
    return {
        "run": run,
        "workers": [
            _worker(connection, member, sizes)
            for member in sorted(Members(connection, place), key=lambda member: member["id"])
        ],
        "shared_fixtures": _fixtures(connection, place),
    }


def _worker(connection: Connection, member: dict[str, Any], sizes: list[tuple[str, str, int]]) -> dict[str, Any]:
    state, namespace = member["state"], member["namespace"]
    if state not in (EXPECTED, GONE, DEAD) and not connection.leased(member["lease"]):
        state = DEAD
    return {
        "worker": member["id"],
        "state": state,
        "test": member["test"],
        "seconds": time.time() - member["since"],
        "namespace": namespace,
        "items": sum(items for _, place, items in sizes if namespace and f"{place}/".startswith(f"{namespace}/")),
        "waits_for": member["waits_for"],
        "waits_seconds": None if member["waits_since"] is None else time.time() - member["waits_since"],
    }


def _fixtures(connection: Connection, place: str) -> list[dict[str, Any]]:
    members = [*Members(connection, place)]
    return [
        {
            "name": record["name"],
            "state": record["state"],
            "owner": record["owner"],
            "seconds": time.time() - record["since"] if record["seconds"] is None else record["seconds"],
            "holders": [member["id"] for member in members if has(member, value_id_of(record))],
        }
        for record in sorted(SharedFixtures(connection, place), key=lambda record: record["since"])
    ]
