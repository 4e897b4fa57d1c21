"""What a run says of itself: a section of the terminal summary, a report as JSON, and ``top --run`` while it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testing.suite import SECONDS, Suite

CONFTEST = """
    import os, time
    from helpers import log, setup, teardown, worker
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def server():
        setup("server")
        time.sleep(0.3)
        if os.environ.get("STAY"):
            while not os.path.exists("go"):
                time.sleep(0.01)
        yield {"owner": worker()}
        teardown("server")

    @shared_fixture
    def broken():
        setup("broken")
        raise OSError("no")

    @shared_fixture(params=["a", "b"])
    def letter(request):
        setup("letter-" + request.param)
        return request.param

    def pytest_runtest_setup(item):
        log("begin", worker(), item.name)
"""

TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(6))
    def test_it(server, number, events):
        events.insert({"id": "evt_1"})

    def test_broken(broken): pass

    def test_letter(letter): pass
"""


def section(output: str) -> str:
    _, _, rest = output.partition("- papertiger -")
    assert rest, output
    return rest.partition("\n=")[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_summary_and_report(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_it.py", TESTS)
    result = suite.run("-n", str(workers), "--papertiger-report=report.json", "--papertiger-run=mine")
    result.assert_ended(1, passed=8, errors=1)
    (owner,) = result.setups("server")
    told = section(result.output)
    (line,) = [line for line in told.splitlines() if "server" in line]
    assert owner in line, told
    assert any("broken" in line for line in told.splitlines()), told
    assert sum("letter" in line for line in told.splitlines()) == 2, told

    report = json.loads((suite.path / "report.json").read_text())
    assert report["run"] == "mine"
    assert report["url"] == "shm://pytest-mine"
    assert report["tests"] == 9
    assert len(report["workers"]) == (workers or 1)
    assert report["overhead_seconds_per_test"] >= 0
    by_name: dict[str, list[dict[str, Any]]] = {}
    for fixture in report["shared_fixtures"]:
        # The name of one with parameters says which it is.
        by_name.setdefault(fixture["name"].partition("[")[0], []).append(fixture)
    assert set(by_name) == {"server", "broken", "letter"}
    (server,) = by_name["server"]
    assert server["owner"] == owner
    assert server["setups"] == 1
    assert server["uses"] == 6
    assert 0.3 <= server["setup_seconds"] < SECONDS
    assert server["waited_seconds"] >= 0
    # One set-up per worker that used it is what it would have cost.
    users = len(server["workers"]) if isinstance(server["workers"], list) else server["workers"]
    assert 1 <= users <= (workers or 1)
    if users == 1:
        assert server["saved_seconds"] == 0
    (broken,) = by_name["broken"]
    assert broken["outcome"] != server["outcome"]
    assert len(by_name["letter"]) == 2
    assert len({letter["key"] for letter in by_name["letter"]}) == 2
    print(told)


def test_nothing_to_say(suite: Suite) -> None:
    """A run that shares nothing has no section, and its report says so."""
    suite.write("test_it.py", "def test_it(): pass\n")
    result = suite.run("--papertiger-report=report.json")
    result.assert_ended(0, passed=1)
    assert " papertiger " not in result.output
    assert json.loads((suite.path / "report.json").read_text())["shared_fixtures"] == []


def test_the_report_of_a_run_with_deaths(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, worker

        @pytest.mark.parametrize("number", range(8))
        def test_it(server, number):
            if server["owner"] == worker() and first("death"):
                die()
        """,
    )
    result = suite.run("-n2", "--papertiger-report=report.json")
    result.assert_ended(1, passed=7, failed=1)
    report = json.loads((suite.path / "report.json").read_text())
    (server,) = report["shared_fixtures"]
    assert server["setups"] == 2
    assert server["owner"] == result.setups("server")[1]


def test_top_while_a_run_is_going_on(suite: Suite) -> None:
    """One worker sets up, the other waits for it, and the table says so."""
    suite.write("conftest.py", CONFTEST)
    suite.write("test_top.py", TESTS)
    running = suite.start("-n2", "--papertiger-run=mine", "-k", "test_it", STAY="1")
    running.wait_for("setup", "server")
    running.wait_for("begin", count=2)
    answer: dict[str, Any] = {}

    def one_waits() -> bool:
        said = suite.command("top", "--run", "--json", "shm://pytest-mine")
        assert said.returncode == 0, said
        (run,) = json.loads(said.stdout)
        answer.update(run)
        return any(row["waits_for"] for row in run["workers"])

    running.wait_until(one_waits)
    assert answer["run"] == "mine"
    (owner,) = [line.split()[2] for line in suite.log if line.startswith("setup server")]
    workers = {row["worker"]: row for row in answer["workers"]}
    assert set(workers) == {"gw0", "gw1"}
    for name, row in workers.items():
        assert "test_it[" in row["test"], answer
        assert row["namespace"].startswith(f"{name}/test_top.py::test_it["), answer
        assert row["items"] == 0, answer
        assert row["seconds"] >= 0, answer
        assert ("server" in row["waits_for"] and owner in row["waits_for"]) if name != owner else not row["waits_for"]
    (fixture,) = answer["shared_fixtures"]
    assert (fixture["name"], fixture["owner"]) == ("server", owner), answer
    plain = suite.command("top", "--run", "pytest-mine")
    assert plain.returncode == 0, plain
    for word in ("gw0", "gw1", "test_it", "server"):
        assert word in plain.stdout, plain
    (suite.path / "go").touch()
    result = running.end()
    result.assert_ended(0, passed=6)
    suite.assert_nothing_left(result)


def test_top_without_a_run(suite: Suite) -> None:
    said = suite.command("top", "--run", "shm://pytest-nobody")
    assert said.returncode == 1, said
    assert "pytest-nobody" in said.stderr
