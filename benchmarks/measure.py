"""Rounds, medians and spread. Knows neither peers nor operations."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Contender", "Samples", "interleaved"]

Contender = Callable[[int], float]
"""Does round number n of its work; returns seconds for one operation."""


@dataclass(frozen=True)
class Samples:
    """One contender's rounds, each in seconds for one operation."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the rounds lies between these two."""
        if len(self.rounds) < 2:
            return self.median, self.median
        first, _, third = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return first, third


def interleaved(
    contenders: Mapping[str, Contender], rounds: int, advance: Callable[[], None], warm_up: bool = True
) -> dict[str, Samples]:
    """Run A B C A B C ..., so that whatever the machine does meanwhile meets all of them; warm-up not counted."""
    first = -1 if warm_up else 0
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(first, rounds):
        for name, contender in contenders.items():
            seconds = contender(number)
            if number >= 0:
                taken[name].append(seconds)
        advance()
    return {name: Samples(tuple(values)) for name, values in taken.items()}
