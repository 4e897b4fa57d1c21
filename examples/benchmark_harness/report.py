"""What the runs come to: medians, and their ratios to the first candidate's. Reads; starts and waits for nothing."""

from __future__ import annotations

from statistics import median
from typing import Any

from candidates import CANDIDATES, corpus
from rich.table import Table
from worker import Runs

FIGURES = ("bytes", "compress_ms", "decompress_ms")


def summary(runs: Runs) -> list[dict[str, Any]]:
    """An entry for each candidate: its runs, the medians of those that are done, and the ratios to the first's."""
    now = [*runs]  # one consistent view, whatever the workers write meanwhile
    entries: list[dict[str, Any]] = []
    for candidate in CANDIDATES:
        own = [run for run in now if run["candidate"] == candidate]
        done = [run for run in own if run["state"] == "done"]
        medians = {figure: median(run[figure] for run in done) for figure in FIGURES if done}
        first = entries[0]["medians"] if entries else medians
        ratios = {figure: medians[figure] / first[figure] for figure in medians if first}
        counts = {"runs": len(own), "claimed": sum(run["state"] == "claimed" for run in own), "done": len(done)}
        entries.append({"candidate": candidate, **counts, "medians": medians, "ratios": ratios})
    return entries


def table(runs: Runs) -> Table:
    shown = Table("", "runs", title=f"{len(corpus()):,} bytes: medians, and ratios to {next(iter(CANDIDATES))}")
    for column in ("bytes", "compress ms", "decompress ms"):
        shown.add_column(column, justify="right")
    for entry in summary(runs):
        at_work = f" +{entry['claimed']}" if entry["claimed"] else ""
        texts = [
            f"{entry['medians'][figure]:,.{0 if figure == 'bytes' else 2}f} {entry['ratios'].get(figure, 0):6.2f}x"
            for figure in entry["medians"]
        ]
        shown.add_row(entry["candidate"], f"{entry['done']}/{entry['runs']}{at_work}", *texts)
    return shown
