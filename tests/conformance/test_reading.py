"""Reads of one item and of several: get, get_many, find_by, list_namespace, len, in, iteration, and what is fresh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from papertiger_shm import InvalidRequest, NotFound


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


def test_get(things: Any) -> None:
    item = {"id": "a", "created": 7, "data": {"list": [1, {"x": None}]}}
    things.insert(item)
    assert things.get("a") == item
    assert things["a"] == item


def test_get_of_nothing(things: Any) -> None:
    for read in (things.get, things.__getitem__, things.version):
        with pytest.raises(NotFound, match="no_such_thing"):
            read("no_such_thing")
    with pytest.raises(KeyError):
        things["no_such_thing"]
    assert things.get("no", None) is None
    default = object()
    assert things.get("no", default) is default
    things.insert({"id": "a"})
    assert things.get("a", default) is not default


def test_get_gives_a_fresh_object_each_time(things: Any) -> None:
    things.insert({"id": "a", "data": {"list": [1]}})
    first = things.get("a")
    first["data"]["list"].append(2)
    first["more"] = True
    again = things.get("a")
    assert again is not first
    assert again["data"] == {"list": [1]}
    assert "more" not in again


@pytest.mark.parametrize("id", ["x" * 255, "ü" * 127 + "x", "\U0001f42f" * 63, " ", "a/b", "\0", "a\0b", "evt_1\n"])
def test_any_id_of_the_right_length(things: Any, id: str) -> None:
    things.insert({"id": id, "n": 1})
    assert things.get(id)["n"] == 1
    assert id in things
    assert ids(things.list()) == [id]
    assert ids(things.list(starting_after=id)) == []
    assert things.get_many([id])[0]["id"] == id
    things.delete(id)
    assert id not in things


@pytest.mark.parametrize("id", ["", "x" * 256, "ü" * 128, "\ud800", "x" * 100_000])
def test_an_id_no_item_can_have_is_not_found(things: Any, id: str) -> None:
    things.insert({"id": "a"})
    assert things.get(id, None) is None
    assert id not in things
    assert things.get_many(["a", id])[1] is None
    assert things.delete(id) is None
    for read in (things.get, things.version, lambda id: things.list(starting_after=id)):
        with pytest.raises(NotFound):
            read(id)


@pytest.mark.parametrize("id", [None, 1, b"a", ["a"], {"id": "a"}, 1.5])
def test_an_id_that_is_no_str_is_a_mistake(things: Any, id: Any) -> None:
    calls = [
        things.get,
        things.delete,
        things.version,
        lambda id: things.get(id, None),
        lambda id: things.get_many([id]),
        lambda id: things.list(starting_after=id) if id is not None else things.get(id),
        lambda id: things.increment(id, "n"),
        lambda id: things.modify(id, dict),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest):
            call(id)
    assert id not in things


def test_get_many_keeps_the_order_asked_for(things: Any) -> None:
    things.insert_many({"id": id, "n": ord(id)} for id in "abc")
    assert [item and item["n"] for item in things.get_many(["c", "no", "a", "c"])] == [99, None, 97, 99]
    assert things.get_many([]) == []
    assert ids(things.get_many(id for id in "ba")) == ["b", "a"]
    twice = things.get_many(["a", "a"])
    assert twice[0] is not twice[1]
    with pytest.raises(InvalidRequest):
        things.get_many("abc")


def test_find_by(things: Any) -> None:
    things.insert({"id": "old", "type": "x", "created": 1})
    things.insert({"id": "new", "type": "x", "created": 3})
    things.insert({"id": "mid", "type": "x", "created": 2})
    things.insert({"id": "not", "type": "y", "created": 4})
    things.insert({"id": "none", "created": 5})
    assert ids(things.find_by("type", "x")) == ["new", "mid", "old"]
    assert ids(things.find_by("type", "y")) == ["not"]
    assert things.find_by("type", "z") == []
    assert things.find_by("type", None) == []


def test_find_by_a_dotted_path(things: Any) -> None:
    things.insert({"id": "a", "metadata": {"plan": "gold"}})
    things.insert({"id": "b", "metadata": {"plan": "tin"}})
    things.insert({"id": "c", "metadata": None})
    things.insert({"id": "d", "metadata": ["plan", "gold"]})
    things.insert({"id": "e", "metadata.plan": "gold"})
    assert ids(things.find_by("metadata.plan", "gold")) == ["a"]


def test_an_index_follows_the_item(things: Any) -> None:
    things.insert({"id": "a", "type": "x", "metadata": {"plan": "gold"}})
    things.update({"id": "a", "type": "y"})
    assert things.find_by("type", "x") == []
    assert things.find_by("metadata.plan", "gold") == []
    assert ids(things.find_by("type", "y")) == ["a"]
    things.delete("a")
    assert things.find_by("type", "y") == []


VALUES = [
    None,
    True,
    0,
    7,
    -5,
    2**64 - 1,
    -(2**63),
    1.5,
    float("inf"),
    "",
    "x",
    "ü" * 40,
    "x" * 5_000,
    b"",
    b"x",
    b"y" * 999,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:12])
def test_any_scalar_can_be_looked_up(things: Any, value: Any) -> None:
    things.insert_many({"id": str(place), "type": each} for place, each in enumerate(VALUES))
    assert [item["type"] for item in things.find_by("type", value)] == [value]


def test_values_that_are_equal_are_found_together(things: Any) -> None:
    nan = float("nan")
    for place, value in enumerate((1, 1.0, True, "1", b"1", nan, nan)):
        things.insert({"id": str(place), "type": value, "created": place})
    for value in (1, 1.0, True):
        assert ids(things.find_by("type", value)) == ["2", "1", "0"]
    assert ids(things.find_by("type", "1")) == ["3"]
    assert ids(things.find_by("type", nan)) == ["6", "5"]


@pytest.mark.parametrize("field", ["email", "metadata", "plan", "", None, 5, "id", "created"])
def test_only_declared_indexes_can_be_looked_up(things: Any, field: Any) -> None:
    with pytest.raises(InvalidRequest, match="index"):
        things.find_by(field, "x")


@pytest.mark.parametrize("value", [["x"], {"x": 1}, ("x",), object, {1}, 2**64, "\ud800"], ids=lambda v: ascii(v)[:12])
def test_values_that_cannot_be_looked_up(things: Any, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="type"):
        things.find_by("type", value)
    with pytest.raises(InvalidRequest, match="type"):
        things.list(type=value)


def test_count_and_len(things: Any) -> None:
    assert (things.count(), len(things)) == (0, 0)
    things.insert_many({"id": str(n)} for n in range(30))
    things.insert({"id": "3", "again": True})
    assert (things.count(), len(things)) == (30, 30)
    things.delete("7")
    things.delete("7")
    assert (things.count(), len(things)) == (29, 29)


def test_in(things: Any) -> None:
    things.insert({"id": "a"})
    assert "a" in things
    assert "b" not in things
    assert None not in things
    assert 5 not in things


def test_iteration_is_newest_first_and_one_view(things: Any) -> None:
    things.insert_many({"id": str(n), "created": n} for n in range(5))
    walk: Iterator[dict[str, Any]] = iter(things)
    assert next(walk)["id"] == "4"
    things.clear()
    things.insert({"id": "later"})
    assert ids(walk) == ["3", "2", "1", "0"]
    assert ids(things) == ["later"]


def test_list_namespace_gives_all(things: Any) -> None:
    things.insert_many({"id": str(n), "created": n // 2} for n in range(150))
    assert ids(things.list_namespace("global")) == [str(n) for n in reversed(range(150))]
    assert things.list_namespace("nowhere") == []
    with pytest.raises(InvalidRequest):
        things.list_namespace("")


def test_every_read_gives_fresh_objects(things: Any) -> None:
    things.insert({"id": "a", "type": "x", "data": {"n": 1}})
    reads = [
        lambda: things.get("a"),
        lambda: things["a"],
        lambda: things.list().data[0],
        lambda: things.find_by("type", "x")[0],
        lambda: things.list_namespace("global")[0],
        lambda: things.get_many(["a"])[0],
        lambda: next(iter(things)),
        lambda: things.wait_for(5),
        lambda: next(things.watch(since=0)).item,
    ]
    for read in reads:
        read()["data"]["n"] = "spoilt"
        assert read()["data"] == {"n": 1}
