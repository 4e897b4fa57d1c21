"""A line to the manager on which one collection's changes are waited for.

A connection of its own, since the manager does not answer before something changes. How a request travels, and is sent
again where a connection was lost, is the channel's business; a manager that does not know the subscription answers at
once, so that nothing is missed in between.
"""

from __future__ import annotations

from collections.abc import Callable

from . import wire
from .channel import Channel, Posted

__all__ = ["ShmSubscription"]


class ShmSubscription:
    """From its making on no change of the collection is missed. For one thread at a time, but for ``close``."""

    def __init__(self, channel: Channel, collection: bytes, give_back: Callable[[Channel], None]) -> None:
        self._channel = channel
        self._collection = collection
        self._give_back = give_back
        self._posted: Posted | None = None
        self._closed = False
        channel.ask(wire.AWAIT, collection, True)

    def wait(self, seconds: float) -> list[str] | None:
        """The ids that have changed since the last return, or since the making, as soon as there are any; none after
        ``seconds``; None where any may have. Raises ManagerUnavailable where there is no manager any more,
        InvalidRequest after ``close``."""
        if self._posted is None or not self._channel.is_under_way(self._posted):
            self._posted = self._channel.post(wire.AWAIT, self._collection, False)
        if not self._channel.await_answer(self._posted, seconds):
            return []
        posted, self._posted = self._posted, None
        changed: list[bytes] | None = posted.result()
        return None if changed is None else [id.decode() for id in changed]

    def close(self) -> None:
        """End it; a thread that waits is told that the connection is closed. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._channel.is_idle():
            self._give_back(self._channel)
        else:
            self._channel.cut()
