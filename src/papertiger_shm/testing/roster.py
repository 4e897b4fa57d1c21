"""The roster: which workers a run has, whether they live, and what each is doing. Kept in the run's store.

Each worker writes its own entry; the xdist controller writes those of workers that are to come, and of those that
died. Whether a worker lives is not written anywhere: its lease says so, as the controller's does where the entry names
it. What workers share never enters here.
"""

from __future__ import annotations

import time
from typing import Any, Final

from papertiger_shm import Connection, Store

__all__ = [
    "DEAD",
    "ENDING",
    "EXPECTED",
    "GONE",
    "RUNNING",
    "RUNS",
    "Arrivals",
    "Members",
    "Roster",
    "expected",
    "has",
    "run_namespace",
]

EXPECTED: Final = "expected"
"""The controller is starting it."""
RUNNING: Final = "running"
"""It may run any test yet, and need anything."""
ENDING: Final = "ending"
"""It has run its last test, and keeps only what it has."""
GONE: Final = "gone"
"""It has left, with nothing more to do."""
DEAD: Final = "dead"
"""It died, and the controller has seen to its replacement."""

REPLACEMENT_SECONDS: Final = 30.0
"""How long the controller may take to say what becomes of a dead worker, and to start a replacement it foresaw."""

RUNS: Final = "papertiger-run"
"""The namespace below which each run has its own tables."""


def run_namespace(run_id: str) -> str:
    """Where the tables of the run itself are, away from those of any test."""
    return f"{RUNS}/{run_id}"


class Members(Store, table="papertiger_members", resource="member"):
    """One item for each worker: id, state, lease, test, since, namespace, waits_for, waits_since, figures,

    kept (namespaces), holds (of each shared value it has or had: uses, waited, released), and controller, the lease of
    the process that sees to its replacement, where that has one.
    """


class Arrivals(Store, table="papertiger_arrivals", resource="arrival"):
    """One item, "last", written along with the entry of each member that comes.

    Who takes away what a dead run left does so only if its version is what it was when the run was seen to be dead.
    """


class Roster:
    """The workers of one run, as anybody reads them who is connected to its store."""

    def __init__(
        self, connection: Connection, namespace: str, party: str = "", *, controller: str | None = None
    ) -> None:
        """``party``: what the names of those begin with whom a controller speaks for; ``controller``: its lease."""
        self.members = Members(connection, namespace)
        self._arrivals = Arrivals(connection, namespace)
        self._connection = connection
        self._party = party
        self._controller = controller
        self._deaths: dict[str, float] = {}

    def may_run_tests(self, *, besides: str = "") -> list[str]:
        """The workers that may run a test yet, ``besides`` one: living ones, and those that are being replaced."""
        return [member["id"] for member in self.members if member["id"] != besides and self.may_run(member)]

    def may_run(self, member: dict[str, Any]) -> bool:
        """Whether the worker may run a test yet, or one that takes its place."""
        if member["state"] == RUNNING:
            # One that died is replaced unless the controller says otherwise; without a controller nobody will say.
            return self._lives(member) or (
                member["controlled"] and self._is_news(member["id"]) and self._has_controller(member)
            )
        if member["state"] == EXPECTED:
            return self._has_controller(member) and (member["replaces"] is None or self._is_news(member["id"]))
        return False

    def may_live(self, member: dict[str, Any]) -> bool:
        """Whether the worker lives, or whoever would start another in its place."""
        return self._lives(member) or (member["controller"] is not None and self._has_controller(member))

    def arrive(self, member: dict[str, Any]) -> None:
        """A member comes, or is foreseen."""
        with self._connection.transaction():
            self._arrivals.insert({"id": "last", "member": member["id"]})
            self.members.insert(member)

    def _has_controller(self, member: dict[str, Any]) -> bool:
        """Whether the controller lives, as far as anybody can tell: with a whole host it has died, too."""
        return member["controller"] is None or self._connection.leased(member["controller"])

    def _is_news(self, worker: str) -> bool:
        """Whether its death has been known here for less time than a controller may take to say what becomes of it."""
        return time.monotonic() - self._deaths.setdefault(worker, time.monotonic()) < REPLACEMENT_SECONDS

    # --- for the controller -------------------------------------------------------------------------------------

    def expect(self, worker: str) -> None:
        """A worker is being started; one that was foreseen, if any, is this one."""
        with self._connection.transaction():
            for member in self.members:
                if member["state"] == EXPECTED and member["replaces"] is not None and self._is_ours(member):
                    self.members.delete(member["id"])
                    break
            self.arrive(expected(worker, replaces=None, controller=self._controller))

    def settle(self, worker: str, *, replaced: bool) -> None:
        """A worker is known to be dead; ``replaced``: another one is going to be started in its place."""
        with self._connection.transaction():
            member = self.members.get(worker, None)
            if member is not None and member["state"] != GONE:
                self.members.update({**member, "state": DEAD, "controller": self._controller})
                if replaced:
                    self.arrive(expected(f"after {worker}", replaces=worker, controller=self._controller))

    def close(self) -> None:
        """No worker will be started any more."""
        with self._connection.transaction():
            for member in self.members:
                if member["state"] != GONE and self._is_ours(member) and not self._lives(member):
                    self.members.update({**member, "state": DEAD})

    def others(self) -> list[str]:
        """The workers of other parties that have not left, as far as anybody knows."""
        return [
            member["id"]
            for member in self.members
            if not self._is_ours(member) and (self._lives(member) or self.may_run(member))
        ]

    def _is_ours(self, member: dict[str, Any]) -> bool:
        name: str = member["replaces"] or member["id"]
        return name.startswith(self._party)

    def _lives(self, member: dict[str, Any]) -> bool:
        return member["lease"] is not None and self._connection.leased(member["lease"])


def has(member: dict[str, Any], value_id: str) -> bool:
    """Whether the worker has this shared value, which is one by its generation, too."""
    hold = member["holds"].get(value_id)
    return hold is not None and not hold["released"]


def expected(worker: str, *, replaces: str | None, controller: str | None) -> dict[str, Any]:
    """The entry of a worker that has not come yet."""
    return {
        "id": worker,
        "state": EXPECTED,
        "lease": None,
        "controlled": True,
        "controller": controller,
        "replaces": replaces,
        "since": time.time(),
        "test": None,
        "namespace": None,
        "kept": [],
        "holds": {},
        "waits_for": None,
        "waits_since": None,
    }
