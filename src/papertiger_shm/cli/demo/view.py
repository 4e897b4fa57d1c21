"""How the demo looks: one live table on a terminal, plain lines and one table anywhere else. It judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

__all__ = ["View"]

Report = dict[str, Any]

PLAIN_WIDTH = 120
PLAIN_EVERY = 1.0
MIB = 1024 * 1024


class View:
    """A context manager; ``show`` may be called as often as there is news."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        if not self.console.is_terminal:
            self.console = Console(file=self.console.file, width=PLAIN_WIDTH, force_terminal=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._next_line = 0.0

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Take the live table away; what is said after this stays."""
        if self._live.is_started:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    def show(self, elapsed: float, reports: Sequence[Report], figures: dict[str, Any]) -> None:
        """The state of things while it runs."""
        if self._live.is_started:
            self._live.update(Group(Text(f"{elapsed:.1f} s"), table_of(reports), Text(line_of(figures))), refresh=True)
        elif reports and elapsed >= self._next_line:
            self._next_line = elapsed + PLAIN_EVERY
            reads, writes = (sum(report[what] for report in reports) for what in ("reads", "writes"))
            self.say(
                f"{elapsed:4.1f} s  {reads:>10,} reads  {writes:>8,} writes  {figures.get('commits', 0):,} commits"
            )

    def finish(self, reports: Sequence[Report], figures: dict[str, Any], faults: Sequence[str]) -> None:
        """The final table and the verdict."""
        self.leave()
        self.console.print(table_of(reports))
        self.say(line_of(figures))
        if faults:
            self.say(f"\nOFF: {len(faults)} findings", style="bold red")
            for fault in faults:
                self.say(f"  {fault}")
        else:
            reads = sum(report["reads"] for report in reports)
            self.say(
                f"\nOK: {reads:,} reads by {len(reports)} processes, each compared with what it must be;", "bold green"
            )
            self.say(
                "    nothing mixed, nothing torn, nothing lost, every namespace as its writer left it.", "bold green"
            )


def table_of(reports: Sequence[Report]) -> Table:
    """A line for each worker; narrow enough for 80 columns."""
    caption = "latencies in microseconds; MiB: private memory; off: wrong answers"
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    headings = ("worker", "pid", "reads/s", "p50", "p99", "max", "writes/s", "p50", "p99", "MiB", "off")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        table.add_row(*row_of(report), style="red" if report["fault_count"] else "")
    return table


def row_of(report: Report) -> list[str]:
    elapsed = report["elapsed"] or 1.0
    read, write, private = report["read_us"], report["write_us"], report["private_bytes"]
    return [
        str(report["worker"]),
        str(report["pid"]),
        f"{report['reads'] / elapsed:,.0f}",
        *(f"{read[which]:,.1f}" for which in ("p50", "p99")),
        f"{read['max']:,.0f}",
        f"{report['writes'] / elapsed:,.0f}",
        *(f"{write[which]:,.0f}" for which in ("p50", "p99")),
        "" if private is None else f"{private / MIB:.1f}",
        f"{report['fault_count']:,}",
    ]


def line_of(figures: dict[str, Any]) -> str:
    """The store's own figures."""
    counts = ("items", "collections", "commits", "reader_retries")
    parts = [f"{figures[name]:,} {name.replace('_', ' ')}" for name in counts]
    used, reserved = (figures[name] / MIB for name in ("bytes_used", "bytes_reserved"))
    return f"store: {', '.join(parts)}\nmemory: {used:.2f} MiB used, {reserved:.2f} MiB reserved"
