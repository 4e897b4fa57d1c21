"""The table of runs, and what a worker does: claim a run, measure, publish, until there is none left to claim."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from candidates import measure

from papertiger_shm import Conflict, Connection, ManagerUnavailable, Store, connect

Run = dict[str, Any]


class Runs(Store, table="harness_runs", resource="run", indexes=("state",)):
    """A run is one measurement of one candidate. ``state``: "waiting", "claimed" or "done".

    ``worker``: the process that has claimed it; ``lease``: by which others can tell whether that still lives;
    ``claims``: how often it has been claimed, which is once, unless a worker has died.
    """


def claim(connection: Connection, lease: str) -> Run | None:
    """A run that waits, or whose worker has died, now this worker's; None where there is none."""
    runs = Runs(connection)
    oldest_first = runs.find_by("state", "waiting")[::-1]
    for id in [run["id"] for run in oldest_first + runs.find_by("state", "claimed")]:
        version, run = runs.version(id), runs.get(id)
        if run["state"] == "waiting" or (run["state"] == "claimed" and not connection.leased(run["lease"])):
            mine = {"state": "claimed", "worker": os.getpid(), "lease": lease, "claims": run["claims"] + 1}
            with suppress(Conflict):  # another was quicker
                return runs.compare_and_set(run | mine, version)
    return None


def work(url: str) -> None:
    """What the process does. Where the store has gone, the harness has too, and nobody wants to know any more."""
    with suppress(ManagerUnavailable), connect(url) as connection:
        runs, lease = Runs(connection), connection.lease()
        sent = []
        while run := claim(connection, lease.id):
            version = runs.version(run["id"])
            figures = measure(run["candidate"])
            # Not waited for: the next claim is carried out after it in any case.
            with runs.transaction(wait=False) as publication:
                runs.compare_and_set(run | figures | {"state": "done"}, version)
            sent.append(publication)
        for publication in sent:
            _ = publication.results  # raises what kept it from being written
        lease.release()


if __name__ == "__main__":
    work(sys.argv[1])
