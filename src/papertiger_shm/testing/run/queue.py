"""Queues among the workers of a run. What a value means, and what becomes of it once taken, never enters here."""

from __future__ import annotations

import math
from queue import Empty
from typing import TYPE_CHECKING, Any

from papertiger_shm import AlreadyExists, Conflict, Store
from papertiger_shm.testing.run.names import checked_name, id_of, segment_of
from papertiger_shm.testing.run.patience import Patience, seconds
from papertiger_shm.testing.run.versions import look, take

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Queue", "QueueValues", "Queues"]


class Queues(Store, table="papertiger_queues", resource="queue"):
    """``put``: how many values have ever been put into the queue."""


class QueueValues(Store, table="papertiger_queue_values", resource="queue_value"):
    """The values that wait, each queue in a namespace of its own, under their numbers.

    ``created`` is the number, negated: of what is listed "newest first" the oldest value is the first.
    """


class Queue:
    """First in, first out, without bound; each value goes to exactly one ``get()`` of any worker.

    A value is whatever an item may hold (None, bool, int, float, str, bytes, aware datetime, lists and dicts of them).
    One that was taken is its taker's: if that dies, it is gone.
    """

    def __init__(self, participant: Participant, name: str) -> None:
        self.name = checked_name("queue", name)
        self._id = id_of(self.name)
        self._participant = participant
        self._queues = Queues(participant.connection, participant.namespace)
        self._values = QueueValues(participant.connection, f"{participant.namespace}/{segment_of(self.name)}")

    def put(self, value: Any) -> None:
        """Add the value at the end. Raises ``InvalidItem`` for what no item may hold, ``StoreFull``."""
        while True:
            found = look(self._queues, self._id)
            number = 0 if found is None else found[1]["put"]
            queue = {"id": self._id, "name": self.name, "put": number + 1}
            try:
                # Both or neither, so that a putter killed at any moment leaves nothing half done, and the numbers are
                # in the order of the puts.
                with self._values.transaction():
                    if found is None:
                        self._queues.insert_new(queue)
                    else:
                        self._queues.compare_and_set(queue, found[0])
                    self._values.insert({"id": f"{number:020}", "created": -number, "value": value})
                return
            except (AlreadyExists, Conflict):
                continue  # another putter was first

    def get(self, timeout: float | None = None) -> Any:
        """Take the value at the front, waiting at most ``timeout`` seconds for one (None: as long as it takes).

        Raises ``queue.Empty`` when the time is over.
        """
        return self._get(seconds("get", timeout))

    def get_nowait(self) -> Any:
        """Take the value at the front; ``queue.Empty`` where there is none."""
        return self._get(0.0)

    def qsize(self) -> int:
        """How many values wait now, in constant time."""
        return self._values.count()

    def empty(self) -> bool:
        """Whether none waits now."""
        return not self.qsize()

    def _get(self, longest: float) -> Any:
        with Patience(self._participant, longest) as patience:
            while True:
                for first in self._values.list(limit=1):
                    taken = take(self._values, first["id"])
                    if taken is not None:
                        return taken["value"]
                    break  # another getter was first; there may be more
                else:
                    if not patience.pause(f"queue {self.name}, which is empty"):
                        raise Empty(self._nothing_came(longest))

    def _nothing_came(self, longest: float) -> str:
        within = f" for {longest:g} s" if 0 < longest < math.inf else ""
        return f"get: queue {self.name!r} was empty{within}; put() a value, or wait longer"

    def __repr__(self) -> str:
        return f"<queue {self.name!r}: {self.qsize()} values>"
