"""The parameters of a list request: what of a query string is understood, and what it asks for.

Whatever is not understood is refused; nothing is passed over in silence. How a list is made never enters this room.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from papertiger_shm import Events, Store
from papertiger_shm.http.problem import Problem

__all__ = ["Wanted", "refuse_all_but_expand", "wanted"]

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
MAX_TYPES: Final = 20
BOOLEANS: Final = frozenset({"active", "enabled", "inclusive", "is_default", "open", "used", "valid"})
"""Indexed fields that hold a bool; all others hold text."""

Condition: TypeAlias = Callable[[dict[str, Any]], bool]

_ASKED_BY: Final = {"parent.subscription_details.subscription": "subscription"}
"""Indexes that one asks for by another name: where Stripe has moved a field, but not the parameter."""

_BAD_INTEGER: Final = "parameter_invalid_integer"
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_BOUNDS: Final = ("created", "created.gt", "created.gte", "created.lt", "created.lte")
_PAGING: Final = ("limit", "starting_after", "ending_before", "expand")


@dataclass(frozen=True)
class Wanted:
    """What a list request asks for.

    ``alternatives``: filters on indexes; an item has to match all of one of them. ``oldest``, ``newest``: the range of
    ``created``, both ends in it. ``conditions``: what else an item has to be.
    """

    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None
    ending_before: str | None = None
    alternatives: tuple[dict[str, Any], ...] = ({},)
    oldest: int | None = None
    newest: int | None = None
    conditions: tuple[Condition, ...] = ()


def wanted(store: Store, query: str, given: dict[str, str]) -> Wanted:
    """What the query string asks of this store's list. ``given``: index filters that the path holds.

    Raises ``Problem`` where Stripe would answer with an error, and for parameters that are not known here.
    """
    values = _values(query)
    fields = _fields(store, given)
    of_events = ("delivery_success", "types") if isinstance(store, Events) else ()
    known = {*_PAGING, *_BOUNDS, *of_events, *fields}
    for name, value in values.items():
        if name not in known:
            raise _unknown(value.written, known)
        if not all(value.given):
            raise Problem(
                f"{value.written} is empty; give it a value, or leave it out.",
                code="parameter_invalid_empty",
                param=value.written,
            )
    for one, other in (("starting_after", "ending_before"), ("type", "types")):
        if one in values and other in values and other in known:
            raise Problem(f"{one} and {other} were both given; give one of them.", param=other)
    conditions = [condition for condition in (_pattern(values), _delivered(values)) if condition is not None]
    oldest, newest = _range(values)
    return Wanted(
        limit=_limit(values.get("limit")),
        starting_after=_last(values.get("starting_after")),
        ending_before=_last(values.get("ending_before")),
        alternatives=_alternatives(fields, given, values),
        oldest=oldest,
        newest=newest,
        conditions=tuple(conditions),
    )


def refuse_all_but_expand(query: str) -> None:
    """For requests that take no other parameter."""
    for name, value in _values(query).items():
        if name != "expand":
            raise _unknown(value.written, {"expand"})


# ---- names and values -------------------------------------------------------------------------------------------


class _Given(NamedTuple):
    """One parameter: its name as it was written, and every value, in their order."""

    written: str
    given: list[str]


def _values(query: str) -> dict[str, _Given]:
    """By name: ``created[gt]`` is "created.gt", and ``types[]`` as ``types[0]`` is "types"."""
    found: dict[str, _Given] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise Problem("The query string cannot be read: it is not UTF-8, or has more than 1000 fields.") from None
    for written, value in pairs:
        match = _NAME.fullmatch(written)
        inner = re.findall(r"\[([^\[\]]*)\]", match[2]) if match else []
        name = ".".join([match[1], *(step for step in inner if step and not step.isdigit())]) if match else written
        found.setdefault(name, _Given(written[:100], [])).given.append(value)
    return found


def _last(value: _Given | None) -> str | None:
    return None if value is None else value.given[-1]


def _fields(store: Store, given: dict[str, str]) -> dict[str, list[str]]:
    """By parameter, the indexes that it looks up; not those that the path has looked up already."""
    fields: dict[str, list[str]] = {}
    for index in store.indexes:
        if index not in given:
            fields.setdefault(_ASKED_BY.get(index, index), []).append(index)
    return fields


def _unknown(written: str, known: Iterable[str]) -> Problem:
    names = []
    for name in sorted(known):
        first, *inner = name.split(".")
        names.append(first + "".join(f"[{step}]" for step in inner))
    return Problem(
        f"Received unknown parameter: {written}. What this endpoint knows: {', '.join(names)}.",
        code="parameter_unknown",
        param=written,
    )


def _integer(value: _Given) -> int:
    text = value.given[-1]
    if not _INTEGER.fullmatch(text):
        raise Problem(f"Invalid integer: {text[:100]}", code=_BAD_INTEGER, param=value.written)
    return int(text)


def _boolean(value: _Given) -> bool:
    # "True", as it comes from clients that leave the encoding to their HTTP library.
    text = value.given[-1].lower()
    if text not in ("true", "false"):
        raise Problem(f"Invalid boolean: {text[:100]}; it is true or false.", param=value.written)
    return text == "true"


# ---- what is asked for ------------------------------------------------------------------------------------------


def _limit(value: _Given | None) -> int:
    if value is None:
        return DEFAULT_LIMIT
    limit = _integer(value)
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(f"limit is {limit}; it is from 1 to {MAX_LIMIT}.", code=_BAD_INTEGER, param="limit")
    return limit


def _range(values: dict[str, _Given]) -> tuple[int | None, int | None]:
    at = {name: _integer(values[name]) for name in _BOUNDS if name in values}
    oldest = [at[name] + above for name, above in (("created", 0), ("created.gt", 1), ("created.gte", 0)) if name in at]
    newest = [at[name] - below for name, below in (("created", 0), ("created.lt", 1), ("created.lte", 0)) if name in at]
    return max(oldest, default=None), min(newest, default=None)


def _alternatives(
    fields: dict[str, list[str]], given: dict[str, str], values: dict[str, _Given]
) -> tuple[dict[str, Any], ...]:
    alternatives: list[dict[str, Any]] = [{**given}]
    for name, indexes in fields.items():
        sought: list[Any] = []
        if name == "type" and "types" in values:
            sought = _types(values["types"])
        elif name in values and not (name == "type" and "*" in values[name].given[-1]):
            sought = [_boolean(values[name]) if name in BOOLEANS else values[name].given[-1]]
        if sought:
            alternatives = [{**one, index: value} for one in alternatives for index in indexes for value in sought]
    return tuple(alternatives)


def _types(value: _Given) -> list[str]:
    types = [*dict.fromkeys(value.given)]
    if len(types) > MAX_TYPES:
        raise Problem(f"types has {len(types)} values; it may have {MAX_TYPES}.", param="types")
    for type in types:
        if "*" in type:
            raise Problem(
                f"types holds the pattern {type[:100]}; give whole types, or it alone as type.", param="types"
            )
    return types


def _pattern(values: dict[str, _Given]) -> Condition | None:
    """A type such as ``customer.*``."""
    text = _last(values.get("type")) or ""
    if "*" not in text:
        return None
    pattern = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)
    return lambda item: isinstance(item.get("type"), str) and pattern.fullmatch(item["type"]) is not None


def _delivered(values: dict[str, _Given]) -> Condition | None:
    """An event has been delivered once no webhook waits for it any more."""
    if "delivery_success" not in values:
        return None
    wanted = _boolean(values["delivery_success"])
    return lambda item: (not item.get("pending_webhooks")) is wanted
