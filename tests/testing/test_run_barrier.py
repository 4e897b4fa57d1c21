"""A barrier lets all parties pass together, or none and says why; it waits for nobody who cannot come."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import BrokenBarrierError
from typing import Any

import pytest

from papertiger_shm import InvalidRequest, Manager
from papertiger_shm.testing.run import Run, barrier
from papertiger_shm.testing.run.barrier import Barriers
from testing.parties import (
    MOMENTS,
    SECONDS,
    Fatal,
    Worker,
    die,
    interrupt,
    interrupted_at_each_line,
    interrupted_under_way,
    join,
    together,
    until,
)


def wait(run: Run, parties: int = 2, timeout: float | None = SECONDS, fatal: Fatal | None = None) -> Any:
    """The place, or why it broke."""
    try:
        if fatal is None:
            return run.barrier("phase", parties).wait(timeout)
        with fatal.armed():
            return run.barrier("phase", parties).wait(timeout)
    except BrokenBarrierError as broken:
        return str(broken)


def many_rounds(run: Run, parties: int, rounds: int) -> list[int]:
    places = []
    arrivals = run.counter("arrivals")
    for number in range(rounds):
        arrivals.add()
        places.append(run.barrier("phase", parties).wait(SECONDS))
        assert arrivals.value >= parties * (number + 1), "somebody has passed before all had come"
    return places


def test_all_pass_together_round_after_round(url: str, run: Run) -> None:
    answers = together(url, *[(many_rounds, 4, 40)] * 4)
    for places in zip(*answers):
        assert sorted(places) == [0, 1, 2, 3]
    state = Barriers(run._participant.connection, "papertiger-run/r1").get("phase")
    assert state["arrived"] == []
    assert state["failed"] == {}


def test_threads_of_one_process_are_parties_too(run: Run) -> None:
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: wait(run, 4), range(40)))
    assert Counter(places) == {0: 10, 1: 10, 2: 10, 3: 10}


def test_more_callers_than_parties(url: str, run: Run) -> None:
    """Who passes late must not be held up by those who have begun the next round."""
    with ThreadPoolExecutor(1) as pool:
        passing = pool.submit(together, url, *[(pass_until_broken,)] * 4)
        until(lambda: run.counter("passed").value >= 200)
        run.barrier("phase", 2).abort()
        places = Counter(place for places in passing.result() for place in places)
    assert places[0] == places[1] >= 100


def pass_until_broken(run: Run) -> list[int]:
    places = []
    while True:
        place = wait(run)
        if isinstance(place, str):
            assert "gw0 aborted it" in place
            return places
        places.append(place)
        run.counter("passed").add()


def test_one_party_waits_for_nobody(run: Run) -> None:
    assert [wait(run, 1), wait(run, 1)] == [0, 0]
    assert not run.barrier("phase", 1).broken


def test_a_party_killed_while_waiting_breaks_it(url: str, run: Run) -> None:
    phase = run.barrier("phase", 3)
    with Worker(url, wait, 3, name="gw1") as victim, Worker(url, wait, 3, name="gw2") as other:
        until(lambda: phase.n_waiting == 2)
        victim.kill()
        assert other.result() == (
            "barrier 'phase' is broken: gw1 died while waiting; reset() makes it whole when all parties can come again"
        )
    assert phase.broken
    assert "gw1 died" in wait(run, 3), "it stays broken"
    phase.reset()
    assert not phase.broken
    assert len(together(url, *[(wait, 3)] * 3)) == 3


def test_the_last_to_come_does_not_pass_with_the_dead(url: str, run: Run) -> None:
    phase = run.barrier("phase", 2)
    with Worker(url, wait, 2) as victim:
        until(lambda: phase.n_waiting == 1)
        victim.kill()
    assert "gw1 died while waiting" in phase_error(run)
    assert phase.broken


def phase_error(run: Run) -> str:
    with pytest.raises(BrokenBarrierError) as broken:
        run.barrier("phase", 2).wait(SECONDS)
    return str(broken.value)


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_killed_at_any_commit(url: str, run: Run, monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    monkeypatch.setattr(barrier, "FORLORN_SECONDS", 0.2)
    with Worker(url, wait, 2, SECONDS, Fatal(number, after, die)) as victim:
        if number > 2:
            until(lambda: run.barrier("phase", 2).n_waiting == 1)
            assert wait(run) == 1
            assert victim.result() == 0
        else:
            victim.died()
            has_come = (number, after) == (2, True)
            run._participant.more = 0  # type: ignore[attr-defined]
            assert ("gw1 died while waiting" if has_come else "too few workers of the run are left") in wait(run)


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_the_last_to_come_killed_at_any_commit(url: str, number: int, after: bool) -> None:
    run = join(url, more=1)
    with ThreadPoolExecutor(1) as pool:
        never_comes = (number, after) == (1, False)
        waiting = pool.submit(wait, run, 2, 2.0 if never_comes else SECONDS)
        until(lambda: run.barrier("phase", 2).n_waiting == 1)
        with Worker(url, wait, 2, SECONDS, Fatal(number, after, die)) as victim:
            victim.process.join()
            if never_comes:
                waited = re.search(r"gw0 waited ([\d.]+) s in vain, 1 of 2 parties have come", waiting.result())
                assert waited is not None
                assert float(waited[1]) >= 2.0
            else:
                assert waiting.result() == 0


def test_too_few_workers_left(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "FORLORN_SECONDS", 0.3)
    began = time.monotonic()
    run = join(url, more=1)
    assert "too few workers of the run are left, 1 of 3 parties have come" in wait(run, 3)
    assert time.monotonic() - began >= 0.3


def test_workers_that_wait_already_cannot_come_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "FORLORN_SECONDS", 0.3)
    answers = together_with_others(url, parties=3, workers=2)
    assert all("too few workers of the run are left, 2 of 3 parties have come" in answer for answer in answers)


def together_with_others(url: str, parties: int, workers: int) -> list[Any]:
    crew = [Worker(url, wait, parties, name=f"gw{place}", more=workers - 1) for place in range(workers)]
    try:
        return [worker.result() for worker in crew]
    finally:
        for worker in crew:
            worker.kill()


def test_too_few_for_a_moment_is_no_harm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "FORLORN_SECONDS", 1.0)
    run = join(url, more=0)
    looks: list[int] = []  # at most one in 50 ms

    def others() -> int:
        looks.append(len(looks) % 2)  # replaced again and again, never gone at two looks in a row
        return looks[-1]

    monkeypatch.setattr(run._participant, "others", others)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, run, 2)
        until(lambda: len(looks) > 30 or waiting.done())
        assert not waiting.done()
        assert join(url, "gw5").barrier("phase", 2).wait(SECONDS) == 1
        assert waiting.result() == 0


def test_a_timeout_breaks_it_for_all(url: str, run: Run) -> None:
    with Worker(url, wait, 3) as other:
        until(lambda: run.barrier("phase", 3).n_waiting == 1)
        mine = wait(run, 3, 0.1)
        waited = re.search(r"gw0 waited ([\d.]+) s in vain, 2 of 3 parties have come", mine)
        assert waited is not None
        assert float(waited[1]) >= 0.1
        assert other.result() == mine
    assert Barriers(run._participant.connection, "papertiger-run/r1").get("phase")["failed"] == {}


def test_an_interruption_breaks_it_for_all(url: str, run: Run) -> None:
    with Worker(url, wait, 3) as other, Worker(url, wait, 3, name="gw2") as interrupted:
        until(lambda: run.barrier("phase", 3).n_waiting == 2)
        os.kill(interrupted.pid, signal.SIGINT)
        assert "gw2 left by KeyboardInterrupt" in other.result()
        with pytest.raises(AssertionError, match="KeyboardInterrupt"):
            interrupted.result()
    assert Barriers(run._participant.connection, "papertiger-run/r1").get("phase")["failed"] == {}


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_interrupted_at_any_commit(run: Run, number: int, after: bool) -> None:
    run.barrier("phase", 2).reset()  # so that what is interrupted is to arrive
    try:
        answer = wait(run, 2, 0.05, Fatal(number, after, interrupt))
        assert "in vain" in answer
        assert number >= 4
    except KeyboardInterrupt:
        assert number <= 3
    state = Barriers(run._participant.connection, "papertiger-run/r1").get("phase")
    assert state["arrived"] == []
    assert state["failed"] == {}
    assert (state["broken"] is None) == ((number, after) == (1, False))


def test_interrupted_at_any_line(run: Run) -> None:
    phase = run.barrier("phase", 2)
    phase.reset()
    for place in interrupted_at_each_line(lambda: wait(run, 2, 0)):
        state = Barriers(run._participant.connection, "papertiger-run/r1").get("phase")
        assert state["arrived"] == [], place
        assert state["failed"] == {}, place
        if state["broken"]:
            phase.reset()


def test_interrupted_while_the_request_is_on_its_way(
    run: Run, run_manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.barrier("phase", 2).reset()
    with pytest.raises(KeyboardInterrupt), interrupted_under_way(run_manager, monkeypatch):
        run.barrier("phase", 2).wait()
    state = Barriers(run._participant.connection, "papertiger-run/r1").get("phase")
    assert state["arrived"] == []
    assert run.barrier("phase", 2).broken, "it had come, and left"


def test_reset_breaks_it_for_those_who_wait_only(url: str, run: Run) -> None:
    phase = run.barrier("phase", 2)
    with Worker(url, wait) as waiting:
        until(lambda: phase.n_waiting == 1)
        phase.reset()
        assert phase.n_waiting == 0
        # The next round may be over before the one who waited looks again.
        assert sorted(together(url, (wait,), (wait,))) == [0, 1]
        assert "is broken: gw0 reset it" in waiting.result()
    assert not phase.broken


def test_abort(url: str, run: Run) -> None:
    with Worker(url, wait) as waiting:
        until(lambda: run.barrier("phase", 2).n_waiting == 1)
        run.barrier("phase", 2).abort()
        assert "gw0 aborted it" in waiting.result()
    assert "gw0 aborted it" in wait(run)


def test_a_killed_waiter_that_was_told_leaves_nothing_for_ever(url: str, run: Run) -> None:
    phase = run.barrier("phase", 2)
    with Worker(url, wait) as waiting:
        until(lambda: phase.n_waiting == 1)
        os.kill(waiting.pid, signal.SIGSTOP)
        phase.abort()
    phase.reset()
    assert Barriers(run._participant.connection, "papertiger-run/r1").get("phase")["failed"] == {}


def test_what_cannot_be_used(run: Run) -> None:
    for parties in (0, -1, True, "2", 2.0):
        with pytest.raises(InvalidRequest, match="parties is .*; it is the number of calls"):
            run.barrier("phase", parties)  # type: ignore[arg-type]
    wait(run, 1)
    with pytest.raises(InvalidRequest, match="here it has 3 parties, and 1 where it was used first; say the same"):
        run.barrier("phase", 3).wait()
    with pytest.raises(InvalidRequest, match="timeout is -1"):
        run.barrier("phase", 1).wait(-1)


def test_as_threading_does(run: Run) -> None:
    """The same calls to both, one thread after the other."""
    ours, theirs = run.barrier("phase", 2), threading.Barrier(2)
    for phase in (ours, theirs):
        with pytest.raises(BrokenBarrierError):
            phase.wait(0)
        assert phase.broken
        assert phase.n_waiting == 0
        with pytest.raises(BrokenBarrierError):
            phase.wait()
        phase.reset()
        assert not phase.broken
        phase.abort()
        assert phase.broken
        phase.abort()
        phase.reset()
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(phase.wait, [SECONDS] * 2)) == [0, 1]
        assert phase.parties == 2
