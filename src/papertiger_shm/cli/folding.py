"""Folding: items made short enough for a person's screen. What is cut is marked with an ellipsis, which no JSON has.

Only plain values enter, as JSON has them; how bytes and datetimes become such is said in ``transfer``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["counted", "cut", "folded", "one_line", "printable", "printable_json"]

ELLIPSIS: Final = "…"

MOST_LEVELS = 3
MOST_ENTRIES = 8
"""Entries of a list that are shown, and those of an object below the first level."""
MOST_TEXT = 60

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text without anything that would move a terminal's cursor, or change the rest of the line."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(value: Any, width: int | None) -> str:
    """The value as JSON on one line, cut to so many characters; None for all of it."""
    return cut(_text(value), width)


def cut(text: str, most: int | None) -> str:
    """The first so many characters; None for all of them."""
    return text if most is None or len(text) <= most else text[: max(most - 1, 0)] + ELLIPSIS


def folded(value: Any) -> tuple[str, bool]:
    """The value as indented JSON with deep and long values folded, and whether any was."""
    text = "\n".join(_lines(value, 0))
    return text, text != printable_json(value)


def printable_json(value: Any) -> str:
    """The value as indented JSON, all of it; as valid as any JSON."""
    lines = json.dumps(value, ensure_ascii=False, indent=2).split("\n")
    return "\n".join(map(printable, lines))


def _lines(value: Any, level: int) -> Iterator[str]:
    """Lines of the value as ``json.dumps(indent=2)`` would write them, the first one without its indentation."""
    if isinstance(value, dict) and value:
        entries = [(f"{_text(key)}: ", inner) for key, inner in value.items()]
        yield from _block("{", "}", entries, "key", len(entries) if level == 0 else MOST_ENTRIES, level)
    elif isinstance(value, list) and value:
        yield from _block("[", "]", [("", inner) for inner in value], "item", MOST_ENTRIES, level)
    elif isinstance(value, str) and len(value) > MOST_TEXT:
        yield f'{_text(value[:MOST_TEXT])[:-1]}{ELLIPSIS} {len(value):,} characters"'
    else:
        yield _text(value)


def _block(opens: str, ends: str, entries: list[tuple[str, Any]], what: str, most: int, level: int) -> Iterator[str]:
    if level >= MOST_LEVELS:
        yield f"{opens}{ELLIPSIS} {counted(len(entries), what)}{ends}"
        return
    inner_indent = "  " * (level + 1)
    yield opens
    shown = entries if len(entries) <= most + 1 else entries[:most]  # a line that folds one is no shorter
    for place, (name, inner) in enumerate(shown, 1):
        comma = "," if place < len(entries) else ""
        lines = list(_lines(inner, level + 1))
        lines[-1] += comma
        yield f"{inner_indent}{name}{lines[0]}"
        yield from lines[1:]
    if len(shown) < len(entries):
        yield f"{inner_indent}{ELLIPSIS} {counted(len(entries) - len(shown), f'more {what}')}"
    yield "  " * level + ends


def _text(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False))


def counted(count: int, what: str) -> str:
    """As ``"1,024 keys"``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
