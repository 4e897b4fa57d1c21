"""Waiting for what must come, with a deadline. Nothing here waits for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

SECONDS = 60.0


def eventually(look: Callable[[], Found], what: str, seconds: float = SECONDS) -> Found:
    """What ``look`` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s; last seen was {found!r}"
        time.sleep(0.005)
    return found
