"""How the table looks: for a terminal, in Markdown, and every count as data. Tries and judges nothing."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from benchmarks.machine import installed, processor
from benchmarks.shared_fixtures.attempts import access
from benchmarks.shared_fixtures.rows import Cell, times
from benchmarks.shared_fixtures.table import Table

__all__ = ["as_data", "as_markdown", "machine_of", "print_table", "put_into"]

BEGIN, END = "<!-- made by benchmarks.shared_fixtures: begin -->", "<!-- made by benchmarks.shared_fixtures: end -->"
COLOURS = {True: "green", False: "red", None: "default"}


def machine_of(description: Mapping[str, str], table: Table) -> dict[str, str]:
    """When, on what and with which versions."""
    packages = dict.fromkeys(
        package for contender in [*table.contenders, table.yardstick] for package in ("pytest", *contender.packages)
    )
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{processor()}, {description['cores']} cores",
        "system": description["system"],
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": description["python"],
        **{package: installed(package) for package in packages},
    }


def print_table(console: Console, table: Table) -> None:
    """Contenders down, since a terminal is higher than wide: one block for each row of the table."""
    for row, cells in table.rows():
        grid = Grid(row.title, "", box=SIMPLE_HEAD, header_style="bold", title_justify="left")
        for contender, cell in zip(table.contenders, cells):
            grid.add_row(contender.name, f"[{COLOURS[cell.good]}]{escape(plain(cell))}[/]")
        console.print(grid)
    console.print(f"  {table.yardstick.name}: {table.yardstick_cell.text}", highlight=False)
    for name, ratio in table.ratios().items():
        console.print(f"  {name}: a later access takes {ratio:.2f} times as long as a plain one", highlight=False)


def plain(cell: Cell) -> str:
    return cell.text.replace("`", "")


def as_markdown(table: Table, machine: Mapping[str, str]) -> str:
    """The table with its contenders across, as it stands in the documentation."""
    heads = ["", *(contender.name for contender in table.contenders)]
    lines = [heads, ["---"] * len(heads)]
    lines += [[row.title, *(cell.text.replace("|", "\\|") for cell in cells)] for row, cells in table.rows()]
    described = "; ".join(f"{name} {value}" for name, value in machine.items() if name != "date")
    return "\n".join(
        [
            BEGIN,
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"{table.yardstick.name.capitalize()}: {table.yardstick_cell.text}. Made on {machine['date']} with "
            f"`tox run -e fixtures`, {tries(table)}: {described}.",
            END,
            "",
        ]
    )


def tries(table: Table) -> str:
    """How often everything was tried, since a verdict is as good as that."""
    rounds = max(
        (len(seen) for (attempt, _), seen in table.observations.items() if attempt == access.__name__), default=0
    )
    others = max(
        (len(seen) for (attempt, _), seen in table.observations.items() if attempt != access.__name__), default=0
    )
    return f"each row tried {times([others])}, the last one {times([rounds])}"


def put_into(file: Path, markdown: str) -> None:
    """Replace the table of an earlier run in ``file``; where there is none, ``file`` becomes the table."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END + "\n")
    if begin and end:
        markdown = before + markdown + after
    file.write_text(markdown, encoding="utf-8")


def as_data(table: Table, machine: Mapping[str, str]) -> dict[str, Any]:
    """Every count and every second of every try."""
    return {
        "machine": dict(machine),
        "about": {contender.name: contender.about for contender in [*table.contenders, table.yardstick]},
        "table": {
            row.title: {contender.name: cell.text for contender, cell in zip(table.contenders, cells)}
            for row, cells in table.rows()
        },
        "yardstick": table.yardstick_cell.text,
        "later access, in plain ones": table.ratios(),
        "observations": [
            {"attempt": attempt, "contender": contender, "seen": seen}
            for (attempt, contender), seen in table.observations.items()
        ],
        "reasons": [
            {"attempt": attempt, "contender": contender, "reason": reason}
            for (attempt, contender), reason in table.reasons.items()
        ],
    }
