"""Which tests may run beside each other: those with a lock in common one after the other, serial ones alone.

The gate is passed before any fixture of the test is set up, and given back after the last has gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from papertiger_shm.errors import InvalidRequest
from papertiger_shm.testing.run.patience import Patience

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant, Test
    from papertiger_shm.testing.run.lock import Lock

__all__ = ["Gate", "is_serial", "locks_of"]


def is_serial(item: pytest.Item) -> bool:
    """Whether the test must have the run for itself."""
    return item.get_closest_marker("papertiger_serial") is not None


def locks_of(item: pytest.Item) -> list[str]:
    """The names of the locks that the test needs, in the one order in which all tests take them."""
    names = {name for marker in item.iter_markers("papertiger_lock") for name in marker.args}
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidRequest(f"papertiger_lock: {name!r} is no name of a lock; write papertiger_lock('port-8000')")
    return sorted(names)


class Gate:
    """One worker's side of it."""

    def __init__(self, participant: Participant, lock: Callable[[str], Lock]) -> None:
        self._participant = participant
        self._lock = lock
        self._serial = lock("papertiger_serial")
        self._held = ExitStack()

    def enter(self, item: pytest.Item, test: Test, *, beside_serial_tests: bool) -> None:
        """Wait until the test may run, and say that it does."""
        if is_serial(item):
            self._hold(self._serial)
            self._participant.begin_test(test)
            self._wait_for_others()
        else:
            self._participant.begin_test(test)
            while beside_serial_tests and self._serial.locked:
                # Said first and looked at afterwards, as a serial test does the other way round: in the one order
                # that the writes have, one of the two sees the other.
                self._participant.end_test(clear=None)
                with self._serial:
                    pass
                self._participant.begin_test(test)
        for name in locks_of(item):
            self._hold(self._lock(name))

    def leave(self) -> None:
        """Let the next one through; again does nothing."""
        self._held.close()

    def _hold(self, lock: Lock) -> None:
        lock.acquire()
        self._held.callback(lock.release)

    def _wait_for_others(self) -> None:
        with Patience(self._participant, math.inf) as patience:
            while busy := self._participant.busy_others():
                patience.pause(f"the tests of {', '.join(busy)}, to be alone")
