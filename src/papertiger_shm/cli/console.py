"""Where answers in tables go: fitted to a terminal; elsewhere whole lines, however long. What they say never enters.

Colours follow NO_COLOR and the like, as ``rich`` reads them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["answer_console", "on_terminal", "show"]

UNBOUNDED = 1 << 20
"""Columns of what is no terminal: a program that reads a table wants all of it."""


def on_terminal() -> bool:
    """Whether a person reads the answer."""
    return sys.stdout.isatty()


def answer_console(**options: Any) -> Console:
    """The console for standard output."""
    from rich.console import Console

    return Console(**options) if on_terminal() else Console(width=UNBOUNDED, **options)


def show(*renderables: RenderableType) -> None:
    """Print them one below the other; lines end with their last character."""
    console = answer_console(highlight=False, soft_wrap=False)
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable)
    # With click, which ends quietly where nobody reads on.
    click.echo("\n".join(line.rstrip(" ") for line in captured.get().splitlines()), color=True)
