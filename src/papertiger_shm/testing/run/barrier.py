"""Barriers among the workers of a run, which break rather than wait for the dead.

All there is to know of a barrier is one item, and each step is a function from that item to the next, carried out in
one compare-and-set. How long one waits between looks never enters here.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any, Final

from papertiger_shm import AlreadyExists, InvalidRequest, NotFound, PaperTigerError, Store
from papertiger_shm.testing.run.names import checked_name, id_of
from papertiger_shm.testing.run.patience import Patience, seconds
from papertiger_shm.testing.run.versions import change, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from papertiger_shm.testing.participant import Participant

__all__ = ["Barrier", "Barriers"]

FORLORN_SECONDS: Final = 5.0
"""For how long in a row there must be too few workers left: one that was killed may be about to be replaced."""

_calls: Final = itertools.count(1)


class Barriers(Store, table="papertiger_barriers", resource="barrier"):
    """``parties``: how many; ``arrived``: those who wait, each with ``call``, ``worker`` and ``lease``.

    ``broken``: why, or None. ``failed``: those for whom it broke and who have not looked since, by ``call``, each
    with ``lease`` and ``why``. Who waited and is in neither has passed.
    """


class Barrier:
    """``parties`` calls of ``wait()``, in whichever workers, go on together; again and again.

    As with ``threading.Barrier``, whoever leaves before breaks it for all, and then it stays broken until ``reset()``.
    """

    def __init__(self, participant: Participant, name: str, parties: int) -> None:
        self.name = checked_name("barrier", name)
        if not isinstance(parties, int) or isinstance(parties, bool) or parties < 1:
            raise InvalidRequest(
                f"barrier {self.name!r}: parties is {parties!r}; it is the number of calls that wait for each other, "
                "1 or more"
            )
        self.parties = parties
        self._id = id_of(self.name)
        self._participant = participant
        self._barriers = Barriers(participant.connection, participant.namespace)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for all parties, at most ``timeout`` seconds; 0 for the first to come, parties-1 for the last.

        Raises ``threading.BrokenBarrierError``, which says why, where it is broken or breaks: a party died, or left
        by a timeout or an interruption, or for 5 seconds fewer workers of the run were left than parties missing.
        """
        longest = seconds("wait", timeout)
        lease = self._participant.lease_id
        party = {"call": f"{lease}.{next(_calls)}", "worker": self._participant.worker, "lease": lease}
        try:
            place = self._arrive(party)
            if place < self.parties - 1:
                self._stay(party, longest)
            return place
        except (BrokenBarrierError, InvalidRequest):
            raise
        except BaseException as error:
            self._leave(party, type(error).__name__)
            raise

    def abort(self) -> None:
        """Break it: who waits, and who comes before ``reset()``, gets ``threading.BrokenBarrierError``."""
        why = f"{self._participant.worker} aborted it"
        self._step(lambda barrier: self._broken(barrier, why))

    def reset(self) -> None:
        """Make it whole and empty; for those who wait it breaks."""
        why = f"{self._participant.worker} reset it"
        self._step(lambda barrier: {**self._broken(barrier, why), "broken": None})

    @property
    def broken(self) -> bool:
        """Whether it is broken, and will be until ``reset()``."""
        return self._read()["broken"] is not None

    @property
    def n_waiting(self) -> int:
        """How many wait now."""
        return len(self._read()["arrived"])

    # ---- what a party does

    def _arrive(self, party: dict[str, Any]) -> int:
        place = -1

        def arrive(barrier: dict[str, Any]) -> dict[str, Any]:
            nonlocal place
            self._check(barrier)
            arrived = barrier["arrived"]
            place = len(arrived)
            if place + 1 < self.parties:
                return {**barrier, "arrived": [*arrived, party]}
            # Nobody but the last to come may be left to see that somebody died waiting.
            dead = self._dead(arrived)
            return self._broken(barrier, dead) if dead else {**barrier, "arrived": []}

        barrier = self._step(arrive)
        if barrier["broken"] is not None:
            raise self._error(barrier["broken"])
        return place

    def _stay(self, party: dict[str, Any], longest: float) -> None:
        """Return when the last one has come; break the barrier where that cannot be, or not in time."""
        call, forlorn_since = party["call"], None
        with Patience(self._participant, longest) as patience:
            while True:
                barrier = self._read()
                arrived = barrier["arrived"]
                if not any(other["call"] == call for other in arrived):
                    return self._depart(barrier, call)
                why = None
                if patience.is_time_to_inspect():
                    why = self._dead(arrived)
                    forlorn_since = (forlorn_since or time.monotonic()) if self._is_forlorn(arrived) else None
                    if forlorn_since is not None and time.monotonic() - forlorn_since >= FORLORN_SECONDS:
                        why = why or f"too few workers of the run are left, {self._missing(arrived)}"
                if why is None and not patience.pause(f"barrier {self.name}, {self._missing(arrived)}"):
                    why = f"{party['worker']} waited {patience.waited:.3g} s in vain, {self._missing(arrived)}"
                if why is not None:
                    self._break_for(call, why)

    def _depart(self, barrier: dict[str, Any], call: str) -> None:
        failed = barrier["failed"].get(call)
        if failed is not None:
            self._forget(call)
            raise self._error(failed["why"])

    def _leave(self, party: dict[str, Any], why: str) -> None:
        """After an interruption, at whatever moment: be no party any more."""
        with contextlib.suppress(PaperTigerError):  # what interrupted is what the caller has to know
            settle(self._barriers)
            self._break_for(party["call"], f"{party['worker']} left by {why}")
            self._forget(party["call"])

    # ---- steps

    def _step(self, function: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        while True:
            try:
                return self._barriers.modify(self._id, function)
            except NotFound:
                with contextlib.suppress(AlreadyExists):
                    self._barriers.insert_new(self._whole())

    def _break_for(self, call: str, why: str) -> None:
        """Break it if this call still waits: otherwise all have come, or it is broken already."""

        def break_for(barrier: dict[str, Any]) -> dict[str, Any] | None:
            waits = any(party["call"] == call for party in barrier["arrived"])
            return self._broken(barrier, why) if waits else None

        change(self._barriers, self._id, break_for)

    def _forget(self, call: str) -> None:
        def forget(barrier: dict[str, Any]) -> dict[str, Any] | None:
            return barrier if barrier["failed"].pop(call, None) is not None else None

        change(self._barriers, self._id, forget)

    def _broken(self, barrier: dict[str, Any], why: str) -> dict[str, Any]:
        failed = {party["call"]: {"lease": party["lease"], "why": why} for party in barrier["arrived"]}
        # The dead do not come back to be told.
        told = {
            call: party
            for call, party in {**barrier["failed"], **failed}.items()
            if self._participant.alive(party["lease"])
        }
        return {**barrier, "arrived": [], "broken": barrier["broken"] or why, "failed": told}

    # ---- looks

    def _whole(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "name": self.name,
            "parties": self.parties,
            "arrived": [],
            "broken": None,
            "failed": {},
        }

    def _read(self) -> dict[str, Any]:
        return self._barriers.get(self._id, None) or self._whole()

    def _check(self, barrier: dict[str, Any]) -> None:
        if barrier["parties"] != self.parties:
            raise InvalidRequest(
                f"barrier {self.name!r}: here it has {self.parties} parties, and {barrier['parties']} where it was "
                "used first; say the same number everywhere, or use another name"
            )
        if barrier["broken"] is not None:
            raise self._error(barrier["broken"])

    def _dead(self, arrived: list[dict[str, Any]]) -> str | None:
        dead = [party["worker"] for party in arrived if not self._participant.alive(party["lease"])]
        return f"{', '.join(dead)} died while waiting" if dead else None

    def _is_forlorn(self, arrived: list[dict[str, Any]]) -> bool:
        """Whether fewer workers than parties are missing could still come. A worker that waits here cannot."""
        waiting = {party["worker"] for party in arrived} - {self._participant.worker}
        return self.parties - len(arrived) > self._participant.others() - len(waiting)

    def _missing(self, arrived: list[dict[str, Any]]) -> str:
        return f"{len(arrived)} of {self.parties} parties have come"

    def _error(self, why: str) -> BrokenBarrierError:
        return BrokenBarrierError(
            f"barrier {self.name!r} is broken: {why}; reset() makes it whole when all parties can come again"
        )

    def __repr__(self) -> str:
        barrier = self._read()
        state = "broken" if barrier["broken"] is not None else self._missing(barrier["arrived"])
        return f"<barrier {self.name!r} {state}>"
