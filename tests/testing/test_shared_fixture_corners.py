"""Where shared fixtures meet the rest of pytest: names that occur twice, parameters that come from tests, finalizers,
fixtures of each worker that stand on shared ones, other kinds of tests, forks, and runs one after the other.
"""

from __future__ import annotations

import pytest

from testing.suite import Suite


@pytest.mark.parametrize("import_mode", ["prepend", "importlib"])
def test_the_same_name_in_several_places(suite: Suite, import_mode: str) -> None:
    """Two conftests have one module name, and so may test modules and classes; the fixtures are different ones."""
    conftest = """
        from helpers import setup, teardown
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server-{place}")
            yield "{place}"
            teardown("server-{place}")
        """
    tests = """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @pytest.mark.parametrize("number", range(2))
        def test_it(server, number):
            assert server == "{place}"
            use("server-{place}")

        class TestOne:
            @shared_fixture
            def own(self):
                setup("one-{place}")
                yield "one-{place}"
                teardown("one-{place}")

            @pytest.mark.parametrize("number", range(2))
            def test_it(self, own, number):
                assert own == "one-{place}"
                use(own)

        class TestTwo:
            @shared_fixture
            def own(self):
                setup("two-{place}")
                yield "two-{place}"
                teardown("two-{place}")

            @pytest.mark.parametrize("number", range(2))
            def test_it(self, own, number):
                assert own == "two-{place}"
                use(own)
        """
    places = ["a", "b"]
    for place in places:
        suite.write(f"{place}/conftest.py", conftest.replace("{place}", place))
        name = "test_same.py" if import_mode == "importlib" else f"test_{place}.py"
        suite.write(f"{place}/{name}", tests.replace("{place}", place))
    result = suite.run("-n2", f"--import-mode={import_mode}")
    result.assert_ended(0, passed=12)
    for place in places:
        result.assert_once(f"server-{place}", f"one-{place}", f"two-{place}")


def test_parameters_of_every_kind(suite: Suite) -> None:
    """Objects without a name of their own, and parameters that the tests give: each has its value, once."""
    suite.write(
        "test_parameters.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        class Plan:
            def __init__(self, name):
                self.name = name

        @shared_fixture(params=[Plan("small"), Plan("large")])
        def plan(request):
            setup("plan-" + request.param.name)
            yield request.param.name
            teardown("plan-" + request.param.name)

        @pytest.mark.parametrize("number", range(2))
        def test_plan(plan, number):
            use("plan-" + plan)

        @shared_fixture
        def given(request):
            name = f"given-{request.param}"
            setup(name)
            yield name
            teardown(name)

        # The first parameter of each of them, and not the same one.
        @pytest.mark.parametrize("given", ["x", "y"], indirect=True)
        def test_x_and_y(given, request):
            assert given == "given-" + request.node.callspec.params["given"]
            use(given)

        @pytest.mark.parametrize("given", ["z", "x"], indirect=True)
        def test_z_and_x(given, request):
            assert given == "given-" + request.node.callspec.params["given"]
            use(given)

        @shared_fixture(params=[1, 2])
        def one(request):
            setup(f"one-{request.param}")
            yield request.param
            teardown(f"one-{request.param}")

        @shared_fixture(params=[1, 2])
        def pair(request, one):
            setup(f"pair-{one}-{request.param}")
            yield [one, request.param]
            teardown(f"pair-{one}-{request.param}")

        def test_pair(pair, one):
            assert pair[0] == one
            use(f"pair-{pair[0]}-{pair[1]}", f"one-{one}")
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers)
        result.assert_ended(0, passed=12)
        result.assert_once("plan-small", "plan-large", "given-x", "given-y", "given-z", "one-1", "one-2")
        result.assert_once("pair-1-1", "pair-1-2", "pair-2-1", "pair-2-2")
        suite.forget()


@pytest.mark.parametrize("workers", [0, 2])
def test_fixtures_of_each_worker_that_stand_on_a_shared_one(suite: Suite, workers: int) -> None:
    """They are torn down in every worker before it is, and so is what the set-up asked to be finalized."""
    suite.write(
        "test_clients.py",
        """
        import pytest
        from helpers import log, setup, teardown, use, worker
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server(request):
            setup("server")
            request.addfinalizer(lambda: log("finalizer", worker()))
            yield request.config.rootpath.name
            teardown("server")

        @pytest.fixture(scope="session")
        def client(server):
            yield server
            log("end", "session", worker())

        @pytest.fixture(scope="module")
        def table(client):
            yield client
            log("end", "module", worker())

        @pytest.fixture
        def row(table, server):
            yield table
            log("end", "function", worker())

        @pytest.mark.parametrize("number", range(6))
        def test_it(row, number):
            assert row == "suite"
            use("server")
        """,
    )
    result = suite.run("-n", str(workers))
    result.assert_ended(0, passed=6)
    result.assert_once("server")
    ends = [number for number, line in enumerate(result.log) if line.startswith("end ")]
    assert len(result.lines("end", "function")) == 6
    assert len(result.lines("end", "session")) == len({line.split()[2] for line in result.lines("use")})
    assert max(ends) < result.where("teardown", "server"), str(result)
    (finalizer,) = result.lines("finalizer")
    assert finalizer.split()[1] == result.setups("server")[0], str(result)
    assert max(ends) < result.where("finalizer"), str(result)


def test_other_kinds_of_tests(suite: Suite) -> None:
    """unittest, doctest, xunit-style set-up and subtests' neighbours have namespaces too."""
    suite.write(
        "test_kinds.py",
        '''
        """
        >>> 1 + 1
        2
        """
        import os
        import unittest
        import pytest
        from helpers import log, setup, teardown, use
        from papertiger_shm import Events, connect
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        def fill():
            with connect() as connection:
                events = Events(connection)
                log("in", os.environ["PAPERTIGER_NAMESPACE"])
                assert events.count() == 0
                events.insert({"id": "evt_1"})

        class TestXunit:
            def setup_method(self): fill()
            def test_one(self, server): use("server")
            def test_two(self, server): use("server")

        @pytest.mark.usefixtures("server")
        class TestUnit(unittest.TestCase):
            def setUp(self): fill()
            def test_one(self): use("server")
            def test_two(self): use("server")
            @unittest.skip("not now")
            def test_skipped(self): pass
        ''',
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers, "--doctest-modules")
        result.assert_ended(0, passed=5, skipped=1)
        assert len(set(result.lines("in"))) == 4
        result.assert_once("server")
        suite.forget()


def test_forks(suite: Suite) -> None:
    """A forked child shares nothing of its worker's part in the run, however it ends."""
    suite.write(
        "test_forks.py",
        """
        import multiprocessing, os, sys
        import pytest
        from helpers import setup, teardown, use, worker
        from papertiger_shm import Events, connect
        from papertiger_shm.testing import shared_fixture

        context = multiprocessing.get_context("fork")

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        def work(number):
            with connect() as connection:
                Events(connection).insert({"id": f"evt_{number}"})
            return number

        @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
        @pytest.mark.parametrize("number", range(4))
        def test_it(server, events, number):
            use("server")
            with context.Pool(2) as pool:
                assert pool.map(work, range(5)) == list(range(5))
            assert events.count() == 5
            pid = os.fork()
            if not pid:
                try:
                    sys.exit(3)
                except SystemExit:
                    os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
            use("server")
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers)
        result.assert_ended(0, passed=4)
        result.assert_once("server")
        suite.forget()


def test_one_run_after_the_other_in_one_process(suite: Suite) -> None:
    suite.write("conftest.py", "")
    suite.write(
        "twice.py",
        """
        import os, pytest
        for _ in range(2):
            assert pytest.main(["-q", "-p", "no:cacheprovider", "test_it.py"]) == 0
            assert not [name for name in os.environ if name.startswith(("PAPERTIGER_NAMESPACE", "PAPERTIGER_URL"))]
        """,
    )
    suite.write(
        "test_it.py",
        """
        from helpers import log, setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        def test_it(server, events, papertiger_run):
            assert events.count() == 0
            events.insert({"id": "evt_1"})
            assert papertiger_run.counter("runs").next() == 0
            log("run", papertiger_run.id)
        """,
    )
    result = suite.program("twice.py").end()
    assert result.status == 0, str(result)
    assert len(result.setups("server")) == len(result.teardowns("server")) == 2
    assert len(set(result.lines("run"))) == 2
    suite.assert_nothing_left(result)


def test_reruns_do_not_try_a_failed_set_up_again(suite: Suite) -> None:
    suite.configure(plugin="rerunfailures")
    suite.write(
        "test_again.py",
        """
        import pytest
        from helpers import first, setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def broken():
            setup("broken")
            raise OSError("no")

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        @pytest.mark.parametrize("number", range(2))
        def test_broken(broken, number): pass

        @pytest.mark.parametrize("number", range(2))
        def test_flaky(server, number):
            use("server")
            assert not first(f"flaky-{number}")
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers, "--reruns=1")
        assert result.status == 1, str(result)
        assert result.counts["passed"] == 2, str(result)
        assert len(result.setups("broken")) == 1, str(result)
        result.assert_once("server")
        suite.forget()


def test_looking_without_running(suite: Suite) -> None:
    """What only lists tests and fixtures sets nothing up, starts nothing, and shows what the user wrote."""
    suite.write(
        "test_it.py",
        '''
        from helpers import setup
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            """A server for the whole run."""
            setup("server")

        def test_it(server, events): pass
        ''',
    )
    fixtures = suite.run("--fixtures")
    fixtures.assert_ended(0)
    assert "A server for the whole run." in fixtures.output
    for option in ("--setup-plan", "--collect-only"):
        looked = suite.run(option)
        looked.assert_ended(0)
        assert not looked.log, str(looked)
    shown = suite.run("--setup-show")
    shown.assert_ended(0, passed=1)
    assert "SETUP    S server" in shown.output, str(shown)
    assert len(shown.setups("server")) == 1
