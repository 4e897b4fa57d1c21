"""How the results look: a table for people, a plain structure for JSON. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.cases import Ratio, Result
from benchmarks.measure import Samples

__all__ = ["as_data", "print_results"]

NOISE = 1.1
"""Two medians no further apart than this count as the same; so do any whose middle halves overlap."""


def print_results(console: Console, results: Sequence[Result]) -> None:
    """Two tables: what was measured, and the ratios with their targets."""
    console.print(table_of_times(results))
    console.print(table_of_ratios(results))
    for result in results:
        for peer, reason in result.cannot.items():
            console.print(f"  {result.case.name}: {peer} {reason}", style="dim", highlight=False)


def table_of_times(results: Sequence[Result]) -> Table:
    table = Table("operation", "of", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("median us", "middle half us", "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        for place, (name, samples) in enumerate(result.samples.items()):
            low, high = samples.quartiles
            table.add_row(
                result.case.name if place == 0 else "",
                name,
                microseconds(samples.median),
                f"{microseconds(low)} - {microseconds(high)}",
                str(len(samples.rounds)),
                end_section=place == len(result.samples) - 1,
            )
    return table


def table_of_ratios(results: Sequence[Result]) -> Table:
    table = Table("operation", "ratio of medians", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("measured", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met")
    for result in results:
        for ratio in result.case.ratios:
            of, to = result.samples[ratio.of], result.samples[ratio.to]
            table.add_row(
                result.case.name,
                f"{ratio.of} / {ratio.to}",
                f"{of.median / to.median:.2f}",
                target_of(ratio),
                {True: "[green]yes[/]", False: "[red]NO[/]", None: ""}[met(ratio, of, to)],
            )
    return table


def target_of(ratio: Ratio) -> str:
    if ratio.same:
        return "the same"
    return "" if ratio.at_most is None else f"<= {ratio.at_most:g}"


def met(ratio: Ratio, of: Samples, to: Samples) -> bool | None:
    """Whether a ratio is within its target; None where it has none."""
    if ratio.same:
        return of.median <= NOISE * to.median or of.quartiles[0] <= to.quartiles[1]
    return None if ratio.at_most is None else of.median <= ratio.at_most * to.median


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.2f}"


def as_data(machine: Mapping[str, str], results: Sequence[Result]) -> dict[str, Any]:
    """Everything measured, every round included; durations in seconds."""
    return {
        "machine": dict(machine),
        "results": [
            {
                "operation": result.case.name,
                "rounds": {name: list(samples.rounds) for name, samples in result.samples.items()},
                "median": {name: samples.median for name, samples in result.samples.items()},
                "cannot": result.cannot,
                "ratios": [ratio_data(ratio, result) for ratio in result.case.ratios],
            }
            for result in results
        ],
    }


def ratio_data(ratio: Ratio, result: Result) -> dict[str, Any]:
    of, to = result.samples[ratio.of], result.samples[ratio.to]
    return {
        "of": ratio.of,
        "to": ratio.to,
        "measured": of.median / to.median,
        "target": target_of(ratio),
        "met": met(ratio, of, to),
    }
