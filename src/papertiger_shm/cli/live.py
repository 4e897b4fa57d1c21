"""The live view of ``papertiger-shm top``: a screen of its own, drawn anew, until q or Ctrl-C. Only that."""

from __future__ import annotations

import os
import signal
import time

import click
from rich.console import Console
from rich.live import Live

from papertiger_shm import Connection, ManagerUnavailable
from papertiger_shm.cli.keyboard import ENDED, STOPPED, TIME, keys
from papertiger_shm.cli.snapshot import Snapshot, per_second, take
from papertiger_shm.cli.top import Board

__all__ = ["watch"]

HINT = "q ends"
QUIT = ("q", "Q", "\x04")


def watch(connection: Connection, interval: float) -> int:
    """Show what goes on, looked at every so many seconds. 1 where the store went away meanwhile, else 0."""
    before = take(connection)
    try:
        while _show(connection, before, interval) == STOPPED:
            # The signal that came, with the screen, the keys and the signals as they were before: a shell goes on here,
            # and where there is none, to which nobody could come back from it, the kernel lets us go on.
            os.kill(os.getpid(), signal.SIGTSTP)
            before = take(connection)
    except ManagerUnavailable as gone:
        click.echo(f"Error: {connection.url} has stopped while top looked at it: {gone}", err=True)
        return 1
    return 0


def _show(connection: Connection, before: Snapshot, interval: float) -> str:
    """Show it until someone has seen enough, ENDED, or Ctrl-Z comes, STOPPED."""
    board = Board(before, None, HINT)
    with keys() as wait, Live(board, console=Console(), screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(board, refresh=True)
            what = wait(before.moment + interval - time.monotonic())
            if what == TIME:
                after = take(connection)
                board, before = Board(after, per_second(before, after), HINT), after
            elif what == STOPPED:
                return STOPPED
            elif what == ENDED or what in QUIT:
                return ENDED
