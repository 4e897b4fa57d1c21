"""Rounds take turns, the warm-up is not counted, and slow calls end a round early."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from benchmarks.events import RARE, RARE_COUNT, RECORD, STRIPE
from benchmarks.measure import Contender, Samples, interleaved, seconds_each
from papertiger_shm.codec import encode


def test_contenders_take_turns() -> None:
    turns: list[tuple[str, int]] = []

    def contender(name: str) -> Contender:
        def one_round(number: int) -> float:
            turns.append((name, number))
            return float(number)

        return one_round

    samples = interleaved({name: contender(name) for name in "ABC"}, 2, lambda: None)
    assert turns == [(name, number) for number in (-1, 0, 1) for name in "ABC"]
    assert samples == {name: Samples((0.0, 1.0)) for name in "ABC"}


def test_without_warm_up_the_first_round_counts() -> None:
    assert interleaved({"A": float}, 2, lambda: None, warm_up=False) == {"A": Samples((0.0, 1.0))}


def test_progress_is_told_after_each_round_and_the_warm_up() -> None:
    told: list[int] = []
    interleaved({"A": float, "B": float}, 3, lambda: told.append(1))
    assert len(told) == 4


def ticking(step: float) -> Callable[[], float]:
    """A clock on which that much passes between two looks."""
    ticks = count()
    return lambda: next(ticks) * step


def test_a_call_is_the_average_over_all_arguments() -> None:
    calls: list[int] = []
    # 120 arguments are looked at the clock for three times.
    assert seconds_each(calls.append, range(120), ticking(1.0), longest=100) == pytest.approx(3 / 120)
    assert calls == [*range(120)]


def test_a_round_of_slow_calls_ends_early() -> None:
    calls: list[int] = []
    assert seconds_each(calls.append, range(1_000), ticking(1.0), longest=1.5) == pytest.approx(2 / 100)
    assert len(calls) == 100


def test_the_middle_half_of_few_rounds() -> None:
    assert Samples((3.0,)).quartiles == (3.0, 3.0)
    assert Samples((1.0, 2.0, 3.0, 4.0, 5.0)).quartiles == (2.0, 4.0)


@pytest.mark.parametrize("size", [100, 1_000, 2_500])
def test_stores_of_all_sizes_end_with_the_same_events_and_hold_as_many_rare_ones(size: int) -> None:
    events = [event for batch in STRIPE.stored(size, top=5_000) for event in batch]
    rare = [event for event in events if event["type"] == RARE]
    assert len({event["id"] for event in events}) == size
    assert events[-1]["id"] == STRIPE.make(4_999)["id"]
    assert [event["created"] for event in events] == sorted(event["created"] for event in events)
    assert [event["data"] for event in rare] == [STRIPE.make(number)["data"] for number in range(RARE_COUNT)]


def test_the_small_record_is_as_small_as_it_says() -> None:
    assert RECORD.name.startswith(f"{len(encode(RECORD.make(123_456)))}-byte")
