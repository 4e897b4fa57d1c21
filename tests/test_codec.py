"""What the codecs write and read: the same bytes and the same values, for everything an item may hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from enum import Enum, IntEnum
from importlib.resources import files
from math import copysign, inf, isnan, nan
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from papertiger_shm import CorruptSegment, InvalidItem, InvalidRequest, codec

CODECS = [pytest.param(each, id=each.name) for each in (codec.MSGPACK, codec.MSGSPEC) if each is not None]
UTC = timezone.utc
EVENTS = [
    json.loads(line) for line in (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes().splitlines()
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
offsets = st.integers(-86_399_999_999, 86_399_999_999).map(lambda us: timezone(timedelta(microseconds=us)))
instants = st.datetimes(
    min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.one_of(st.just(UTC), offsets)
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([2**n + d for n in (5, 7, 8, 15, 16, 31, 32, 63) for d in (-1, 0, 1)]),
    st.sampled_from([-(2**n) + d for n in (5, 7, 8, 15, 16, 31, 32) for d in (-1, 0, 1)]),
    st.floats(),
    texts,
    st.binary(max_size=40),
)
values = st.recursive(
    st.one_of(scalars, instants),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.lists(inner, max_size=4).map(tuple), st.dictionaries(texts, inner, max_size=20)
    ),
    max_leaves=30,
)
items = st.dictionaries(texts, values, max_size=20)


def stored(value: Any) -> Any:
    """What must come back for a value: tuples as lists, datetimes in UTC, told apart as == does not."""
    if isinstance(value, dict):
        return {key: stored(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored(inner) for inner in value]
    if isinstance(value, datetime):
        return ("datetime", value.astimezone(UTC).isoformat())
    if isinstance(value, float):
        return ("float", "nan" if isnan(value) else value.hex())
    return (type(value).__name__, value)


# ---- the same in both codecs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CODECS)
@given(item=items)
@example(item={})
@example(item={"": ""})
@example(item={"a": nan, "b": inf, "c": -inf, "d": -0.0, "e": 0.0, "f": 5e-324})
@example(item={"a": "x" * 65536, "b": b"x" * 65536, "c": list(range(65536))})
@example(item={"a": ["é" * 300, "中" * 300, "😀" * 300]})
def test_what_one_writes_every_other_reads(one: codec.Codec, item: dict[str, Any]) -> None:
    payload = one.encode(item)
    assert payload == codec.MSGPACK.encode(item)
    for other in (codec.MSGPACK, codec.MSGSPEC or codec.MSGPACK):
        back = other.decode(payload)
        assert stored(back) == stored(item)
        assert list(back) == list(item)
        assert other.encode(back) == payload


@given(item=items)
def test_what_is_written_plainly_is_what_is_written_at_length(item: dict[str, Any]) -> None:
    at_length = codec._encode_normalised(item)
    for each in (codec.MSGPACK, codec.MSGSPEC or codec.MSGPACK):
        assert each.encode_plain(item) in {None, at_length}


@pytest.mark.parametrize("one", CODECS)
def test_stripe_events(one: codec.Codec) -> None:
    assert len(EVENTS) == 264
    for event in EVENTS:
        payload = one.encode_plain(event)
        assert payload is not None
        assert payload == codec.MSGPACK.encode(event)
        assert one.decode(payload) == event


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Kind(str, Enum):
    CARD = "card"


class Text(str):
    __slots__ = ()


class Blob(bytes):
    pass


class Real(float):
    pass


class Moment(datetime):
    pass


Point = namedtuple("Point", "x y")

NORMALISED: list[tuple[Any, Any]] = [
    ((1, (2, 3)), [1, [2, 3]]),
    (Level.HIGH, 3),
    (Kind.CARD, "card"),
    (Text("t"), "t"),
    (Blob(b"b"), b"b"),
    (Real(-0.0), -0.0),
    (Point(1, 2), [1, 2]),
    (OrderedDict(a=1, b=2), {"a": 1, "b": 2}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    ({Kind.CARD: 1}, {"card": 1}),
    ({Text("t"): 1}, {"t": 1}),
    (type("MyList", (list,), {})([1]), [1]),
    (Moment(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("one", CODECS)
@pytest.mark.parametrize(("value", "expected"), NORMALISED, ids=lambda value: type(value).__name__)
def test_subclasses_come_back_as_the_base_type(one: codec.Codec, value: Any, expected: Any) -> None:
    payload = one.encode({"v": [value]})
    assert payload == codec.MSGPACK.encode({"v": [expected]})
    back = one.decode(payload)["v"][0]
    assert back == expected
    assert type(back) is type(expected)
    if isinstance(back, dict):
        assert all(type(key) is str for key in back)


def test_an_ordered_dict_keeps_its_own_order() -> None:
    item = OrderedDict(a=1, b=2)
    item.move_to_end("a")
    assert list(codec.decode(codec.encode(item))) == ["b", "a"]


@pytest.mark.parametrize("one", CODECS)
def test_what_is_decoded_is_always_a_fresh_object(one: codec.Codec) -> None:
    payload = one.encode({"a": {"b": [1]}})
    first, second = one.decode(payload), one.decode(payload)
    first["a"]["b"].append(2)
    assert second == {"a": {"b": [1]}}


@pytest.mark.parametrize("one", CODECS)
def test_the_item_passed_is_left_as_it_is(one: codec.Codec) -> None:
    item = {"a": (1, 2), "d": datetime(2026, 1, 1, tzinfo=UTC)}
    one.encode(item)
    assert item == {"a": (1, 2), "d": datetime(2026, 1, 1, tzinfo=UTC)}


# ---- datetimes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CODECS)
@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
        datetime(2514, 5, 30, 1, 53, 4, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-23, minutes=-59))),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=1, microseconds=1))),
        datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    ],
    ids=str,
)
def test_aware_datetimes_come_back_as_the_same_instant_in_utc(one: codec.Codec, moment: datetime) -> None:
    payload = one.encode({"at": moment})
    back = one.decode(payload)["at"]
    assert back == moment.astimezone(UTC)
    assert back.microsecond == moment.astimezone(UTC).microsecond
    assert back.tzinfo is UTC
    assert one.encode({"at": back}) == payload == codec.MSGPACK.encode({"at": moment})


@pytest.mark.parametrize("one", CODECS)
@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-1))),
    ],
    ids=str,
)
def test_datetimes_outside_the_years_of_utc_are_refused(one: codec.Codec, moment: datetime) -> None:
    with pytest.raises(InvalidItem, match=r"^at: .*outside the years 1 to 9999"):
        one.encode({"at": moment})


# ---- threads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CODECS)
def test_threads_do_not_meet(one: codec.Codec) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(300):
            item = {"id": f"t{number}", "turn": turn, "x": ["y" * (number * 50)], "t": (turn,)}
            expected = {**item, "t": [turn]}
            if one.decode(one.encode(item)) != expected or one.unpack(one.pack([item]))[0]["turn"] != turn:
                wrong.append(item)
            try:
                one.encode({"x": "y" * 100, "bad": object()})
            except InvalidItem:
                continue
            wrong.append("accepted")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- messages ---------------------------------------------------------------------------------------------------

frames = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), texts, st.binary(max_size=300)),
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(texts, inner, max_size=20)),
    max_leaves=30,
)


@given(frame=frames)
def test_messages_are_the_same_in_both(frame: Any) -> None:
    data = codec.MSGPACK.pack(frame)
    for each in (codec.MSGPACK, codec.MSGSPEC or codec.MSGPACK):
        assert each.pack(frame) == data
        assert stored(each.unpack(data)) == stored(frame)


@pytest.mark.parametrize("one", CODECS)
def test_messages_hold_tuples_as_lists(one: codec.Codec) -> None:
    assert one.unpack(one.pack([(1, b"x"), Point(1, None)])) == [[1, b"x"], [1, None]]


@pytest.mark.parametrize("one", CODECS)
@given(junk=st.binary(max_size=30))
@example(junk=b"")
@example(junk=b"\xc1")
@example(junk=b"\xd9\x02\xff\xff")
@example(junk=b"\xdd\xff\xff\xff\xff")
@example(junk=b"\x91" * 3000)
def test_junk_is_a_value_error_and_nothing_else(one: codec.Codec, junk: bytes) -> None:
    try:
        one.unpack(junk)
    except ValueError:
        with pytest.raises(CorruptSegment, match="papertiger-shm check"):
            one.decode(junk)


# ---- index keys -------------------------------------------------------------------------------------------------


def equal(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN


keyed = st.one_of(
    scalars, instants, st.text("ab", max_size=300), st.integers(-2, 2), st.sampled_from([1.0, -0.0, 2.0**63, 2.0**64])
)


@given(one=keyed, other=keyed)
@example(one=True, other=1)
@example(one=1, other=1.0)
@example(one=False, other=-0.0)
@example(one=nan, other=-nan)
@example(one="a", other=b"a")
@example(one=None, other="")
@example(one=2**63, other=2.0**63)
@example(one=2**53 + 1, other=2.0**53)
@example(one=2**64 - 1, other=2.0**64)
@example(one="a" * 253, other="a" * 254)
@example(one="x" * 70_000, other="x" * 70_001)
@example(one=Kind.CARD, other="card")
@example(one=Level.HIGH, other=3.0)
def test_values_have_one_key_exactly_where_they_are_equal(one: Any, other: Any) -> None:
    assert (codec.index_key("f", one) == codec.index_key("f", other)) is equal(one, other)


@given(value=st.floats())
def test_a_key_outlives_storing(value: float) -> None:
    back = codec.decode(codec.encode({"v": value}))["v"]
    assert codec.index_key("v", back) == codec.index_key("v", value)
    assert copysign(1, back) == copysign(1, value)


@given(value=st.one_of(st.text("é", max_size=400), st.binary(max_size=1000)))
def test_keys_are_short_and_begin_with_the_field(value: Any) -> None:
    key = codec.index_key("metadata.plan", value)
    assert key.startswith(b"metadata.plan\0")
    assert len(key) <= len(b"metadata.plan\0") + 255


def test_keys_of_two_fields_differ() -> None:
    assert codec.index_key("a", "x") != codec.index_key("b", "x")


def test_keys_are_of_the_instant() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert codec.index_key("at", noon) == codec.index_key("at", noon.astimezone(timezone(timedelta(hours=5))))
    assert codec.index_key("at", noon) != codec.index_key("at", noon + timedelta(microseconds=1))


@pytest.mark.parametrize(
    "value",
    [{}, [], (), ["x"], {"a": 1}, {1}, Ellipsis, 2**64, "\ud800", Text("\udfff"), datetime(2026, 1, 1)],
    ids=repr,
)
def test_what_cannot_be_looked_up_has_no_key(value: Any) -> None:
    with pytest.raises(InvalidItem, match=r"^metadata\.plan: "):
        codec.index_key("metadata.plan", value)


@pytest.mark.parametrize(
    ("dotted", "expected"),
    [
        ("a", {"b": {"c": None}, "l": [{"c": 1}]}),
        ("a.b", {"c": None}),
        ("a.b.c", None),
        ("a.b.d", codec.MISSING),
        ("a.b.c.d", codec.MISSING),
        ("a.l.0", codec.MISSING),
        ("a.l.c", codec.MISSING),
        ("x", codec.MISSING),
        ("x.y", codec.MISSING),
        ("s.upper", codec.MISSING),
    ],
)
def test_field_value_goes_into_dicts_only(dotted: str, expected: Any) -> None:
    item = {"a": {"b": {"c": None}, "l": [{"c": 1}]}, "s": "text"}
    assert codec.field_value(item, dotted) == expected


# ---- which codec ------------------------------------------------------------------------------------------------


def test_the_faster_codec_is_taken_where_it_is_there() -> None:
    assert codec.select(None) is (codec.MSGSPEC or codec.MSGPACK)
    assert codec.select("") is codec.select(None)
    assert codec.select("msgpack") is codec.MSGPACK


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"\$PAPERTIGER_CODEC is 'pickle'.*msgpack or msgspec"):
        codec.select("pickle")


def test_a_codec_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MSGSPEC", None)
    assert codec.select(None) is codec.MSGPACK
    with pytest.raises(InvalidRequest, match=r"not installed.*papertiger-shm\[fast\]"):
        codec.select("msgspec")


def fresh(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


SHOW = "from papertiger_shm import codec; print(codec._codec.name, codec.encode({'a': 1}) == b'\\x81\\xa1a\\x01')"


def test_the_variable_forces_a_codec() -> None:
    assert fresh(SHOW, PAPERTIGER_CODEC="msgpack").stdout == "msgpack True\n"
    refused = fresh(SHOW, PAPERTIGER_CODEC="json")
    assert refused.returncode != 0
    assert "InvalidRequest" in refused.stderr


def test_without_msgspec_everything_works() -> None:
    hidden = f"import sys; sys.modules['msgspec'] = None; {SHOW}"
    assert fresh(hidden, PAPERTIGER_CODEC="").stdout == "msgpack True\n"
    assert "not installed" in fresh(hidden, PAPERTIGER_CODEC="msgspec").stderr


# ---- the stack ---------------------------------------------------------------------------------------------------


def at_depth_of_stack(left: int, call: Callable[[], Any]) -> Any:
    """The call, made with about ``left`` frames left before the recursion limit."""
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]

    def down(frames: int) -> Any:
        return call() if frames <= 0 else down(frames - 1)

    return down(sys.getrecursionlimit() - depth - left)


@pytest.mark.parametrize("one", CODECS)
def test_a_nearly_full_stack_does_not_matter_to_plain_items(one: codec.Codec) -> None:
    item: dict[str, Any] = {"id": "deep"}
    for _ in range(codec.MAX_DEPTH - 1):
        item = {"in": item}
    payload = one.encode(item)
    assert at_depth_of_stack(60, lambda: one.encode(item)) == payload
    assert "in" in at_depth_of_stack(60, lambda: one.decode(payload))
    assert at_depth_of_stack(60, lambda: one.unpack(payload)) is not None


def test_a_nearly_full_stack_is_never_a_recursion_error() -> None:
    item: Any = (1,)
    for _ in range(codec.MAX_DEPTH - 10):
        item = [item]
    with pytest.raises(InvalidItem, match="stack"):
        at_depth_of_stack(60, lambda: codec.encode({"a": item}))
    assert codec.decode(codec.encode({"a": item}))


@given(value=values)
def test_foreign_payloads_of_allowed_values_are_read_alike(value: Any) -> None:
    assume(codec.MSGSPEC is not None)
    payload = msgpack.packb({"v": stored_plain(value)}, datetime=True)
    assert codec.MSGSPEC is not None
    assert stored(codec.MSGSPEC.decode(payload)) == stored(codec.MSGPACK.decode(payload))


def stored_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: stored_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored_plain(inner) for inner in value]
    return value
