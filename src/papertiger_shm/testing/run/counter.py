"""Counters that all workers of a run share. Anything but numbers never enters this room."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from papertiger_shm import AlreadyExists, InvalidRequest, NotFound, Store
from papertiger_shm.testing.run.names import checked_name, id_of

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Counter", "Counters"]


class Counters(Store, table="papertiger_counters", resource="counter"):
    """``value`` is the number."""


class Counter:
    """A whole number, 0 at first, that every worker of the run may add to; each addition happens exactly once."""

    def __init__(self, participant: Participant, name: str) -> None:
        self.name = checked_name("counter", name)
        self._id = id_of(self.name)
        self._counters = Counters(participant.connection, participant.namespace)

    @property
    def value(self) -> int:
        """The number now."""
        value: int = self._counters.get(self._id, {"value": 0})["value"]
        return value

    def add(self, by: int = 1) -> int:
        """Add ``by``, which may be negative, and give the new number.

        Raises ``InvalidRequest`` for what is no int, or where the sum does not fit 64 bits.
        """
        if not isinstance(by, int) or isinstance(by, bool):
            raise InvalidRequest(f"counter {self.name!r}: by is {by!r} of type {type(by).__name__}; add a whole number")
        while True:
            try:
                value: int = self._counters.increment(self._id, "value", by)
                return value
            except NotFound:
                with suppress(AlreadyExists):  # another worker was first
                    self._counters.insert_new({"id": self._id, "name": self.name, "value": 0})

    def next(self) -> int:
        """The number as it was, which nobody else gets; it is one more from now on. The first call gives 0."""
        return self.add(1) - 1

    def __repr__(self) -> str:
        return f"<counter {self.name!r}: {self.value}>"
