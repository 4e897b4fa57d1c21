"""The end of a run: what it shared, as figures, what dead workers left behind, and the store itself.

Carried out once, by the process that started the run: the controller of pytest-xdist, or the one process there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from papertiger_shm import Connection, ManagerUnavailable, connect
from papertiger_shm.testing.address import Address
from papertiger_shm.testing.orphans import dispose
from papertiger_shm.testing.ownership import Ownership, SharedFixtures
from papertiger_shm.testing.participant import Participant
from papertiger_shm.testing.roster import GONE, Members, Roster, run_namespace

__all__ = ["Conclusion", "conclude", "nothing"]

CONTROLLER = "controller"


def nothing(address: Address) -> dict[str, Any]:
    """The report of a run that had no use for a store."""
    return {
        "run": address.run_id,
        "url": address.shown,
        "tests": 0,
        "overhead_seconds_per_test": 0.0,
        "workers": [],
        "shared_fixtures": [],
    }


@dataclass
class Conclusion:
    """What is to be told of the run."""

    report: dict[str, Any]
    """As ``--papertiger-report`` writes it."""
    problems: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Namespaces that were left to be looked at; the store lives on with them."""


def conclude(address: Address, *, keep: bool) -> Conclusion | None:
    """Gather, dispose of what nobody will tear down any more, and remove the store; None where there is none.

    ``keep``: what a worker's last test left when it died stays, as that of any failed test.
    """
    try:
        connection = connect(address.url, timeout=30)
    except ManagerUnavailable:
        return None
    with connection:
        namespace = run_namespace(address.run_id)
        conclusion = _gathered(connection, namespace, address)
        ours_to_end = not Roster(connection, namespace, address.party).others()
        died = [
            member["namespace"]
            for member in Members(connection, namespace)
            # Of the others nobody is left where the end is ours.
            if member["namespace"] is not None and (ours_to_end or member["id"].startswith(address.party))
        ]
        if keep:
            conclusion.kept += died
        left = {*died} - {*conclusion.kept}
        if ours_to_end:
            # Else it is for those who share the run to do, when they have ended theirs.
            if any(record["state"] != "gone" for record in SharedFixtures(connection, namespace)):
                conclusion.problems += _disposed(connection, address)
            if address.own and not conclusion.kept:
                connection.stop_manager()
                return conclusion
            if not address.own:
                left.add(namespace)
        if not address.own:
            with connection.transaction():
                for each in left:
                    connection.clear_namespace(each)
    return conclusion


def _disposed(connection: Connection, address: Address) -> list[str]:
    participant = Participant(connection, address.run_id, address.party + CONTROLLER, controlled=False)
    said: list[str | None] = []
    Ownership(participant, lambda record, stored: said.append(dispose(record, stored))).bury_all()
    participant.leave()
    return [problem for problem in said if problem is not None]


def _gathered(connection: Connection, namespace: str, address: Address) -> Conclusion:
    members = sorted(Members(connection, namespace), key=lambda member: member["created"])
    figures = [member["figures"] for member in members if member.get("figures")]
    tests = sum(figure.get("tests", 0) for figure in figures)
    overhead = sum(figure.get("overhead", 0.0) for figure in figures)
    report = {
        **nothing(address),
        "url": connection.url,
        "tests": tests,
        "overhead_seconds_per_test": overhead / tests if tests else 0.0,
        "workers": [
            {"worker": member["id"], "state": "left" if member["state"] == GONE else member["state"]}
            for member in members
        ],
        "shared_fixtures": shared_fixture_figures(connection, namespace),
    }
    return Conclusion(report, kept=[name for member in members for name in member["kept"]])


def shared_fixture_figures(connection: Connection, namespace: str) -> list[dict[str, Any]]:
    """A row for each shared fixture and parameter, oldest first; of several values of one the last is told."""
    members = [*Members(connection, namespace)]
    rows: dict[str, dict[str, Any]] = {}
    for record in sorted(SharedFixtures(connection, namespace), key=lambda record: record["since"]):
        before = rows.pop(record["fixture"], None)
        values = {f"{record['id']}/{setup}" for setup in range(1, record["setups"] + 1)}
        held = [[hold for id, hold in member["holds"].items() if id in values] for member in members]
        rows[record["fixture"]] = _row(record, [holds for holds in held if holds], before)
    return [*rows.values()]


def _row(record: dict[str, Any], held: list[list[dict[str, Any]]], before: dict[str, Any] | None) -> dict[str, Any]:
    """``held``: for each worker that had it, what it said of each value."""
    seconds = record["seconds"] or 0.0
    waited = sum(hold["waited"] for holds in held for hold in holds)
    row = {
        "name": record["name"],
        "key": record["id"],
        "outcome": record["error"]["kind"] if record["error"] else record["state"],
        "owner": record["owner"],
        "setups": record["setups"],
        "setup_seconds": seconds,
        "workers": len(held),
        "uses": sum(hold["uses"] for holds in held for hold in holds),
        "waited_seconds": waited,
        # Each of the other workers would have spent the set-up's time; it waited instead.
        "saved_seconds": max(0.0, seconds * (len(held) - 1) - waited),
    }
    if before is not None:
        for figure in ("setups", "setup_seconds", "uses", "waited_seconds", "saved_seconds"):
            row[figure] += before[figure]
        row["workers"] = max(row["workers"], before["workers"])
    return row
