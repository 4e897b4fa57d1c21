"""What a measurement leaves: samples, what was asked of them, and why a cell is empty. Knows no peer by name.

A target never fails anything. It says whether it was met, and what stood against what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Samples

__all__ = ["BYTES", "COUNT", "MEBIBYTES", "MICROSECONDS", "RATE", "Chart", "Limit", "Ratio", "Result", "Same", "Unit"]

NOISE = 1.1
"""Two medians no further apart than this count as the same; so do any whose middle halves overlap."""


@dataclass(frozen=True)
class Unit:
    """How figures are shown: multiplied by ``factor``, with so many ``digits``."""

    name: str
    factor: float = 1.0
    digits: int = 2
    more_is_better: bool = False

    def shown(self, value: float) -> str:
        return f"{value * self.factor:,.{self.digits}f}"


MICROSECONDS = Unit("us", 1e6)
MEBIBYTES = Unit("MiB", 2**-20)
RATE = Unit("1/s", digits=0, more_is_better=True)
BYTES = Unit("bytes")
COUNT = Unit("")

Measured = Mapping[str, Samples]


@dataclass(frozen=True)
class Ratio:
    """Asked for: the median of ``of`` is at most so many times that of ``to``."""

    of: str
    to: str
    at_most: float

    def about(self) -> str:
        return f"{self.of} / {self.to}"

    def asked(self) -> str:
        if self.at_most < 0.6:
            return f"<= 1/{1 / self.at_most:g}"
        return f"<= {self.at_most:g}"

    def measured(self, samples: Measured) -> float | None:
        """None where one of the two was not measured."""
        if self.of not in samples or self.to not in samples:
            return None
        # Both may be counts, and nothing is less than nothing.
        below = samples[self.to].median
        return samples[self.of].median / below if below else None

    def met(self, samples: Measured) -> bool | None:
        measured = self.measured(samples)
        return None if measured is None else measured <= self.at_most


@dataclass(frozen=True)
class Same(Ratio):
    """Asked for: ``of`` is no more than ``to``, as far as the noise lets one tell."""

    at_most: float = NOISE

    def asked(self) -> str:
        return "flat"

    def met(self, samples: Measured) -> bool | None:
        measured = self.measured(samples)
        if measured is None:
            return None
        return measured <= self.at_most or samples[self.of].quartiles[0] <= samples[self.to].quartiles[1]


@dataclass(frozen=True)
class Limit:
    """Asked for: the median of ``of`` is at most this much."""

    of: str
    at_most: float
    unit: Unit

    def about(self) -> str:
        return self.of

    def asked(self) -> str:
        return f"<= {self.at_most * self.unit.factor:g} {self.unit.name}".rstrip()

    def measured(self, samples: Measured) -> float | None:
        return samples[self.of].median * self.unit.factor if self.of in samples else None

    def met(self, samples: Measured) -> bool | None:
        return samples[self.of].median <= self.at_most if self.of in samples else None


@dataclass(frozen=True)
class Chart:
    """Where the contenders stand in a plot against ``axis``: contender to line and position."""

    axis: str
    points: Mapping[str, tuple[str, float]]


@dataclass
class Result:
    """One row: an operation, everybody's samples, and what was asked of them."""

    operation: str
    """By what ``--only`` calls it."""
    name: str
    samples: dict[str, Samples]
    targets: Sequence[Ratio | Limit] = ()
    unit: Unit = MICROSECONDS
    cannot: dict[str, str] = field(default_factory=dict)
    chart: Chart | None = None
    notes: list[str] = field(default_factory=list)
