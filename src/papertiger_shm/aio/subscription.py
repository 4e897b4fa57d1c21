"""A subscription that a loop waits for: a thread waits in its place, and tells it.

What a change means, and what is done about it, never enters this room.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

from papertiger_shm.backend import Changed, Subscription

__all__ = ["LoopSubscription"]


class LoopSubscription:
    """For the tasks of one loop. It is closed with ``close()``, or when nobody has it any more."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._loop = asyncio.get_running_loop()
        self._came: Changed | Exception | None = None
        # Of each task that waits: one that was cancelled may still be there when the next one begins.
        self._waiters: set[asyncio.Future[None]] = set()
        self._asked = False
        self._closed = False
        # True: wait once more; False: end. The next change is not waited for before this one has been looked at.
        self._demands: SimpleQueue[bool] = SimpleQueue()
        # A thread of its own, as a wait may take for ever; a daemon, as no interpreter is to wait for it at its end.
        arguments = (weakref.ref(self), self._loop, subscription, self._demands)
        threading.Thread(target=_wait_and_tell, args=arguments, name="papertiger wait", daemon=True).start()

    @property
    def is_here(self) -> bool:
        """Whether the loop that runs is the one that is told."""
        return self._loop is asyncio.get_running_loop()

    async def wait(self, seconds: float) -> Changed:
        """As ``Subscription.wait``. Nothing is lost where this is cancelled: the next call gives what has come.

        What it raises ends it. No ids also where another task got them, or when it is closed.
        """
        if self._came is None:
            await self._arrival(seconds)
        came, self._came = self._came, None
        if came is None:
            return Changed((), 0)
        self._asked = False
        if isinstance(came, Exception):
            raise came
        return came

    async def _arrival(self, seconds: float) -> None:
        if not self._asked:
            self._asked = True
            self._demands.put(True)
        waiter = self._loop.create_future()
        self._waiters.add(waiter)
        timer = None if seconds == math.inf else self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()

    # The argument: by the time this is called from ``__del__``, the module's own names may be gone.
    def close(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """End it; again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._demands.put(False)
        for waiter in [*self._waiters]:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_wake, waiter)
        # When the interpreter ends no thread can be started any more, and the one that waits goes with it.
        if self._asked and self._came is None and not is_finalizing():
            # Not here: where the thread looks for a manager that has gone, this waits for it.
            cutting = threading.Thread(target=self._subscription.cut, name="papertiger cut", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is just about to end
                cutting.start()

    def __del__(self) -> None:
        self.close()

    def _arrive(self, came: Changed | Exception) -> None:
        if self._closed:  # what comes now is that it was cut
            return
        self._came = came
        for waiter in self._waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _wait_and_tell(
    told: weakref.ref[LoopSubscription],
    loop: asyncio.AbstractEventLoop,
    subscription: Subscription,
    demands: SimpleQueue[bool],
) -> None:
    try:
        while demands.get():
            came: Changed | Exception
            try:
                came = subscription.wait(math.inf)
            except Exception as error:
                came = error
            loop.call_soon_threadsafe(_tell, told, came)
            if isinstance(came, Exception):
                return
    except RuntimeError:  # the loop is closed
        return
    finally:
        subscription.close()


def _tell(told: weakref.ref[LoopSubscription], came: Changed | Exception) -> None:
    subscription = told()
    if subscription is not None:
        subscription._arrive(came)
