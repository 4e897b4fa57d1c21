"""Adding to one number inside an item, where the writes are serialised.

The one place where a backend looks into a payload. It makes a pure function; nothing is read or written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .codec import MISSING, decode, encode, field_value, index_key
from .engine import Transformed
from .errors import InvalidItem, InvalidRequest

__all__ = ["adding"]

_CREATED = range(-(2**63), 2**63)
_WHOLE = range(-(2**63), 2**64)


def adding(field: str, by: float, indexes: Sequence[str]) -> Callable[[bytes], Transformed]:
    """A function from the item's payload to what it becomes when ``by`` is added at the dotted path ``field``.

    A field that is missing counts from 0. The function raises InvalidItem where something other than a number is in
    the way, and InvalidRequest for a sum that does not fit.
    """

    for index in indexes:
        if field.startswith(index + "."):
            raise InvalidItem(f"{field}: {index} is indexed, and a dict there cannot be looked up")

    def transform(payload: bytes) -> Transformed:
        item = decode(payload)
        before = field_value(item, field)
        after = _sum(field, 0 if before is MISSING else before, by)
        _place(item, field, after)
        posting: tuple[bytes | None, bytes | None] = (None, None)
        if field in indexes:
            posting = (None if before is MISSING else index_key(field, before), index_key(field, after))
        created = after if field == "created" else None
        return Transformed(encode(item), created, posting, after)  # type: ignore[arg-type]

    return transform


def _sum(field: str, before: Any, by: float) -> int | float:
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        raise InvalidItem(f"{field}: increment was asked to add {by!r} to {_shown(before)}, which is not a number")
    try:
        after = before + by
    except OverflowError:
        after = 2**64
    if isinstance(after, int) and after not in _WHOLE:
        raise InvalidRequest(f"{field}: {before!r} plus {by!r} does not fit 64 bits; nothing was changed")
    if field == "created" and (not isinstance(after, int) or after not in _CREATED):
        raise InvalidRequest(f"created: {after!r} cannot be a time of creation, which is a signed 64-bit int")
    return after


def _place(item: dict[str, Any], field: str, value: float) -> None:
    """Set the value at the path; the dicts on the way to a missing field are made."""
    *way, last = field.split(".")
    for depth, step in enumerate(way, 1):
        below = item.setdefault(step, {})
        if not isinstance(below, dict):
            path = ".".join(way[:depth])
            raise InvalidItem(f"{path}: increment was asked for {field}, and {path} is not a dict but {_shown(below)}")
        item = below
    item[last] = value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
