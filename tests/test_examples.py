"""The examples run as they stand, and leave nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from suites import run_suite

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

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
