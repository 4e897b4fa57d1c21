"""What happened in a suite, when and in which process: copied into every suite as its ``journal`` module.

One line for each event, appended by a single write, so that lines of several processes never mix and outlive any of
them. Stands alone, since it runs where nothing but the contender under test should be imported.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = Path(os.environ["JOURNAL"])
RUN = os.environ["JOURNAL_RUN"]
STEP = float(os.environ.get("JOURNAL_STEP", "0.02"))


def note(what: str, **more: Any) -> None:
    """Append one line to the journal."""
    line = {"what": what, "run": RUN, "pid": os.getpid(), "at": time.monotonic(), **more}
    descriptor = os.open(FILE, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(descriptor, json.dumps(line).encode() + b"\n")
    os.close(descriptor)


def notes(what: str) -> list[dict[str, Any]]:
    """This run's lines of one kind, oldest first."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return [line for line in map(json.loads, lines) if line["what"] == what and line["run"] == RUN]


def first(name: str) -> bool:
    """Whether no process of this run asked for ``name`` before."""
    with suppress(FileExistsError):
        os.close(os.open(FILE.with_name(f"{RUN}-{name}"), os.O_CREAT | os.O_EXCL))
        return True
    return False


# for the fixture


def make(param: str = "") -> dict[str, Any]:
    """The set-up whose runs are counted: takes a while, and fails where the suite is about that."""
    note("set up", param=param)
    time.sleep(STEP)
    if "JOURNAL_FAIL" in os.environ:
        raise RuntimeError("the set-up fails")
    note("is set up", param=param)
    return {"param": param, "maker": os.getpid(), "run": RUN}


def drop(value: Any = None) -> None:
    """The tear-down whose runs are counted."""
    note("torn down", param=value.get("param", "") if isinstance(value, dict) else "")


def reap(value: Any = None) -> None:
    """What clears up behind a process that died before its own tear-down."""
    note("reaped", param=value.get("param", "") if isinstance(value, dict) else "")


# for the tests


def use(value: Any) -> None:
    """What every test does with the value."""
    note("begins", value=value)
    time.sleep(STEP)
    note("ends", value=value)


def die_as_maker() -> None:
    """Kill this process where it set the fixture up, or where no worker did; once a run, and not in its first test."""
    before = [line for line in notes("ends") if line["pid"] == os.getpid()]
    makers = {line["pid"] for line in notes("is set up")}
    if before and (os.getpid() in makers or os.getppid() in makers) and first("killed"):
        note("killed")
        os.kill(os.getpid(), signal.SIGKILL)


def timed_access(request: Any) -> None:
    """Note how long ``getfixturevalue`` took, one process at a time: what is measured is no queue for two cores."""
    with FILE.with_name("turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        begin = time.perf_counter()
        request.getfixturevalue("resource")
        seconds = time.perf_counter() - begin
    note("access", seconds=seconds)
