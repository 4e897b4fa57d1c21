"""What goes on in a store at one moment, and between two of them, as plain data. Nothing is printed here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from papertiger_shm import Connection
from papertiger_shm.testing import runs_in

__all__ = ["PACES", "Snapshot", "per_second", "take"]

PACES = {"reads": "reads", "commits": "commits", "retries": "reader_retries"}
"""What is told per second, and the figure that counts it; on a server nobody counts the reads."""


@dataclass(frozen=True)
class Snapshot:
    """``collections`` are (table, namespace, items), those with the most items first; ``runs`` as ``runs_in``."""

    url: str
    moment: float
    figures: dict[str, Any]
    collections: list[tuple[str, str, int]]
    runs: list[dict[str, Any]]


def take(connection: Connection) -> Snapshot:
    """Look at everything now."""
    figures, moment = connection.stats(), time.monotonic()
    collections = sorted(connection.collections(), key=lambda each: (-each[2], each[0], each[1]))
    return Snapshot(connection.url, moment, figures, collections, runs_in(connection))


def per_second(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """The paces between two moments. A writer that is new in between has counted from 0."""
    seconds = max(after.moment - before.moment, 1e-6)
    paces = {}
    for pace, figure in PACES.items():
        if figure in after.figures:
            count, earlier = after.figures[figure], before.figures.get(figure, 0)
            paces[pace] = (count - earlier if count >= earlier else count) / seconds
    return paces
