"""The checker of histories itself: it must know good ones from bad ones, or its verdicts mean nothing."""

from __future__ import annotations

import math
import random
from itertools import permutations
from typing import Any

import pytest

from .linearizability import Call, Item, apply, linearizable

OFTEN = 400


def history(*calls: tuple[float, float, tuple[Any, ...], Any]) -> list[Call]:
    return [Call(*call) for call in calls]


A, B = ("insert", "a"), ("insert", "b")
GET = ("get",)

GOOD = {
    "nothing": history(),
    "one after the other": history((0, 1, A, "ok"), (2, 3, GET, ("a", 0)), (4, 5, B, "ok"), (6, 7, GET, ("b", 0))),
    "a read beside a write sees before": history((0, 9, A, "ok"), (1, 2, GET, None)),
    "or after": history((0, 9, A, "ok"), (1, 2, GET, ("a", 0))),
    "two writes in either order": history((0, 9, A, "ok"), (0, 9, B, "ok"), (10, 11, GET, ("a", 0))),
    "one of two is new": history((0, 9, ("insert_new", "a"), "ok"), (0, 9, ("insert_new", "b"), "exists")),
    "increments beside each other": history(
        (0, 1, A, "ok"), (2, 9, ("increment",), 2), (2, 9, ("increment",), 1), (10, 11, GET, ("a", 2))
    ),
    "the lost answer of what happened": history((0, math.inf, A, None), (5, 6, GET, ("a", 0))),
    "and of what did not": history((0, math.inf, A, None), (5, 6, GET, None)),
    "compare and set": history(
        (0, 1, A, "ok"),
        (2, 3, ("version",), 7),
        (4, 9, ("compare_and_set", "b", 7), "ok"),
        (4, 9, ("compare_and_set", "c", 7), "conflict"),
        (10, 11, GET, ("b", 0)),
    ),
    "a reader that is overtaken": history(
        (0, 20, GET, None), (1, 2, A, "ok"), (3, 4, ("delete",), "ok"), (5, 6, B, "ok"), (7, 8, GET, ("b", 0))
    ),
}

BAD = {
    "a stale read": history((0, 1, A, "ok"), (2, 3, B, "ok"), (4, 5, GET, ("a", 0))),
    "a lost write": history((0, 1, A, "ok"), (2, 3, GET, None)),
    "a read of what was never written": history((0, 9, A, "ok"), (0, 9, GET, ("c", 0))),
    "a read before the write": history((0, 1, GET, ("a", 0)), (2, 3, A, "ok")),
    "there and back again": history((0, 1, A, "ok"), (2, 9, B, "ok"), (3, 4, GET, ("b", 0)), (5, 6, GET, ("a", 0))),
    "both are new": history((0, 9, ("insert_new", "a"), "ok"), (0, 9, ("insert_new", "b"), "ok")),
    "it exists in nothing": history((0, 1, ("insert_new", "a"), "exists")),
    "an increment twice": history((0, 1, A, "ok"), (2, 3, ("increment",), 2)),
    "an increment lost": history((0, 1, A, "ok"), (2, 9, ("increment",), 1), (2, 9, ("increment",), 1)),
    "a lost answer that took effect twice": history(
        (0, 1, A, "ok"), (2, math.inf, ("increment",), None), (3, 4, GET, ("a", 2))
    ),
    "both compared and set": history(
        (0, 1, A, "ok"),
        (2, 3, ("version",), 7),
        (4, 9, ("compare_and_set", "b", 7), "ok"),
        (4, 9, ("compare_and_set", "c", 7), "ok"),
    ),
    "a conflict with nobody": history(
        (0, 1, A, "ok"), (2, 3, ("version",), 7), (4, 5, ("compare_and_set", "b", 7), "conflict")
    ),
    "a version that comes back": history(
        (0, 1, A, "ok"), (2, 3, ("version",), 7), (4, 5, B, "ok"), (6, 7, ("version",), 7)
    ),
    "a deletion undone": history((0, 1, A, "ok"), (2, 3, ("delete",), "ok"), (4, 5, GET, ("a", 0))),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories(name: str) -> None:
    assert linearizable(GOOD[name], Item(), apply)


@pytest.mark.parametrize("name", BAD)
def test_bad_histories(name: str) -> None:
    assert not linearizable(BAD[name], Item(), apply)


def test_it_says_what_trying_every_order_says() -> None:
    """Small histories at random, of which some are good and some bad."""
    verdicts = []
    for seed in range(OFTEN):
        calls = at_random(random.Random(seed), 5)
        expected = any(_allowed(order) for order in permutations(calls))
        assert linearizable(calls, Item(), apply) is expected, calls
        verdicts.append(expected)
    assert OFTEN // 10 < sum(verdicts) < OFTEN * 9 // 10


def at_random(chance: random.Random, number: int) -> list[Call]:
    """Calls carried out one after the other, whose intervals then stretch, and of which one result may be wrong."""
    item, calls = Item(), []
    for at in range(number):
        operation = chance.choice([A, B, GET, GET, ("insert_new", "c"), ("increment",), ("delete",)])
        results = [None, "ok", "exists", *((value, n) for value in "abc" for n in range(4)), *range(1, 5)]
        fitting = [result for result in results if apply(item, operation, result) is not None]
        result = chance.choice(fitting)
        after = apply(item, operation, result)
        assert after is not None
        item = after
        calls.append(Call(at - chance.random() * 3, at + chance.random() * 3, operation, result))
    wrong = chance.randrange(number)
    if chance.random() < 0.7:
        calls[wrong] = calls[wrong]._replace(result=chance.choice([call.result for call in calls]))
    return calls


def _allowed(order: tuple[Call, ...]) -> bool:
    item: Item | None = Item()
    for place, call in enumerate(order):
        if any(later.ended < call.begun for later in order[place + 1 :]):
            return False
        item = apply(item, call.operation, call.result)
        if item is None:
            return False
    return True
