"""``python -m benchmarks [--quick] [--json FILE]``: arguments, progress, table. Exit status 0 whatever the ratios."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.cases import Plan, Scale, run_all
from benchmarks.console import console_of, print_machine, progress_on, steps_shown
from benchmarks.machine import describe
from benchmarks.report import as_data, print_results

QUICK = Scale(stored=20_000, large=50_000, rounds=7, clears=5, gets=2_000, inserts=200, lists=100, counts=2_000)


def main() -> None:
    options = arguments()
    console = console_of()
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


if __name__ == "__main__":
    main()
