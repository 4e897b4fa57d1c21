"""The payloads, the same for every peer: the shipped Stripe events repeated under fresh ids, and a 60-byte record.

Nothing here knows who stores them, or how.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "BATCH",
    "NUMBER",
    "RARE",
    "RARE_COUNT",
    "RECORD",
    "STRIPE",
    "Event",
    "Payload",
    "event_id",
    "random_ids",
    "shipped",
]

Event = dict[str, Any]

BATCH = 1_000
RARE = "bench.rare"
"""The type of ``RARE_COUNT`` events of a store, however many there are besides."""
RARE_COUNT = 20
NUMBER = "pending_webhooks"
"""A field of every payload that holds an int, to be incremented."""


@dataclass(frozen=True)
class Payload:
    """One kind of payload: ``make(number)`` gives number so-and-so, another id each."""

    name: str
    make: Callable[[int], Event]

    def range(self, start: int, stop: int) -> list[Event]:
        return [self.make(number) for number in range(start, stop)]

    def stored(self, size: int, top: int) -> Iterator[list[Event]]:
        """What a store of ``size`` holds, a thousand at a time: those right below ``top``, so that the newest are
        the same ones whatever the size. ``RARE_COUNT`` of them, evenly spread, are of the type ``RARE``.
        """
        apart = max(size // RARE_COUNT, 1)
        for first in range(top - size, top, BATCH):
            batch = self.range(first, min(first + BATCH, top))
            for place, event in enumerate(batch):
                rare, rest = divmod(first + place - (top - size), apart)
                if not rest and rare < RARE_COUNT:
                    # The contents are the same at every size too, which many Stripe events differ in.
                    batch[place] = self.make(rare) | {"id": event["id"], "created": event["created"], "type": RARE}
            yield batch


@cache
def shipped() -> tuple[Event, ...]:
    lines = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def event_id(number: int) -> str:
    """As long as Stripe's own, and in no order that an index could profit from."""
    return f"evt_{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:08x}"


def stripe_event(number: int) -> Event:
    """A shipped event under a fresh id and at a second of its own."""
    templates = shipped()
    # A second apart, so that every peer lists them in the same order.
    return templates[number % len(templates)] | {"id": event_id(number), "created": templates[0]["created"] + number}


def record(number: int) -> Event:
    """As little as a record may be that has what a store needs: 60 bytes when encoded."""
    return {"id": f"r{number:016d}", "type": "t", "created": 1_700_000_000 + number, NUMBER: 0}


STRIPE = Payload("Stripe event", stripe_event)
RECORD = Payload("60-byte record", record)


def random_ids(payload: Payload, count: int, size: int, top: int, seed: int) -> Sequence[str]:
    """Ids of ``count`` of the ``size`` items below ``top``, in random order."""
    source = random.Random(seed)
    if payload is STRIPE:  # without making an event for each id
        return [event_id(source.randrange(top - size, top)) for _ in range(count)]
    return [payload.make(source.randrange(top - size, top))["id"] for _ in range(count)]
