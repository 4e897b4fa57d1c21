"""``papertiger_run`` in real runs: what the workers count, lock, wait for, queue, do once and write down together.

What each of these does to the last detail is tried in processes of one test's own, elsewhere; here, that they are the
run's: the same in all of its workers, other ones in the next run, and that a dead worker leaves nobody waiting.
"""

from __future__ import annotations

import pytest

from testing.suite import Suite

TESTS = """
    import os
    import queue
    import pytest
    from helpers import HERE, log, worker

    COUNT = 12

    @pytest.fixture(scope="session")
    def early(papertiger_run):
        # Of the run, not of a test, and there before the first test's namespace is looked at.
        return papertiger_run.counter("early").next()

    @pytest.mark.parametrize("number", range(COUNT))
    def test_it(papertiger_run, number, early, papertiger_namespace):
        run = papertiger_run
        assert run.worker == worker()
        assert os.environ["PAPERTIGER_NAMESPACE"] == papertiger_namespace
        log("id", run.id, run.url, run.tmp_path)
        log("early", early)

        log("port", run.counter("port").next())
        assert run.counter("total").add(5) % 5 == 0

        with run.lock("file"):
            assert run.lock("file").holder == worker()
            os.close(os.open(f"{HERE}/taken", os.O_CREAT | os.O_EXCL))
            os.unlink(f"{HERE}/taken")

        if run.once("first"):
            log("first")
        assert run.once("seed", lambda: [log("seed"), 7][1]) == 7
        with pytest.raises(Exception, match="no seed"):
            run.once("bad", bad)

        run.queue("jobs").put({"from": worker(), "number": number})
        job = run.queue("jobs").get(timeout=30)
        log("job", job["number"])

        run.dict("seen")[str(number)] = worker()
        (run.tmp_path / str(number)).write_text(worker())

    def bad():
        log("bad")
        raise OSError("no seed")

    def test_nothing_is_left_to_get(papertiger_run):
        with pytest.raises(queue.Empty):
            papertiger_run.queue("another").get_nowait()
        assert papertiger_run.queue("another").empty()
"""


@pytest.mark.parametrize("workers", [0, 3])
def test_the_same_in_all_workers(suite: Suite, workers: int) -> None:
    suite.write("test_run.py", TESTS)
    result = suite.run("-n", str(workers))
    result.assert_ended(0, passed=13)
    assert len(set(result.lines("id"))) == 1
    assert sorted(int(line.split()[1]) for line in result.lines("port")) == list(range(12))
    early = {int(line.split()[1]) for line in result.lines("early")}
    assert early == set(range(len(early)))
    assert 1 <= len(early) <= (workers or 1)
    assert len(result.lines("first")) == len(result.lines("seed")) == len(result.lines("bad")) == 1
    assert sorted(int(line.split()[1]) for line in result.lines("job")) == list(range(12))
    # The next run begins from nothing.
    first_run = result.lines("id")[0].split()[1]
    suite.forget()
    result = suite.run("-n0", "-k", "0 or 1")
    assert result.status == 0, str(result)
    assert result.lines("id")[0].split()[1] != first_run
    assert result.lines("port")[0] == "port 0"
    assert len(result.lines("seed")) == 1


def test_workers_meet_at_a_barrier(suite: Suite) -> None:
    suite.write(
        "test_barrier.py",
        """
        import pytest
        from helpers import log

        @pytest.mark.parametrize("number", range(3))
        def test_it(papertiger_run, number):
            barrier = papertiger_run.barrier("start", 3)
            for _ in range(5):
                log("arrives")
                log("place", barrier.wait(timeout=50))
        """,
    )
    result = suite.run("-n3")
    result.assert_ended(0, passed=3)
    # Nobody leaves the first round before all have come, and so on.
    events = [line.split()[0] for line in result.log]
    for number in range(len(events)):
        gone, come = events[:number].count("place"), events[:number].count("arrives")
        assert come >= min(15, 3 * -(-gone // 3)), str(result)
    assert sorted(int(line.split()[1]) for line in result.lines("place")) == [0] * 5 + [1] * 5 + [2] * 5


@pytest.mark.parametrize("how", ["arrived", "never comes"])
def test_a_barrier_breaks_when_a_party_dies(suite: Suite, how: str) -> None:
    suite.write(
        "test_barrier.py",
        """
        import os, threading
        import pytest
        from helpers import die, log, wait_for, wait_until

        def test_dies(papertiger_run):
            if os.environ["HOW"] == "arrived":
                threading.Thread(target=papertiger_run.barrier("start", 3).wait, daemon=True).start()
                wait_until(lambda: papertiger_run.barrier("start", 3).n_waiting == 2)
            else:
                wait_until(lambda: papertiger_run.barrier("start", 3).n_waiting == 1)
            die()

        def test_waits(papertiger_run):
            with pytest.raises(threading.BrokenBarrierError):
                papertiger_run.barrier("start", 3).wait()
            log("broken")
        """,
    )
    result = suite.run("-n2", HOW=how)
    result.assert_ended(1, passed=1, failed=1)
    assert result.lines("broken"), str(result)


def test_what_a_dead_worker_held(suite: Suite) -> None:
    """Its lock is free, what it was doing once is done by another, and what it had in the queue is still there."""
    suite.write(
        "test_dead.py",
        """
        import threading
        import pytest
        from helpers import die, first, lines, log, wait_for

        def seed():
            log("seed")
            if first("seeding"):
                wait_for("waiting")
                die()
            return "seeded"

        def test_dies(papertiger_run):
            papertiger_run.queue("jobs").put("job")
            papertiger_run.lock("port").acquire()
            log("holds")
            papertiger_run.once("seed", seed)

        def test_goes_on(papertiger_run):
            wait_for("holds")
            wait_for("seed")
            lock = papertiger_run.lock("port")
            assert not lock.acquire(timeout=0.01)
            log("waiting")
            assert papertiger_run.once("seed", seed) == "seeded"
            with lock:
                assert lock.locked
            assert papertiger_run.queue("jobs").get(timeout=30) == "job"
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(1, passed=1, failed=1)
    assert len(result.lines("seed")) == 2


def test_in_shared_fixtures(suite: Suite) -> None:
    """A set-up may use the run's things, also while others wait for it."""
    suite.write(
        "test_shared.py",
        """
        import pytest
        from helpers import setup, teardown, use
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server(papertiger_run, papertiger):
            setup("server")
            with papertiger_run.lock("port"):
                port = 8000 + papertiger_run.counter("port").next()
            (papertiger_run.tmp_path / "port").write_text(str(port))
            yield {"port": port, "url": papertiger.url}
            with papertiger_run.lock("port"):
                assert papertiger_run.counter("port").value == 1
            teardown("server")

        @pytest.mark.parametrize("number", range(4))
        def test_it(server, papertiger_run, papertiger, number):
            assert server == {"port": 8000, "url": papertiger.url}
            assert (papertiger_run.tmp_path / "port").read_text() == "8000"
            use("server")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(0, passed=4)
    result.assert_once("server")
