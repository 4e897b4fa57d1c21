"""From attempts to a table: who tries what how often, in which order, and the cells that come of it.

The contenders take turns (A B C A B C ...), so that whatever the machine does meanwhile meets all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from benchmarks.shared_fixtures.attempts import Attempt, Cannot, Observation, access, middle
from benchmarks.shared_fixtures.contenders import Contender
from benchmarks.shared_fixtures.rows import ROWS, Cell, Row

__all__ = ["Scale", "Table", "missing", "tried"]


@dataclass(frozen=True)
class Scale:
    """How often everything is tried."""

    repeats: int = 3
    rounds: int = 10
    """Of the measured row, where a median is wanted."""

    def of(self, attempt: Attempt) -> int:
        return self.rounds if attempt is access else self.repeats


@dataclass
class Table:
    contenders: Sequence[Contender]
    yardstick: Contender
    observations: dict[tuple[str, str], list[Observation]] = field(default_factory=dict)
    """By attempt and contender, one for each time it was tried."""
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    """By attempt and contender: why there is nothing to be seen."""

    def cell(self, row: Row, contender: Contender) -> Cell:
        tried = [attempt.__name__ for attempt in row.attempts]
        seen = [self.observations.get((name, contender.name), []) for name in tried]
        if not any(seen):
            reasons = (self.reasons.get((name, contender.name), "not tried") for name in tried)
            return Cell(f"({next(reasons)})")
        return row.verdict([observation for observations in seen for observation in observations])

    def rows(self) -> Iterator[tuple[Row, list[Cell]]]:
        for row in ROWS:
            yield row, [self.cell(row, contender) for contender in self.contenders]

    def ratios(self) -> dict[str, float]:
        """By contender: how many times as long as with the yardstick a later access takes."""
        seen = {name: found for (attempt, name), found in self.observations.items() if attempt == access.__name__}
        yardstick = seen.pop(self.yardstick.name, [])
        return {name: middle(found, "later") / middle(yardstick, "later") for name, found in seen.items() if yardstick}

    @property
    def yardstick_cell(self) -> Cell:
        return self.cell(ROWS[-1], self.yardstick)


def missing(contender: Contender) -> str | None:
    """Why it cannot be tried at all, or None."""
    for package in contender.packages:
        try:
            version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
    return None


def tried(
    contenders: Sequence[Contender],
    yardstick: Contender,
    scale: Scale,
    step: Callable[[str, int], Callable[[], None]],
) -> Table:
    """Everything tried with everyone."""
    table = Table(contenders, yardstick)
    titles: dict[Attempt, str] = {}
    for row in ROWS:
        for attempt in row.attempts:
            titles.setdefault(attempt, row.title)
    for attempt, title in titles.items():
        taking_part = [*contenders, yardstick] if attempt is access else contenders
        advance = step(title, scale.of(attempt) * len(taking_part))
        for _ in range(scale.of(attempt)):
            for contender in taking_part:
                try_once(table, attempt, contender)
                advance()
    return table


def try_once(table: Table, attempt: Attempt, contender: Contender) -> None:
    key = (attempt.__name__, contender.name)
    if key in table.reasons:
        return
    reason = missing(contender)
    if reason is None:
        try:
            table.observations.setdefault(key, []).append(attempt(contender))
            return
        except Cannot as cannot:
            reason = str(cannot)
    table.observations.pop(key, None)
    table.reasons[key] = reason
