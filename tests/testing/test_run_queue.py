"""Each value of a queue goes to exactly one getter, the oldest first, whoever is killed."""

from __future__ import annotations

import functools
import itertools
import signal
from collections import deque
from queue import Empty
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm import InvalidItem, InvalidRequest, Manager
from papertiger_shm.testing.run import Run
from papertiger_shm.testing.run.queue import Queues, QueueValues
from testing.parties import MOMENTS, SECONDS, Fatal, Worker, die, join, together, until

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text("aä\0")
    | st.binary(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("xy"), inside, max_size=3),
    max_leaves=5,
)


def put_all(run: Run, who: int, number: int) -> None:
    for place in range(number):
        run.queue("jobs").put([who, place])


def get_all(run: Run) -> list[Any]:
    got = []
    while True:
        value = run.queue("jobs").get(SECONDS)
        if value is None:
            return got
        got.append(value)


def test_each_value_to_one_getter_and_each_putters_in_order(url: str, run: Run) -> None:
    getters = [Worker(url, get_all, name=f"gw{place}") for place in range(2)]
    together(url, *[(put_all, who, 100) for who in range(2)])
    for _ in getters:
        run.queue("jobs").put(None)
    got = [getter.result() for getter in getters]
    assert sorted(value for values in got for value in values) == [
        [who, place] for who in range(2) for place in range(100)
    ]
    for values in got:
        for who in range(2):
            places = [place for putter, place in values if putter == who]
            assert places == sorted(places)
    assert run.queue("jobs").empty()


examples = itertools.count()
lasting_run = functools.cache(join)


@given(steps=st.lists(st.tuples(st.just("put"), VALUES) | st.just(("get", None)), max_size=30))
def test_as_a_deque(run_manager: Manager, steps: list[tuple[str, Any]]) -> None:
    # hypothesis runs all examples within one call of the test, so the queue has another name in each
    run, name = lasting_run(run_manager.url), f"jobs {next(examples)}"
    model: deque[Any] = deque()
    for step, value in steps:
        queue = run.queue(name)
        if step == "put":
            queue.put(value)
            model.append(value)
        elif model:
            assert queue.get_nowait() == model.popleft()
        else:
            with pytest.raises(Empty):
                queue.get_nowait()
        assert queue.qsize() == len(model)
        assert queue.empty() == (not model)


def test_it_stays_in_order_once_it_was_empty(run: Run) -> None:
    queue = run.queue("jobs")
    for number in range(150):
        queue.put(number)
    assert [queue.get() for _ in range(150)] == [*range(150)]
    queue.put(150)
    queue.put(151)
    assert [queue.get(), queue.get()] == [150, 151]


def put_one(run: Run, fatal: Fatal) -> None:
    with fatal.armed():
        run.queue("jobs").put("mine")


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_a_putter_killed_at_any_commit(url: str, run: Run, number: int, after: bool) -> None:
    queue = run.queue("jobs")
    queue.put("before")
    with Worker(url, put_one, Fatal(number, after, die)) as victim:
        victim.process.join()
    queue.put("then")
    got = [queue.get_nowait() for _ in range(queue.qsize())]
    assert got == (["before", "then"] if (number, after) == (1, False) else ["before", "mine", "then"])


def get_one(run: Run, fatal: Fatal) -> Any:
    with fatal.armed():
        return run.queue("jobs").get(SECONDS)


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_a_getter_killed_at_any_commit(url: str, run: Run, number: int, after: bool) -> None:
    queue = run.queue("jobs")
    queue.put("first")
    queue.put("second")
    with Worker(url, get_one, Fatal(number, after, die)) as victim:
        assert victim.died() == signal.SIGKILL if number == 1 else victim.result() == "first"
    assert queue.get_nowait() == ("first" if (number, after) == (1, False) else "second")


def test_getters_killed_while_others_go_on(url: str, run: Run) -> None:
    """What a killed getter had taken is gone with it; nothing else is, and nothing comes twice."""
    queue = run.queue("jobs")
    with Worker(url, get_all) as survivor:
        for number in range(20):
            with Worker(url, get_all, name="victim") as victim:
                for place in range(10):
                    queue.put([number, place])
                victim.kill()
        until(queue.empty)
        queue.put(None)
        got = survivor.result()
    assert got == sorted(got)
    assert len({tuple(value) for value in got}) == len(got)


def test_waiting(url: str, run: Run) -> None:
    told = run._participant.told  # type: ignore[attr-defined]
    queue = run.queue("jobs")
    with pytest.raises(Empty, match="get: queue 'jobs' was empty; put"):
        queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(timeout=0)
    assert told == []
    with pytest.raises(Empty, match=r"get: queue 'jobs' was empty for 1\.5 s; put"):
        queue.get(timeout=1.5)
    assert told == ["queue jobs, which is empty", "-"]
    with Worker(url, put_all, 1, 1):
        assert queue.get() == [1, 0]


def test_what_cannot_be_used(run: Run) -> None:
    queue = run.queue("jobs")
    with pytest.raises(InvalidItem, match=r"value\.x"):
        queue.put({"x": object()})
    assert queue.empty()
    assert Queues(run._participant.connection, "papertiger-run/r1").count() == 0, "nothing is half done"
    for timeout in (-1, True, "1", float("nan")):
        with pytest.raises(InvalidRequest, match="get: timeout is .*; it is a number of seconds, 0 or more, or None"):
            queue.get(timeout)  # type: ignore[arg-type]


def test_queues_of_other_names_are_others(run: Run) -> None:
    names = ["a", "a/b", "a%2Fb", "a\0", "a%00", "x" * 999, "x" * 1000, "/", "//"]
    for name in names:
        run.queue(name).put(name)
    for name in names:
        assert run.queue(name).qsize() == 1
        assert run.queue(name).get_nowait() == name
    assert QueueValues(run._participant.connection, "papertiger-run/r1").count() == 0


def test_commits(run: Run) -> None:
    run.queue("jobs").put(1)
    fatal = Fatal(0, True, die)
    with fatal.armed():
        run.queue("jobs").put(2)
        assert fatal.seen == 1
        run.queue("jobs").get()
        assert fatal.seen == 2
