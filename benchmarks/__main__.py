"""``python -m benchmarks [--quick] [--json FILE]``: arguments, progress, table. Exit status 0 whatever the ratios."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.cases import Plan, Scale, run_all
from benchmarks.machine import describe
from benchmarks.report import as_data, print_machine, print_results

QUICK = Scale(stored=20_000, large=50_000, rounds=7, clears=5, gets=2_000, inserts=200, lists=100, counts=2_000)


def main() -> None:
    options = arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    machine = describe()
    print_machine(console, machine)
    scale = QUICK if options.quick else Scale()
    with progress_on(console) as progress:
        results = list(run_all(Plan(scale, steps_shown(progress, console))))
    print_results(console, results)
    if options.json:
        options.json.write_text(json.dumps(as_data(machine, results), indent=2) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="papertiger-shm beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer events and rounds: 1,000 and 50,000 for the sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round to FILE")
    return parser.parse_args()


def progress_on(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A refreshing thread would take its time from the measurements; the bar moves between rounds instead.
    return Progress(*columns, console=console, auto_refresh=False, transient=True)


def steps_shown(progress: Progress, console: Console) -> Callable[[str, int], Callable[[], None]]:
    """One bar that moves on from step to step; without a terminal, a line for each new step."""
    task = progress.add_task("", total=None)
    said: set[str] = set()

    def step(description: str, parts: int) -> Callable[[], None]:
        if not console.is_terminal and description not in said:
            said.add(description)
            console.print(f"  {description} ...", highlight=False)
        progress.reset(task, description=description, total=parts)

        def advance() -> None:
            progress.advance(task)
            progress.refresh()

        return advance

    return step


if __name__ == "__main__":
    main()
