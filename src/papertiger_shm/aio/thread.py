"""Work in a thread of its own. What the work is never enters this room."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """What the function gives; where this is cancelled, its end is awaited by nobody.

    Not ``asyncio.to_thread``: its few threads may all be at work for others, and the end of a loop, and that of the
    interpreter, wait for them however long an answer takes.
    """
    outcome: Future[T] = Future()
    within = contextvars.copy_context()
    threading.Thread(
        target=_carry_out,
        args=(outcome, lambda: within.run(function, *arguments)),
        name=f"papertiger {function.__name__.strip('_')}",
        daemon=True,
    ).start()
    return await asyncio.wrap_future(outcome)


def _carry_out(outcome: Future[T], work: Callable[[], T]) -> None:
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
