"""The examples run as they stand, and leave nothing behind."""

from __future__ import annotations

import bz2
import json
import lzma
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest

from papertiger_shm import Connection, Store, connect
from suites import run_suite

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
HARNESS = EXAMPLES / "benchmark_harness"
NOTEBOOK = EXAMPLES / "notebook"
SECONDS = 120.0

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not shipped with the tests")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_webhooks(workers: str, tmp_path: Path) -> None:
    log = tmp_path / "servers"
    ran = run_suite(
        EXAMPLES / "webhooks", "-n", workers, f"--basetemp={tmp_path / 'base'}", environment={"SERVERS_LOG": str(log)}
    )
    assert (ran.status, ran.counts) == (0, {"passed": 22}), ran.output
    assert_all_stopped(log, servers=1)


def test_webhooks_leave_no_server_behind_a_killed_worker(tmp_path: Path) -> None:
    """The worker that has started the server is killed: its server is stopped, and the tests go on with another."""
    suite = tmp_path / "webhooks"
    shutil.copytree(EXAMPLES / "webhooks", suite, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (suite / "test_killed.py").write_text(KILLED, encoding="utf-8")
    log = tmp_path / "servers"
    ran = run_suite(suite, "-n", "2", "-W", "default", environment={"SERVERS_LOG": str(log)})
    # One test is the one that was killed.
    assert (ran.counts.get("failed"), ran.counts.get("passed")) == (1, 22 + 20), ran.output
    assert_all_stopped(log, servers=2)


def assert_all_stopped(log: Path, servers: int) -> None:
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    started, stopped = ([url for what, url, _ in lines if what == said] for said in ("started", "stopped"))
    assert len(started) == servers
    assert sorted(stopped) == sorted(started)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_fastapi_app(workers: str) -> None:
    pytest.importorskip("fastapi")
    ran = run_suite(EXAMPLES / "fastapi_app", "-n", workers)
    assert (ran.status, ran.counts) == (0, {"passed": 7}), ran.output


KILLED = """
import os, signal, time
import pytest

def parent(database):
    (line,) = [line for line in open(os.environ["SERVERS_LOG"]) if database.server["url"] in line]
    return int(line.split()[2])

@pytest.mark.parametrize("number", range(21))
def test_killed(database, papertiger_run, number):
    time.sleep(0.02)
    # The server's parent is the worker that started it.
    if parent(database) == os.getpid() and papertiger_run.once("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_recipe_before_and_after_makes_the_catalogue_once_and_only_after_removes_it(tmp_path: Path) -> None:
    for suite, told in {"before": ["made"], "after": ["made", "removed"]}.items():
        log = tmp_path / suite
        directory = EXAMPLES / "filelock_recipe" / suite
        ran = run_suite(directory, "-n", "2", environment={"CATALOGUE_LOG": str(log)})
        assert (ran.status, ran.counts) == (0, {"passed": 17}), ran.output
        assert log.read_text(encoding="utf-8").splitlines() == told


def test_the_recipe_s_tests_are_the_same_before_and_after() -> None:
    before, after = (EXAMPLES / "filelock_recipe" / suite / "test_catalogue.py" for suite in ("before", "after"))
    assert before.read_bytes() == after.read_bytes()


# --- programs whose processes share a store -------------------------------------------------------------------------


class Runs(Store, table="harness_runs", resource="run", indexes=("state",)):
    """As the harness declares them."""


class Days(Store, table="desk_days", resource="day"):
    """As the notebook's simulation declares them."""


@dataclass(frozen=True)
class Program:
    """An example at work. ``mark`` stands in the environment of each of its processes, the store's manager included."""

    process: subprocess.Popen[str]
    mark: str

    def finished(self) -> tuple[str, str]:
        """What it has said by its end, which is a success."""
        out, err = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0, out + err
        assert "Traceback" not in err
        return out, err

    def interrupted(self) -> tuple[str, str]:
        """What it has said by its end, after a Ctrl-C, which a terminal sends to every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.communicate(timeout=SECONDS)

    def leaves_nothing(self, segment: Path) -> None:
        eventually(lambda: not self.processes(), "a process is left")
        assert not segment.exists()

    def processes(self) -> list[int]:
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and self.is_of(entry)]

    def is_of(self, process: Path) -> bool:
        try:
            return self.mark.encode() in (process / "environ").read_bytes()
        except OSError:  # gone, or not ours
            return False


@contextmanager
def started(directory: Path, program: str, *arguments: str) -> Iterator[Program]:
    """A program in its own directory and its own process group."""
    mark = uuid4().hex
    with subprocess.Popen(
        [sys.executable, program, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg", "EXAMPLE": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Program(process, mark)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def harness(*arguments: str) -> Iterator[tuple[Program, Connection]]:
    """The harness at work, and its store."""
    with started(HARNESS, "harness.py", *arguments) as program, store_of(program.process.stderr) as connection:
        yield program, connection


def store_of(said: IO[str] | None) -> Connection:
    """The store whose URL is the last word of what a program says first."""
    assert said is not None
    return connect(said.readline().split()[-1], timeout=SECONDS)


def segment_of(connection: Connection) -> Path:
    segment = Path("/dev/shm") / connection.stats()["segment"]
    assert segment.exists()
    return segment


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_the_harness_compares_all_candidates_and_keeps_every_run(tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    with started(HARNESS, "harness.py", "--repeats", "2", "--out", str(kept)) as program:
        out, err = program.finished()
    runs = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert sorted(run["id"] for run in runs) == sorted(f"{name} #{number}" for name in COMPRESSORS for number in (1, 2))
    assert {(run["state"], run["claims"]) for run in runs} == {("done", 1)}
    assert "\x1b" not in out + err
    first, *lines = err.splitlines()
    assert first.startswith("2 workers share shm://")
    assert sorted(line.partition(":")[0] for line in lines) == sorted(run["id"] for run in runs)
    for name, size in COMPRESSORS.items():
        (row,) = [line for line in out.splitlines() if name in line and "2/2" in line]
        assert f" {size:,} " in row
        assert f" {size / COMPRESSORS['zlib 6']:.2f}x " in row


def sizes() -> dict[str, int]:
    """By candidate, the first first."""
    events = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes()
    zlibs = {f"zlib {level}": len(zlib.compress(events, level)) for level in (6, 1, 9)}
    lzmas = {f"lzma {preset}": len(lzma.compress(events, preset=preset)) for preset in (0, 6)}
    return {**zlibs, "bz2 9": len(bz2.compress(events, 9)), **lzmas}


COMPRESSORS = sizes()


@linux
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_whose_worker_is_killed_is_claimed_again(workers: str, tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    with harness("--workers", workers, "--repeats", "1", "--json", "--out", str(kept)) as (program, connection):
        killed = kill_a_worker_at_its_run(connection)
        out, err = program.finished()
    outcome = json.loads(out)
    assert outcome["deaths"] == 1
    assert [entry["candidate"] for entry in outcome["candidates"]] == [*COMPRESSORS]
    assert [(entry["done"], entry["medians"]["bytes"]) for entry in outcome["candidates"]] == [
        (1, size) for size in COMPRESSORS.values()
    ]
    assert [entry["ratios"]["bytes"] for entry in outcome["candidates"]] == [
        size / COMPRESSORS["zlib 6"] for size in COMPRESSORS.values()
    ]
    runs = {run["id"]: run for run in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}
    assert len(runs) == len(COMPRESSORS)
    assert {id: run["claims"] for id, run in runs.items() if run["claims"] != 1} == {killed["id"]: 2}
    assert runs[killed["id"]]["lease"] != killed["lease"]
    assert [line.partition(":")[0] for line in err.splitlines() if "claimed 2 times" in line] == [killed["id"]]


def kill_a_worker_at_its_run(connection: Connection) -> dict[str, Any]:
    """A run that was claimed when its worker died, as it was then."""
    runs = Runs(connection)
    while True:
        run = runs.wait_for(SECONDS, state="claimed")
        stop(run["worker"])
        # What it has sent before is written before this is.
        runs.clear_namespace("nobody's")
        if runs.get(run["id"]) == run:
            os.kill(run["worker"], signal.SIGKILL)
            return run
        os.kill(run["worker"], signal.SIGCONT)


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: is_stopped(pid), "the worker does not stop")


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@linux
@pytest.mark.parametrize("state", ["waiting", "claimed", "done"])
def test_ctrl_c_ends_the_harness_and_leaves_nothing(state: str) -> None:
    with harness("--repeats", "1000") as (program, connection):
        segment = segment_of(connection)
        Runs(connection).wait_for(SECONDS, state=state)
        out, err = program.interrupted()
        assert (program.process.returncode, out) == (130, "")
        assert "Traceback" not in err
        program.leaves_nothing(segment)


@linux
def test_a_harness_that_is_killed_leaves_nothing_either() -> None:
    with harness("--repeats", "1000") as (program, connection):
        segment = segment_of(connection)
        Runs(connection).wait_for(SECONDS, state="claimed")
        program.process.kill()
        _, err = program.process.communicate(timeout=SECONDS)
        assert "Traceback" not in err
        program.leaves_nothing(segment)


def test_a_candidate_that_cannot_be_measured_ends_the_harness(tmp_path: Path) -> None:
    directory = tmp_path / "harness"
    shutil.copytree(HARNESS, directory, ignore=shutil.ignore_patterns("__pycache__"))
    script = directory / "candidates.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("compresslevel=9), bz2.decompress", "compresslevel=9), bytes"), encoding="utf-8")
    with started(directory, "harness.py", "--repeats", "1") as program:
        out, err = program.process.communicate(timeout=SECONDS)
    assert (program.process.returncode, out) == (1, "")
    assert "ValueError: bz2 9: what it compresses does not come back as it was" in err
    assert err.splitlines()[-1] == "11 workers have died, the last with exit status 1"


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--repeats", "0"], ["--out", "runs.csv"]])
def test_what_the_harness_cannot_do_it_says_before_it_begins(arguments: list[str]) -> None:
    with started(HARNESS, "harness.py", *arguments) as program:
        out, err = program.process.communicate(timeout=SECONDS)
    assert (program.process.returncode, out) == (2, "")
    assert arguments[0] in err.splitlines()[-1]


def test_the_notebook_simulates_what_is_true_and_plots_it(tmp_path: Path) -> None:
    with started(NOTEBOOK, "payments.py", "--processes", "3", "--days", "40", "--out", str(tmp_path)) as program:
        out, _ = program.finished()
    *lines, exact = [line for line in out.splitlines() if "%" in line]
    assert [line.partition(" days")[0] for line in lines] == ["24", "48", "72", "96", "120"]
    # The seeds are always the same, and so is what 120 days come to, in whatever order they came.
    assert abs(share(lines[-1]) - share(exact)) < 1.5
    for name, labels in PLOTS.items():
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", picture[16:24])
        assert (width, height) == (1050, 600)
        assert len(picture) > 10_000
        drawing = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert [label for label in labels if label not in drawing] == []


PLOTS = {
    "convergence": ["after 120 days; exact: 34.1 %", "simulated so far", "95 % confidence", "days simulated"],
    "waits": ["480,000 payments, 2.6 a minute, at 3 clerks", "minutes waited", "simulated", "exact"],
    "processes": ["days a second from 3 processes", "process 0", "process 1", "process 2", "seconds since the start"],
}


def share(line: str) -> float:
    return float(line.rpartition("%")[0].split()[-1])


def test_a_simulation_that_fails_ends_the_notebook(tmp_path: Path) -> None:
    directory = tmp_path / "notebook"
    shutil.copytree(NOTEBOOK, directory, ignore=shutil.ignore_patterns("__pycache__"))
    script = directory / "simulation.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("    random = Random(seed)\n", "    random = Random(seed // (seed - 1))\n"))
    with started(directory, "payments.py", "--processes", "3", "--days", "10") as program:
        out, err = program.process.communicate(timeout=SECONDS)
    assert program.process.returncode == 1, out
    assert "ZeroDivisionError" in err
    assert err.splitlines()[-1] == "a simulation failed, with exit status [0, 1, 0]"


@linux
def test_a_notebook_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with started(NOTEBOOK, "payments.py", "--days", "100000", "--out", str(tmp_path)) as program:
        with store_of(program.process.stdout) as connection:
            segment = segment_of(connection)
            Days(connection).wait_for(SECONDS)
        _, err = program.interrupted()
        assert err.splitlines()[-1] == "KeyboardInterrupt"
        assert err.count("Traceback") == 1
        program.leaves_nothing(segment)
