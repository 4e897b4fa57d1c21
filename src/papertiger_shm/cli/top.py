"""``papertiger-shm top``: what goes on in a store, once or again and again. What it is is said in ``snapshot``.

How it is arranged is said here; the terminal that it is shown on again and again belongs to ``live``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from papertiger_shm.cli import console as terminal
from papertiger_shm.cli.folding import counted, printable
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.runs import tables_of
from papertiger_shm.cli.snapshot import PACES, Snapshot, per_second, take

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

__all__ = ["Board", "top"]

MIB = 1024 * 1024

GAP = 2

FEWEST_COLLECTIONS = 3
"""Rows that the collections have even where test runs would fill the screen."""

MOST_COLLECTIONS = 20
"""Rows where there is no screen's end."""


def top(store: str | None, *, once: bool, interval: float, as_json: bool) -> int:
    """Show it until someone has seen enough, or once where there is no terminal; the exit status."""
    with open_store(store) as connection:
        if not (once or as_json) and terminal.on_terminal() and os.environ.get("TERM") != "dumb":
            from papertiger_shm.cli.live import watch

            return watch(connection, interval)
        before = take(connection)
        time.sleep(interval)
        after = take(connection)
    paces = per_second(before, after)
    if as_json:
        click.echo(json.dumps(_plain(after, paces, after.moment - before.moment), indent=2, default=str))
    else:
        terminal.show(*Board(after, paces).parts())
    return 0


def _plain(snapshot: Snapshot, paces: dict[str, float], seconds: float) -> dict[str, Any]:
    return {
        "url": snapshot.url,
        "figures": snapshot.figures,
        "seconds": seconds,
        "per_second": paces,
        "collections": [
            {"table": table, "namespace": namespace, "items": items} for table, namespace, items in snapshot.collections
        ],
        "runs": snapshot.runs,
    }


class Board:
    """All of it, arranged for a screen's height. ``paces`` are None before they are known."""

    def __init__(self, snapshot: Snapshot, paces: dict[str, float] | None, hint: str = "") -> None:
        self._snapshot = snapshot
        self._paces = paces
        self._hint = hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.parts(console)

    def parts(self, console: Console | None = None) -> list[RenderableType]:
        """What stands below each other: as much as the console has lines for, or all of it without one."""
        from rich.text import Text

        blank = Text("")
        head = [self._title(), *self._figures()]
        runs = [part for run in self._snapshot.runs for part in tables_of(run)]
        if console is None:
            room, width = MOST_COLLECTIONS, None
        else:
            needed = len(head) + 2 + sum(len(console.render_lines(part)) for part in runs) + (1 if runs else 0)
            room, width = max(console.height - needed, FEWEST_COLLECTIONS), console.width
        return [*head, blank, self._collections(room, width), *([blank, *runs] if runs else [])]

    def _title(self) -> Text:
        from rich.text import Text

        figures = self._snapshot.figures
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(self._snapshot.url, "bold")
        if "writer_pid" in figures:
            title.append(f"  writer {figures['writer_pid']}, generation {figures['generation']}")
            title.append(f", {counted(figures['clients'] - 1, 'other client')}")
        title.append(f"  {self._hint}", "dim")
        return title

    def _figures(self) -> list[Text]:
        from rich.text import Text

        figures, paces = self._snapshot.figures, self._paces
        counts = f"{counted(figures['items'], 'item')} in {counted(figures['collections'], 'collection')}"
        lines = [Text(counts, no_wrap=True, overflow="ellipsis")]
        known = [pace for pace, figure in PACES.items() if figure in figures]
        told = Text("", no_wrap=True, overflow="ellipsis")
        for pace in known:
            told.append(f"{pace}/s ", "dim").append(f"{paces[pace]:,.0f}" if paces else "-", "bold cyan").append("  ")
        lines.append(told)
        if "bytes_live" in figures:
            used, reserved, most = (figures[f"bytes_{kind}"] for kind in ("live", "reserved", "max"))
            memory = f"{_mib(used)} used of {_mib(reserved)} reserved, {_mib(most)} at most"
            lines.append(Text.assemble(("memory ", "dim"), memory, no_wrap=True, overflow="ellipsis"))
        return lines

    def _collections(self, room: int, width: int | None) -> Table:
        """The collections with the most items, and how many there are besides."""
        from rich.table import Table
        from rich.text import Text

        found: Sequence[tuple[str, str, int]] = self._snapshot.collections
        shown = found if len(found) <= room else found[: room - 1]
        count = max([len(f"{items:,}") for _, _, items in shown] + [len("items")])
        # The longest names are cut, never the counts: left to itself the table would take from all columns alike.
        names = None if width is None else max(width - count - 2 * GAP, 8)
        table = Table(box=None, header_style="bold", padding=(0, GAP, 0, 0), pad_edge=False)
        table.add_column("items", justify="right", no_wrap=True)
        table.add_column("table", no_wrap=True, overflow="ellipsis", max_width=names and names * 2 // 5)
        table.add_column("namespace", no_wrap=True, overflow="ellipsis", max_width=names and names - names * 2 // 5)
        for name, namespace, items in shown:
            table.add_row(f"{items:,}", Text(printable(name)), Text(printable(namespace)))
        if len(shown) < len(found):
            rest = found[len(shown) :]
            items = sum(items for _, _, items in rest)
            table.add_row(Text(f"{items:,}", "dim"), Text(f"in {len(rest):,} more", "dim"), "")
        return table


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f} MiB"
