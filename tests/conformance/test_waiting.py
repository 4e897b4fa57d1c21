"""wait_for and watch: what is there already, what comes, and what does not."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from followed import Followed
from papertiger_shm import InvalidRequest, WaitTimeout, namespace


def test_what_is_there_comes_at_once(things: Any) -> None:
    things.insert({"id": "a", "type": "x", "created": 5})
    things.insert({"id": "b", "type": "y", "created": 1})
    assert things.wait_for(0, type="y") == {"id": "b", "type": "y", "created": 1}
    assert things.wait_for(0)["id"] == "a"
    assert things.wait_for(None, type="x")["id"] == "a"


def test_what_comes_later_is_waited_for(things: Any, twin: Any) -> None:
    going = threading.Event()
    found: list[Any] = []

    def wait() -> None:
        going.set()
        found.append(things.wait_for(30, type="x", **{"metadata.plan": "gold"}))

    thread = threading.Thread(target=wait)
    thread.start()
    going.wait(30)
    twin.insert({"id": "a", "type": "x"})
    twin.insert({"id": "b", "metadata": {"plan": "gold"}})
    twin.insert({"id": "c", "type": "x", "metadata": {"plan": "gold"}})
    thread.join(30)
    assert [item["id"] for item in found] == ["c"]


def test_an_update_that_makes_it_match_counts(things: Any) -> None:
    things.insert({"id": "a", "type": "x"})
    timer = threading.Timer(0.01, things.update, [{"id": "a", "type": "y"}])
    timer.start()
    assert things.wait_for(30, type="y")["id"] == "a"
    timer.join()


def test_only_what_was_written_since(things: Any) -> None:
    things.insert({"id": "a", "type": "x"})
    version = things.version("a")
    with pytest.raises(WaitTimeout):
        things.wait_for(0, since=version, type="x")
    things.insert({"id": "b", "type": "x", "created": 1})
    things.insert({"id": "c", "type": "x", "created": 2})
    assert things.wait_for(0, since=version, type="x")["id"] == "b"
    assert things.wait_for(0, since=things.version("b"), type="x")["id"] == "c"
    things.update({"id": "a", "type": "x", "again": True})
    assert things.wait_for(0, since=things.version("c"), type="x")["id"] == "a"


def test_the_time_runs_out(things: Any) -> None:
    things.insert({"id": "a", "type": "x"})
    begun = time.monotonic()
    with pytest.raises(WaitTimeout, match="what_never_comes"):
        things.wait_for(0.05, type="what_never_comes")
    assert 0.05 <= time.monotonic() - begun < 20
    with pytest.raises(TimeoutError):
        things.wait_for(0, type="what_never_comes")


@pytest.mark.parametrize("microseconds", range(20, 520, 25))
def test_a_time_that_runs_out_while_it_is_asked(things: Any, microseconds: int) -> None:
    with pytest.raises(WaitTimeout):
        things.wait_for(microseconds / 1e6, type="what_never_comes")


def test_waiting_is_in_the_current_namespace(things: Any) -> None:
    things.insert({"id": "a"})
    with namespace("empty"), pytest.raises(WaitTimeout):
        things.wait_for(0)


@pytest.mark.parametrize("timeout", [-1, "1", float("nan"), [], True])
def test_timeouts_that_cannot_be_meant(things: Any, timeout: Any) -> None:
    with pytest.raises(InvalidRequest, match="timeout"):
        things.wait_for(timeout)


def test_waits_that_cannot_be_meant(things: Any) -> None:
    for since in (-1, "1", 1.5):
        with pytest.raises(InvalidRequest, match="since"):
            things.wait_for(0, since=since)
        with pytest.raises(InvalidRequest, match="since"):
            things.watch(since=since)
    for call in (lambda: things.wait_for(0, email="x"), lambda: things.watch(email="x")):
        with pytest.raises(InvalidRequest, match="email"):
            call()


def test_watch_sees_changes_in_commit_order(things: Any, twin: Any) -> None:
    things.insert({"id": "before", "created": 9})
    changes = things.watch()
    twin.insert({"id": "a", "created": 5})
    twin.insert({"id": "b", "created": 1})
    twin.insert({"id": "c", "created": 3})
    seen = [(change.kind, change.id) for change in itertools.islice(changes, 3)]
    assert seen == [("insert", "a"), ("insert", "b"), ("insert", "c")]
    twin.update({"id": "before", "created": 9, "n": 1})
    change = next(changes)
    assert (change.kind, change.id, change.item["n"]) == ("update", "before", 1)
    assert change.version == things.version("before")
    twin.delete("b")
    change = next(changes)
    assert (change.kind, change.id, change.item) == ("delete", "b", None)


def test_watch_since_begins_with_what_was_written_after(things: Any) -> None:
    things.insert({"id": "a"})
    version = things.version("a")
    things.insert({"id": "b"})
    things.insert({"id": "c"})
    changes = things.watch(since=version)
    assert [change.id for change in itertools.islice(changes, 2)] == ["b", "c"]
    things.insert({"id": "d"})
    assert next(changes).id == "d"
    assert [change.id for change in itertools.islice(things.watch(since=0), 4)] == list("abcd")


def test_watch_with_a_filter(things: Any) -> None:
    changes = things.watch(type="x")
    things.insert({"id": "a", "type": "y"})
    things.insert({"id": "b", "type": "x"})
    change = next(changes)
    assert (change.kind, change.id) == ("insert", "b")
    things.update({"id": "b", "type": "y"})
    assert next(changes)[:2] == ("delete", "b")
    things.update({"id": "a", "type": "x"})
    assert next(changes)[:2] == ("insert", "a")


def test_what_came_instead_is_told(things: Any) -> None:
    things.insert({"id": "old", "type": "x", "metadata": {"plan": "gold"}})
    since = things.version("old")
    with pytest.raises(WaitTimeout, match="nothing else came either"):
        things.wait_for(0.01, since=since, type="x")
    things.insert({"id": "a", "type": "x"})
    things.insert({"id": "b", "type": "x", "metadata": {"plan": "silver"}})
    things.insert({"id": "c", "type": "y", "metadata": {"plan": "silver"}})
    with pytest.raises(WaitTimeout) as caught:
        things.wait_for(0, since=since, type="x", **{"metadata.plan": "gold"})
    told = str(caught.value)
    assert "3 others came (2 with type 'x', 1 with type 'y')" in told
    assert "the nearest is 'b' with metadata.plan 'silver'" in told
    things.clear()
    for number in range(8):
        things.insert({"id": f"t{number}", "type": number})
    with pytest.raises(WaitTimeout, match=r"8 others came \(1 with type .*, \.\.\.\); the nearest is 't7' with type 7"):
        things.wait_for(0, since=since, type="x")


def test_what_was_there_before_a_wait_has_not_come(things: Any, twin: Any) -> None:
    things.insert({"id": "old", "type": "x", "metadata": {"plan": "gold"}})
    things.insert({"id": "older", "type": "y"})
    with pytest.raises(WaitTimeout) as caught:
        things.wait_for(2, type="x", **{"metadata.plan": "silver"})  # long enough to have begun
    assert "nothing else came either; the nearest is 'old' with metadata.plan 'gold'" in str(caught.value)
    with pytest.raises(WaitTimeout) as caught:
        things.wait_for(0, type="z")
    assert "came" not in str(caught.value)
    with pytest.raises(WaitTimeout, match="the nearest is 'old' which was there before"):
        things.wait_for(0, since=things.version("older"), type="x")


def test_where_else_it_came_is_told(things: Any, twin: Any) -> None:
    elsewhere, nowhere = type(things)(twin.connection, "a/b"), type(things)(twin.connection, "c")
    nowhere.insert({"id": "before", "type": "z"})
    things.insert({"id": "since", "type": "z"})
    since = things.version("since")
    with pytest.raises(WaitTimeout) as caught:
        things.wait_for(0.01, since=since, type="z")
    assert "it came to" not in str(caught.value)
    elsewhere.insert({"id": "d", "type": "z"})
    with pytest.raises(WaitTimeout, match="nothing else came .*; it came to namespace 'a/b'; check"):
        things.wait_for(2, since=since, type="z")  # of one that has not begun nothing is known elsewhere


def test_what_came_during_a_wait_is_told(things: Any, twin: Any) -> None:
    things.insert_many([{"id": f"before{number}", "type": "x"} for number in range(3)])
    over = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if over.wait(0.01):
                return
            twin.insert({"id": f"t{number}", "type": "y"})

    thread, _ = in_thread(write)
    with pytest.raises(
        WaitTimeout, match=r"\d+ others? came \(\d+ with type 'y'\); the nearest is 't\d+' with type 'y'"
    ):
        things.wait_for(3, type="z")
    over.set()
    thread.join(60)


def in_thread(function: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """What it returns or raises is in the list when the thread has ended."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_many_wait_and_each_gets_its_own(things: Any, twin: Any) -> None:
    waits = [in_thread(lambda number=number: things.wait_for(60, type=number)["id"]) for number in range(20)]  # type: ignore[misc]
    for number in range(20):
        twin.insert({"id": f"t{number}", "type": number})
    for number, (thread, outcome) in enumerate(waits):
        thread.join(60)
        assert outcome == [f"t{number}"]


def test_a_connection_that_is_closed_ends_the_waits(things: Any, new_connection: Any) -> None:
    connection = new_connection()
    ours = type(things)(connection)
    changes = ours.watch()
    waiting = [in_thread(lambda: ours.wait_for(60)), in_thread(lambda: next(changes))]
    time.sleep(0.05)  # either way it has to end; mostly they wait by now
    connection.close()
    for thread, outcome in waiting:
        thread.join(30)
        assert [type(error) for error in outcome] == [InvalidRequest]


def test_a_watch_goes_on_in_a_forked_child(things: Any, twin: Any) -> None:
    changes = things.watch()
    things.insert({"id": "a"})
    assert next(changes).id == "a"

    def see() -> None:
        assert next(changes).id == "b"
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=see)
    child.start()
    twin.insert({"id": "b"})
    child.join(60)
    assert child.exitcode == 0
    assert next(changes).id == "b"


def test_a_watch_that_is_given_up_can_be_begun_anew(things: Any) -> None:
    for number in range(30):
        changes = things.watch()
        things.insert({"id": f"t{number}"})
        assert next(changes).id == f"t{number}"
        changes.close()


def test_what_is_watched_is_what_is_there(things: Any, twin: Any) -> None:
    """Whoever applies the changes that ``watch`` tells has the collection, and is told of no version twice."""
    chance = random.Random(7)
    followed = Followed()

    def follow() -> None:
        for change in things.watch(since=0, type="x"):
            followed.apply(change)
            if "end" in followed.items:
                return

    thread, outcome = in_thread(follow)
    for step in range(300):
        id, kind = f"t{chance.randrange(20)}", chance.choice("xxy")
        what = chance.randrange(20)
        if what < 13:
            twin.insert({"id": id, "type": kind, "step": step})
        elif what < 17:
            twin.delete(id)
        elif what < 19:
            batch = [{"id": f"t{number}", "type": kind, "step": step} for number in range(chance.randrange(100))]
            twin.insert_many(batch)
        else:
            twin.clear_namespace(twin.namespace)
    twin.insert({"id": "end", "type": "x"})
    thread.join(60)
    assert outcome == [None]
    assert followed.items == {item["id"]: item for item in twin.find_by("type", "x")}
    followed.assert_told_once()


def test_changes_come_in_commit_order_while_others_are_made(things: Any, twin: Any) -> None:
    versions = []

    def follow() -> None:
        for change in things.watch(since=0):
            versions.append(change.version)
            if change.id == "end":
                return

    thread, outcome = in_thread(follow)
    for step in range(1500):
        twin.insert({"id": f"t{step % 3}", "step": step})
    twin.insert({"id": "end"})
    thread.join(60)
    assert outcome == [None]
    assert versions == sorted(versions)


def test_a_wait_of_years(things: Any, twin: Any) -> None:
    thread, outcome = in_thread(lambda: things.wait_for(1e9, type="x")["id"])
    twin.insert({"id": "a", "type": "x"})
    thread.join(60)
    assert outcome == ["a"]
    thread, outcome = in_thread(lambda: things.wait_for(1e300, type="y")["id"])
    time.sleep(0.02)  # either way it has to end; mostly it waits by now
    twin.insert({"id": "b", "type": "y"})
    thread.join(60)
    assert outcome == ["b"]


def test_clearing_is_a_change(things: Any, twin: Any) -> None:
    inner = type(things)(things.connection, "a/b")
    for clear in (lambda: twin.clear_namespace("a"), twin.clear):
        inner.insert({"id": "x"})
        changes = inner.watch()
        clear()
        assert next(changes)[:2] == ("delete", "x")
        changes.close()
