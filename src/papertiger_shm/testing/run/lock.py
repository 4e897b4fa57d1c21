"""Locks among the workers of a run, which go on when their holder is killed.

A lock that is held is an item that says by whom; one that is free is none. How it is waited, and how a process is
known to live, never enters here.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import TYPE_CHECKING, Any, Final

from papertiger_shm import AlreadyExists, InvalidRequest, PaperTigerError, Store
from papertiger_shm.testing.run.names import checked_name, id_of
from papertiger_shm.testing.run.patience import Patience, seconds
from papertiger_shm.testing.run.thread import this_thread
from papertiger_shm.testing.run.versions import change, outside_transactions, settle, take

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Lock", "Locks"]

_numbers: Final = itertools.count(1)


class Locks(Store, table="papertiger_locks", resource="lock"):
    """``worker``, ``lease`` and ``thread`` of the holder, who has held it since ``created``.

    ``number`` tells what a process acquires apart from what it acquired before.
    """


class Lock:
    """Held by one thread of one process of the run at a time; a context manager, which waits as long as it takes.

    A holder that dies, by whatever signal, holds it no more. Not re-entrant. Who waits longest need not be next.
    """

    def __init__(self, participant: Participant, name: str) -> None:
        self.name = checked_name("lock", name)
        self._id = id_of(self.name)
        self._participant = participant
        self._locks = Locks(participant.connection, participant.namespace)
        self._acquired: int | None = None

    def acquire(self, timeout: float | None = None) -> bool:
        """Hold it, waiting at most ``timeout`` seconds (0: only look; None: as long as it takes); else False.

        Raises ``InvalidRequest`` where this thread holds it already. Whatever else it raises, it is not held.
        """
        longest = seconds("acquire", timeout)
        self._refuse_what_is_held()
        try:
            return self._acquire(longest)
        except BaseException:
            self._give_back()
            raise

    def release(self) -> None:
        """Let go of it: what this thread has acquired, or any thread through this very object.

        Raises ``InvalidRequest`` where it is held by nobody, or by others; then it stays so.
        """
        try:
            released = take(self._locks, self._id, self._is_ours)
        except BaseException:
            self._give_back()
            raise
        if released is None:
            holder = self.holder
            state = "nobody holds it" if holder is None else f"{holder} holds it"
            raise InvalidRequest(
                f"release: lock {self.name!r} is not held by this thread, {state}; release it once for each acquire()"
            )

    @property
    def holder(self) -> str | None:
        """The name of the worker that holds it now, or None."""
        item = self._locks.get(self._id, None)
        if item is None or not self._participant.alive(item["lease"]):
            return None
        worker: str = item["worker"]
        return worker

    @property
    def locked(self) -> bool:
        """Whether anybody alive holds it now."""
        return self.holder is not None

    def _acquire(self, longest: float) -> bool:
        number = next(_numbers)
        claim = {
            "id": self._id,
            "name": self.name,
            "worker": self._participant.worker,
            "lease": self._participant.lease_id,
            "thread": this_thread(),
            "number": number,
        }
        with Patience(self._participant, longest) as patience:
            while True:
                held = self._locks.get(self._id, None)
                if held is None:
                    acquired = self._insert(claim)
                elif patience.is_time_to_inspect() and not self._participant.alive(held["lease"]):
                    acquired = self._replace(held["lease"], claim)
                elif patience.pause(f"lock {self.name}, held by {held['worker']}"):
                    continue
                else:
                    return False
                if acquired:
                    self._acquired = number
                    return True

    def _insert(self, claim: dict[str, Any]) -> bool:
        try:
            self._locks.insert_new(claim)
        except AlreadyExists:
            return False
        return True

    def _replace(self, dead: str, claim: dict[str, Any]) -> bool:
        """Take the place of a dead holder; of those who try exactly one succeeds."""
        replaced = change(self._locks, self._id, lambda held: claim if held["lease"] == dead else None)
        return replaced is not None

    def _is_ours(self, held: dict[str, Any]) -> bool:
        of_this_object = held["lease"] == self._participant.lease_id and held["number"] == self._acquired
        return bool(of_this_object) or self._is_this_threads(held)

    def _refuse_what_is_held(self) -> None:
        held = self._locks.get(self._id, None)
        if held is not None and self._is_this_threads(held):
            raise InvalidRequest(
                f"acquire: this thread holds lock {self.name!r} already, and would wait for itself; "
                "release it first, or use another name for what is inside"
            )

    def _give_back(self) -> None:
        """After an interruption, at whatever moment: hold nothing."""

        def give_back() -> None:
            settle(self._locks)
            take(self._locks, self._id, self._is_this_threads)

        with contextlib.suppress(PaperTigerError):  # what interrupted is what the caller has to know
            outside_transactions(give_back)

    def _is_this_threads(self, held: dict[str, Any]) -> bool:
        return bool(held["lease"] == self._participant.lease_id and held["thread"] == this_thread())

    def __enter__(self) -> Lock:
        self._refuse_what_is_held()
        # Not acquire(): an interruption may come when that has returned, and then nobody would release it.
        try:
            self._acquire(math.inf)
            return self
        except BaseException:
            self._give_back()
            raise

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self.release()
                return
        except BaseException:
            self._give_back()
            raise
        self._give_back()  # an error about the lock would hide the one that ends the block

    def __repr__(self) -> str:
        holder = self.holder
        return f"<lock {self.name!r} {'free' if holder is None else f'held by {holder}'}>"
