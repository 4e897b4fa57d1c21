"""Writes: what they return, what they make, what they refuse, and that each happens wholly or not at all."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest

from papertiger_shm import AlreadyExists, Conflict, InvalidItem, InvalidRequest, NotFound


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


# ---- insert, update, delete -------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["insert", "update", "insert_new"])
def test_a_write_gives_the_item_as_stored(things: Any, write: str) -> None:
    item = {"id": "a", "created": 5, "tuple": (1, (2,)), "data": {"n": 1}}
    before = {"id": "a", "created": 5, "tuple": (1, (2,)), "data": {"n": 1}}
    stored = getattr(things, write)(item)
    assert stored == {"id": "a", "created": 5, "tuple": [1, [2]], "data": {"n": 1}}
    assert stored == things.get("a")
    assert stored is not item
    assert item == before
    assert type(item["tuple"]) is tuple
    stored["data"]["n"] = "spoilt"
    assert things.get("a")["data"] == {"n": 1}


@pytest.mark.parametrize("write", ["insert", "update", "insert_new"])
def test_ids_and_created_are_made(things: Any, others: Any, write: str) -> None:
    item: dict[str, Any] = {"n": 1}
    earliest = int(time.time())
    first = getattr(things, write)(item)
    second = getattr(things, write)(item)
    latest = int(time.time())
    assert item == {"n": 1}
    assert re.fullmatch(r"thg_[A-Za-z0-9]{8,}", first["id"])
    assert first["id"] != second["id"]
    for made in (first, second):
        assert type(made["created"]) is int
        assert earliest <= made["created"] <= latest
        assert things.get(made["id"]) == made
    bare = getattr(others, write)({})
    assert re.fullmatch(r"[A-Za-z0-9]{8,}", bare["id"])


def test_insert_replaces(things: Any) -> None:
    things.insert({"id": "a", "created": 1, "old": True})
    things.insert({"id": "a", "created": 1, "new": True})
    assert things.get("a") == {"id": "a", "created": 1, "new": True}
    assert things.count() == 1


def test_update_replaces_and_never_fails_for_a_missing_id(things: Any) -> None:
    assert things.update({"id": "a", "created": 1, "old": True})["old"] is True
    assert things.update({"id": "a", "created": 1, "n": 1}) == {"id": "a", "created": 1, "n": 1}
    assert things.get("a") == {"id": "a", "created": 1, "n": 1}


def test_insert_new_refuses_an_id_that_is_taken(things: Any) -> None:
    things.insert_new({"id": "taken", "n": 1})
    with pytest.raises(AlreadyExists, match="taken"):
        things.insert_new({"id": "taken", "n": 2})
    assert things.get("taken")["n"] == 1
    things.delete("taken")
    assert things.insert_new({"id": "taken", "n": 3})["n"] == 3


def test_delete(things: Any) -> None:
    things.insert({"id": "a", "type": "x"})
    things.insert({"id": "b", "type": "x"})
    assert things.delete("a") is None
    assert "a" not in things
    assert ids(things.find_by("type", "x")) == ids(things.list()) == ["b"]
    assert things.delete("a") is None
    assert things.delete("never there") is None
    assert things.count() == 1


def test_items_grow_and_shrink(things: Any) -> None:
    for size in (0, 10, 100_000, 3, 2_000_000, 50, 0):
        things.insert({"id": "a", "created": 1, "data": b"x" * size})
        assert things.get("a") == {"id": "a", "created": 1, "data": b"x" * size}


def test_writes_to_what_is_full_of_them(things: Any) -> None:
    for _ in range(3):
        things.insert_many({"id": str(n), "created": n} for n in range(3_000))
        assert things.count() == 3_000
        assert ids(things) == [str(n) for n in reversed(range(3_000))]
        things.clear()
        assert ids(things) == []


# ---- insert_many ------------------------------------------------------------------------------------------------


def test_insert_many(things: Any) -> None:
    assert things.insert_many([{"id": "a", "created": 1}, {"id": "b", "created": 1}, {}]) == 3
    assert things.count() == 3
    assert ids(things.list())[1:] == ["b", "a"]
    assert things.insert_many([]) == 0
    assert things.insert_many({"id": str(n)} for n in range(5)) == 5


def test_of_an_id_given_twice_the_later_item_stays(things: Any) -> None:
    assert things.insert_many([{"id": "a", "n": 1}, {"id": "a", "n": 2}]) == 2
    assert things.get("a")["n"] == 2
    assert things.count() == 1


@pytest.mark.parametrize("bad", [{"id": 5}, {"id": ""}, {"n": object()}, [], None, {"created": "now"}, {"type": []}])
def test_one_bad_item_and_nothing_is_stored(things: Any, bad: Any) -> None:
    things.insert({"id": "before"})
    with pytest.raises(InvalidItem, match=r"items\[2\]"):
        things.insert_many([{"id": "a"}, {"id": "before", "n": 1}, bad, {"id": "b"}])
    assert ids(things) == ["before"]
    assert "n" not in things.get("before")


@pytest.mark.parametrize("items", [None, 5, {"id": "a"}, "ab", b"ab"])
def test_insert_many_wants_several_items(things: Any, items: Any) -> None:
    with pytest.raises((InvalidRequest, InvalidItem, TypeError)):
        things.insert_many(items)
    assert things.count() == 0


# ---- clear ------------------------------------------------------------------------------------------------------


def test_clear_takes_every_namespace_of_the_table_and_no_other_table(things: Any, others: Any) -> None:
    spaces = ["global", "a", "a/b", "ab", "z/y/x"]
    handles = {space: type(things)(things.connection, space) for space in spaces}
    for handle in handles.values():
        handle.insert({"id": "x", "type": "t"})
    others.insert({"id": "mine"})
    assert things.clear() is None
    for handle in handles.values():
        assert handle.count() == 0
        assert handle.find_by("type", "t") == []
        assert handle.get("x", None) is None
    assert ids(others) == ["mine"]
    things.insert({"id": "again"})
    assert ids(things) == ["again"]
    things.clear()
    things.clear()


# ---- increment --------------------------------------------------------------------------------------------------


def test_increment(things: Any) -> None:
    things.insert({"id": "a", "created": 1, "n": 5, "data": {"sum": 1.5, "deep": {}}})
    assert things.increment("a", "n") == 6
    assert things.increment("a", "n", 10) == 16
    assert things.increment("a", "n", by=-20) == -4
    assert things.increment("a", "data.sum", 2) == 3.5
    assert things.increment("a", "n", 0.5) == -3.5
    assert things.increment("a", "missing") == 1
    assert things.increment("a", "data.deep.er.n", 7) == 7
    assert things.get("a") == {
        "id": "a",
        "created": 1,
        "n": -3.5,
        "missing": 1,
        "data": {"sum": 3.5, "deep": {"er": {"n": 7}}},
    }


def test_increment_of_nothing(things: Any) -> None:
    with pytest.raises(NotFound, match="nobody"):
        things.increment("nobody", "n")
    assert things.count() == 0


def test_increment_keeps_to_64_bits(things: Any) -> None:
    item = {"id": "a", "created": 1, "top": 2**64 - 1, "bottom": -(2**63), "float": 1e308}
    things.insert(item)
    for field, by in (("top", 1), ("bottom", -1), ("top", 2**63)):
        with pytest.raises(InvalidRequest, match=field):
            things.increment("a", field, by)
    for by in (2**64, -(2**63) - 1, 10**40):
        with pytest.raises(InvalidRequest):
            things.increment("a", "top", by)
    assert things.get("a") == item
    assert things.increment("a", "float", 1e308) == float("inf")
    assert things.increment("a", "top", -(2**63)) == 2**63 - 1
    assert things.increment("a", "top", 2**63) == 2**64 - 1


@pytest.mark.parametrize("value", ["5", None, True, [1], {"n": 1}, b"5"])
def test_increment_wants_a_number(things: Any, value: Any) -> None:
    things.insert({"id": "a", "created": 1, "n": value})
    with pytest.raises(InvalidItem, match="n"):
        things.increment("a", "n")
    assert things.get("a") == {"id": "a", "created": 1, "n": value}


@pytest.mark.parametrize(
    "arguments", [("n", "1"), ("n", None), ("n", True), ("n", [1]), ("", 1), ("a..b", 1), (5, 1), ("id", 1)]
)
def test_increments_that_cannot_be_meant(things: Any, arguments: Any) -> None:
    things.insert({"id": "a", "created": 1, "n": 1})
    with pytest.raises(InvalidRequest):
        things.increment("a", *arguments)
    assert things.get("a") == {"id": "a", "created": 1, "n": 1}


def test_increment_moves_the_item_in_an_index(things: Any) -> None:
    things.insert({"id": "a", "type": 1, "metadata": {"seat": 1}})
    things.insert({"id": "b"})
    things.increment("a", "type")
    things.increment("a", "metadata.seat", 0.5)
    things.increment("b", "type", 2)
    assert things.find_by("type", 1) == []
    assert sorted(ids(things.find_by("type", 2))) == ["a", "b"]
    assert ids(things.find_by("metadata.seat", 1.5)) == ["a"]


def test_increment_of_created_moves_the_item(things: Any) -> None:
    things.insert_many({"id": id, "created": place, "type": "x"} for place, id in enumerate("abc"))
    assert things.increment("a", "created", 10) == 10
    assert ids(things.list()) == ids(things.find_by("type", "x")) == list("acb")
    assert things.get("a")["created"] == 10
    for by in (2**63, 0.5):
        with pytest.raises(InvalidRequest, match="created"):
            things.increment("a", "created", by)
    assert ids(things.list()) == list("acb")


def test_increments_of_many_threads_add_up(things: Any, twin: Any) -> None:
    things.insert({"id": "a", "n": 0})

    def add(store: Any) -> None:
        for _ in range(100):
            store.increment("a", "n")

    in_threads([lambda: add(things), lambda: add(twin), lambda: add(things), lambda: add(twin)])
    assert things.get("a")["n"] == 400


# ---- versions ---------------------------------------------------------------------------------------------------


def test_every_write_makes_a_larger_version(things: Any, others: Any) -> None:
    versions = []
    writes = [
        lambda: things.insert({"id": "a", "n": 1}),
        lambda: things.insert({"id": "a", "n": 1}),
        lambda: things.update({"id": "a", "n": 1}),
        lambda: things.increment("a", "n"),
        lambda: things.modify("a", dict),
        lambda: things.compare_and_set({"id": "a"}, things.version("a")),
        lambda: things.insert_many([{"id": "a"}]),
        lambda: (things.delete("a"), things.insert({"id": "a"})),
        lambda: (things.clear(), things.insert_new({"id": "a"})),
    ]
    for write in writes:
        write()
        versions.append(things.version("a"))
    assert all(type(version) is int for version in versions)
    assert versions == sorted(set(versions))
    others.insert({"id": "a"})
    assert others.version("a") > versions[-1]
    assert things.version("a") == versions[-1]


def test_compare_and_set(things: Any) -> None:
    things.insert({"id": "a", "created": 1, "n": 1})
    version = things.version("a")
    assert things.compare_and_set({"id": "a", "created": 1, "n": 2}, version) == {"id": "a", "created": 1, "n": 2}
    with pytest.raises(Conflict, match="a"):
        things.compare_and_set({"id": "a", "created": 1, "n": 3}, version)
    assert things.get("a")["n"] == 2


def test_compare_and_set_of_what_is_gone_or_came_again(things: Any) -> None:
    things.insert({"id": "a"})
    version = things.version("a")
    things.delete("a")
    with pytest.raises(Conflict):
        things.compare_and_set({"id": "a"}, version)
    things.insert({"id": "a", "n": "another"})
    with pytest.raises(Conflict):
        things.compare_and_set({"id": "a"}, version)
    with pytest.raises(Conflict):
        things.compare_and_set({"id": "never"}, version)
    assert things.get("a")["n"] == "another"
    assert "never" not in things


@pytest.mark.parametrize("version", [None, 0, -1, "1", 1.0, True])
def test_compare_and_set_wants_a_version(things: Any, version: Any) -> None:
    things.insert({"id": "a", "n": 1})
    with pytest.raises(InvalidRequest, match="version"):
        things.compare_and_set({"id": "a", "n": 2}, version)
    with pytest.raises(InvalidItem, match="id"):
        things.compare_and_set({"n": 2}, things.version("a"))
    assert things.get("a")["n"] == 1


def test_modify(things: Any) -> None:
    things.insert({"id": "a", "created": 1, "list": [1]})

    def longer(item: dict[str, Any]) -> dict[str, Any]:
        item["list"].append(2)
        return item

    assert things.modify("a", longer) == {"id": "a", "created": 1, "list": [1, 2]}
    assert things.get("a")["list"] == [1, 2]
    with pytest.raises(NotFound, match="nobody"):
        things.modify("nobody", longer)


def test_modify_reads_again_when_the_item_has_moved(things: Any, twin: Any) -> None:
    things.insert({"id": "a", "n": 0})
    seen = []

    def disturbed(item: dict[str, Any]) -> dict[str, Any]:
        seen.append(item["n"])
        if len(seen) < 4:
            twin.increment("a", "n")
        return {**item, "n": item["n"] + 100}

    assert things.modify("a", disturbed)["n"] == 103
    assert seen == [0, 1, 2, 3]


def test_modify_when_the_item_goes_away_meanwhile(things: Any, twin: Any) -> None:
    things.insert({"id": "a"})

    def disturbed(item: dict[str, Any]) -> dict[str, Any]:
        twin.delete("a")
        return item

    with pytest.raises(NotFound):
        things.modify("a", disturbed)
    assert "a" not in things


def test_modify_leaves_the_item_when_the_function_fails(things: Any) -> None:
    things.insert({"id": "a", "n": 1})

    def failing(item: dict[str, Any]) -> dict[str, Any]:
        item["n"] = 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        things.modify("a", failing)
    for wrong in (lambda item: None, lambda item: {**item, "id": "b"}):
        with pytest.raises(InvalidRequest):
            things.modify("a", wrong)
    with pytest.raises(InvalidItem):
        things.modify("a", lambda item: {**item, "n": object()})
    assert things.get("a")["n"] == 1
    assert things.count() == 1


def test_modifications_of_many_threads_all_happen(things: Any, twin: Any) -> None:
    things.insert({"id": "a", "seen": []})

    def note(store: Any, name: str) -> None:
        for n in range(25):
            store.modify("a", lambda item: {**item, "seen": [*item["seen"], f"{name}{n}"]})  # noqa: B023

    in_threads([lambda: note(things, "x"), lambda: note(twin, "y"), lambda: note(things, "z")])
    seen = things.get("a")["seen"]
    assert sorted(seen) == sorted(f"{name}{n}" for name in "xyz" for n in range(25))
    assert [each for each in seen if each[0] == "y"] == [f"y{n}" for n in range(25)]


def in_threads(jobs: list[Any]) -> None:
    """Run all at once; the first error of any of them is raised."""
    errors = []

    def run(job: Any) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
