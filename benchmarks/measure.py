"""Rounds, medians and spread, and how often a call is made. Knows neither peers nor operations."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Contender", "Samples", "interleaved", "quiet_memory", "seconds_each"]

Contender = Callable[[int], float]
"""Does round number n of its work; returns what it measured, as seconds for one operation."""

LONGEST = 0.2
"""Seconds after which a round of a slow contender is long enough."""
AT_ONCE = 50
"""Calls between two looks at that."""


@dataclass(frozen=True)
class Samples:
    """One contender's rounds."""

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
    contenders: Mapping[str, Contender], rounds: int, advance: Callable[[], object], warm_up: bool = True
) -> dict[str, Samples]:
    """Run A B C A B C ..., so that whatever the machine does meanwhile meets all of them; warm-up not counted."""
    first = -1 if warm_up else 0
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    with quiet_memory():
        for number in range(first, rounds):
            for name, contender in contenders.items():
                measured = contender(number)
                if number >= 0:
                    taken[name].append(measured)
            advance()
    return {name: Samples(tuple(values)) for name, values in taken.items()}


def seconds_each(
    call: Callable[[Any], object],
    arguments: Sequence[Any],
    clock: Callable[[], float] = time.perf_counter,
    longest: float = LONGEST,
) -> float:
    """Seconds for one call: the average over all arguments, or over as many as fit into ``longest``."""
    taken = 0.0
    for first in range(0, len(arguments), AT_ONCE):
        some = arguments[first : first + AT_ONCE]
        begin = clock()
        for argument in some:
            call(argument)
        taken += clock() - begin
        if taken > longest:
            return taken / (first + len(some))
    return taken / len(arguments)


@contextmanager
def quiet_memory() -> Iterator[None]:
    """The collector stays on, as in real life, but does not walk through what the benchmark itself keeps."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
