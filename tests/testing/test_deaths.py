"""A worker is killed at every stage of a shared fixture's life, and so is the whole run, from the controller on.

Whatever died: the run ends within its deadline, with the status that a crash has, nobody waits for the dead, each value
is torn down or reaped once, and nothing is left behind. Which worker dies is decided by what has been logged, never by
its number: xdist gives a new worker in its place a new one.
"""

from __future__ import annotations

import pytest

from testing.suite import SECONDS, Result, Suite

# "server" has a number, so that its values can be told apart; HOW says where a worker is killed, for the first time.
SERVER = """
    import os
    import pytest
    from helpers import die, first, lines, log, reap, setup, teardown, use, wait_for, worker
    from papertiger_shm.testing import shared_fixture

    HOW = os.environ.get("HOW")

    @shared_fixture(reap=reap)
    def server():
        setup("server")
        if HOW == "set-up" and first("death"):
            die()
        yield {"name": "server", "number": len(lines("setup server")), "owner": worker()}
        if HOW == "teardown" and first("death"):
            die()
        teardown("server")
"""


def assert_each_value_ended_once(result: Result, name: str = "server") -> None:
    """Each set-up that came to a value has one end: a teardown where it was set up, or one call of reap."""
    ends = len(result.teardowns(name)) + len(result.reaped(name))
    assert ends == len(result.setups(name)), str(result)
    assert len(set(result.reaped(name))) == len(result.reaped(name)), str(result)


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("how", ["before", "set-up", "teardown"])
def test_killed_around_the_test(suite: Suite, how: str, workers: int) -> None:
    """Before it was needed, in the midst of its set-up, in the midst of its teardown."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from conftest import HOW
        from helpers import die, first, use

        def test_0():
            if HOW == "before" and first("death"):
                die()

        @pytest.mark.parametrize("number", range(10))
        def test_it(server, number):
            assert server["name"] == "server"
            use("server")
        """,
    )
    result = suite.run("-n", str(workers), HOW=how)
    result.assert_ended(1)
    # xdist counts the test that a worker died in as failed.
    assert result.counts["failed"] == 1, str(result)
    if how == "before":
        assert result.counts["passed"] == 10, str(result)
        result.assert_once("server")
        assert not result.reaped("server")
    elif how == "set-up":
        assert result.counts["passed"] == 10, str(result)
        assert len(result.setups("server")) == 2, str(result)
        assert len(result.teardowns("server")) == 1, str(result)
        assert result.teardowns("server") == result.setups("server")[1:], str(result)
        # There was no value yet.
        assert not result.reaped("server")
    else:
        assert len(result.setups("server")) == 1, str(result)
        assert result.reaped("server") == ["1"], str(result)
        assert not result.teardowns("server"), str(result)


def test_the_owner_is_killed_while_others_hold_the_value(suite: Suite) -> None:
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, log, use, wait_for, worker

        # The owner dies in one of these; of the others, one holds on to the old value until there is a new one.
        @pytest.mark.parametrize("number", range(13))
        def test_it(server, number):
            use("server")
            if server["number"] > 1:
                return
            if server["owner"] == worker():
                wait_for("holding")
                die()
            elif first("holder"):
                log("holding", number)
                wait_for("setup server", 2)
            else:
                wait_for("died")
        """,
    )
    result = suite.run("-n3")
    result.assert_ended(1)
    assert result.counts == {"passed": 12, "failed": 1}, str(result)
    assert len(result.setups("server")) == 2, str(result)
    assert result.reaped("server") == ["1"], str(result)
    assert result.where("reap", "server") < result.log.index(result.lines("setup", "server")[1]), str(result)
    assert result.teardowns("server") == result.setups("server")[1:], str(result)
    assert "SharedFixtureWarning" in result.output, str(result)
    (holding,) = result.lines("holding")
    assert f"test_it[{holding.split()[1]}]" in warnings_summary(result.output), str(result)


def warnings_summary(output: str) -> str:
    _, _, rest = output.partition("warnings summary")
    return rest.partition("short test summary")[0]


def test_a_worker_that_is_not_the_owner_is_killed(suite: Suite) -> None:
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, use, wait_for, worker

        @pytest.mark.parametrize("number", range(12))
        def test_it(server, number):
            use("server")
            if server["owner"] != worker():
                if first("death"):
                    die()
            else:
                wait_for("died")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=11, failed=1)
    result.assert_once("server")
    assert not result.reaped("server")
    assert "SharedFixtureWarning" not in result.output


def test_the_owner_is_killed_and_nobody_needs_it_again(suite: Suite) -> None:
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, use, wait_for

        def test_needs_it(server):
            use("server")
            die()

        @pytest.mark.parametrize("number", range(6))
        def test_does_not(number):
            wait_for("died")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=6, failed=1)
    assert len(result.setups("server")) == 1, str(result)
    assert result.reaped("server") == ["1"], str(result)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_is_killed_and_none_comes_in_its_place(suite: Suite, workers: int) -> None:
    """--max-worker-restart=0: the value is reaped by the controller, which knows nothing of the test's modules."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import os, pytest
        from helpers import die, use, wait_for

        @pytest.mark.parametrize("number", range(6))
        def test_it(server, number):
            use("server")
            wait_for("use server", int(os.environ["WORKERS"]))
            die()
        """,
    )
    result = suite.run("-n", str(workers), "--max-worker-restart=0", WORKERS=str(workers))
    assert result.status not in (0, 5), str(result)
    assert len(result.lines("died")) == workers, str(result)
    assert_each_value_ended_once(result)
    assert result.reaped("server") == [str(number + 1) for number in range(len(result.setups("server")))], str(result)


def test_the_owner_is_killed_and_is_not_replaced(suite: Suite) -> None:
    """--max-worker-restart=0 with survivors: xdist may end the run there and then, and the survivors clean up."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, use, wait_for, worker

        @pytest.mark.parametrize("number", range(10))
        def test_it(server, number):
            use("server")
            if server["owner"] == worker() and first("death"):
                die()
        """,
    )
    result = suite.run("-n2", "--max-worker-restart=0")
    assert result.status not in (0, 5), str(result)
    assert "1" in result.reaped("server"), str(result)
    assert_each_value_ended_once(result)


def test_one_owner_after_the_other_is_killed(suite: Suite) -> None:
    """Each value is reaped before the next is made, whoever does it."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, lines, use, wait_for, worker

        @pytest.mark.parametrize("number", range(12))
        def test_it(server, number):
            use("server")
            if server["number"] < 4:
                if server["owner"] == worker():
                    die()
                # Else the other worker may have run all the tests before an owner comes to die.
                wait_for("died", server["number"])
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=9, failed=3)
    assert len(result.setups("server")) == 4, str(result)
    assert result.reaped("server") == ["1", "2", "3"], str(result)
    relevant = [line.split()[0] for line in result.log if line.split()[0] in ("setup", "reap", "teardown")]
    assert relevant == ["setup", "reap"] * 3 + ["setup", "teardown"], str(result)


def test_what_stands_on_another_when_the_owner_is_killed(suite: Suite) -> None:
    """Both values of the dead owner are reaped, and both are set up again, in the order in which they stand."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, reap, lines, setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture(reap=reap)
        def client(server):
            setup("client")
            yield {"name": "client", "number": len(lines("setup client")), "server": server["number"]}
            teardown("client")

        @pytest.mark.parametrize("number", range(9))
        def test_it(client, server, number):
            assert client["server"] == server["number"]
            use("client", "server")
            if first("death"):
                die()
        """,
    )
    # With one worker at a time, the dead one had them both.
    result = suite.run("-n1")
    result.assert_ended(1, passed=8, failed=1)
    for name in ("server", "client"):
        assert len(result.setups(name)) == 2, str(result)
        assert result.reaped(name) == ["1"], str(result)
        assert len(result.teardowns(name)) == 1, str(result)
    assert result.where("reap", "client") < result.where("reap", "server"), str(result)
    assert result.where("teardown", "client") < result.where("teardown", "server"), str(result)


@pytest.mark.parametrize("where", ["conftest", "test_it"])
def test_reap_functions_of_conftests_and_test_modules(suite: Suite, where: str) -> None:
    """The one who reaps in the end may never have imported the module that the function is in."""
    text = """
        from helpers import log, setup
        from papertiger_shm.testing import shared_fixture

        def stop(value):
            log("reap", value["name"], value["number"])

        def no_good(value):
            log("reap", "second", 1)
            raise OSError("no such process")

        @shared_fixture(reap=stop)
        def server():
            setup("server")
            return {"name": "server", "number": 1}

        @shared_fixture(reap=no_good)
        def second():
            setup("second")
            return 1
    """
    test = """
        from helpers import die

        def test_it(server, second):
            die()
    """
    if where == "conftest":
        suite.write("conftest.py", text)
        suite.write("test_it.py", test)
    else:
        suite.write("conftest.py", "")
        suite.write("test_it.py", text + test)
    result = suite.run("-n1", "--max-worker-restart=0")
    assert result.status not in (0, 5), str(result)
    # One that fails is no reason not to call the other.
    assert result.reaped("server") == result.reaped("second") == ["1"], str(result)
    assert "no such process" in result.output, str(result)


def test_reap_functions_of_two_conftests(suite: Suite) -> None:
    """Both are the module "conftest", and the one who reaps in the end has imported the other one."""
    suite.write("conftest.py", "from helpers import log\n\ndef stop(value): log('reap', 'another', 1)\n")
    suite.write(
        "below/conftest.py",
        """
        from helpers import reap, setup
        from papertiger_shm.testing import shared_fixture

        def stop(value):
            reap(value)

        @shared_fixture(reap=stop)
        def server():
            setup("server")
            return {"name": "server", "number": 1}
        """,
    )
    suite.write("below/test_it.py", "from helpers import die\n\ndef test_it(server): die()\n")
    result = suite.run("-n1", "--max-worker-restart=0")
    assert result.reaped("server") == ["1"], str(result)
    assert not result.reaped("another"), str(result)


def test_reap_functions_that_are_built_in_or_decorated(suite: Suite) -> None:
    suite.write(
        "decorating.py",
        """
        import functools

        def as_it_is(function):
            return functools.wraps(function)(lambda value: function(value))
        """,
    )
    suite.write(
        "test_it.py",
        """
        import os
        from decorating import as_it_is
        from helpers import HERE, die, reap, setup
        from papertiger_shm.testing import shared_fixture

        @as_it_is
        def stop(value):
            reap(value)

        @shared_fixture(reap=os.remove)
        def file():
            path = HERE + "/made"
            open(path, "w").close()
            return path

        @shared_fixture(reap=stop)
        def server():
            setup("server")
            return {"name": "server", "number": 1}

        def test_it(file, server):
            die()
        """,
    )
    result = suite.run("-n1", "--max-worker-restart=0")
    assert result.reaped("server") == ["1"], str(result)
    assert not (suite.path / "made").exists(), str(result)


@pytest.mark.parametrize("where", ["test", "set-up"])
def test_the_controller_is_killed(suite: Suite, where: str) -> None:
    """While both workers are at a test; while one is at the set-up and the other waits for it."""
    suite.write(
        "conftest.py",
        """
        from helpers import log
        def pytest_runtest_setup(): log("begin")
        """,
    )
    suite.write(
        "test_it.py",
        """
        import os, time
        import pytest
        from helpers import log, reap, setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        WHERE = os.environ["WHERE"]

        def stay():
            log("staying")
            for _ in range(600):
                time.sleep(0.1)

        @shared_fixture(reap=reap)
        def server():
            setup("server")
            if WHERE != "test":
                stay()
            yield {"name": "server", "number": 1}
            teardown("server")

        @pytest.mark.parametrize("number", range(4))
        def test_it(server, number):
            use("server")
            stay()
        """,
    )
    # An on-demand store leaves by itself some time after its last client; the default is what a user has.
    running = suite.start("-n2", WHERE=where, PAPERTIGER_IDLE_SECONDS=None)
    running.wait_for("begin", count=2)
    running.wait_for("staying", count=2 if where == "test" else 1)
    running.kill_controller()
    # Some 10 s each are execnet's patience with a test that goes on, and the store's; the rest is for the machine.
    suite.assert_nothing_left(seconds=SECONDS)
    log = Result(0, "", suite.log)
    assert len(log.setups("server")) == 1, str(log)
    ends = len(log.teardowns("server")) + len(log.reaped("server"))
    # No value, nothing to end.
    assert ends == 1 if where == "test" else ends == 0, str(log)


def test_the_only_process_is_killed(suite: Suite) -> None:
    """Without workers nobody is left who could reap; the store goes by itself."""
    suite.write("conftest.py", SERVER)
    suite.write("test_it.py", "from helpers import die\ndef test_it(server): die()\n")
    running = suite.start("-n0", PAPERTIGER_IDLE_SECONDS=None)
    result = running.end()
    assert result.status == -9, str(result)
    suite.assert_nothing_left(result, seconds=SECONDS)


def test_what_a_living_worker_stands_on_when_its_owner_is_killed(suite: Suite) -> None:
    """One worker has made the server, another what stands on it; the first dies, and both are needed again."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import die, first, lines, log, reap, setup, teardown, use, wait_for
        from papertiger_shm.testing import shared_fixture

        @shared_fixture(reap=reap)
        def client(server):
            setup("client")
            yield {"name": "client", "number": len(lines("setup client")), "server": server["number"]}
            teardown("client")

        # xdist gives two tests to each of the two workers to begin with.
        def test_owner_of_the_server(server):
            use("server")
            wait_for("use client")
            die()

        def test_next_of_the_same_worker(request):
            both(request)

        def test_owner_of_the_client(request):
            wait_for("use server")
            request.getfixturevalue("client")
            use("client")
            wait_for("died")

        @pytest.mark.parametrize("number", range(5))
        def test_it(request, number):
            both(request)

        def both(request):
            request.getfixturevalue("server")
            client = request.getfixturevalue("client")
            # Not one that stands on a server that has gone.
            assert client["server"] == len(lines("setup server"))
            use("client")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=7, failed=1)
    assert len(result.setups("server")) == 2, str(result)
    assert result.reaped("server") == ["1"], str(result)
    assert_each_value_ended_once(result, "server")
    assert_each_value_ended_once(result, "client")


def test_who_waits_for_the_set_up_is_killed(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        """
        import os, signal
        import pytest
        from helpers import lines, log, setup, teardown, use, wait_for, worker
        from papertiger_shm.testing import shared_fixture

        @pytest.fixture(scope="session", autouse=True)
        def _00_here():
            log("here", worker(), os.getpid())

        @shared_fixture
        def server():
            setup("server")
            wait_for("here", 2)
            (pid,) = [int(line.split()[2]) for line in lines("here") if line.split()[1] != worker()]
            os.kill(pid, signal.SIGKILL)
            # The one in its place comes while the set-up is still going on.
            wait_for("here", 3)
            yield 1
            teardown("server")

        @pytest.mark.parametrize("number", range(8))
        def test_it(server, number): use("server")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=7, failed=1)
    result.assert_once("server")


def test_a_user_is_killed_while_the_owner_waits_to_tear_down(suite: Suite) -> None:
    """The owner has nothing left to do; who comes in place of the dead gets the same value, and then it ends."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import time
        import pytest
        from helpers import die, first, use, wait_for, worker

        @pytest.mark.parametrize("number", range(6))
        def test_it(server, number):
            use("server")
            if server["owner"] != worker():
                wait_for("use server " + server["owner"], 3)
                # By now the owner is idle; if it is not yet, another path is taken, which is right as well.
                time.sleep(0.3)
                if first("death"):
                    die()
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=5, failed=1)
    result.assert_once("server")
    assert not result.reaped("server")


def test_the_owner_is_killed_while_it_waits_to_tear_down(suite: Suite) -> None:
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import os, signal, time
        import pytest
        from helpers import lines, log, use, wait_for

        def test_owner(server):
            log("owner", os.getpid())
            use("server")

        def test_owner_again(server):
            use("server")

        @pytest.mark.parametrize("number", range(2))
        def test_it(request, number):
            wait_for("owner")
            request.getfixturevalue("server")
            if number == 0:
                wait_for("use server", 2)
                # By now the owner is idle; if it is not yet, another path is taken, which is right as well.
                time.sleep(0.3)
                log("died")
                os.kill(int(lines("owner")[0].split()[1]), signal.SIGKILL)
            use("server")
        """,
    )
    result = suite.run("-n2")
    assert result.status in (0, 1), str(result)
    assert "1" in result.reaped("server"), str(result)
    assert_each_value_ended_once(result)


def test_the_manager_is_killed(suite: Suite) -> None:
    """The store goes on: another process takes it over, and nobody sees more of it than a short wait."""
    suite.write("conftest.py", SERVER)
    suite.write(
        "test_it.py",
        """
        import os, signal
        import pytest
        from helpers import first, use

        @pytest.mark.parametrize("number", range(12))
        def test_it(server, events, papertiger, papertiger_run, number):
            use("server")
            assert server["number"] == 1
            if number % 4 == 1 and first(f"kill-{number}"):
                os.kill(papertiger.stats()["writer_pid"], signal.SIGKILL)
            assert events.count() == 0
            events.insert({"id": "evt_1"})
            papertiger_run.counter("tests").add()
            assert events.count() == 1
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers)
        result.assert_ended(0, passed=12)
        result.assert_once("server")
        suite.forget()
