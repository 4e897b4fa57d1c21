"""Runs that end before their last test: Ctrl-C, -x, --maxfail, a timeout in a test, --pdb's quit.

The status is pytest's own, the shared fixtures are torn down once, and nothing is left behind.
"""

from __future__ import annotations

import pytest

from testing.suite import Suite

STAYING = """
    import os, time
    import pytest
    from helpers import log, reap, setup, teardown, use
    from papertiger_shm.testing import shared_fixture

    WHERE = os.environ.get("WHERE")

    def stay():
        log("staying")
        for _ in range(600):
            time.sleep(0.1)

    @shared_fixture
    def before():
        setup("before")
        yield 1
        teardown("before")

    @shared_fixture(reap=reap)
    def server(before):
        setup("server")
        if WHERE == "set-up":
            stay()
        yield {"name": "server", "number": 1}
        teardown("server")

    @pytest.mark.parametrize("number", range(6))
    def test_it(server, before, number):
        use("server", "before")
        stay()
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("where", ["test", "set-up"])
def test_ctrl_c(suite: Suite, workers: int, where: str) -> None:
    suite.write("test_it.py", STAYING)
    running = suite.start("-n", str(workers), WHERE=where)
    running.wait_for("staying", count=workers if workers and where == "test" else 1)
    running.interrupt()
    result = running.end()
    suite.assert_nothing_left(result)
    result.assert_ended(2)
    assert "keyboard" in result.output.lower(), str(result)
    assert len(result.setups("before")) == 1, str(result)
    ends = len(result.teardowns("server")) + len(result.reaped("server"))
    assert ends == (1 if where == "test" else 0), str(result)
    if not workers:
        assert len(result.teardowns("before")) == 1, str(result)


@pytest.mark.parametrize(("workers", "option"), [(0, "-x"), (2, "-x"), (2, "--maxfail=2"), (4, "--maxfail=1")])
def test_the_first_failure_ends_it(suite: Suite, workers: int, option: str) -> None:
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        @shared_fixture
        def client(server):
            setup("client")
            yield 1
            teardown("client")

        @pytest.mark.parametrize("number", range(40))
        def test_it(client, server, number):
            use("client", "server")
            assert number % 4
        """,
    )
    result = suite.run("-n", str(workers), option)
    # 1 where pytest counts, 2 where xdist stops its workers.
    result.assert_ended((1, 2) if workers else 1)
    assert result.counts["failed"] >= (2 if option == "--maxfail=2" else 1), str(result)
    result.assert_once("server", "client")
    assert result.where("teardown", "client") < result.where("teardown", "server")


def test_a_failing_set_up_ends_it(suite: Suite) -> None:
    """-x, and every worker but one waits for the set-up that fails."""
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import setup
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            raise OSError("no")

        @pytest.mark.parametrize("number", range(20))
        def test_it(server, number): pass
        """,
    )
    result = suite.run("-n4", "-x")
    result.assert_ended((1, 2))
    assert len(result.setups("server")) == 1, str(result)


def test_quitting_the_debugger(suite: Suite) -> None:
    """--pdb with one process: the debugger reads an empty terminal, which is a quit."""
    suite.write(
        "test_it.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        @pytest.mark.parametrize("number", range(3))
        def test_it(server, events, number):
            use("server")
            events.insert({})
            assert number != 1
        """,
    )
    result = suite.run("-n0", "--pdb")
    result.assert_ended(2)
    assert "(Pdb)" in result.output, str(result)
    result.assert_once("server")
