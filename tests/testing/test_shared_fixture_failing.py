"""Set-ups that fail, skip or exit, and those that wait for each other: the same outcome for each dependent test.

A set-up that did not work is not tried again by the next test, nor by the next worker.
"""

from __future__ import annotations

import re

import pytest

from testing.suite import Suite, failure_reports

FAILING = """
    import pytest
    from helpers import setup, teardown
    from papertiger_shm.testing import shared_fixture

    def ask_the_database():
        raise ConnectionRefusedError("the database said no")

    @shared_fixture
    def broken():
        setup("broken")
        ask_the_database()
        yield 1
        teardown("broken")

    @shared_fixture
    def upper(broken):
        setup("upper")
        return broken

    @shared_fixture
    def fine():
        setup("fine")
        yield 1
        teardown("fine")
"""

FAILING_TESTS = """
    import pytest
    from helpers import use

    @pytest.mark.parametrize("number", range(5))
    def test_direct(fine, broken, number):
        raise AssertionError("never comes here")

    @pytest.mark.parametrize("number", range(3))
    def test_through_another(upper, number):
        raise AssertionError("never comes here")

    @pytest.mark.parametrize("number", range(2))
    def test_by_name(request, number):
        with pytest.raises(Exception, match="the database said no"):
            request.getfixturevalue("broken")

    @pytest.mark.parametrize("number", range(2))
    def test_without(fine, number):
        use("fine")
"""


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_a_failing_set_up(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", FAILING)
    suite.write("test_failing.py", FAILING_TESTS)
    result = suite.run("-n", str(workers))
    result.assert_ended(1, errors=8, passed=4)
    (owner,) = result.setups("broken")
    assert not result.setups("upper")
    assert not result.teardowns("broken")
    result.assert_once("fine")
    reports = failure_reports(result.output)
    assert len(reports) == 8, str(result)
    for title, report in reports.items():
        assert "ConnectionRefusedError" in report, f"{title}\n{report}"
        assert "the database said no" in report, f"{title}\n{report}"
        assert "in ask_the_database" in report or "def ask_the_database" in report, f"{title}\n{report}"
        if f"[{owner}]" not in report and workers:
            assert "shared fixture 'broken'" in report, f"{title}\n{report}"
            assert owner in report, f"{title}\n{report}"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_skipping_set_up(suite: Suite, workers: int) -> None:
    suite.write(
        "test_skipping.py",
        """
        import pytest
        from helpers import setup
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def docker():
            setup("docker")
            pytest.skip("no docker on this machine")

        @shared_fixture
        def upper(docker):
            setup("upper")

        @pytest.mark.parametrize("number", range(4))
        def test_direct(docker, number): pass

        @pytest.mark.parametrize("number", range(3))
        def test_through_another(upper, number): pass
        """,
    )
    result = suite.run("-n", str(workers), "-rs")
    result.assert_ended(0, skipped=7)
    assert len(result.setups("docker")) == 1
    assert not result.setups("upper")
    told = [line for line in result.output.splitlines() if line.startswith("SKIPPED")]
    assert told
    assert all("no docker on this machine" in line for line in told), str(result)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exiting_set_up(suite: Suite, workers: int) -> None:
    suite.write(
        "test_exiting.py",
        """
        import pytest
        from helpers import log, setup, teardown, worker
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def fine():
            setup("fine")
            yield 1
            teardown("fine")

        @shared_fixture
        def gone(fine):
            setup("gone")
            pytest.exit("the licence has run out", returncode=7 if worker() == "main" else None)

        @pytest.mark.parametrize("number", range(8))
        def test_it(gone, number): log("use gone")
        """,
    )
    result = suite.run("-n", str(workers))
    if workers:
        # xdist takes a worker that exits for one that was interrupted, and says nothing of the reason.
        assert result.status not in (0, 5), str(result)
        assert "gone: exited" in result.output, str(result)
    else:
        assert result.status == 7, str(result)
        assert "the licence has run out" in result.output, str(result)
    assert len(result.setups("gone")) == 1, str(result)
    assert not result.lines("use"), str(result)
    assert result.teardowns("fine") == result.setups("fine"), str(result)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_teardown(suite: Suite, workers: int) -> None:
    """It is told once, makes the run a failed one, and the other fixtures are torn down all the same."""
    suite.write(
        "test_teardown.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def lower():
            setup("lower")
            yield 1
            teardown("lower")

        @shared_fixture
        def upper(lower):
            setup("upper")
            yield 1
            teardown("upper")
            raise OSError("would not stop")

        @shared_fixture
        def twice():
            setup("twice")
            yield 1
            teardown("twice")
            yield 2

        @pytest.mark.parametrize("number", range(4))
        def test_it(upper, lower, twice, number): use("upper", "lower", "twice")
        """,
    )
    result = suite.run("-n", str(workers))
    assert result.status == 1, str(result)
    assert result.counts["passed"] == 4, str(result)
    assert "would not stop" in result.output, str(result)
    assert "twice" in result.output, str(result)
    result.assert_once("upper", "lower", "twice")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cycle_of_arguments(suite: Suite, workers: int) -> None:
    suite.write(
        "test_cycle.py",
        """
        from helpers import setup
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def egg(chicken): setup("egg")

        @shared_fixture
        def chicken(egg): setup("chicken")

        def test_egg(egg): pass
        def test_chicken(chicken): pass
        """,
    )
    result = suite.run("-n", str(workers))
    result.assert_ended(1, errors=2)
    assert not result.log
    assert "recursive" in result.output or "cycle" in result.output, str(result)
    assert "egg" in result.output
    assert "chicken" in result.output


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cycle_of_fixtures_asked_for_by_name(suite: Suite, workers: int) -> None:
    """With two workers each has set up one and waits for the other's: nobody but the store sees the whole cycle."""
    suite.write(
        "test_cycle.py",
        """
        from helpers import setup, wait_for, worker
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def egg(request):
            setup("egg")
            if worker() != "main":
                wait_for("setup chicken")
            return request.getfixturevalue("chicken")

        @shared_fixture
        def chicken(request):
            setup("chicken")
            if worker() != "main":
                wait_for("setup egg")
            return request.getfixturevalue("egg")

        def test_egg(egg): pass
        def test_chicken(chicken): pass
        """,
    )
    result = suite.run("-n", str(workers))
    result.assert_ended(1, errors=2)
    assert len(result.setups("egg")) == len(result.setups("chicken")) == 1, str(result)
    if workers:
        assert re.search(r"egg\W+chicken\W+egg|chicken\W+egg\W+chicken", result.output), str(result)


def test_two_that_stand_on_the_same_are_no_cycle(suite: Suite) -> None:
    """A diamond, asked for from both sides at the same time."""
    suite.write(
        "test_diamond.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        def made(name, value):
            setup(name)
            yield value
            teardown(name)

        @shared_fixture
        def ground(): yield from made("ground", 1)

        @shared_fixture
        def left(request): yield from made("left", request.getfixturevalue("ground"))

        @shared_fixture
        def right(ground): yield from made("right", ground)

        @shared_fixture
        def roof(left, right): yield from made("roof", left + right)

        @shared_fixture
        def another_roof(right, left): yield from made("another_roof", right + left)

        @pytest.mark.parametrize("number", range(4))
        def test_one(roof, number):
            assert roof == 2
            use("roof", "left", "right", "ground")

        @pytest.mark.parametrize("number", range(4))
        def test_another(another_roof, number):
            assert another_roof == 2
            use("another_roof", "left", "right", "ground")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(0, passed=8)
    result.assert_once("roof", "another_roof", "left", "right", "ground")
    for upper, lower in [("roof", "left"), ("another_roof", "right"), ("left", "ground"), ("right", "ground")]:
        assert result.where("teardown", upper) < result.where("teardown", lower), str(result)
