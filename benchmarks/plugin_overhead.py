"""What the pytest plugin costs a test: 2,000 tests on 4 workers, with and without it. ``python -m
benchmarks.plugin_overhead [--quick] [--json FILE]``, or ``tox run -e overhead``.

Three suites take turns: tests that fill plain dicts; the same with the ``events`` fixture unused beside them, which
differs by the plugin's own work alone; and tests that write their events to the store. Every test of the last one
writes the same ids and counts them, so that a single event leaking from one test to another fails it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.console import console_of, print_machine, progress_on, steps_shown
from benchmarks.machine import describe
from benchmarks.shared_fixtures.attempts import numbered, suite_of
from benchmarks.shared_fixtures.contenders import XDIST

EVENTS = 50
TARGET = 1e-3
"""Seconds of the plugin's own that a test may cost."""

CONFTEST = """
import time
import pytest
import journal

SPENT = []

@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    begin, worked = time.perf_counter(), time.process_time()
    yield
    SPENT.append((time.perf_counter() - begin, time.process_time() - worked))

def pytest_sessionfinish(session):
    if SPENT:
        journal.note("spent", seconds=SPENT)
"""

IN_DICTS = f"""
store = {{}}
for number in range({EVENTS}):
    store[f"evt_{{number}}"] = {{"id": f"evt_{{number}}", "type": "charge.refunded", "created": 1735689600 + number}}
assert len(store) == {EVENTS}
"""

IN_THE_STORE = f"""
assert events.count() == 0
for number in range({EVENTS}):
    events.insert({{"id": f"evt_{{number}}", "type": "charge.refunded", "created": 1735689600 + number}})
assert events.count() == {EVENTS}
"""

PLAIN, UNUSED, USED = "plain dicts", "plain dicts, with an unused `events`", f"{EVENTS} events in the store"


@dataclass
class Measured:
    """One suite's rounds: seconds of its tests, from set-up to tear-down, as pytest runs them."""

    tests: int
    middles: list[float] = field(default_factory=list)
    """The median test of each round."""
    means: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    """Seconds of the processor that the worker took, by test: what other programs on the machine do not change much."""
    walls: list[float] = field(default_factory=list)
    """Seconds of the whole run, by test."""
    reported: list[float] = field(default_factory=list)
    """What the plugin's own report says that it cost a test."""


def main() -> None:
    options = arguments()
    console = console_of()
    tests, rounds = (200, 2) if options.quick else (2_000, 5)
    with progress_on(console) as progress:
        measured = measure(tests, rounds, steps_shown(progress, console))
    print_machine(console, describe())
    print_measured(console, measured)
    if options.json:
        data = {"machine": describe(), "suites": {name: vars(suite) for name, suite in measured.items()}}
        options.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plugin_overhead", description="What the plugin costs a test."
    )
    parser.add_argument("--quick", action="store_true", help="200 tests and two rounds instead of 2,000 and five")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round to FILE")
    return parser.parse_args()


def measure(tests: int, rounds: int, step: Callable[[str, int], Callable[[], None]]) -> dict[str, Measured]:
    suites = {
        PLAIN: numbered(IN_DICTS, tests, ""),
        UNUSED: numbered(IN_DICTS, tests, "events"),
        USED: numbered(IN_THE_STORE, tests, "events"),
    }
    measured = {name: Measured(tests) for name in suites}
    advance = step(f"{tests:,} tests on 4 workers", rounds * len(suites))
    for _ in range(rounds):
        for name, text in suites.items():
            one_round(measured[name], text, plugin=name != PLAIN)
            advance()
    return measured


def one_round(into: Measured, tests: str, plugin: bool) -> None:
    packages = ("pytest-xdist", "papertiger-shm") if plugin else ("pytest-xdist",)
    with suite_of(packages, CONFTEST, tests) as suite:
        report = suite.home / "report.json"
        run = suite.run([*XDIST, f"--papertiger-report={report}"] if plugin else XDIST)
        if run.passed() != into.tests:
            raise SystemExit(f"{run.passed()} of {into.tests} tests passed: {run.complaint()}")
        spent = [seconds for note in run.of("spent") for seconds in note["seconds"]]
        into.middles.append(statistics.median(seconds for seconds, _ in spent))
        into.means.append(statistics.fmean(seconds for seconds, _ in spent))
        into.work.append(statistics.fmean(worked for _, worked in spent))
        into.walls.append(run.seconds / into.tests)
        if plugin:
            said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
            into.reported.append(said["overhead_seconds_per_test"])


def print_measured(console: Console, measured: dict[str, Measured]) -> None:
    table = Table("a test with", box=SIMPLE_HEAD, header_style="bold")
    for heading in ("median us", "mean us", "of it in the worker us", "whole run us/test", "reported us"):
        table.add_column(heading, justify="right")
    for name, suite in measured.items():
        columns = (suite.middles, suite.means, suite.work, suite.walls, suite.reported)
        table.add_row(name.replace("`", ""), *(microseconds(rounds) for rounds in columns))
    console.print(table)
    tests = measured[USED].tests * len(measured[USED].walls)
    console.print(f"  no leak: {tests:,} tests found their own {EVENTS} events and no others", highlight=False)
    print_verdicts(console, measured[PLAIN], measured[UNUSED])


def print_verdicts(console: Console, plain: Measured, unused: Measured) -> None:
    """What the plugin added to a test, measured in three ways, each beside the target."""
    ways = {
        "of the whole run": (plain.walls, unused.walls),
        "of the worker's processor": (plain.work, unused.work),
        "between begin and end of a test": (plain.means, unused.means),
    }
    for way, (without, with_plugin) in ways.items():
        added = statistics.median(with_plugin) - statistics.median(without)
        verdict = "met" if added <= TARGET else "NOT MET"
        console.print(
            f"  the plugin's own, {way}: {added * 1e6:,.0f} us a test, at most {TARGET * 1e6:,.0f}: {verdict}",
            highlight=False,
        )
    console.print(
        "  The last one grows where workers outnumber the cores: whoever wakes the manager makes way for it, and then\n"
        "  waits for the turns of others to end, in which they run tests.",
        highlight=False,
    )


def microseconds(rounds: list[float]) -> str:
    return f"{statistics.median(rounds) * 1e6:,.0f}" if rounds else ""


if __name__ == "__main__":
    main()
