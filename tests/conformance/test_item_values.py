"""Items: what they may hold comes back as it was, what they may not is refused with the path to it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from papertiger_shm import InvalidItem

from .values import alike, bodies

UTC = timezone.utc
PARIS = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        2**64 - 1,
        -(2**63),
        0.1,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        5e-324,
        "",
        "text",
        "\0",
        "\U0001f42f ü",
        "x" * 70_000,
        b"",
        b"\x00\xff",
        b"x" * 70_000,
        [],
        [1, "a", None, [2.5, [b"x"]]],
        {},
        {"": 1, "a.b": {"c": [{}]}, "\U0001f42f": 2},
        list(range(70_000)),
        datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_it_comes_back_as_it_was(things: Any, value: Any) -> None:
    things.insert({"id": "a", "value": value, "deep": {"list": [value]}})
    back = things.get("a")
    assert alike(back["value"], value)
    assert alike(back["deep"], {"list": [value]})
    assert alike(things.list().data[0]["value"], value)


def test_what_comes_back_in_its_base_form(things: Any) -> None:
    things.insert({"id": "a", "tuple": (1, (2, [3])), "moment": datetime(2026, 6, 1, 14, tzinfo=PARIS)})
    back = things.get("a")
    assert back["tuple"] == [1, [2, [3]]]
    assert back["moment"] == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert back["moment"].tzinfo is not None


def test_two_hundred_levels_come_back(things: Any) -> None:
    value: Any = "bottom"
    for _ in range(198):
        value = [value]
    things.insert({"id": "a", "value": value})
    assert things.get("a")["value"] == value


def test_an_item_of_fifteen_megabytes_comes_back(things: Any) -> None:
    data = b"tiger" * (3 * 1024 * 1024)
    things.insert({"id": "a", "data": data})
    assert things.get("a")["data"] == data


BAD: list[tuple[str, Any, str]] = [
    ("an object", {"data": {"object": {"amount": object()}}}, r"data\.object\.amount: "),
    ("a set", {"tags": {1}}, r"tags: "),
    ("in a list", {"lines": [1, {"price": 1j}]}, r"lines\[1\]\.price: "),
    ("in a tuple", {"lines": (1, 2**64)}, r"lines\[1\]: "),
    ("a big int", {"n": 2**64}, r"n: "),
    ("a small int", {"n": -(2**63) - 1}, r"n: "),
    ("a key that is no str", {"data": {5: "x"}}, r"data: .*5"),
    ("a key at the top that is no str", {None: "x"}, r"None"),
    ("a bytes key", {"data": {b"k": "x"}}, r"data: .*k"),
    ("a surrogate", {"data": {"name": "\ud800"}}, r"data\.name: "),
    ("a surrogate in a key", {"data": {"\udcff": 1}}, r"data"),
    ("a naive datetime", {"at": datetime(2026, 1, 1)}, r"at: "),
    ("an indexed list", {"type": ["x"]}, r"type: "),
    ("an indexed dict", {"metadata": {"plan": {"x": 1}}}, r"metadata\.plan: "),
    ("an empty id", {"id": ""}, r"id: "),
    ("a long id", {"id": "x" * 256}, r"id: "),
    ("an id long in bytes", {"id": "ü" * 128}, r"id: "),
    ("no id", {"id": None}, r"id: "),
    ("an id that is an int", {"id": 5}, r"id: "),
    ("an id of bytes", {"id": b"a"}, r"id: "),
    ("an id with a surrogate", {"id": "\ud800"}, r"id: "),
    ("created is text", {"created": "2026-01-01"}, r"created: "),
    ("created is a float", {"created": 1.5}, r"created: "),
    ("created is a bool", {"created": True}, r"created: "),
    ("created is None", {"created": None}, r"created: "),
    ("created is too large", {"created": 2**63}, r"created: "),
    ("created is a datetime", {"created": datetime(2026, 1, 1, tzinfo=UTC)}, r"created: "),
]


@pytest.mark.parametrize(("item", "path"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_it_is_refused_and_nothing_is_stored(things: Any, item: dict[Any, Any], path: str) -> None:
    things.insert({"id": "a", "created": 1, "n": 1})
    version = things.version("a")
    whole = {"id": "a", **item}
    before = dict(whole)
    for write in (things.insert, things.update, things.insert_new, lambda item: things.compare_and_set(item, version)):
        with pytest.raises(InvalidItem, match=path):
            write(whole)
    with pytest.raises(InvalidItem, match=path), things.transaction():
        things.insert(whole)
    assert whole == before
    assert things.get("a") == {"id": "a", "created": 1, "n": 1}
    assert things.version("a") == version
    assert things.count() == 1


@pytest.mark.parametrize("item", [None, 5, "text", b"x", [("id", "a")], ("id",), {"id"}, object()])
def test_only_dicts_are_items(things: Any, item: Any) -> None:
    for write in (things.insert, things.update, things.insert_new, lambda item: things.compare_and_set(item, 1)):
        with pytest.raises(InvalidItem, match="dict"):
            write(item)
    assert things.count() == 0


def test_an_item_that_holds_itself(things: Any) -> None:
    item: dict[str, Any] = {"id": "a"}
    item["self"] = [item]
    with pytest.raises(InvalidItem, match="self"):
        things.insert(item)
    assert things.count() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=bodies)
def test_any_item_comes_back(things: Any, body: dict[str, Any]) -> None:
    stored = things.insert({**body, "id": "a", "created": 1})
    assert alike(stored, {**body, "id": "a", "created": 1})
    assert alike(things.get("a"), stored)
