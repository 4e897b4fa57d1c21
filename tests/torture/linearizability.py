"""Whether a history of concurrent calls on one key could have happened one after the other.

Wing and Gong's algorithm ("Testing and verifying concurrent objects", 1993) with Lowe's memoisation ("Testing for
linearizability", 2017): try every call that began before the first of the others ended, step back where none fits,
and never try the same set of calls that led to the same state twice. Knows no store: what a call means is told by a
``Model``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

__all__ = ["Call", "Item", "apply", "linearizable"]


class Call(NamedTuple):
    """One call. ``ended`` is infinite for one whose answer was never seen: it may have happened, or not."""

    begun: float
    ended: float
    operation: tuple[Any, ...]
    result: Any


Model = Callable[[Any, "tuple[Any, ...]", Any], "Hashable | None"]
"""``(state, operation, result)`` to the state afterwards, or None where that cannot be the result."""


def linearizable(calls: Sequence[Call], initial: Hashable, model: Model) -> bool:
    """Whether there is an order of the calls, in which each lies between its begin and its end, that the model allows.

    ``initial`` and every state are hashable and not None.
    """
    calls = sorted(calls, key=lambda call: (call.begun, call.ended))
    completed = sum(1 << number for number, call in enumerate(calls) if call.ended < math.inf)
    left = list(range(len(calls)))
    seen = set()
    done, state = 0, initial
    path: list[tuple[int, Any, int]] = []
    resume = 0
    while done & completed != completed:
        place = _next(calls, left, resume, state, model)
        if place is not None:
            number = left[place]
            after = model(state, calls[number].operation, calls[number].result)
            resume = place + 1
            if (done | 1 << number, after) not in seen:
                seen.add((done | 1 << number, after))
                path.append((number, state, place))
                done, state, resume = done | 1 << number, after, 0
                del left[place]
        elif path:
            number, state, place = path.pop()
            done ^= 1 << number
            left.insert(place, number)
            resume = place + 1
        else:
            return False
    return True


def _next(calls: Sequence[Call], left: Sequence[int], resume: int, state: Any, model: Model) -> int | None:
    """The first place from ``resume`` on of a call that may be next: nothing ended before it began, and it fits."""
    soonest = math.inf
    for place, number in enumerate(left):
        call = calls[number]
        if call.begun > soonest:
            return None
        if place >= resume and model(state, call.operation, call.result) is not None:
            return place
        soonest = min(soonest, call.ended)
    return None


class Item(NamedTuple):
    """What is stored under one key, for ``apply``; ``value`` None for nothing."""

    value: str | None = None
    n: int = 0
    version: int | None = None
    """Known as soon as a call has seen it."""
    floor: int = 0
    """The largest version seen so far; what is written later has a larger one."""


def apply(item: Item, operation: tuple[Any, ...], result: Any) -> Item | None:
    """The model of a store's key."""
    kind, *arguments = operation
    there = item.value is not None
    if kind == "get":
        return item if result == ((item.value, item.n) if there else None) else None
    if kind == "insert":
        return _written(item, arguments[0])
    if kind == "insert_new":
        return None if there is (result == "ok") else item if there else _written(item, arguments[0])
    if kind == "delete":
        return _written(item, None)
    if kind == "increment":
        if not there:
            return item if result is None else None
        return _written(item, item.value, item.n + 1) if result == item.n + 1 else None
    if kind == "version":
        if not there or result is None:
            return item if not there and result is None else None
        return _versioned(item, result)
    assert kind == "compare_and_set", kind
    value, version = arguments
    same = _versioned(item, version) if there else None
    if result == "ok":
        return _written(same, value) if same is not None else None
    return item if same is None else None


def _written(item: Item, value: str | None, n: int = 0) -> Item:
    return Item(value, n, None, item.floor)


def _versioned(item: Item, version: int) -> Item | None:
    """The item, now known to have this version; None if that cannot be."""
    if item.version is None:
        return item._replace(version=version, floor=version) if version > item.floor else None
    return item if item.version == version else None
