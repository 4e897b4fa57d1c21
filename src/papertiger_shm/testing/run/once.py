"""What happens once in a run, whichever worker comes first, and whatever dies.

Setting up and tearing down never enters here: what happened once is not undone.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from papertiger_shm import AlreadyExists, InvalidRequest, PaperTigerError, Store
from papertiger_shm.testing.run.names import checked_name, id_of
from papertiger_shm.testing.run.patience import Patience
from papertiger_shm.testing.run.thread import this_thread
from papertiger_shm.testing.run.versions import change, settle, take
from papertiger_shm.testing.wording import storable

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Deeds", "Once", "OnceFailed"]

_calls: Final = itertools.count(1)


class OnceFailed(PaperTigerError, RuntimeError):
    """The function of a ``once`` failed in another call; the message holds its traceback."""


class Deeds(Store, table="papertiger_once", resource="once"):
    """``state``: "claimed" (without a function), "running", "done", "failed" or "skipped"; ``worker``: who did it.

    While it runs ``call``, ``lease`` and ``thread`` say who is at it; then there is ``value``, or ``why``.
    """


class Once:
    """One name, and what happens under it once in the run."""

    def __init__(self, participant: Participant, name: str) -> None:
        self.name = checked_name("once", name)
        self._id = id_of(self.name)
        self._participant = participant
        self._deeds = Deeds(participant.connection, participant.namespace)

    def claim(self) -> bool:
        """True for the first call in the run, False for all others, also where the first one's process has died.

        Raises ``InvalidRequest`` where the name was used with a function.
        """
        deed = self._deeds.get(self._id, None)
        if deed is None:
            try:
                self._deeds.insert_new(self._deed("claimed"))
            except AlreadyExists:
                return self.claim()
            return True
        if deed["state"] != "claimed":
            raise self._mixed(deed, "with a function", "without")
        return False

    def run(self, function: Callable[[], Any]) -> Any:
        """What the function returned in the one call of the run that ran it, here or elsewhere; waits for it.

        The value is what an item may hold, and everyone gets it as a store gives it back: a tuple is a list. If it
        raises, its caller gets the error, and all others ``OnceFailed``; if it is skipped, all are. If it is
        interrupted, or its process dies, the next caller runs it.
        """
        if not callable(function):
            raise InvalidRequest(
                f"once {self.name!r}: {function!r} cannot be called; pass the function itself, without parentheses"
            )
        deed = self._deeds.get(self._id, None)
        if deed is None or deed["state"] == "running":
            call = f"{self._participant.lease_id}.{next(_calls)}"
            try:
                deed = self._claim_or_wait(call)
                if deed is None:
                    return self._run(function, call)
            except BaseException:
                self._vacate(call)
                raise
        return self._outcome(deed)

    # ---- who runs it

    def _claim_or_wait(self, call: str) -> dict[str, Any] | None:
        """None once it is this call's turn to run it, or else what came of it."""
        claim = {**self._deed("running"), "call": call, "lease": self._participant.lease_id, "thread": this_thread()}
        with Patience(self._participant, math.inf) as patience:
            while True:
                deed: dict[str, Any] | None = self._deeds.get(self._id, None)
                if deed is None:
                    with contextlib.suppress(AlreadyExists):
                        self._deeds.insert_new(claim)
                        return None
                elif deed["state"] != "running":
                    return deed
                elif deed["lease"] == claim["lease"] and deed["thread"] == claim["thread"]:
                    raise InvalidRequest(
                        f"once {self.name!r}: its function asks for the same once, and would wait for itself; "
                        "use another name for what is inside"
                    )
                elif not patience.is_time_to_inspect() or self._participant.alive(deed["lease"]):
                    patience.pause(f"once {self.name}, which {deed['worker']} runs")
                elif self._replace(deed["call"], claim):
                    return None

    def _run(self, function: Callable[[], Any], call: str) -> Any:
        try:
            value = function()
            done = self._replace(call, {**self._deed("done"), "value": value})
            return value if done is None else done["value"]
        except BaseException as error:
            if not _is_outcome(error):
                raise
            state = "skipped" if _is_pytests(error, "skip") else "failed"
            self._replace(call, {**self._deed(state), "why": _account_of(error)})
            raise

    def _replace(self, call: str, deed: dict[str, Any]) -> dict[str, Any] | None:
        """Put the deed in the place of a running one, if that is still the one of that call; gives it as stored."""
        return change(self._deeds, self._id, lambda running: deed if running.get("call") == call else None)

    def _vacate(self, call: str) -> None:
        """After an interruption, at whatever moment: leave it to the next, unless it is over."""
        with contextlib.suppress(PaperTigerError):  # what interrupted is what the caller has to know
            settle(self._deeds)
            take(self._deeds, self._id, lambda deed: deed.get("call") == call)

    # ---- what came of it

    def _deed(self, state: str) -> dict[str, Any]:
        return {"id": self._id, "name": self.name, "state": state, "worker": self._participant.worker}

    def _outcome(self, deed: dict[str, Any]) -> Any:
        if deed["state"] == "done":
            return deed["value"]
        if deed["state"] == "claimed":
            raise self._mixed(deed, "without a function", "with one")
        if deed["state"] == "skipped" and "pytest" in sys.modules:
            sys.modules["pytest"].skip(deed["why"])
        raise OnceFailed(
            f"once {self.name!r}: its function failed in worker {deed['worker']}, and is not run again; "
            f"there it was\n\n{deed['why']}"
        )

    def _mixed(self, deed: dict[str, Any], before: str, here: str) -> InvalidRequest:
        return InvalidRequest(
            f"once {self.name!r}: {deed['worker']} used this name {before}, and here it is used {here}; "
            "use one name for one of the two"
        )

    def __repr__(self) -> str:
        deed = self._deeds.get(self._id, {"state": "not yet"})
        return f"<once {self.name!r} {deed['state']}>"


def _is_outcome(error: BaseException) -> bool:
    """Whether that is what came of the function, as opposed to what stopped it."""
    return isinstance(error, Exception) or _is_pytests(error, "fail") or _is_pytests(error, "skip")


def _is_pytests(error: BaseException, call: str) -> bool:
    """Whether it is what this call of pytest's raises, which is no ``Exception``."""
    pytest = sys.modules.get("pytest")
    return pytest is not None and isinstance(error, getattr(pytest, call).Exception)


def _account_of(error: BaseException) -> str:
    if _is_pytests(error, "skip"):
        return storable(str(error))
    return storable("".join(traceback.format_exception(type(error), error, error.__traceback__)))
