"""Values that items may hold, and whether two of them are the same. Nothing of stores enters this room."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

zones = st.integers(-12 * 60, 12 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=zones)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-3, 3)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | moments
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(["n", "data", "name", "ü", "list"]), values, max_size=3)


def alike(one: Any, other: Any) -> bool:
    """Whether two items are the same but for tuples, time zones and the order of keys; NaN is NaN, 1 is not True."""
    return bool(plain(one) == plain(other))


def plain(value: Any) -> Any:
    """A value that compares equal only to that of the same thing."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return "datetime", value.astimezone(timezone.utc)
    if isinstance(value, float):
        return "float", "nan" if value != value else struct.pack("d", value)  # noqa: PLR0124
    return type(value).__name__, value
