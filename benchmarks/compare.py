"""``benchmarks/compare.py OLD.json NEW.json``: what moved beyond the noise between two kept results.

A figure has moved where the middle halves of its rounds do not touch and the medians are further apart than two runs
of the same code are. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

if not __package__:  # run as a file: what stands beside it is a package only from one directory above
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.console import console_of
from benchmarks.measure import Samples
from benchmarks.results import NOISE, Unit

__all__ = ["Move", "compared", "moved"]

Data = dict[str, Any]


@dataclass(frozen=True)
class Move:
    """One figure in both files."""

    name: str
    of: str
    unit: Unit
    old: Samples
    new: Samples

    @property
    def ratio(self) -> float:
        """New by old."""
        return self.new.median / self.old.median if self.old.median else 1.0 if not self.new.median else float("inf")

    @property
    def beyond_noise(self) -> bool:
        (old_low, old_high), (new_low, new_high) = self.old.quartiles, self.new.quartiles
        apart = new_low > old_high or new_high < old_low
        return apart and not 1 / NOISE <= self.ratio <= NOISE

    @property
    def better(self) -> bool:
        return (self.ratio > 1) == self.unit.more_is_better


def compared(old: Data, new: Data) -> Iterator[Move]:
    """Every figure that both have."""
    before = {result["name"]: result for result in old["results"]}
    for result in new["results"]:
        other = before.get(result["name"])
        if other is None:
            continue
        for of, rounds in result["rounds"].items():
            if rounds and other["rounds"].get(of):
                unit = Unit(**result["unit"])
                yield Move(result["name"], of, unit, Samples(tuple(other["rounds"][of])), Samples(tuple(rounds)))


def moved(old: Data, new: Data) -> list[Move]:
    """Those that moved beyond the noise, the farthest first."""
    moves = [move for move in compared(old, new) if move.beyond_noise]
    return sorted(moves, key=lambda move: max(move.ratio, 1 / move.ratio if move.ratio else float("inf")), reverse=True)


def changed_circumstances(old: Data, new: Data) -> list[str]:
    """What else differs between the two runs."""
    before, after = old["machine"], new["machine"]
    return [
        f"{name}: {before.get(name, 'not told')} before, {after.get(name, 'not told')} now"
        for name in {**before, **after}
        if before.get(name) != after.get(name) and name != "date"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks/compare.py", description="What moved beyond the noise.")
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    options = parser.parse_args()
    old, new = (json.loads(file.read_text(encoding="utf-8")) for file in (options.old, options.new))
    console = console_of()
    for difference in changed_circumstances(old, new):
        console.print(f"  {difference}", style="yellow", highlight=False, markup=False)
    moves = moved(old, new)
    console.print(table_of(moves))
    console.print(f"{len(moves)} of {len([*compared(old, new)])} figures moved beyond the noise", highlight=False)


def table_of(moves: list[Move]) -> Table:
    table = Table("operation", "of", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("old", "new", "unit", "new / old"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for move in moves:
        shown = move.unit.shown
        verdict = "[green]better[/]" if move.better else "[red]worse[/]"
        old, new = shown(move.old.median), shown(move.new.median)
        table.add_row(move.name, move.of, old, new, move.unit.name, f"{move.ratio:.2f}", verdict)
    return table


if __name__ == "__main__":
    main()
