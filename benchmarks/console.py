"""What all benchmarks show alike: how far they are, and what they run on. Knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["console_of", "print_machine", "progress_on", "steps_shown"]


def console_of() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=130)


def print_machine(console: Console, machine: Mapping[str, str]) -> None:
    table = Table(box=None, show_header=False)
    for name, value in machine.items():
        table.add_row(name, value, style="dim")
    console.print(table)


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
