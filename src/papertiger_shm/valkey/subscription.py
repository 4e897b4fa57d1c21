"""A line to the server on which one collection's changes are waited for, by sharded publish and subscribe.

The server's functions publish on a channel that has the name of the collection's ``items`` key, so that in a cluster
both are on one node. What is published is the number of the last change, and the ids that have changed, or false where
that may be any. Nothing is polled, but for a server that vanished without a word.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgpack
import valkey
from valkey.exceptions import ValkeyError

from ..backend import Changed
from ..errors import InvalidRequest

if TYPE_CHECKING:
    from .client import ValkeyBackend

__all__ = ["ValkeySubscription"]

LONGEST = 10.0
"""Seconds after which the caller is sent to look anyway, and so to find out whether the server is still there."""

MOST_IDS = 64
"""Of several messages that are there at once, from here on those behind are left to the next look."""


class ValkeySubscription:
    """Asks nothing of the server before the first ``wait``. For one thread at a time, but for ``cut``."""

    def __init__(self, backend: ValkeyBackend, channel: bytes) -> None:
        self._backend = backend
        self._channel = channel
        self._closed = False
        self._line: Any = None
        self._pid = 0

    def wait(self, seconds: float) -> Changed:
        """What has changed since the last return, as soon as anything has; the first time at once, and of all.

        No ids after ``seconds``. Raises ManagerUnavailable where there is no server within the connection's timeout,
        InvalidRequest after ``close``.
        """
        if self._pid != os.getpid():  # the first time, or the line is the parent's
            return self._begin()
        until = time.monotonic() + min(seconds, LONGEST)
        while (left := until - time.monotonic()) > 0:
            message = self._next(left)
            if message is not None:
                return self._begin() if _is_of_the_line(message) else self._all_at_once(message)
        return Changed(() if seconds < LONGEST else None, 0)

    def _next(self, seconds: float) -> dict[str, Any] | None:
        """The next message within so long, or None."""
        try:
            message: dict[str, Any] | None = self._line.get_message(timeout=seconds)
        except Exception as error:
            # Of a line that another thread cuts anything may be raised.
            if not self._closed and not isinstance(error, (ValkeyError, OSError)):
                raise
            message = {"type": "lost"}
        self._see_whether_closed()
        return message

    def _all_at_once(self, message: dict[str, Any]) -> Changed:
        """What this message says, and all those that have come behind it."""
        ids: dict[str, None] = {}
        while True:
            until, some = msgpack.unpackb(message["data"], raw=False)
            if some is False:
                return Changed(None, int(until))
            ids.update(dict.fromkeys(some))
            following = self._next(0) if len(ids) < MOST_IDS else None
            if following is None:
                return Changed([*ids], int(until))
            if _is_of_the_line(following):
                return self._begin()
            message = following

    def _begin(self) -> Changed:
        """On a new line look at everything."""
        self._hang_up()
        self._pid = os.getpid()
        self._line = self._subscribed()
        self._see_whether_closed()
        return Changed(None, self._backend.newest_version())

    def _see_whether_closed(self, _: object = None) -> None:
        if self._closed:
            self.close()
            raise InvalidRequest(f"the connection to {self._backend.url} is closed: connect again")

    def close(self) -> None:
        """End it; again does nothing."""
        self._closed = True
        self._backend.forget(self)
        if self._pid == os.getpid():
            self._hang_up()

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            if line.connection is not None:
                line.connection.deregister_connect_callback(self._see_whether_closed)
            line.close()

    def cut(self) -> None:
        """From another thread: one that waits is told that the connection is closed, and closes this."""
        self._closed = True
        line = self._line
        if line is not None and self._pid == os.getpid() and line.connection is not None:
            line.connection.disconnect()

    def _subscribed(self) -> Any:
        """A line on which the server has said that it will tell."""

        def ask() -> Any:
            line = self._backend.client.pubsub()
            try:
                line.ssubscribe(self._channel)
                if line.get_message(timeout=self._backend.patience) is None:
                    raise valkey.TimeoutError("no answer")
                # The client library connects again of itself, also what ``cut`` has just disconnected.
                line.connection.register_connect_callback(self._see_whether_closed)
            except BaseException:
                line.close()
                raise
            return line

        return self._backend.asked(ask)


def _is_of_the_line(message: dict[str, Any]) -> bool:
    """Whether it says that the line was lost, or anew, or that the store has moved to another node: no change."""
    return bool(message["type"] != "smessage")
