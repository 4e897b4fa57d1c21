"""This process as a part of a run of tests: its connection, its lease, and its entry in the roster.

What pytest calls, and what is shared, never enters here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from papertiger_shm import Connection, StoreFull
from papertiger_shm.testing.roster import ENDING, GONE, RUNNING, Roster, expected, run_namespace

if TYPE_CHECKING:
    from papertiger_shm import Transaction
    from papertiger_shm.backend import Lease

__all__ = ["NO_TEST", "Participant", "Test"]


class Test(NamedTuple):
    """One attempt of one test, and the namespace that it has for itself."""

    nodeid: str | None
    namespace: str | None


NO_TEST: Final = Test(None, None)


class Participant:
    """One worker's part in a run.

    ``controlled``: an xdist controller tells of the workers that die; ``controller``: its lease, where it has one.
    """

    def __init__(
        self, connection: Connection, run_id: str, worker: str, *, controlled: bool, controller: str | None = None
    ) -> None:
        self.connection = connection
        self.run_id = run_id
        self.namespace = run_namespace(run_id)
        self.worker = worker
        self.roster = Roster(connection, self.namespace)
        self._leases: dict[int, Lease] = {}
        self._ending: tuple[Transaction, str | None] | None = None
        self._pid = os.getpid()
        entry = expected(worker, replaces=None, controller=controller)
        self._entry = {**entry, "state": RUNNING, "controlled": controlled, "lease": self.lease_id}
        self.roster.arrive(self._entry)

    @property
    def lease_id(self) -> str:
        """By which others tell that this process lives; another one in a child made by fork."""
        lease = self._leases.get(os.getpid())
        if lease is None:
            fresh = self.connection.lease()
            lease = self._leases.setdefault(os.getpid(), fresh)
            if lease is not fresh:  # another thread was quicker
                fresh.release()
        return lease.id

    def alive(self, lease_id: str) -> bool:
        """Whether the process that holds this lease lives."""
        return self.connection.leased(lease_id)

    def others(self) -> int:
        """How many other workers of the run may still run tests."""
        return len(self.roster.may_run_tests(besides=self.worker))

    def busy_others(self) -> list[str]:
        """The other workers that are running a test just now."""
        return [
            member["id"]
            for member in self.roster.members
            if member["id"] != self.worker and member["test"] is not None and self.alive(member["lease"])
        ]

    # --- what this worker says of itself ------------------------------------------------------------------------

    def begin_test(self, test: Test) -> None:
        """Say which test runs here from now on, unless that was said when the one before it ended."""
        if (self._entry["test"], self._entry["namespace"]) != test:
            self._entry.update(test=test.nodeid, namespace=test.namespace, since=time.time())
            self._write()

    def end_test(self, *, clear: str | None, keep: str | None = None, following: Test = NO_TEST) -> None:
        """Say that it has ended, and which one follows at once; with the same request clear a namespace, or keep it.

        Nobody waits for that to be done where another test follows, whose namespace is another one.
        """
        self._entry.update(test=following.nodeid, namespace=following.namespace, since=time.time())
        if keep is not None:
            self._entry["kept"].append(keep)
        self.await_end()
        with self.connection.transaction(wait=False) as transaction:
            if clear is not None:
                self.connection.clear_namespace(clear)
            self._write()
        self._ending = transaction, clear
        if following is NO_TEST:
            self.await_end()

    def await_end(self) -> None:
        """Wait until what was said of the last test's end is done."""
        ending, self._ending = self._ending, None
        if ending is None:
            return
        transaction, clear = ending
        try:
            _ = transaction.results
        except StoreFull:
            # What the test left may be what fills the store, and clearing it alone needs no room.
            if clear is not None:
                self.connection.clear_namespace(clear)
            self._write()

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Say what this worker waits for, as long as it does."""
        before = self._entry["waits_for"]
        self.wait_for(text)
        try:
            yield
        finally:
            self.wait_for(before)

    def wait_for(self, text: str | None) -> None:
        """Say what this worker waits for from now on; None for nothing."""
        self._entry.update(waits_for=text, waits_since=None if text is None else time.time())
        self._write()

    def hold(self, value_id: str, *, uses: int, waited: float, released: bool = False) -> None:
        """Say that this worker has a shared value, and what it made of it.

        As long as it runs tests that goes along with whatever it says next: it may need any value then, and nobody
        tears one down.
        """
        self._entry["holds"][value_id] = {"uses": uses, "waited": waited, "released": released}
        if self._entry["state"] != RUNNING:
            self._write()

    def end(self) -> None:
        """Say that this worker runs no more tests; again does nothing."""
        if self._entry["state"] == RUNNING:
            self._entry.update(state=ENDING, since=time.time())
            self._write()

    def leave(self, **figures: Any) -> None:
        """Say goodbye, with this worker's figures for the report."""
        self._entry.update(state=GONE, since=time.time(), figures=figures)
        try:
            self._write()
        finally:  # where there is no room for the word, this says enough
            lease = self._leases.pop(os.getpid(), None)
            if lease is not None:
                lease.release()

    def _write(self) -> None:
        if os.getpid() == self._pid:  # a forked child is no worker, and says nothing in its parent's name
            self.roster.members.update(self._entry)
