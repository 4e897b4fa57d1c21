"""Namespaces: the current one, those of handles, and which of them a clear_namespace takes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from papertiger_shm import GLOBAL, Connection, InvalidRequest, current_namespace, namespace

SPACES = ["global", "a", "a/b", "a/b/c", "ab", "a b", "a.b", "A", "ä", "a0", "b/a", "a-", "x" * 1024]


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


def test_the_global_namespace_is_where_nothing_was_said(things: Any) -> None:
    assert GLOBAL == "global" == current_namespace() == things.namespace
    things.insert({"id": "a"})
    assert ids(things.list_namespace("global")) == ["a"]


def test_the_environment_says_the_namespace(things: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_NAMESPACE", "from/outside")
    assert current_namespace() == "from/outside"
    things.insert({"id": "a"})
    with namespace("x"):
        assert current_namespace() == "x"
    monkeypatch.setenv("PAPERTIGER_NAMESPACE", "a//b")
    with pytest.raises(InvalidRequest, match="PAPERTIGER_NAMESPACE"):
        things.count()
    monkeypatch.delenv("PAPERTIGER_NAMESPACE")
    assert things.count() == 0
    assert ids(things.list_namespace("from/outside")) == ["a"]


def test_every_read_and_write_is_of_the_current_namespace(things: Any) -> None:
    things.insert({"id": "a", "type": "x", "n": 1})
    with namespace("test") as name:
        assert name == "test" == current_namespace()
        assert things.count() == len(things) == 0
        assert things.get("a", None) is None
        assert "a" not in things
        assert list(things) == things.list().data == things.find_by("type", "x") == []
        assert things.get_many(["a"]) == [None]
        things.delete("a")
        things.insert_new({"id": "a", "type": "x", "n": 2})
        things.increment("a", "n", 10)
        things.modify("a", lambda item: {**item, "type": "y"})
        with namespace("test/inner"):
            assert things.count() == 0
        assert things.get("a")["n"] == 12
    assert things.get("a")["n"] == 1
    assert ids(things.find_by("type", "x")) == ["a"]
    assert things.list_namespace("test")[0]["type"] == "y"


def test_a_handle_may_keep_to_one_namespace(things: Any) -> None:
    mine = type(things)(things.connection, "mine")
    with namespace("elsewhere"):
        mine.insert({"id": "a"})
        assert mine.namespace == "mine"
        assert mine.count() == 1
        assert things.count() == 0
    also = type(things)(things.connection, namespace="mine")
    assert ids(also) == ["a"]


def test_blocks_nest_and_come_back(things: Any) -> None:
    with namespace("a"):
        with namespace("b"):
            things.insert({"id": "in b"})
        things.insert({"id": "in a"})
        with pytest.raises(ZeroDivisionError), namespace("c"):
            raise ZeroDivisionError
        assert current_namespace() == "a"
    assert ids(things.list_namespace("b")) == ["in b"]
    assert ids(things.list_namespace("a")) == ["in a"]


def test_threads_and_tasks_have_their_own(things: Any) -> None:
    found = {}

    def in_thread() -> None:
        found["thread"] = current_namespace()
        with namespace("thread"):
            things.insert({"id": "t"})

    async def in_task(name: str) -> None:
        with namespace(name):
            await asyncio.sleep(0)
            things.insert({"id": name})
            await asyncio.sleep(0)
            found[name] = current_namespace()

    async def tasks() -> None:
        await asyncio.gather(*(in_task(name) for name in ("one", "two", "three")))

    with namespace("main"):
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join(30)
        asyncio.run(tasks())
    assert found == {"thread": "global", "one": "one", "two": "two", "three": "three"}
    for name in ("one", "two", "three"):
        assert ids(things.list_namespace(name)) == [name]
    assert ids(things.list_namespace("thread")) == ["t"]


@pytest.fixture
def spaces(things: Any) -> dict[str, Any]:
    """A handle on each namespace, each with items "x" and "y"."""
    handles = {space: type(things)(things.connection, space) for space in SPACES}
    for space, handle in handles.items():
        handle.insert_many([{"id": "x", "where": space, "type": "t"}, {"id": "y", "where": space}])
    return handles


def test_no_namespace_sees_another(spaces: dict[str, Any]) -> None:
    for space, handle in spaces.items():
        assert handle.count() == 2
        assert {item["where"] for item in handle} == {space}
        assert [item["where"] for item in handle.find_by("type", "t")] == [space]


@pytest.mark.parametrize("cleared", [*SPACES, "b", "nothing/there"])
def test_clear_namespace_takes_those_below_along(spaces: dict[str, Any], others: Any, cleared: str) -> None:
    anyone = spaces["ab"]
    type(others)(others.connection, cleared).insert({"id": "mine"})
    assert anyone.clear_namespace(cleared) is None
    for space, handle in spaces.items():
        gone = space == cleared or space.startswith(cleared + "/")
        assert handle.count() == (0 if gone else 2), space
        assert len(handle.find_by("type", "t")) == (0 if gone else 1), space
        assert ("x" in handle) is not gone, space
    assert len(others.list_namespace(cleared)) == 1


def test_a_cleared_namespace_can_be_used_again(spaces: dict[str, Any]) -> None:
    for _ in range(5):
        spaces["a"].clear_namespace("a")
        assert list(spaces["a"]) == []
        spaces["a"].insert({"id": "again", "type": "t"})
        assert ids(spaces["a"].find_by("type", "t")) == ["again"]


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "x" * 1025, "a\0b", "\ud800", None, 5, b"a", ["a"]])
def test_names_that_cannot_be_used(things: Any, name: Any) -> None:
    calls = [namespace, things.clear_namespace, things.list_namespace]
    if name is not None:
        calls.append(lambda name: type(things)(things.connection, name))
    things.insert({"id": "a"})
    for call in calls:
        with pytest.raises(InvalidRequest, match="namespace"):
            call(name)
    assert ids(things) == ["a"]


def test_a_thousand_namespaces(things: Any) -> None:
    with things.transaction():
        for n in range(1_000):
            with namespace(f"run/{n}"):
                things.insert({"id": "a", "n": n})
    for n in (0, 500, 999):
        assert things.list_namespace(f"run/{n}")[0]["n"] == n
    things.clear_namespace("run/500")
    assert things.list_namespace("run/500") == []
    things.clear_namespace("run")
    assert things.list_namespace("run/999") == []


def test_clearing_a_namespace_of_every_table(connection: Connection, things: Any, others: Any) -> None:
    stores = [type(things), type(others)]
    places = ["gw0/a", "gw0/a/child", "gw0/ab", "gw0"]
    for place in places:
        for store in stores:
            store(connection, place).insert({"id": "x", "type": "t"})
    connection.clear_namespace("gw0/a")
    for store in stores:
        assert [place for place in places if len(store(connection, place))] == ["gw0/ab", "gw0"]
    with connection.transaction():
        things.__class__(connection, "gw0/new").insert({"id": "y"})
        connection.clear_namespace("gw0")
        others.__class__(connection, "gw0/new").insert({"id": "y"})
    left = [(table, place) for table, place, _ in connection.collections() if place.startswith("gw0")]
    assert left == [(others.table_name, "gw0/new")]
    connection.clear_namespace("gw0")
    with pytest.raises(InvalidRequest, match="the name is empty"):
        connection.clear_namespace("")
