"""Runs of tests whose processes are all dead, in a store that lives on: one on a server, or that several runs share.

A run that ends clears up after itself; one that was killed, controller and all, cannot. Its leases tell. What its
shared fixtures had set up outside the store is not undone here: ``reap`` needs the run's own code.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from papertiger_shm import Conflict, Connection
from papertiger_shm.testing.roster import EXPECTED, REPLACEMENT_SECONDS, RUNS, Members, run_namespace

__all__ = ["AbandonedRun", "abandoned_runs", "remove_run"]


class AbandonedRun(NamedTuple):
    """``items``: how many it left, its own tables' included; ``versions``: of the workers' entries, by their ids."""

    run_id: str
    items: int
    versions: dict[str, int]


def abandoned_runs(connection: Connection) -> list[AbandonedRun]:
    """The runs in the store none of whose workers lives or is about to come."""
    collections = connection.collections()
    found = []
    for table, namespace, _ in collections:
        if table == Members.table_name and namespace.startswith(f"{RUNS}/"):
            run_id = namespace.removeprefix(f"{RUNS}/")
            versions = _versions_of_the_dead(connection, namespace)
            if versions is not None:
                items = sum(count for _, name, count in collections if _is_of(name, run_id))
                found.append(AbandonedRun(run_id, items, versions))
    return found


def remove_run(connection: Connection, run: AbandonedRun) -> bool:
    """Remove all that it left in the store; False, and nothing is removed, if somebody has taken part in it since."""
    members = Members(connection, run_namespace(run.run_id))
    if {*run.versions} != {member["id"] for member in members}:
        return False
    try:
        with connection.transaction():
            for worker, version in run.versions.items():
                members.compare_and_set(members[worker], version)
            connection.clear_namespace(run_namespace(run.run_id))
            connection.clear_namespace(run.run_id)
    except (Conflict, KeyError):
        return False
    return True


def _versions_of_the_dead(connection: Connection, namespace: str) -> dict[str, int] | None:
    """None if any of them lives. Versions are read before leases, so that who comes to life in between has moved."""
    members = Members(connection, namespace)
    versions = {}
    for member in [*members]:
        version = members.version(member["id"])
        if version is None or _may_live(connection, member):
            return None
        versions[member["id"]] = version
    return versions


def _may_live(connection: Connection, member: dict[str, object]) -> bool:
    since, lease = member["since"], member["lease"]
    if member["state"] == EXPECTED and isinstance(since, float):
        return time.time() - since < REPLACEMENT_SECONDS
    return isinstance(lease, str) and connection.leased(lease)


def _is_of(namespace: str, run_id: str) -> bool:
    return any(f"{namespace}/".startswith(f"{beginning}/") for beginning in (run_id, run_namespace(run_id)))
