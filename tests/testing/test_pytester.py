"""Runs within a run: pytester in the same process and in one of its own does not disturb the outer run's things."""

from __future__ import annotations

import pytest

from testing.suite import Suite

OUTER = """
    import os
    import shutil
    import pytest
    from helpers import HERE, log, setup, teardown, use
    from papertiger_shm import Events, connect
    from papertiger_shm.testing import shared_fixture

    pytest_plugins = ["pytester"]

    INNER = '''
    import os
    import pytest
    from helpers import log, setup, teardown
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def server():
        setup("inner")
        yield "inner"
        teardown("inner")

    @pytest.mark.parametrize("number", range(2))
    def test_it(number, server, events, papertiger_namespace, papertiger_run):
        assert server == "inner"
        assert events.count() == 0
        events.insert({"id": "evt_1"})
        assert os.environ["PAPERTIGER_NAMESPACE"] == papertiger_namespace
        papertiger_run.counter("runs").add()
        log("inner", papertiger_run.id, papertiger_namespace)

    @pytest.mark.papertiger_serial
    def test_serial(): pass
    '''

    @shared_fixture
    def server():
        setup("server")
        yield "outer"
        teardown("server")

    @pytest.fixture(params=["inprocess", "subprocess", "subprocess -n2"])
    def run_inner(request, pytester):
        pytester.makepyfile(test_inner=INNER)
        shutil.copy(HERE + "/pytest.ini", pytester.path)
        how, *arguments = request.param.split()
        return lambda: getattr(pytester, "runpytest_" + how)(*arguments)

    @pytest.mark.parametrize("number", range(2))
    def test_outer(run_inner, number, server, events, papertiger_namespace, papertiger_run, papertiger):
        before = dict(os.environ)
        url = papertiger.url
        assert events.count() == 0
        events.insert({"id": "evt_1"})
        added = papertiger_run.counter("runs").add()
        run_inner().assert_outcomes(passed=3)
        changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
        assert not [name for name in changed if name.startswith("PAPERTIGER")], changed
        assert events.count() == 1
        with connect() as connection:
            assert connection.url == url
            assert Events(connection).namespace == papertiger_namespace
            assert Events(connection).get("evt_1")["id"] == "evt_1"
        assert papertiger_run.counter("runs").value >= added
        assert papertiger_run.counter("runs").value <= 6
        log("outer", papertiger_run.id, papertiger_namespace)
        use("server")

    def test_afterwards(server, events, papertiger_run):
        assert server == "outer"
        use("server")
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_runs_within_a_run(suite: Suite, workers: int) -> None:
    suite.write("test_outer.py", OUTER)
    result = suite.run("-n", str(workers), "-p", "pytester")
    result.assert_ended(0, passed=7)
    result.assert_once("server")
    # Six runs of their own, each with a set-up of its own.
    assert len(result.setups("inner")) == len(result.teardowns("inner")) == 6, str(result)
    inner = {line.split()[1] for line in result.lines("inner")}
    outer = {line.split()[1] for line in result.lines("outer")}
    assert len(outer) == 1
    assert len(inner) == 6
    assert not inner & outer
