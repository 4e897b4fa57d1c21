"""Test suites that are written into a directory and run by a pytest of their own, in processes of their own.

What happens in such a run is told by lines in one log file, which every process of it appends to, so the order of the
lines is the order of what happened. A run has a deadline: one that is not over by then hangs, and fails with the stacks
of all its processes. Each suite has its own PAPERTIGER_DIR and a mark in its environment, by which everything that a
run left behind is found: processes, segments, stores.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from papertiger_shm.shm import segment

SECONDS = 60.0
"""How long a run may take; all of them need a few seconds, and nothing that hangs ends at all."""

SETTLING_SECONDS = 20.0
"""How long what is stopping may take to be gone, on a machine that is busy with other things."""

_MARK = "PAPERTIGER_TEST_SUITE"

_NOT_PASSED_ON = ("CI", "PYTHONDONTWRITEBYTECODE", "TOX_ENV_NAME")

_OTHERS = ("anyio", "asyncio", "hypothesispytest", "rerunfailures", "timeout")
"""Plugins that a run does without unless it is about them: each takes its time to import, in every worker."""

# In every suite's directory, which is on its sys.path.
HELPERS = '''
import os, signal, time

HERE = os.path.dirname(os.path.abspath(__file__))

def worker():
    return os.environ.get("PYTEST_XDIST_WORKER", "main")

def log(*words):
    line = " ".join(str(word) for word in words) + "\\n"
    descriptor = os.open(HERE + "/log", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)

def setup(name):
    log("setup", name, worker())

def teardown(name):
    log("teardown", name, worker())

def use(*names):
    for name in names:
        log("use", name, worker())

def reap(value):
    log("reap", value["name"], value["number"], worker())

def first(name):
    """True for the first caller of all processes."""
    try:
        os.close(os.open(f"{HERE}/{name}.first", os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True

def lines(beginning):
    try:
        with open(HERE + "/log") as file:
            return [line.rstrip("\\n") for line in file if line.startswith(beginning)]
    except FileNotFoundError:
        return []

def wait_for(beginning, count=1, seconds=30):
    """Until the log has so many lines with this beginning."""
    wait_until(lambda: len(lines(beginning)) >= count, f"{count} x {beginning!r}", seconds)

def wait_until(condition, what="the condition", seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)

def die():
    log("died", worker())
    os.kill(os.getpid(), signal.SIGKILL)
'''


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    status: int
    output: str
    log: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """What the last line says: {"passed": 3, "failed": 1}, without warnings and what was not selected."""
        counts = pytest.RunResult.parse_summary_nouns(self.output.splitlines())
        return {noun: count for noun, count in counts.items() if noun not in ("warnings", "deselected")}

    def lines(self, *beginning: str) -> list[str]:
        """The lines of the log that begin with these words."""
        words = list(beginning)
        return [line for line in self.log if line.split()[: len(words)] == words]

    def setups(self, name: str) -> list[str]:
        """The workers that set this fixture up, in order."""
        return [line.split()[2] for line in self.lines("setup", name)]

    def teardowns(self, name: str) -> list[str]:
        return [line.split()[2] for line in self.lines("teardown", name)]

    def reaped(self, name: str) -> list[str]:
        """The numbers of the values reaped, in order."""
        return [line.split()[2] for line in self.lines("reap", name)]

    def where(self, *beginning: str) -> int:
        """The number of the only line that begins so."""
        (line,) = self.lines(*beginning)
        return self.log.index(line)

    def assert_once(self, *names: str) -> None:
        """Set up once, before its first use; torn down once, after its last use, by the worker that set it up."""
        for name in names:
            assert len(self.setups(name)) == 1, f"{name}\n{self}"
            assert self.teardowns(name) == self.setups(name), f"{name}\n{self}"
            uses = [number for number, line in enumerate(self.log) if line.split()[:2] == ["use", name]]
            assert uses, f"{name}\n{self}"
            assert self.where("setup", name) < uses[0], f"{name}\n{self}"
            assert uses[-1] < self.where("teardown", name), f"{name}\n{self}"

    def assert_ended(self, status: int | tuple[int, ...], **counts: int) -> None:
        allowed = (status,) if isinstance(status, int) else status
        assert self.status in allowed, f"exit status {self.status}\n{self}"
        if counts:
            assert self.counts == {noun: count for noun, count in counts.items() if count}, str(self)

    def __str__(self) -> str:
        return f"status {self.status}\n---- log\n" + "\n".join(self.log) + f"\n---- output\n{self.output}"


class Running:
    """A run that is under way."""

    def __init__(self, suite: Suite, command: Sequence[str], environment: dict[str, str]) -> None:
        self._suite = suite
        self._output = suite.path / f"output-{uuid.uuid4().hex}.txt"
        # Not a pipe: whoever a killed run leaves behind would hold it open.
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=suite.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for(self, *beginning: str, count: int = 1, seconds: float = SECONDS) -> None:
        """Until the log has so many lines that begin with these words."""
        self.wait_until(lambda: len(Result(0, "", self._suite.log).lines(*beginning)) >= count, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the run ended early\n{self._result()}"
            if time.monotonic() >= deadline:
                self.fail_with_stacks(f"waited {seconds:g} s in vain")
            time.sleep(0.01)

    def interrupt(self) -> None:
        """What Ctrl-C on a terminal does: SIGINT to every process of the run."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill_controller(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, seconds: float = SECONDS) -> Result:
        """How it ended; fails where it does not end in time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.fail_with_stacks(f"the run was not over after {seconds:g} s")
        return self._result()

    def _result(self) -> Result:
        status = self.process.poll()
        return Result(-999 if status is None else status, self.output, self._suite.log)

    def fail_with_stacks(self, why: str) -> None:
        """Fail, and say where every process of the run is: pytest has faulthandler answer this signal."""
        before = self._suite.processes()
        for pid in before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        pytest.fail(f"{why}\nprocesses: {before}\n{self._result()}", pytrace=False)


class Suite:
    """A directory with a test suite in it, and everything by which its runs may be known."""

    def __init__(self, path: Path, directory: str) -> None:
        self.path = path
        self.directory = Path(directory)
        self._mark = uuid.uuid4().hex
        self._runs: list[Running] = []
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "PAPERTIGER_", "COVERAGE_", "COV_", "TOX_"))
            and name not in _NOT_PASSED_ON
        }
        self._environment |= {
            _MARK: self._mark,
            "PAPERTIGER_DIR": directory,
            # A store that is not stopped but left to run down would be seen by whoever looks for what is left.
            "PAPERTIGER_IDLE_SECONDS": "3600",
            "PYTEST_DEBUG_TEMPROOT": str(path.parent),
            "PYTHONPATH": str(path),
            "COLUMNS": "120",
        }
        self.configure("-p no:cacheprovider")
        self.write("helpers.py", HELPERS)

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def configure(self, options: str = "", *, plugin: str | None = None, **ini: str) -> None:
        """The suite's pytest.ini, with one more plugin than there would be."""
        blocked = " ".join(f"-p no:{name}" for name in _OTHERS if name != plugin)
        lines = [f"{name} = {value}\n" for name, value in ini.items()]
        self.write("pytest.ini", f"[pytest]\naddopts = {options} {blocked}\n" + "".join(lines))

    @property
    def log(self) -> list[str]:
        try:
            return (self.path / "log").read_text().splitlines()
        except FileNotFoundError:
            return []

    def kill(self) -> None:
        """What happens to every process of every run when a machine is turned off."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.assert_nothing_left()

    def forget(self) -> None:
        """Empty the log and every ``first``, for another run of the same suite."""
        for file in [self.path / "log", *self.path.glob("*.first")]:
            file.unlink(missing_ok=True)

    def start(self, *arguments: str, **environment: str | None) -> Running:
        """Begin a run; ``environment`` is added to the clean one, None takes away."""
        return self._start([sys.executable, "-m", "pytest", *arguments], environment)

    def start_under(self, launcher: Sequence[str], *arguments: str, **environment: str | None) -> Running:
        """Begin a run by way of another program, which is given the command."""
        return self._start([*launcher, sys.executable, "-m", "pytest", *arguments], environment)

    def program(self, *command: str, **environment: str | None) -> Running:
        """Begin a run in another way: by a program of the suite's."""
        return self._start([sys.executable, *command], environment)

    def _start(self, command: Sequence[str], environment: Mapping[str, str | None]) -> Running:
        running = Running(self, command, self._merged(environment))
        self._runs.append(running)
        return running

    def run(self, *arguments: str, **environment: str | None) -> Result:
        """A run from beginning to end, which must leave nothing behind."""
        result = self.start(*arguments, **environment).end()
        self.assert_nothing_left(result)
        return result

    def command(self, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """The command line tool, in the environment of the runs."""
        return subprocess.run(
            [sys.executable, "-m", "papertiger_shm", *arguments],
            cwd=self.path,
            env=self._merged(environment),
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def _merged(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        merged: dict[str, str | None] = {**self._environment, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def processes(self) -> list[int]:
        """Every living process that descends from a run of this suite; zombies have ended."""
        mark = f"{_MARK}={self._mark}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # A zombie has an empty environment.
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def left(self) -> list[str]:
        """What runs have left behind: processes with their command lines, segments, stores' directories."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"process {pid}: {command[:300]}")
        found += [f"segment {name}" for name in segment.own_names(str(self.directory))]
        found += [f"file {path.relative_to(self.directory)}" for path in sorted(self.directory.rglob("*"))]
        return found

    def assert_nothing_left(self, result: Result | None = None, seconds: float = SETTLING_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, "left behind:\n" + "\n".join(left) + f"\n{result}"

    def remove(self) -> None:
        """End and remove whatever is left, so that one test's failure is not the next one's."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for running in self._runs:
            running.process.wait()
        for name in segment.own_names(str(self.directory)):
            segment.unlink(name)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def new_suite(path: Path, directory: str) -> Iterator[Suite]:
    path.mkdir()
    suite = Suite(path, directory)
    try:
        yield suite
    finally:
        suite.remove()


def failure_reports(output: str) -> dict[str, str]:
    """The sections of ERRORS and FAILURES, by their titles."""
    parts = re.split(r"^_{3,} (.+?) _{3,}$", output, flags=re.MULTILINE)
    reports: dict[str, str] = {}
    for title, text in zip(parts[1::2], parts[2::2]):
        # The last of them ends where the next section of the terminal output begins.
        reports[title] = re.split(r"^={3,}.*={3,}$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return reports
