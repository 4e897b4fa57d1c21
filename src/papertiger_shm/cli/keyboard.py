"""Waiting for a key, a signal or a deadline, whichever is first. What a key does never enters here.

Signals come through a pipe and not as exceptions, so that a screen is never left half drawn.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from papertiger_shm.cli.signals import heard

__all__ = ["ENDED", "RESIZED", "STOPPED", "TIME", "keys"]

TIME: Final = "time"
RESIZED: Final = "resized"
STOPPED: Final = "stopped"
ENDED: Final = "ended"
"""What ``wait`` gives beside what a key sends; Ctrl-C, SIGTERM, SIGHUP and a closed terminal are ENDED."""

ESCAPE: Final = b"\x1b"
LONGEST_KEY: Final = 16

_MEANING: Final = {
    signal.SIGINT: ENDED,
    signal.SIGTERM: ENDED,
    signal.SIGHUP: ENDED,
    signal.SIGTSTP: STOPPED,
    signal.SIGWINCH: RESIZED,
}


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """A function that waits at most so many seconds, and says what came: what a key sends, or one of the above.

    Keys come at once and unechoed until the end, when terminal and signals are as they were before.
    """
    with contextlib.ExitStack() as after:
        told = heard(_MEANING, after)
        source = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        if source is not None:
            after.callback(termios.tcsetattr, source, termios.TCSADRAIN, termios.tcgetattr(source))
            tty.setcbreak(source)
        yield lambda seconds: _wait(told, source, seconds)


def _wait(told: int, source: int | None, seconds: float) -> str:
    ready, _, _ = select.select([told, *([] if source is None else [source])], [], [], max(seconds, 0.0))
    if told in ready:
        meanings = {_MEANING.get(signal.Signals(number)) for number in os.read(told, 64)}
        return next((meaning for meaning in (ENDED, STOPPED, RESIZED) if meaning in meanings), TIME)
    if source in ready and source is not None:
        with contextlib.suppress(OSError):
            return _key(source) or ENDED
        return ENDED
    return TIME


def _key(source: int) -> str:
    """The character, or all that an arrow or a function key sends: F2 ends with a Q."""
    key = os.read(source, 1)
    if key == ESCAPE and select.select([source], [], [], 0)[0]:
        key += os.read(source, LONGEST_KEY)
    return key.decode(errors="replace")
