"""What a test run has in common: the objects by which its workers count, wait, hand over and take turns.

One room makes them and knows them all; how each works is said in its own. Fixtures and options of pytest never
enter here, so that child processes and scripts can take part as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from papertiger_shm.testing.run.barrier import Barrier
from papertiger_shm.testing.run.counter import Counter
from papertiger_shm.testing.run.lock import Lock
from papertiger_shm.testing.run.mapping import SharedDict
from papertiger_shm.testing.run.once import Once
from papertiger_shm.testing.run.queue import Queue

if TYPE_CHECKING:
    from papertiger_shm.testing.participant import Participant

__all__ = ["Run"]

T = TypeVar("T")


class Run:
    """The run this process takes part in. What has the same name is the same thing in every worker.

    All of it may be shared by threads and used after ``fork``; a child is a party of its own.
    """

    def __init__(self, participant: Participant, directory: Callable[[], Path]) -> None:
        """``directory``: gives, and makes, the directory that all workers of the run share.

        All goes through the participant's connection, which no test may have: in a transaction of the test's on it
        nothing here would happen before the transaction's end.
        """
        self._participant = participant
        self._directory = directory

    @property
    def id(self) -> str:
        """The run's name, unique to it."""
        return self._participant.run_id

    @property
    def worker(self) -> str:
        """This worker's name, as ``"gw0"``; ``"main"`` without pytest-xdist."""
        return self._participant.worker

    @property
    def url(self) -> str:
        """Where the run's store is."""
        return self._participant.connection.url

    @property
    def tmp_path(self) -> Path:
        """A directory that all workers of the run share, kept as long as pytest keeps those of the tests."""
        return self._directory()

    def counter(self, name: str) -> Counter:
        """The counter of that name, 0 at first."""
        return Counter(self._participant, name)

    def lock(self, name: str) -> Lock:
        """The lock of that name; a killed holder frees it."""
        return Lock(self._participant, name)

    def barrier(self, name: str, parties: int) -> Barrier:
        """The barrier of that name, where ``parties`` calls wait for each other."""
        return Barrier(self._participant, name, parties)

    def queue(self, name: str) -> Queue:
        """The queue of that name, first in, first out."""
        return Queue(self._participant, name)

    def dict(self, name: str) -> SharedDict:
        """The dict of that name."""
        return SharedDict(self._participant, name)

    @overload
    def once(self, name: str) -> bool: ...
    @overload
    def once(self, name: str, function: Callable[[], T]) -> T: ...
    def once(self, name: str, function: Callable[[], Any] | None = None) -> Any:
        """Without a function: True for exactly the first caller in the run.

        With one: it runs once in the run, everyone gets its value, or its error, and waits for it; if the process
        that runs it dies, the next caller runs it. ``Once.run`` says more.
        """
        once = Once(self._participant, name)
        return once.claim() if function is None else once.run(function)

    def __repr__(self) -> str:
        return f"<run {self.id} worker={self.worker}>"
