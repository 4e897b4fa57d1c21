"""The payloads: the shipped Stripe events, repeated under fresh ids. The same for every peer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

Event = dict[str, Any]

BATCH = 1_000


@cache
def shipped() -> tuple[Event, ...]:
    lines = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def event_id(number: int) -> str:
    """As long as Stripe's own, and in no order that an index could profit from."""
    return f"evt_{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:08x}"


def event(number: int) -> Event:
    """Event ``number``: a shipped one under a fresh id, in time order over the repetitions."""
    templates = shipped()
    repetition, place = divmod(number, len(templates))
    span = templates[-1]["created"] - templates[0]["created"] + 1
    template = templates[place]
    return template | {"id": event_id(number), "created": template["created"] + repetition * span}


def events(start: int, stop: int) -> list[Event]:
    return [event(number) for number in range(start, stop)]


def batches(start: int, stop: int) -> Iterator[list[Event]]:
    """Events ``start`` to ``stop``, a thousand at a time."""
    for first in range(start, stop, BATCH):
        yield events(first, min(first + BATCH, stop))


def random_ids(count: int, among: int, seed: int) -> Sequence[str]:
    """``count`` ids of events 0 to ``among``, in random order."""
    source = random.Random(seed)
    return [event_id(source.randrange(among)) for _ in range(count)]
