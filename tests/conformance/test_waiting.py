"""wait_for and watch: what is there already, what comes, and what does not."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

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
