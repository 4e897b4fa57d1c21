"""What all that a run shares has in common: names, processes of every kind, and counters, the simplest of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from interpreters import run as in_fresh_interpreter
from papertiger_shm import InvalidRequest, connect, namespace
from papertiger_shm.testing.run import Run
from papertiger_shm.testing.run.names import id_of, segment_of
from testing.parties import Fatal, Party, die, join, together


def add_many(run: Run, number: int) -> list[int]:
    def add() -> None:
        for _ in range(number):
            run.counter("other").add(2)

    thread = threading.Thread(target=add)
    thread.start()
    numbers = [run.counter("n").next() for _ in range(number)]
    thread.join()
    return numbers


def test_a_counter_counts_each_once(url: str, run: Run) -> None:
    answers = together(url, *[(add_many, 50)] * 4)
    assert sorted(number for numbers in answers for number in numbers) == [*range(200)]
    assert run.counter("n").value == 200
    assert run.counter("other").value == 400


def test_a_counter(run: Run) -> None:
    counter = run.counter("n")
    assert counter.value == 0
    assert counter.next() == 0
    assert counter.next() == 1
    assert counter.add(5) == 7
    assert counter.add(-10) == -3
    assert counter.add(0) == counter.value == -3
    for by in (1.5, True, "1", None):
        with pytest.raises(InvalidRequest, match="counter 'n': by is .*; add a whole number"):
            counter.add(by)  # type: ignore[arg-type]
    fatal = Fatal(0, True, die)
    with fatal.armed():
        counter.add()
    assert fatal.seen == 1


MAKERS: dict[str, Any] = {
    "counter": lambda run, name: run.counter(name),
    "lock": lambda run, name: run.lock(name),
    "barrier": lambda run, name: run.barrier(name, 2),
    "queue": lambda run, name: run.queue(name),
    "once": lambda run, name: run.once(name),
    "dict": lambda run, name: run.dict(name),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_names(run: Run, kind: str) -> None:
    make = MAKERS[kind]
    with pytest.raises(InvalidRequest, match=f"{kind}: the name is empty; give it one that every worker can say"):
        make(run, "")
    with pytest.raises(InvalidRequest, match=f"{kind}: the name is 5 of type int; give it a name that is a str"):
        make(run, 5)
    with pytest.raises(InvalidRequest, match=rf"{kind}: the name '\\udc80' holds a surrogate"):
        make(run, "\udc80")
    for name in ("a b", "ü" * 5000, "a//b", "\0"):
        assert repr(make(run, name))


def test_no_two_names_share_an_id() -> None:
    names = [character * number for character in "aü€😀" for number in range(1, 600)]
    names += [name[:-1] + "b" for name in names if len(name) > 1]
    for stored in (id_of, segment_of):
        ids = [stored(name) for name in names]
        assert len(set(ids)) == len(set(names))
        assert max(len(id.encode()) for id in ids) <= 255
        assert stored("a" * 200) == "a" * 200, "what is short can be read in the store"


def test_what_a_run_says_of_itself(url: str, tmp_path: Path) -> None:
    party: Any = Party(connect(url), "gw3")
    run = Run(party, lambda: tmp_path)
    assert (run.id, run.worker, run.url, run.tmp_path) == ("r1", "gw3", url, tmp_path)


def test_a_users_transaction_does_not_hold_it_back(url: str, run: Run) -> None:
    with pytest.raises(ZeroDivisionError), connect(url) as connection, connection.transaction():
        assert run.counter("n").next() == 0
        run.queue("q").put(1)
        with run.lock("port"):
            assert join(url, "gw1").lock("port").holder == "gw0"
        raise ZeroDivisionError
    assert run.counter("n").value == 1
    assert run.queue("q").get_nowait() == 1


def test_a_namespace_does_not_touch_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_NAMESPACE", "gw0/test_a")
    run.counter("n").add()
    with namespace("gw0/test_b"):
        assert run.counter("n").add() == 2
        assert run.once("seed", lambda: os.environ["PAPERTIGER_NAMESPACE"]) == "gw0/test_a"


def in_everything(url: str, tests: str) -> list[Any]:
    import sys

    sys.path.insert(0, tests)
    from testing.parties import join

    run = join(url, "fresh")
    run.queue("q").put(run.queue("q").get())
    with run.lock("port"):
        holder = run.lock("port").holder
    run.dict("d")["fresh"] = 1
    return [run.counter("n").next(), holder, run.once("seed", lambda: "fresh"), run.barrier("b", 1).wait()]


def test_in_a_fresh_interpreter(url: str, run: Run) -> None:
    run.queue("q").put("value")
    run.counter("n").add(7)
    tests = str(Path(__file__).parent.parent)
    assert in_fresh_interpreter(in_everything, url, tests) == [7, "fresh", "fresh", 0]
    assert run.once("seed", lambda: "here") == "fresh"
    assert run.dict("d") == {"fresh": 1}
    assert run.queue("q").get() == "value"


def test_a_forked_child_is_a_party_of_its_own(run: Run) -> None:
    run.counter("n").add()
    run.lock("mine").acquire()
    child = os.fork()
    if child == 0:
        try:
            run.counter("n").add()
            run.queue("q").put(run.lock("mine").acquire(timeout=0))
            run.queue("q").put(run.barrier("b", 2).wait(20))
        finally:
            os._exit(0)
    assert run.queue("q").get(20) is False
    assert run.barrier("b", 2).wait(20) in (0, 1)
    os.waitpid(child, 0)
    assert run.counter("n").value == 2
    run.lock("mine").release()
