"""Tests that are coroutines: each in a loop of its own, with an end for one that hangs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Test: TypeAlias = Callable[..., Coroutine[Any, Any, None]]


def in_loop_within(seconds: float) -> Callable[[Test], Callable[..., None]]:
    """A decorator for a test that has to be over by then."""

    def in_loop(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            asyncio.run(asyncio.wait_for(test(**fixtures), seconds))

        return run

    return in_loop


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def anext_(changes: Any) -> Any:
    """As ``anext``, but what it gives is a coroutine, with any kind of iterator and in every Python."""
    return await changes.__anext__()
