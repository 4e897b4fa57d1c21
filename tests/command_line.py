"""The command line tool, run as its users run it: in a process of its own, for what it says and its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

SECONDS = 60.0
COMMAND = [sys.executable, "-m", "papertiger_shm"]

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # The tests run under nohup, and the commands inherit that it is ignored; not that it is handled.
    signal.signal(signal.SIGHUP, lambda *_: None)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def said(*arguments: str, **environment: str) -> str:
    """What a command that succeeds says, which to a pipe is plain text."""
    done = run(*arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout


def answered(*arguments: str, **environment: str) -> Any:
    return json.loads(said(*arguments, "--json", **environment))


def refused(status: int, *arguments: str, **environment: str) -> str:
    """Why a command fails, with this exit status; in words and not in a traceback."""
    done = run(*arguments, **environment)
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done.stderr


@contextmanager
def going_on(*arguments: str, under: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that goes on until it is told to end, ``under`` another one, and the first line that it printed."""
    process = subprocess.Popen(
        [*under, *COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first, process.communicate()
        yield process, first.strip()
    finally:
        process.kill()
        process.communicate()
