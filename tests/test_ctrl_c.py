"""A Ctrl-C comes out of any call, at whatever moment it comes: also while what the call has used is thrown away.

What is raised in a finalizer, or in the callback of a weak reference, Python reports and forgets. Here the interruption
is raised where a signal would be seen, at the beginning of each Python function that a call comes to, in turn.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import CO_GENERATOR
from pathlib import Path
from typing import Any

import pytest

from papertiger_shm import Connection, Manager, Store, WaitTimeout, connect
from papertiger_shm.shm import launch as launching
from papertiger_shm.shm import segment as segments
from papertiger_shm.shm.rendezvous import Place
from torture.waiting import eventually

CALLS: dict[str, Callable[[Connection], object]] = {}


class Runs(Store, table="ctrl_c_runs", resource="run", indexes=("state",)):
    pass


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with Manager(max_size="64 MiB") as manager, manager.connect() as connection:
        yield connection


def call(function: Callable[[Connection], object]) -> Callable[[Connection], object]:
    CALLS[function.__name__] = function
    return function


@call
def reading(connection: Connection) -> None:
    runs = Runs(connection)
    runs.get("run_1")
    runs.list(limit=3)
    runs.find_by("state", "waiting")
    assert [*runs]


@call
def inserting(connection: Connection) -> None:
    Runs(connection).insert({"id": "run_1", "state": "waiting"})


@call
def writing_without_waiting(connection: Connection) -> None:
    runs = Runs(connection)
    with runs.transaction(wait=False) as publication:
        runs.insert({"id": "run_1", "state": "waiting"})
    assert publication.results


@call
def a_change(connection: Connection) -> None:
    changes = Runs(connection).watch(since=0)
    next(changes)
    changes.close()


@call
def a_wait_in_vain(connection: Connection) -> None:
    with suppress(WaitTimeout):
        Runs(connection).wait_for(0.001, state="done")


@call
def holding_a_lease(connection: Connection) -> None:
    lease = connection.lease()
    assert connection.leased(lease.id)
    lease.release()


@call
def checking(connection: Connection) -> None:
    connection.verify()


@call
def connecting(connection: Connection) -> None:
    with connect(connection.url) as other:
        Runs(other).count()


class AtFunction:
    """Interrupts this thread at the beginning of the ``number``-th Python function that it comes to."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.where = ""

    def __call__(self, frame: Any, event: str, _: object) -> None:
        # What is raised as a generator goes on keeps it, in Python 3.10, from its ``finally``, which a signal does not.
        # And the standard library's conditions do not stand an interruption between taking a lock and saying so.
        code = frame.f_code
        if event != "call" or code.co_flags & CO_GENERATOR or code.co_filename == threading.__file__:
            return
        self.left -= 1
        if not self.left:
            sys.setprofile(None)
            self.where = f"{code.co_filename}:{frame.f_lineno} {code.co_name}"
            raise KeyboardInterrupt


def interrupted(call: Callable[[], object], *, step: int = 1) -> Iterator[tuple[str, bool]]:
    """Make the call over and over, interrupted at every ``step``-th function: where, and whether it was heard."""
    for number in itertools.count(1, step):
        interruption, before = AtFunction(number), sys.getprofile()
        gc.disable()  # what is collected here may be another test's
        sys.setprofile(interruption)
        try:
            call()
            heard = False
        except KeyboardInterrupt:
            heard = True
        finally:
            sys.setprofile(before)
            gc.enable()
        if not interruption.where:
            return
        yield interruption.where, heard


@pytest.mark.parametrize("name", CALLS)
def test_it_is_heard_at_any_moment(connection: Connection, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # the test says where
    Runs(connection).insert_many([{"id": f"run_{number}", "state": "waiting"} for number in range(20)])
    CALLS[name](connection)  # so that nothing is imported under interruptions
    places = [*interrupted(lambda: CALLS[name](connection))]
    assert [where for where, heard in places if not heard] == []
    assert len(places) > 20


def test_a_connection_that_it_interrupts_leaves_no_descriptor(connection: Connection) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/dev/fd"))

    connecting(connection)
    before = descriptors()
    assert len([*interrupted(lambda: connecting(connection))]) > 20
    eventually(lambda: descriptors() <= before, "others may have one open for a moment, but not for ever")


@pytest.mark.usefixtures("apart_from_all")
def test_who_keeps_the_exception_keeps_no_lock() -> None:
    """As the interactive interpreter does, with all that the frames it went through have: in ``sys.last_value``."""
    place = Place("ci")
    kept: list[BaseException] = []

    def hold_and_release() -> None:
        try:
            lock = place.hold("start", 0)
        except KeyboardInterrupt as interruption:
            kept.append(interruption)
            raise
        assert lock is not None
        lock.release()

    hold_and_release()
    for where, _ in interrupted(hold_and_release):
        lock = place.hold("start", 0)
        assert lock is not None, where
        lock.release()
    assert len(kept) > 5


@pytest.mark.usefixtures("apart_from_all")
def test_a_store_whose_start_or_stop_it_interrupts_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # the standard library's Popen is the last to know
    root = Path(os.environ["PAPERTIGER_DIR"])

    def start_and_stop() -> None:
        with Manager(max_size="1 MiB"):
            pass

    start_and_stop()
    places = 0
    for where, _ in interrupted(start_and_stop, step=5):
        gc.collect()  # a Manager that nobody has any more has ended, too
        eventually(lambda: not [*root.iterdir()] and not segments.own_names(str(root)), where)
        places += 1
    assert places > 20


@pytest.mark.usefixtures("apart_from_all")
def test_a_store_whose_start_is_interrupted_twice_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who presses Ctrl-C once more does so while the first one's end is waited for."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # the standard library's Popen is the last to know
    root = Path(os.environ["PAPERTIGER_DIR"])
    for number in range(1, 10):
        second = AtFunction(number)

        def once(*_: object, second: AtFunction = second) -> None:
            eventually(lambda: segments.own_names(str(root)), "there is something to leave")
            sys.setprofile(second)
            raise KeyboardInterrupt

        monkeypatch.setattr(launching, "_await_report", once)
        before = sys.getprofile()
        try:
            Manager(max_size="1 MiB").start()
        except KeyboardInterrupt:
            sys.setprofile(before)
        gc.collect()
        eventually(lambda: not [*root.iterdir()] and not segments.own_names(str(root)), second.where)
        assert second.where
