"""What every item of the demo must be, known without asking the store.

The shipped events are read from the package. A worker's own items follow from (worker, key, step) alone, so that
any process can tell a whole item of any worker from a torn or mixed one. No store is touched here.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["OWN_KEYS", "Books", "expected_order", "own_item", "own_key", "own_type", "shipped_events"]

Item = dict[str, Any]

OWN_KEYS = 64
"""How many items a worker juggles in its own namespace."""

OWN_TYPES = 8
FIRST_SECOND = 1_735_689_600


@cache
def shipped_events() -> tuple[Item, ...]:
    """The 264 Stripe events that come with the package, in the order of the file."""
    lines = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def expected_order(inserted: list[Item]) -> list[Item]:
    """Newest first, given the items in order of insertion: ``created`` descending, then latest insertion first."""
    latest_first = inserted[::-1]
    return sorted(latest_first, key=lambda item: item["created"], reverse=True)


def own_key(worker: int, key: int) -> str:
    return f"evt_worker{worker}_{key}"


def own_type(key: int) -> str:
    return f"demo.type{key % OWN_TYPES}"


def own_item(worker: int, key: int, step: int) -> Item:
    """The item that ``worker`` writes under ``key`` at its ``step``; size and every value differ from step to step."""
    mark = f"{worker}:{key}:{step};"
    return {
        "id": own_key(worker, key),
        "object": "event",
        "created": FIRST_SECOND + key // 3,
        "type": own_type(key),
        "data": {"worker": worker, "key": key, "step": step, "fill": mark * (1 + step * 7 % 60), "end": mark},
    }


class Books:
    """One worker's private record of what its namespace must hold: key to step, oldest insertion first."""

    def __init__(self, worker: int) -> None:
        self.worker = worker
        self.steps: dict[int, int] = {}

    def wrote(self, key: int, step: int) -> None:
        """Replacing an item keeps its place in a dict as it does in the store."""
        self.steps[key] = step

    def deleted(self, key: int) -> None:
        self.steps.pop(key, None)

    def item(self, key: int) -> Item | None:
        """What ``get`` has to find under ``key``; None when there is nothing."""
        step = self.steps.get(key)
        return None if step is None else own_item(self.worker, key, step)

    def listing(self, type: str | None = None) -> list[Item]:
        """All items, or those of one type, in the order a list must have."""
        keys = [key for key in self.steps if type is None or own_type(key) == type]
        return expected_order([own_item(self.worker, key, self.steps[key]) for key in keys])
