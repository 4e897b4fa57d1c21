"""What has to hold when the workers are done. Each function returns sentences, one for everything that is off.

The store is read through a connection of the parent's own; the workers' reports are evidence, not the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from papertiger_shm import Events, PaperTigerError
from papertiger_shm.cli.demo.books import Books, expected_order, shipped_events
from papertiger_shm.cli.demo.scene import SHARED, TALLY, Tallies, own_namespace

if TYPE_CHECKING:
    from papertiger_shm import Connection

__all__ = ["faults_of_exits", "faults_of_reports", "faults_of_store"]

Report = dict[str, Any]


def faults_of_exits(exits: Sequence[int | None]) -> list[str]:
    """A worker's exit code has to be 0; None stands for one that would not end."""
    faults = []
    for number, code in enumerate(exits):
        if code is None:
            faults.append(f"worker {number} did not end in time and was killed")
        elif code < 0:
            faults.append(f"worker {number} died of signal {-code}")
        elif code > 0:
            faults.append(f"worker {number} ended with exit code {code}")
    return faults


def faults_of_reports(reports: Sequence[Report], workers: int) -> list[str]:
    """Every worker has to have come to its end, to have checked something, and to have found nothing off."""
    faults = []
    by_worker = {report["worker"]: report for report in reports}
    for number in range(workers):
        report = by_worker.get(number)
        if report is None or report["state"] != "done":
            faults.append(f"worker {number} did not get to the end of its work")
        elif not report["reads"]:
            faults.append(f"worker {number} read nothing, so it proves nothing")
        if report is not None and report["fault_count"]:
            faults.append(f"worker {number} found {report['fault_count']:,} wrong answers, the first of them:")
            faults += [f"  {fault}" for fault in report["faults"]]
    return faults


def faults_of_store(connection: Connection, reports: Sequence[Report]) -> list[str]:
    """The shared events untouched, every worker's namespace as its books say, no turn lost, the segment sound."""
    faults = faults_of_shared_events(Events(connection, SHARED))
    for report in reports:
        if report["state"] == "done":
            faults += faults_of_namespace(connection, report)
    turns = Tallies(connection, SHARED).get(TALLY)["turns"]
    taken = sum(report["turns"] for report in reports)
    if turns != taken:
        faults.append(f"the common tally says {turns:,} turns, the workers took {taken:,}")
    try:
        connection.verify()
    except PaperTigerError as error:
        faults.append(f"verify: {error}")
    return faults


def faults_of_shared_events(events: Events) -> list[str]:
    expected = expected_order(list(shipped_events()))
    faults = []
    if events.count() != len(expected):
        faults.append(f"{events.count():,} shared events, must be {len(expected):,}")
    if list(events.list(limit=100).auto_paging_iter()) != expected:
        faults.append("the shared events, paged through, are not those that were loaded, in their order")
    for event in expected:
        if events.get(event["id"], None) != event:
            faults.append(f"shared event {event['id']} is not what was loaded")
        if events.find_by_type(event["type"]) != [event]:
            faults.append(f"find_by_type({event['type']!r}) does not give its one event")
    return faults


def faults_of_namespace(connection: Connection, report: Report) -> list[str]:
    books = Books(report["worker"])
    for key, step in report["steps"].items():
        books.wrote(int(key), step)
    namespace = own_namespace(report["worker"])
    if Events(connection).list_namespace(namespace) != books.listing():
        return [f"namespace {namespace} does not hold what worker {report['worker']} wrote"]
    return []
