"""A line to the manager on which one collection's changes are waited for.

A connection of its own, since the manager does not answer before something changes. How a request travels, and is sent
again where a connection was lost, is the channel's business; a manager that does not know the subscription answers at
once, so that nothing is missed in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..backend import Changed
from ..errors import ManagerUnavailable
from . import wire
from .channel import Channel, Posted

__all__ = ["ShmSubscription"]


class ShmSubscription:
    """Asks nothing of the manager before the first ``wait``. For one thread at a time, but for ``cut``."""

    def __init__(
        self,
        channel: Channel,
        timeout: float,
        collection: bytes,
        give_back: Callable[[ShmSubscription, Channel], None],
    ) -> None:
        self._channel = channel
        self._timeout = timeout
        self._collection = collection
        self._give_back = give_back
        self._posted: Posted | None = None
        self._begins = True  # on a line that may have watched something else before
        # Whoever ends it takes this: the owner and another thread may both try at the same time. A lock could be held
        # just when a child is forked.
        self._open = [True]

    def wait(self, seconds: float) -> Changed:
        """What has changed since the last return, as soon as anything has; the first time at once, and of all.

        No ids after ``seconds``, or an hour. Raises ManagerUnavailable where there is no manager within the timeout of
        the connection, InvalidRequest after ``close``.
        """
        until = time.monotonic() + seconds
        try:
            if self._posted is None or not self._channel.is_under_way(self._posted):
                patience = min(seconds, self._timeout)
                self._posted = self._channel.post(wire.AWAIT, self._collection, self._begins, timeout=patience)
            if not self._channel.await_answer(self._posted, until - time.monotonic()):
                return Changed((), 0)
            posted, self._posted = self._posted, None
            ids, newest = posted.result(timeout=min(until - time.monotonic(), self._timeout))
        except ManagerUnavailable:
            if time.monotonic() < until:
                raise
            return Changed((), 0)  # it may still be there, for one who waits longer
        self._begins = False
        return Changed(None if ids is None else [id.decode() for id in ids], newest)

    def close(self) -> None:
        """End it; again does nothing."""
        if self._taken():
            self._give_back(self, self._channel)

    def cut(self) -> None:
        """From any thread: one that waits is told that the connection is closed. After ``close`` it does nothing."""
        if self._taken():
            self._channel.cut()

    def _taken(self) -> bool:
        try:
            return self._open.pop()
        except IndexError:
            return False
