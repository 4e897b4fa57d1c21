"""papertiger_lock and papertiger_serial: tests that must not overlap, whichever workers they run in, and who dies.

A test that has something to itself makes a file that must not exist, and removes it: a second one in there would meet
it.
"""

from __future__ import annotations

import pytest

from testing.suite import Suite

CONFTEST = """
    import contextlib, os, time
    import pytest
    from helpers import HERE, log

    @contextlib.contextmanager
    def alone(*names):
        for name in names:
            os.close(os.open(f"{HERE}/{name}.taken", os.O_CREAT | os.O_EXCL))
        # Long enough for another to come in where it could.
        time.sleep(0.05)
        yield
        for name in names:
            os.unlink(f"{HERE}/{name}.taken")

    def free(*names):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{HERE}/{name}.taken")
"""


def test_tests_under_one_lock_do_not_overlap(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_locks.py",
        """
        import pytest
        from conftest import alone
        from helpers import log

        # The lock spans the fixtures of the test as well.
        @pytest.fixture
        def port():
            with alone("port"):
                yield

        @pytest.mark.papertiger_lock("port")
        @pytest.mark.parametrize("number", range(6))
        def test_port(number, port): log("ran port")

        # Two locks in one order and in the other: whoever took them as they come would wait for ever.
        @pytest.mark.papertiger_lock("port", "disk")
        @pytest.mark.parametrize("number", range(4))
        def test_port_and_disk(number):
            with alone("port", "disk"):
                log("ran both")

        @pytest.mark.papertiger_lock("disk", "port")
        @pytest.mark.parametrize("number", range(4))
        def test_disk_and_port(number):
            with alone("disk", "port"):
                log("ran both")

        @pytest.mark.papertiger_lock("disk")
        class TestDisk:
            @pytest.mark.papertiger_lock("port")
            def test_it(self):
                with alone("disk", "port"):
                    log("ran class")

            @pytest.mark.papertiger_lock("disk")
            def test_the_same_twice(self):
                with alone("disk"):
                    log("ran class")
        """,
    )
    result = suite.run("-n4", "--strict-markers")
    result.assert_ended(0, passed=16)
    assert len(result.lines("ran")) == 16


def test_tests_under_different_locks_overlap(suite: Suite) -> None:
    suite.write(
        "test_locks.py",
        """
        import pytest
        from helpers import log, wait_for

        @pytest.mark.papertiger_lock("left")
        def test_left():
            log("left")
            wait_for("right")

        @pytest.mark.papertiger_lock("right")
        def test_right():
            log("right")
            wait_for("left")
        """,
    )
    # Two tests for two workers are one for each.
    result = suite.run("-n2")
    result.assert_ended(0, passed=2)


def test_a_serial_test_is_alone(suite: Suite) -> None:
    """No test of any worker runs beside it, whether that test has a marker or not."""
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_serial.py",
        """
        import os, time
        import pytest
        from conftest import alone
        from helpers import HERE, log

        def nobody():
            return not [name for name in os.listdir(HERE) if name.startswith("beside-")]

        @pytest.fixture
        def beside(request):
            assert not os.path.exists(f"{HERE}/serial.taken")
            file = f"{HERE}/beside-{os.getpid()}"
            open(file, "w").close()
            time.sleep(0.02)
            assert not os.path.exists(f"{HERE}/serial.taken")
            yield
            os.unlink(file)

        @pytest.mark.parametrize("number", range(8))
        def test_beside(number, beside): log("ran beside")

        @pytest.mark.papertiger_lock("port")
        @pytest.mark.parametrize("number", range(4))
        def test_under_a_lock(number, beside):
            with alone("port"):
                log("ran lock")

        @pytest.mark.papertiger_serial
        @pytest.mark.parametrize("number", range(4))
        def test_serial(number):
            assert nobody()
            with alone("serial"):
                assert nobody()
            log("ran serial")

        @pytest.mark.papertiger_serial
        @pytest.mark.papertiger_lock("port")
        def test_serial_and_under_a_lock():
            with alone("serial", "port"):
                assert nobody()
            log("ran serial")
        """,
    )
    result = suite.run("-n4", "--dist=worksteal")
    result.assert_ended(0, passed=17)
    assert len(result.lines("ran")) == 17


@pytest.mark.parametrize("marker", ['papertiger_lock("port")', "papertiger_serial"])
def test_a_dead_holder_frees_it(suite: Suite, marker: str) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_locks.py",
        f"""
        import pytest
        from conftest import alone, free
        from helpers import die, first, log

        @pytest.mark.{marker}
        @pytest.mark.parametrize("number", range(8))
        def test_it(number):
            with alone("port"):
                if first("death"):
                    free("port")
                    die()
            log("ran")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=7, failed=1)
    assert len(result.lines("ran")) == 7


def test_a_failing_test_frees_it(suite: Suite) -> None:
    suite.write(
        "test_locks.py",
        """
        import pytest

        @pytest.fixture
        def broken(): raise OSError("no")

        @pytest.fixture
        def breaks():
            yield
            raise OSError("no")

        pytestmark = pytest.mark.papertiger_lock("port")

        @pytest.mark.parametrize("number", range(2))
        def test_fails(number): assert number < 0

        @pytest.mark.parametrize("number", range(2))
        def test_broken(number, broken): pass

        @pytest.mark.parametrize("number", range(2))
        def test_breaks(number, breaks): pass

        @pytest.mark.skip
        def test_skipped(): pass

        @pytest.mark.papertiger_serial
        def test_fine(): pass
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers)
        result.assert_ended(1, passed=3, failed=2, errors=4, skipped=1)


def test_a_shared_fixture_that_a_locked_test_needs(suite: Suite) -> None:
    """The one who sets it up may be kept waiting for the lock by one who waits for the fixture: not for ever."""
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_locks.py",
        """
        import pytest
        from conftest import alone
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server():
            setup("server")
            yield 1
            teardown("server")

        @pytest.mark.papertiger_lock("port")
        @pytest.mark.parametrize("number", range(4))
        def test_locked(number, server):
            with alone("port"):
                use("server")

        @pytest.mark.papertiger_serial
        @pytest.mark.parametrize("number", range(2))
        def test_serial(number, server): use("server")

        @pytest.mark.parametrize("number", range(4))
        def test_free(number, server): use("server")
        """,
    )
    result = suite.run("-n2", "--dist=worksteal")
    result.assert_ended(0, passed=10)
    result.assert_once("server")
