"""The feed: one look at the store, at an interval, for all pages that are open; what they hear is that it has changed.

What has changed, a page fetches for itself. No page and no item ever enters this room.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from papertiger_shm import Connection, PaperTigerError

__all__ = ["Feed"]

LOOK_SECONDS: Final = 0.25
"""How often the store is looked at."""

SIGN_SECONDS: Final = 15.0
"""How long a listener hears nothing; a sign of life is also how one that has left is found out."""

GONE: Final = "The store has gone; nothing new will be shown."
ENDED: Final = "papertiger-shm ui has ended; nothing new will be shown."


class Feed:
    """Looks at the store from its making until ``close()``, or until there is no store any more."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.commits: int = connection.stats()["commits"]
        """How many commits there were at the last look."""
        self._last_word: str | None = None
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name=f"papertiger feed {connection.url}", daemon=True)
        self._thread.start()

    @property
    def store_has_gone(self) -> bool:
        """Whether the store did not answer any more."""
        return self._last_word == GONE

    def close(self) -> None:
        """Say to all listeners that it is over; again does nothing."""
        self._closed.set()
        self._thread.join()

    def _look(self) -> None:
        last_word = GONE  # whatever ends the looking, nobody waits for more
        try:
            while not self._closed.wait(LOOK_SECONDS):
                commits = self._connection.stats()["commits"]
                if commits != self.commits:
                    self.commits = commits
                    self._wake()
            last_word = ENDED
        except PaperTigerError:
            pass
        finally:
            self._last_word = last_word
            self._wake()

    def _wake(self) -> None:
        with self._guard:
            listeners = [*self._listeners]
        for loop, woken in listeners:
            with suppress(RuntimeError):  # the server's loop has ended
                loop.call_soon_threadsafe(woken.set)

    async def listen(self) -> AsyncIterator[str]:
        """Server-sent events: ``change`` with the number of commits, now and after each change, and ``end``, with why.

        A listener that does not keep up hears the last number only.
        """
        woken = asyncio.Event()
        me = (asyncio.get_running_loop(), woken)
        with self._guard:
            self._listeners.add(me)
        try:
            while self._last_word is None:
                yield f"event: change\ndata: {self.commits}\n\n"
                while not await _is_set(woken):
                    yield ": still here\n\n"
                woken.clear()
            yield f"event: end\ndata: {self._last_word}\n\n"
        finally:
            with self._guard:
                self._listeners.discard(me)


async def _is_set(event: asyncio.Event) -> bool:
    """Whether it is, or is going to be within ``SIGN_SECONDS``."""
    try:
        await asyncio.wait_for(event.wait(), SIGN_SECONDS)
    except asyncio.TimeoutError:
        return False
    return True
