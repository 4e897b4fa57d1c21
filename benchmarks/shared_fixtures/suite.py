"""One pytest run of one small suite, from writing its files to what its journal and its report say.

Knows neither contenders nor rows. A run has a directory, a journal and a place for papertiger-shm's sockets of its
own, and loads no pytest plugin but those it is told.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["PATIENCE", "Note", "Run", "Suite"]

Note = dict[str, Any]

PATIENCE = 240.0
"""Seconds after which a run counts as hanging. None of the suites has work for more than a few."""

JOURNAL = Path(__file__).with_name("journal.py")


@dataclass(frozen=True)
class Run:
    """What was seen of one run."""

    status: int | None
    """The exit status; None where the run had to be killed."""
    outcomes: Mapping[str, str]
    """By test: passed, failed, error or skipped; a test without a result is not in it."""
    notes: Sequence[Note]
    output: str
    seconds: float
    hung: bool = False

    def count(self, what: str, **like: Any) -> int:
        return len(self.of(what, **like))

    def of(self, what: str, **like: Any) -> list[Note]:
        return [
            note
            for note in self.notes
            if note["what"] == what and all(note.get(key) == value for key, value in like.items())
        ]

    def passed(self) -> int:
        return sum(outcome == "passed" for outcome in self.outcomes.values())

    def complaint(self) -> str:
        """The line of the output that says best what went wrong."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        for mark in ("E   ", "ERROR: ", "error: ", "Error: "):
            for line in lines:
                if mark in line:
                    return line.removeprefix("E   ").strip()
        return lines[-1] if lines else f"exit status {self.status}"


@dataclass
class Suite:
    """A suite's files, in ``home``. Every run appends to the same journal, under a name of its own."""

    home: Path
    conftest: str
    tests: str
    packages: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.root = self.home / "suite"
        self.root.mkdir(parents=True)
        (self.home / "tmp").mkdir()
        (self.root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (self.root / "conftest.py").write_text(self.conftest, encoding="utf-8")
        (self.root / "test_suite.py").write_text(self.tests, encoding="utf-8")
        shutil.copy(JOURNAL, self.root / "journal.py")

    def command(self, name: str, script: str) -> None:
        """Put a command of that name before all others, for whatever the runs start."""
        directory = self.home / "bin"
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(script, encoding="utf-8")
        (directory / name).chmod(0o700)

    def run(self, arguments: Sequence[str], kill_after: str | None = None, **environment: str) -> Run:
        """Run it to its end; with ``kill_after``, only until the journal has a line of that kind."""
        self.runs += 1
        name = f"run{self.runs}"
        report = self.home / f"{name}.xml"
        command = [sys.executable, "-m", "pytest", *self.plugins(), f"--junitxml={report}", *arguments, str(self.root)]
        begin = time.monotonic()
        with (self.home / f"{name}.out").open("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=self.variables(name, environment),
                start_new_session=True,
            )
            try:
                ended = self.watched(process, name, kill_after)
            finally:
                kill_group(process)
            seconds = time.monotonic() - begin
            output.seek(0)
            said = output.read()
        status = process.returncode if ended else None
        return Run(status, outcomes_in(report), self.notes(name), said, seconds, not ended and kill_after is None)

    def watched(self, process: subprocess.Popen[bytes], name: str, kill_after: str | None) -> bool:
        """Wait for the process; True where it ended by itself."""
        if kill_after is None:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                return False
            return True
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            if any(note["what"] == kill_after for note in self.notes(name)):
                return False
            time.sleep(0.01)
        return process.poll() is not None

    def plugins(self) -> list[str]:
        """The arguments that load the plugins of ``packages``; others do not come by themselves."""
        names = [
            entry.name
            for package in self.packages
            for entry in distribution(package).entry_points.select(group="pytest11")
        ]
        return [argument for name in names for argument in ("-p", name)]

    def variables(self, name: str, more: Mapping[str, str]) -> dict[str, str]:
        foreign = ("PYTEST", "PAPERTIGER", "JOURNAL")
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(foreign)},
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_DEBUG_TEMPROOT": str(self.home / "tmp"),
            "PAPERTIGER_DIR": str(self.home / "pt"),
            "JOURNAL": str(self.home / "journal"),
            "JOURNAL_RUN": name,
            "PATH": os.pathsep.join([str(self.home / "bin"), os.environ.get("PATH", os.defpath)]),
            **self.environment,
            **more,
        }

    def notes(self, name: str) -> list[Note]:
        journal = self.home / "journal"
        # A line is a line when its end is there: the journal may be read while it is written.
        lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
        return [note for note in map(json.loads, lines) if note["run"] == name]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Nothing that a run started as its own goes on after it, hanging workers included."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def outcomes_in(report: Path) -> dict[str, str]:
    """The worst result of each test in a JUnit file; none where the run did not live to write it."""
    if not report.exists():
        return {}
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "")
        found = next((kind for kind in ("error", "failure", "skipped") if case.find(kind) is not None), "passed")
        if outcomes.get(name, "passed") == "passed":
            outcomes[name] = found
    return outcomes
