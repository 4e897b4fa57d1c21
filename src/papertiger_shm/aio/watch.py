"""The changes of a collection as an asynchronous iterator. What is a change is decided in ``watching``."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from types import TracebackType

from papertiger_shm.aio.subscription import LoopSubscription
from papertiger_shm.backend import Collection
from papertiger_shm.watching import Change, Watched

__all__ = ["AsyncWatch"]


class AsyncWatch:
    """``async for change in events.watch():``, for ever, or until ``aclose()``.

    A step that is cancelled or times out loses nothing: the next one goes on from there, as after an error, also in
    another loop. It is an asynchronous context manager, too, which closes it; that ends the step of another task.
    Where several tasks of a loop share it, each change is given to one of them.
    """

    def __init__(self, view: Collection, watched: Watched) -> None:
        self._view = view
        self._watched = watched
        self._due: deque[Change] = deque()
        self._subscription: LoopSubscription | None = None
        self._closed = False

    def __aiter__(self) -> AsyncWatch:
        return self

    async def __anext__(self) -> Change:
        while not self._due and not self._closed:
            await self._look()
        if self._closed:
            raise StopAsyncIteration
        return self._due.popleft()

    async def _look(self) -> None:
        if self._subscription is not None and not self._subscription.is_here:
            self._unsubscribe()
        if self._subscription is None:
            self._subscription = LoopSubscription(self._view.subscribe())
        try:
            changed = await self._subscription.wait(math.inf)
            self._due.extend(self._watched.look(changed))
        except asyncio.CancelledError:
            raise  # the subscription still has what has come
        except BaseException:
            self._unsubscribe()  # the next one begins with a look at everything
            raise

    async def aclose(self) -> None:
        """End it; again does nothing."""
        self._closed = True
        self._due.clear()
        self._unsubscribe()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    async def __aenter__(self) -> AsyncWatch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
