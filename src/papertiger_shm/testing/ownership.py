"""Who sets up a shared value, who has it, and when it may be torn down: the state of each, in the run's store.

A value goes from SETTING_UP to READY or FAILED, from READY to TEARING_DOWN and GONE. One worker owns it on the way, and
its lease proves that it lives; where it does not, the next worker that needs the value takes over, in one step that
only one of them can make. What a value is and how it is made never enters here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from papertiger_shm import AlreadyExists, InvalidRequest, Store
from papertiger_shm.testing.participant import Participant
from papertiger_shm.testing.roster import has
from papertiger_shm.testing.run.versions import change

__all__ = [
    "FAILED",
    "READY",
    "SETTING_UP",
    "TEARING_DOWN",
    "Ownership",
    "Record",
    "SharedFixtures",
    "SharedValues",
    "circle_sentence",
    "value_id_of",
]

SETTING_UP: Final = "setting up"
READY: Final = "ready"
FAILED: Final = "failed"
TEARING_DOWN: Final = "tearing down"
GONE: Final = "gone"

SHORTEST_LOOK: Final = 0.001
LONGEST_LOOK: Final = 0.05

Record = dict[str, Any]


class Wanted(NamedTuple):
    """The value that a worker needs, in the words of its own process."""

    key: str
    fixture: str
    """The same for all values that one fixture had, one after the other."""
    name: str
    """For people."""
    reap: dict[str, Any] | None
    """How the value is to be disposed of where its owner could not: kept for whoever has to do it."""


class SharedFixtures(Store, table="papertiger_shared_fixtures", resource="shared_fixture"):
    """One item for each shared value: who owns it, in which state it is, and how it came to be.

    ``owner`` set it up; ``by`` is at it now, and lives as long as ``lease`` is held. ``of`` is the lease of a dead
    owner whose value is being disposed of.
    """


class SharedValues(Store, table="papertiger_shared_values", resource="shared_value"):
    """The values themselves, apart from their records, which are read far more often."""


class Ownership:
    """The shared values of one run, for one worker of it."""

    def __init__(self, participant: Participant, dispose: Callable[[Record, Any], object]) -> None:
        """``dispose`` is called with the record and the stored value of each that a dead worker left."""
        self._me = participant
        self._dispose = dispose
        namespace = participant.namespace
        self.records = SharedFixtures(participant.connection, namespace)
        self.values = SharedValues(participant.connection, namespace)
        self._setting_up: list[str] = []
        for store in (self.records, self.values):
            store.count()  # the first read of a table is the slow one, and no test waits for this

    # --- getting a value ----------------------------------------------------------------------------------------

    def obtain(self, wanted: Wanted, waiting: Callable[[Record, float], None]) -> Record:
        """The record of a value that is READY, FAILED, or, SETTING_UP, ours to set up.

        Waits while another worker is at it, however long that takes; ``waiting`` is called with the record and the
        seconds so far. Raises InvalidRequest for values that wait for each other in a circle.
        """
        key = wanted.key
        if key in self._setting_up:
            path = self._setting_up[self._setting_up.index(key) :]
            raise InvalidRequest(circle_sentence(self._names([*path, key])))
        began, pause = time.monotonic(), SHORTEST_LOOK
        while True:
            record = self._step(wanted)
            if self._is_abandoned(record):
                self._bury(record["lease"])
                record = self.records.get(key)
            elif self._is_settled(record):
                break
            if record["state"] == GONE:
                continue
            self._wait_for(key)
            waiting(record, time.monotonic() - began)
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
        self._wait_for(None)
        if record["state"] == SETTING_UP:
            self._setting_up.append(key)
        return record

    def _is_settled(self, record: Record) -> bool:
        """Whether nothing has to be waited for."""
        if record["state"] in (READY, FAILED):
            return True
        if record["lease"] != self._me.lease_id:
            return False
        if record["state"] == TEARING_DOWN:
            raise InvalidRequest(
                f"the shared fixture {record['name']!r} was asked for while this worker tears it down; "
                "ask for it before, where the tests run"
            )
        return bool(record["state"] == SETTING_UP)

    def _step(self, wanted: Wanted) -> Record:
        """The record as it is, or as ours, if it is there for the taking."""
        record = self.records.get(wanted.key, None)
        if record is None:
            try:
                return self.records.insert_new(self._claimed(wanted, setups=1))
            except AlreadyExists:
                return self.records.get(wanted.key)
        if record["state"] != GONE:
            return record

        def take(record: Record) -> Record | None:
            return self._claimed(wanted, setups=record["setups"] + 1) if record["state"] == GONE else None

        return change(self.records, wanted.key, take) or self.records.get(wanted.key)

    def _claimed(self, wanted: Wanted, *, setups: int) -> Record:
        return {
            "id": wanted.key,
            "fixture": wanted.fixture,
            "name": wanted.name,
            "reap": wanted.reap,
            "state": SETTING_UP,
            "owner": self._me.worker,
            "lease": self._me.lease_id,
            "by": self._me.worker,
            "of": None,
            "setups": setups,
            "since": time.time(),
            "seconds": None,
            "error": None,
            "to_undo": False,
            "waits_for": None,
        }

    def _wait_for(self, key: str | None) -> None:
        """Say what the set-up at hand waits for, so that a circle across workers is seen by the one who closes it."""
        if not self._setting_up:
            return
        mine = self._setting_up[-1]
        if self.records.get(mine)["waits_for"] != key:
            self.records.modify(mine, lambda record: {**record, "waits_for": key})
        chain = [mine]
        while key is not None and key not in chain:
            chain.append(key)
            record = self.records.get(key, None)
            key = record["waits_for"] if record is not None and record["state"] == SETTING_UP else None
        if key is not None and key == mine:
            raise InvalidRequest(circle_sentence(self._names([*chain, mine])))

    def _names(self, keys: list[str]) -> list[str]:
        return [self.records.get(key)["name"] for key in keys]

    # --- what the dead left -------------------------------------------------------------------------------------

    def _is_abandoned(self, record: Record) -> bool:
        """Whether its owner died before it was done with it."""
        return record["state"] not in (GONE, FAILED) and not self._me.alive(record["lease"])

    def _bury(self, lease: str) -> None:
        """Dispose of all that one dead worker left, the youngest first: it may have been made of the others.

        Returns at once where another worker is at it.
        """
        while True:
            records = [*self.records]
            if any(record["of"] == lease and self._is_in_others_hands(record) for record in records):
                return
            left = [record for record in records if record["lease"] == lease and self._is_abandoned(record)]
            if not left:
                return
            record = max(left, key=lambda record: record["since"])
            adopted = change(self.records, record["id"], self._adopted)
            if adopted is None:  # another was quicker
                return
            try:
                stored = self.values.get(value_id_of(record), None)
                if stored is not None and record["state"] in (READY, TEARING_DOWN):
                    self._dispose(record, stored["value"])
            finally:
                self.end_tear_down(adopted)

    def _is_in_others_hands(self, record: Record) -> bool:
        mine = record["lease"] == self._me.lease_id
        return record["state"] == TEARING_DOWN and not mine and self._me.alive(record["lease"])

    def _adopted(self, record: Record) -> Record | None:
        if not self._is_abandoned(record):
            return None
        mine = {"lease": self._me.lease_id, "by": self._me.worker, "of": record["of"] or record["lease"]}
        return {**record, **mine, "state": TEARING_DOWN}

    def bury_all(self) -> None:
        """Dispose of what any dead worker left."""
        for lease in {record["lease"] for record in self.records if self._is_abandoned(record)}:
            self._bury(lease)

    # --- setting up ---------------------------------------------------------------------------------------------

    def publish(self, record: Record, value: Any, seconds: float, *, to_undo: bool) -> Record:
        """The value is there: whoever needs it may have it. Raises InvalidItem for what cannot be stored.

        ``to_undo``: whether there is anything to be torn down.
        """
        changes = {"state": READY, "seconds": seconds, "to_undo": to_undo, "waits_for": None}
        changed = {**self.records.get(record["id"]), **changes}
        with self._me.connection.transaction():
            self.values.insert({"id": value_id_of(record), "value": value})
            self.records.update(changed)
        self._setting_up.remove(record["id"])
        return changed

    def fail(self, record: Record, error: dict[str, Any], seconds: float) -> None:
        """It could not be set up: everybody who needs it meets the same error, and nobody tries again."""
        self._setting_up.remove(record["id"])
        self._change(record["id"], state=FAILED, error=error, seconds=seconds, waits_for=None)

    def give_up(self, record: Record) -> None:
        """The set-up was interrupted, which says nothing of it: the next who needs it may try."""
        self._setting_up.remove(record["id"])
        self._change(record["id"], state=GONE, waits_for=None)

    # --- having it ----------------------------------------------------------------------------------------------

    def value(self, value_id: str) -> Any:
        """What was published, as a fresh object. Raises NotFound once it has been torn down."""
        return self.values.get(value_id)["value"]

    def is_mine(self, record: Record) -> bool:
        """Whether it is for us to tear it down."""
        return bool(record["lease"] == self._me.lease_id and record["state"] == READY)

    def is_current(self, record: Record) -> bool:
        """Whether the value's owner still lives."""
        return bool(record["lease"] == self._me.lease_id or self._me.alive(record["lease"]))

    # --- letting it go ------------------------------------------------------------------------------------------

    def needed_by(self, record: Record) -> list[str]:
        """The other workers that have the value, or may need it yet."""
        me, value_id = self._me, value_id_of(record)
        # One view of all: who has ended its tests has said in the same step what it holds.
        return [
            member["id"]
            for member in me.roster.members
            if member["id"] != me.worker
            and (me.roster.may_run(member) or (has(member, value_id) and me.alive(member["lease"])))
        ]

    def begin_tear_down(self, record: Record) -> None:
        """From now on nobody gets this value; who needs one waits, and sets it up anew."""
        self._change(record["id"], state=TEARING_DOWN)

    def end_tear_down(self, record: Record) -> None:
        """It is gone."""
        with self._me.connection.transaction():
            self.values.delete(value_id_of(record))
            self._change(record["id"], state=GONE)

    def _change(self, key: str, **changes: Any) -> None:
        # Only the owner writes to a record, and it is alive to do so: nobody else's change can be lost.
        self.records.update({**self.records.get(key), **changes})


def value_id_of(record: Record) -> str:
    """One value; what is set up again has another."""
    return f"{record['id']}/{record['setups']}"


def circle_sentence(names: list[str]) -> str:
    """The sentence for shared fixtures that need each other."""
    return (
        f"the shared fixtures need each other in a circle: {' -> '.join(names)}; let one of them get along "
        "without the next"
    )
