"""``python -m benchmarks``: arguments, progress, tables, and the files asked for. Exit status 0 whatever the ratios."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.console import console_of, print_machine, progress_on, steps_shown
from benchmarks.machine import describe
from benchmarks.operations.table import OPERATIONS
from benchmarks.page import put_into
from benchmarks.peers.everyone import EVERYONE
from benchmarks.plan import FULL, QUICK, Plan, Stock
from benchmarks.plots import draw
from benchmarks.report import as_data, print_peers, print_results
from benchmarks.results import Result


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    console = console_of()
    machine = describe()
    print_machine(console, machine)
    scale = QUICK if options.quick else FULL
    results: list[Result] = []
    with progress_on(console) as progress:
        step = steps_shown(progress, console)
        with Stock(scale, options.peers, step) as stock:
            plan = Plan(scale, step, stock)
            for name, operation in OPERATIONS.items():
                if name in options.only:
                    results.extend(operation(plan))
            peers = {
                name: {"version": version, "about": EVERYONE[name].about} for name, version in stock.versions.items()
            }
    print_peers(console, peers)
    print_results(console, results)
    keep(options, as_data(machine, peers, results))


def keep(options: argparse.Namespace, data: dict[str, Any]) -> None:
    """Write the files that were asked for."""
    if options.json:
        options.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    plots = draw(data, options.plots) if options.plots else []
    if options.markdown:
        put_into(options.markdown, data, plots)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="papertiger-shm beside its peers.")
    made.add_argument("--quick", action="store_true", help="fewer events, calls and rounds: to see that it works")
    made.add_argument(
        "--only", nargs="+", choices=OPERATIONS, default=[*OPERATIONS], metavar="OPERATION", help=", ".join(OPERATIONS)
    )
    made.add_argument(
        "--peers", nargs="+", choices=EVERYONE, default=[*EVERYONE], metavar="PEER", help=", ".join(EVERYONE)
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="keep everything measured, every round, in FILE")
    made.add_argument("--plots", type=Path, metavar="DIR", help="draw the plots into DIR, as SVG and PNG")
    made.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables between the marks in FILE")
    return made


if __name__ == "__main__":
    main()
