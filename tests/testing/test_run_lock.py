"""A lock has one holder, whoever is killed or interrupted, and at whatever moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from papertiger_shm import InvalidRequest, Manager
from papertiger_shm.testing.run import Run
from papertiger_shm.testing.run.lock import Locks
from testing.parties import (
    MOMENTS,
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


def count_up(run: Run, path: Path, rounds: int, threads: int = 2) -> None:
    """Add to the number in the file, in two steps that another's must not come between."""

    def count() -> None:
        for _ in range(rounds):
            with run.lock("file"):
                number = int(path.read_text())
                path.write_text(str(number + 1))

    counting = [threading.Thread(target=count) for _ in range(threads)]
    for thread in counting:
        thread.start()
    for thread in counting:
        thread.join()


def hold(run: Run, name: str = "port") -> None:
    run.lock(name).acquire()
    signal.pause()


def test_one_holder_at_a_time(url: str, tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("0")
    together(url, *[(count_up, path, 50)] * 4)
    assert path.read_text() == str(4 * 2 * 50)


def test_one_holder_at_a_time_while_holders_are_killed(url: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("0")
    with Worker(url, count_up, path, 40) as one, Worker(url, count_up, path, 40) as other:
        for _ in range(15):
            with Worker(url, hold, "file", name="victim") as victim:
                until(lambda: run.lock("file").holder == "victim")
                victim.kill()
        one.result()
        other.result()
    assert path.read_text() == str(2 * 2 * 40)


def test_a_killed_holder_frees_it(url: str, run: Run) -> None:
    lock = run.lock("port")
    with Worker(url, hold) as holder:
        until(lambda: lock.locked)
        assert lock.holder == "gw1"
        assert not lock.acquire(timeout=0)
        assert not lock.acquire(timeout=0.1)
        holder.kill()
        assert not lock.locked
        assert lock.holder is None
        assert lock.acquire(timeout=0)
        assert lock.holder == "gw0"
    lock.release()
    assert not lock.locked


def test_a_stopped_holder_still_has_it(url: str, run: Run) -> None:
    with Worker(url, hold) as holder:
        until(lambda: run.lock("port").locked)
        os.kill(holder.pid, signal.SIGSTOP)
        assert not run.lock("port").acquire(timeout=0.3)


def lock_and_unlock(run: Run, fatal: Fatal | None = None) -> int:
    if fatal is None:
        with run.lock("port"):
            return 0
    with fatal.armed(), run.lock("port"):
        pass
    return fatal.seen


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_killed_at_any_commit(url: str, run: Run, number: int, after: bool) -> None:
    with Worker(url, lock_and_unlock, Fatal(number, after, die)) as victim:
        if number <= 2:
            assert victim.died() == signal.SIGKILL
        else:
            assert victim.result() == 2, "uncontended, it costs one commit to acquire and one to release"
    with run.lock("port"):
        assert run.lock("port").holder == "gw0"


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_killed_at_any_commit_of_taking_over(url: str, run: Run, number: int, after: bool) -> None:
    with Worker(url, hold) as holder:
        until(lambda: run.lock("port").locked)
        holder.kill()
    with Worker(url, lock_and_unlock, Fatal(number, after, die)) as victim:
        victim.process.join()
    with run.lock("port"):
        assert run.lock("port").holder == "gw0"


@pytest.mark.parametrize(("number", "after"), MOMENTS)
@pytest.mark.parametrize("call", ["with", "acquire", "release"])
def test_interrupted_at_any_commit(run: Run, call: str, number: int, after: bool) -> None:
    lock = run.lock("port")
    fatal = Fatal(number, after, interrupt)
    interrupted = True
    try:
        if call == "release":
            lock.acquire()
            with fatal.armed():
                lock.release()
        elif call == "acquire":
            with fatal.armed():
                lock.acquire()
            lock.release()
        else:
            with fatal.armed(), lock:
                pass
        interrupted = False
    except KeyboardInterrupt:
        pass
    assert interrupted == (number <= (2 if call == "with" else 1))
    assert run.lock("port").holder is None
    with lock:
        pass


def test_interrupted_at_any_line(run: Run) -> None:
    lock = run.lock("port")

    def call() -> None:
        with lock:
            pass

    places = []
    for place in interrupted_at_each_line(call):
        places.append(place)
        assert not lock.locked, place
    assert len(places) > 50


@pytest.mark.parametrize("call", ["with", "acquire", "release"])
def test_interrupted_while_the_request_is_on_its_way(
    run: Run, run_manager: Manager, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    lock = run.lock("port")
    if call == "release":
        lock.acquire()
    with pytest.raises(KeyboardInterrupt), interrupted_under_way(run_manager, monkeypatch):
        if call == "with":
            lock.__enter__()
        else:
            getattr(lock, call)()
    assert not lock.locked
    with lock:
        pass


def test_an_interrupted_wait_holds_nothing(url: str, run: Run) -> None:
    def wait(run: Run) -> str:
        try:
            run.dict("said")["waits"] = True
            with run.lock("port"):
                return "held it"
        except KeyboardInterrupt:
            return "interrupted"

    with run.lock("port"), Worker(url, wait) as worker:
        until(lambda: "waits" in run.dict("said"))
        os.kill(worker.pid, signal.SIGINT)
        assert worker.result() == "interrupted"
    assert not run.lock("port").locked


def test_not_reentrant(run: Run) -> None:
    lock = run.lock("port")
    with lock:
        for same in (lock, run.lock("port")):
            with pytest.raises(InvalidRequest, match="'port' already, and would wait for itself; release it first"):
                same.acquire()
            with pytest.raises(InvalidRequest, match="already"), same:
                pass
        assert lock.holder == "gw0", "a refusal frees nothing"
    assert not lock.locked


def in_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []

    def call() -> None:
        try:
            results.append(function())
        except InvalidRequest as error:
            results.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return results[0]


def test_threads_exclude_each_other(run: Run) -> None:
    lock = run.lock("port")
    with lock:
        assert in_thread(lambda: lock.acquire(timeout=0)) is False
        refused = in_thread(run.lock("port").release)
        assert "gw0 holds it" in str(refused)
    assert in_thread(lambda: lock.acquire(timeout=0)) is True
    # A thread that has ended without releasing is still the holder, and no later thread is taken for it.
    assert in_thread(lambda: lock.acquire(timeout=0)) is False


def test_another_thread_does_not_release_what_another_object_acquired(run: Run) -> None:
    lock, another = run.lock("port"), run.lock("port")
    with lock:
        pass
    with another:
        refused = in_thread(lock.release)
        assert isinstance(refused, InvalidRequest), "what it had acquired it has released"
        assert another.locked


def test_another_thread_may_release_the_very_object(run: Run) -> None:
    lock = run.lock("port")
    lock.acquire()
    in_thread(lock.release)
    assert not lock.locked


def test_who_does_not_hold_it_cannot_release_it(url: str, run: Run) -> None:
    lock = run.lock("port")
    with pytest.raises(InvalidRequest, match="nobody holds it; release it once for each acquire"):
        lock.release()
    with Worker(url, hold):
        until(lambda: lock.locked)
        with pytest.raises(InvalidRequest, match="gw1 holds it"):
            lock.release()
        assert lock.holder == "gw1"


def test_who_has_lost_it_does_not_free_anothers(url: str, run: Run) -> None:
    loser = join(url, "loser")
    lost = loser.lock("port")
    lost.acquire()
    loser._participant.die()  # type: ignore[attr-defined]
    assert run.lock("port").acquire(timeout=0)
    with pytest.raises(InvalidRequest, match="gw0 holds it"):
        lost.release()
    assert run.lock("port").holder == "gw0"


def test_the_error_that_ends_the_block_is_the_one_that_is_seen(url: str, run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.lock("port") as lock:
        lock.release()
        raise ZeroDivisionError
    with pytest.raises(InvalidRequest), run.lock("port") as lock:
        lock.release()


def test_a_forked_child_does_not_hold_it(url: str, run: Run) -> None:
    lock = run.lock("port")
    lock.acquire()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 2 if lock.acquire(timeout=0) else 0
            try:
                lock.release()
                status |= 4
            except InvalidRequest:
                pass
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert lock.holder == "gw0"
    lock.release()


def test_a_wait_is_told_of_once_it_takes_a_moment(run: Run) -> None:
    told = run._participant.told  # type: ignore[attr-defined]
    lock = run.lock("port-8000")
    with lock:
        assert told == []
        assert in_thread(lambda: run.lock("port-8000").acquire(timeout=1)) is False
    assert told == ["lock port-8000, held by gw0", "-"]


def test_locks_of_other_names_are_others(run: Run) -> None:
    names = ["a", "b", "a/b", "A", "ä", "x" * 200, "x" * 201, "x" * 1000, "x" * 999 + "y", "ü" * 1000, "\0"]
    for name in names:
        assert run.lock(name).acquire(timeout=0)
    assert Locks(run._participant.connection, "papertiger-run/r1").count() == len(names)
    for name in names:
        run.lock(name).release()
    assert not Locks(run._participant.connection, "papertiger-run/r1").count(), "what is free takes no room"
