"""How the results look: tables for people, a plain structure for JSON. Measures nothing, and draws nothing.

The structure is what everything else stands on: the plots, the page and the comparison read it, so a file that was
kept can be shown again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.results import Limit, Ratio, Result

__all__ = ["as_data", "print_peers", "print_results", "summary"]

Data = dict[str, Any]


def as_data(machine: Mapping[str, str], peers: Mapping[str, Mapping[str, str]], results: Sequence[Result]) -> Data:
    """Everything measured, every round included; durations in seconds."""
    return {
        "machine": dict(machine),
        "peers": {name: dict(about) for name, about in peers.items()},
        "results": [result_data(result) for result in results],
    }


def result_data(result: Result) -> Data:
    chart = result.chart
    return {
        "operation": result.operation,
        "name": result.name,
        "unit": asdict(result.unit),
        "rounds": {name: list(samples.rounds) for name, samples in result.samples.items()},
        "median": {name: samples.median for name, samples in result.samples.items()},
        "middle_half": {name: list(samples.quartiles) for name, samples in result.samples.items()},
        "cannot": dict(result.cannot),
        "targets": [target_data(target, result) for target in result.targets],
        "notes": list(result.notes),
        "chart": None if chart is None else {"axis": chart.axis, "points": dict(chart.points)},
    }


def target_data(target: Ratio | Limit, result: Result) -> Data:
    return {
        "about": target.about(),
        "asked": target.asked(),
        "measured": target.measured(result.samples),
        "met": target.met(result.samples),
    }


def print_peers(console: Console, peers: Mapping[str, Mapping[str, str]]) -> None:
    """What exactly was measured, and how it was used."""
    table = Table("peer", "version", "used as", box=SIMPLE_HEAD, header_style="bold")
    for name, about in peers.items():
        table.add_row(name, about["version"], about["about"])
    console.print(table)


def print_results(console: Console, results: Sequence[Result]) -> None:
    """What was measured, what was asked and whether it was met, and why a cell is empty."""
    console.print(table_of_figures(results))
    for reason, cells in empty_cells(results).items():
        console.print(f"  {reason}: {'; '.join(cells)}", style="dim", highlight=False, markup=False)
    for result in results:
        for note in result.notes:
            console.print(f"  {result.name}: {note}", style="dim", highlight=False, markup=False)
    console.print(table_of_targets(results))
    console.print(summary([result_data(result) for result in results]), highlight=False)


def table_of_figures(results: Sequence[Result]) -> Table:
    table = Table("operation", "of", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("median", "middle half", "rounds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        unit = result.unit
        title = f"{result.name} [{unit.name}]" if unit.name else result.name
        for place, (name, samples) in enumerate(result.samples.items()):
            low, high = samples.quartiles
            table.add_row(
                title.replace("[", r"\[") if place == 0 else "",
                name,
                unit.shown(samples.median),
                f"{unit.shown(low)} - {unit.shown(high)}",
                str(len(samples.rounds)),
                end_section=place == len(result.samples) - 1,
            )
    return table


def table_of_targets(results: Sequence[Result]) -> Table:
    table = Table("operation", "asked of the medians", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("measured", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("met")
    for result in results:
        for target in result.targets:
            measured = target.measured(result.samples)
            table.add_row(
                result.name,
                target.about(),
                "" if measured is None else f"{measured:.3g}",
                target.asked(),
                {True: "[green]met[/]", False: "[red]MISSED[/]", None: "not measured"}[target.met(result.samples)],
            )
    return table


def empty_cells(results: Sequence[Result]) -> dict[str, list[str]]:
    """Each reason for an empty cell, with the rows it holds for."""
    cells: dict[str, list[str]] = {}
    for result in results:
        for peer, reason in result.cannot.items():
            cells.setdefault(f"{peer} {reason}", []).append(result.name)
    return cells


def summary(results: Sequence[Data]) -> str:
    """How many targets were met."""
    verdicts = [target["met"] for result in results for target in result["targets"]]
    told = f"targets: {verdicts.count(True)} met, {verdicts.count(False)} missed"
    return told + (f", {verdicts.count(None)} not measured" if None in verdicts else "")
