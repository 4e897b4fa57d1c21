"""A line to the server on which one collection's changes are waited for, by sharded publish and subscribe.

The server's functions publish on a channel that has the name of the collection's ``items`` key, so that in a cluster
both are on one node. What is published are the ids that have changed, packed, or nothing where that may be any. Nothing
is polled, but for a server that vanished without a word.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgpack
import valkey
from valkey.exceptions import ValkeyError

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from .client import ValkeyBackend

__all__ = ["ValkeySubscription"]

LONGEST = 10.0
"""Seconds after which the caller is sent to look anyway, and so to find out whether the server is still there."""


class ValkeySubscription:
    """From its making on no change of the collection is missed. For one thread at a time, but for ``close``."""

    def __init__(self, backend: ValkeyBackend, channel: bytes) -> None:
        self._backend = backend
        self._channel = channel
        self._closed = False
        self._line = self._subscribed()

    def wait(self, seconds: float) -> list[str] | None:
        """The ids that have changed since the last return, or since the making, as soon as there are any; none after
        ``seconds``; None where any may have. Raises ManagerUnavailable where there is no server, InvalidRequest after
        ``close``."""
        if self._pid != os.getpid():
            self._line = self._subscribed()  # the old one is the parent's
            return None
        until = time.monotonic() + min(seconds, LONGEST)
        while (left := until - time.monotonic()) > 0:
            try:
                message = self._line.get_message(timeout=left)
            except Exception as error:
                # Of a line that another thread cuts anything may be raised.
                if not self._closed and not isinstance(error, (ValkeyError, OSError)):
                    raise
                message = {"type": "lost"}
            if self._closed:
                raise InvalidRequest(f"the connection to {self._backend.url} is closed: connect again")
            if message is None:
                continue
            if message["type"] in ("lost", "sunsubscribe"):  # the second where the store has moved to another node
                self._line.close()
                self._line = self._subscribed()
            return _ids(message)
        return [] if seconds < LONGEST else None

    def close(self) -> None:
        """End it; again does nothing."""
        self._closed = True
        if self._pid == os.getpid():
            self._line.close()

    def cut(self) -> None:
        """From another thread: one that waits is told that the connection is closed, and closes this."""
        self._closed = True
        if self._pid == os.getpid() and self._line.connection is not None:
            self._line.connection.disconnect()

    def _subscribed(self) -> Any:
        """A line on which the server has said that it will tell."""
        self._pid = os.getpid()

        def ask() -> Any:
            line = self._backend.client.pubsub()
            try:
                line.ssubscribe(self._channel)
                if line.get_message(timeout=max(self._backend.timeout, 0.05)) is None:
                    raise valkey.TimeoutError("no answer")
            except BaseException:
                line.close()
                raise
            return line

        return self._backend.asked(ask)


def _ids(message: dict[str, Any]) -> list[str] | None:
    """What a message says to have changed. None for all that is no such message: the line was lost in between."""
    if message["type"] != "smessage" or not message["data"]:
        return None
    ids: list[str] = msgpack.unpackb(message["data"], raw=False)
    return ids
