"""A connection that is patient until it is connected, and then is not: what gives up in time begins in peace.

With a short timeout from the beginning, a busy machine that takes as long to connect would be taken for a fault.
"""

from __future__ import annotations

from typing import Any

__all__ = ["set_timeout"]


def set_timeout(backend: Any, seconds: float) -> None:
    """From now on each request of this ``shm://`` backend is given up after so many seconds."""
    backend.timeout = backend._channel._timeout = seconds
