"""A Ctrl-C comes out of any call, at whatever moment it comes: also while what the call has used is thrown away.

What is raised in a finalizer, or in the callback of a weak reference, Python reports and forgets. Here the interruption
is raised where a signal would be seen, at the beginning of each Python function that a call comes to, in turn.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import CO_GENERATOR
from typing import Any

import pytest

from papertiger_shm import Connection, Manager, Store, WaitTimeout, connect

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
        if event != "call" or frame.f_code.co_flags & CO_GENERATOR:
            return
        self.left -= 1
        if not self.left:
            sys.setprofile(None)
            self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            raise KeyboardInterrupt


def lost_in(call: Callable[[], object]) -> Iterator[tuple[str, bool]]:
    """Make the call over and over, interrupted at each function in turn: where, and whether nobody heard of it."""
    for number in itertools.count(1):
        interruption, before = AtFunction(number), sys.getprofile()
        gc.disable()  # what is collected here may be another test's
        sys.setprofile(interruption)
        try:
            call()
            lost = True
        except KeyboardInterrupt:
            lost = False
        finally:
            sys.setprofile(before)
            gc.enable()
        if not interruption.where:
            return
        yield interruption.where, lost


@pytest.mark.parametrize("name", CALLS)
def test_a_ctrl_c_is_heard_of_at_any_moment(connection: Connection, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # the test says where
    Runs(connection).insert_many([{"id": f"run_{number}", "state": "waiting"} for number in range(20)])
    CALLS[name](connection)  # so that nothing is imported under interruptions
    places = [*lost_in(lambda: CALLS[name](connection))]
    assert [where for where, lost in places if lost] == []
    assert len(places) > 20
