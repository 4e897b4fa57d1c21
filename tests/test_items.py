"""Bad items: each refused by both codecs alike, with the path to the value, what is wrong and what to do."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm import InvalidItem, PaperTigerError, codec

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

CODECS = [pytest.param(each, id=each.name) for each in (codec.MSGPACK, codec.MSGSPEC) if each is not None]
both = pytest.mark.parametrize("one", CODECS)


class Colour(Enum):
    RED = "red"


@dataclass
class Money:
    amount: int


Pair = namedtuple("Pair", "one two")


def name_of(value: object) -> str:
    return "huge" if isinstance(value, int) and value.bit_length() > 999 else ascii(value)[:12]


REFUSED: list[Any] = [
    bytearray(b"x"),
    memoryview(b"x"),
    {1, 2},
    frozenset({1}),
    Decimal("1.5"),
    Fraction(1, 2),
    UUID(int=1),
    Colour.RED,
    Money(5),
    datetime(2026, 1, 1),
    date(2026, 1, 1),
    time(12, tzinfo=timezone.utc),
    timedelta(1),
    1j,
    object(),
    int,
    len,
    range(3),
    (number for number in "ab"),
    iter([]),
    Path("x"),
    Exception("x"),
    ...,
    NotImplemented,
    msgpack.ExtType(1, b"x"),
    msgpack.Timestamp(1, 0),
    2**64,
    -(2**63) - 1,
    10**30,
    10**6000,
    "\ud800",
    "ok \udcff",
]
if msgspec is not None:

    class Struct(msgspec.Struct):
        amount: int

    REFUSED += [Struct(5), msgspec.Raw(b"\x01"), msgspec.msgpack.Ext(1, b"x"), msgspec.UNSET]


def message(one: codec.Codec, item: Any) -> str:
    with pytest.raises(InvalidItem) as caught:
        one.encode(item)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PaperTigerError)
    text = str(caught.value)
    text.encode()  # can be printed anywhere
    assert len(text) < 600
    assert one.encode({"id": "a"}) == b"\x81\xa2id\xa1a", "the codec is unharmed"
    return text


@both
@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_a_value_no_item_holds_is_named_by_its_path(one: codec.Codec, value: Any) -> None:
    assert message(one, {"v": value}).startswith("v: ")
    assert message(one, {"data": {"items": [0, 1, 2, {"amount": value}]}}).startswith("data.items[3].amount: ")
    assert message(one, {"a": (1, Pair(1, [value]))}).startswith("a[1][1][0]: ")
    assert message(one, {"a b": {"": {"x.y": value}}}).startswith("['a b']['']['x.y']: ")


@both
@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (bytearray(b"x"), "bytes(value)"),
        ({1}, "a list"),
        (Decimal(1), "str(value)"),
        (Colour.RED, "value.value"),
        (datetime(2026, 1, 1), "tzinfo=timezone.utc"),
        (2**64, "str"),
        ("\ud800", "bytes"),
        (object(), "None, bool, int, float, str, bytes, list, tuple, dict or an aware datetime"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_message_says_what_to_do(one: codec.Codec, value: Any, remedy: str) -> None:
    assert remedy in message(one, {"v": value})


@both
@pytest.mark.parametrize("key", [1, 1.5, None, True, b"a", (1,), Colour.RED, frozenset()], ids=repr)
def test_keys_are_strings(one: codec.Codec, key: Any) -> None:
    assert message(one, {key: 1}).startswith("item: the key ")
    assert message(one, {"a": 1, key: 1}).startswith("item: the key ")
    assert message(one, {"data": [{"b": 1}, {key: 1}]}).startswith("data[1]: the key ")


@both
def test_keys_hold_no_surrogates(one: codec.Codec) -> None:
    assert "surrogate" in message(one, {"a": {"\ud800": 1}})


@both
@pytest.mark.parametrize("item", [None, 5, "x", b"x", [], [("id", "a")], (), {1}, Ellipsis, Money(1)], ids=repr)
def test_an_item_is_a_dict(one: codec.Codec, item: Any) -> None:
    assert message(one, item).startswith("item: an item is a dict with string keys, not ")


# ---- size and depth ---------------------------------------------------------------------------------------------


def nested(levels: int, *, inner: Any = 1, wrap: Any = lambda value: {"a": value}) -> Any:
    """An item of so many levels, itself the first."""
    value = inner
    for _ in range(levels - 1):
        value = wrap(value)
    return {"top": value}


WRAPS = [
    pytest.param(lambda value: {"a": value}, id="dict"),
    pytest.param(lambda value: [value], id="list"),
    pytest.param(lambda value: (value,), id="tuple"),
    pytest.param(lambda value: [0, {"a": (value,)}], id="mixed"),
]


@both
@pytest.mark.parametrize("wrap", WRAPS[:3])
@pytest.mark.parametrize("inner", [1, [], {}, ()], ids=repr)
def test_depth_has_one_limit(one: codec.Codec, wrap: Any, inner: Any) -> None:
    levels = codec.MAX_DEPTH - (inner != 1)
    allowed = nested(levels, inner=inner, wrap=wrap)
    back = one.decode(one.encode(allowed))
    assert one.encode(back) == one.encode(allowed)
    assert "nested more than 200 levels" in message(one, nested(levels + 1, inner=inner, wrap=wrap))


@both
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("levels", [300, 600, 1000, 1100, 5000, 50_000])
def test_nesting_far_too_deep_is_no_recursion_error(one: codec.Codec, wrap: Any, levels: int) -> None:
    assert "nested more than 200 levels" in message(one, nested(levels, wrap=wrap))


@both
def test_items_that_hold_themselves(one: codec.Codec) -> None:
    alone: dict[str, Any] = {}
    alone["self"] = alone
    twice: dict[str, Any] = {}
    twice.update(a=twice, b=[twice, twice])
    row: list[Any] = []
    row += [row, row, row]
    for item in (alone, twice, {"row": row}):
        assert "holds itself" in message(one, item)


@both
def test_size_has_one_limit(one: codec.Codec) -> None:
    frame = len(one.encode({"v": b"x" * 70_000})) - 70_000
    room = codec.MAX_ITEM - frame
    assert len(one.encode({"v": b"x" * room})) == codec.MAX_ITEM
    for value in (b"x" * (room + 1), "x" * 20_000_000, [b"x" * 5_000_000] * 4, ("x" * 20_000_000,)):
        text = message(one, {"v": value})
        assert text.startswith("item: ")
        assert "16 MiB" in text


@both
@given(item=st.dictionaries(st.text("ab", max_size=2), st.integers()))
def test_ints_fit_64_bits_or_are_refused(one: codec.Codec, item: dict[str, int]) -> None:
    outside = [key for key, number in item.items() if not -(2**63) <= number < 2**64]
    if outside:
        assert any(message(one, item).startswith(f"{key or repr(key)}: ".replace("'': ", "['']: ")) for key in outside)
    else:
        assert one.decode(one.encode(item)) == item


# ---- id and created ---------------------------------------------------------------------------------------------


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("id", ["a", "x" * 255, "é" * 127, "中" * 85, "a b\n\0", " ", Text("t")], ids=ascii)
def test_ids_that_can_be_used(id: str) -> None:
    key, created = codec.identity({"id": id, "created": 5})
    assert key == id
    assert type(key) is str
    assert created == 5


@pytest.mark.parametrize(
    "id",
    ["", "x" * 256, "é" * 128, "中" * 86, "\ud800", None, 5, b"a", ["a"], True, 10**6000],
    ids=name_of,
)
def test_ids_that_cannot(id: Any) -> None:
    with pytest.raises(InvalidItem, match=r"^id: "):
        codec.identity({"id": id, "created": 5})


@pytest.mark.parametrize("created", [0, -1, 2**63 - 1, -(2**63)])
def test_created_is_64_bits_signed(created: int) -> None:
    assert codec.identity({"id": "a", "created": created}) == ("a", created)


@pytest.mark.parametrize("created", [2**63, -(2**63) - 1, True, 1.0, "1", None, 10**6000], ids=name_of)
def test_created_that_cannot_be_used(created: Any) -> None:
    with pytest.raises(InvalidItem, match=r"^created: "):
        codec.identity({"id": "a", "created": created})


@pytest.mark.parametrize("item", [{}, {"id": "a"}, {"created": 1}])
def test_id_and_created_have_to_be_there(item: dict[str, Any]) -> None:
    with pytest.raises(InvalidItem, match="missing"):
        codec.identity(item)
