"""A real terminal for a command: what stands on its screen, as a person would see it, keys, and its size.

``pexpect`` makes the terminal and the process in it, ``pyte`` draws what comes.
"""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pexpect
import pyte

from command_line import COMMAND

SECONDS = 30.0

COLUMNS, ROWS = 100, 30

# What a test run may be started with, and what decides on colours and sizes.
FOREIGN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM", "CLICOLOR")


class Terminal:
    """One process and its screen. Everything that it wrote so far is in ``written``.

    ``modes`` are the terminal's local modes (termios) as the process left them.
    """

    def __init__(self, command: list[str], columns: int, rows: int, environment: dict[str, str]) -> None:
        variables = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        self.written = b""
        self.modes = 0
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.process: Any = pexpect.spawn(
            command[0],
            command[1:],
            env={**variables, "TERM": "xterm-256color", **environment},
            dimensions=(rows, columns),
            timeout=SECONDS,
        )

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without spaces at the ends of its lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def cell(self, row: int, column: int) -> Any:
        """One character, with ``data``, ``fg`` and ``bold``."""
        return self._screen.buffer[row][column]

    def colours(self) -> set[str]:
        """The colours of the characters on the screen."""
        return {
            self._screen.buffer[row][column].fg
            for row in range(self._screen.lines)
            for column in range(self._screen.columns)
        }

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Take what the process writes until the condition holds."""
        deadline = time.monotonic() + SECONDS
        while not (result := condition()):
            assert time.monotonic() < deadline, f"{what}\n{self.text}"
            self._take(0.1)
        return result

    def see(self, text: str) -> None:
        """Wait until the text stands on the screen."""
        self.wait(lambda: text in self.text, f"{text!r} never stood there")

    def press(self, keys: str) -> None:
        self.process.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def end(self) -> int:
        """Wait for the process to end by itself; its exit status."""
        self.wait(lambda: self._take(0.1) is None, "it never ended")
        self.modes = termios.tcgetattr(self.process.child_fd)[3]
        # It may still be about to end; ``close`` gives it 0.1 s for that, and then a signal.
        self.wait(lambda: not self.process.isalive(), "it closed its terminal and never ended")
        self.process.close()
        assert self.process.signalstatus is None
        return int(self.process.exitstatus)

    def _take(self, seconds: float) -> bytes | None:
        """What has come, if anything; None once the process has closed its terminal."""
        try:
            data: bytes = self.process.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return b""
        except pexpect.EOF:
            return None
        self.written += data
        self._stream.feed(data)
        return data


@contextmanager
def terminal(*command: str, columns: int = COLUMNS, rows: int = ROWS, **environment: str) -> Iterator[Terminal]:
    """Any command in a terminal of its own, which is over at the end."""
    shown = Terminal(list(command), columns, rows, environment)
    try:
        yield shown
    finally:
        shown.process.close(force=True)


def papertiger_shm(*arguments: str, **options: Any) -> Any:
    """``terminal`` with ``papertiger-shm`` in it."""
    return terminal(*COMMAND, *arguments, **options)
