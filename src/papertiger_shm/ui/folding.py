"""An item as folded JSON: HTML in which each object and each list can be opened, and of which no part is too large.

What is cut names the place in the item where it goes on, as positions: ``"3.0"`` is the first of what the fourth key
holds. A key may be as long as an item, and would not fit into an address.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup, escape

from papertiger_shm import NotFound
from papertiger_shm.ui.shown import shown

__all__ = ["Folding", "as_text", "part_at"]

MOST_OF_STRING: Final = 400
MOST_OF_KEY: Final = 200
MOST_CHILDREN: Final = 100
MOST_LEVELS: Final = 16

LITERALS: Final = {None: "null", True: "true", False: "false"}


class Folding:
    """The HTML of one item, of so many lines at most."""

    def __init__(self, address_of: Callable[[str], str], *, lines: int) -> None:
        """``address_of``: where all of a part is, by its place."""
        self._address_of = address_of
        self._left = lines

    def html(self, item: dict[str, Any]) -> Markup:
        """The item's fields, each object and list in it closed."""
        parts: list[str] = []
        self._children(parts, item, "", 0)
        return Markup("".join(parts))

    def _children(self, parts: list[str], value: Any, place: str, level: int) -> None:
        pairs = [*value.items()] if isinstance(value, dict) else [*enumerate(value)]
        parts.append("<ul>")
        for position, (key, inner) in enumerate(pairs):
            if position == MOST_CHILDREN or self._left <= 0:
                more = f"{len(pairs) - position:,} more"
                parts.append(f"<li>{more}, {self._all_of(place)}</li>")
                break
            self._left -= 1
            self._line(parts, key, inner, f"{place}.{position}" if place else str(position), level)
        parts.append("</ul>")

    def _line(self, parts: list[str], key: str | int, value: Any, place: str, level: int) -> None:
        name = f'<span class="key">{shown(key, MOST_OF_KEY) if isinstance(key, str) else key}</span> '
        if not (isinstance(value, (dict, list)) and value):
            parts.append(f"<li>{name}{self._scalar(value, place)}</li>")
        elif level >= MOST_LEVELS:
            parts.append(f"<li>{name}{_size(value)}, {self._all_of(place)}</li>")
        else:
            parts.append(f'<li><details data-key="{place}"><summary>{name}{_size(value)}</summary>')
            self._children(parts, value, place, level + 1)
            parts.append("</details></li>")

    def _scalar(self, value: Any, place: str) -> str:
        if isinstance(value, str):
            text = f'<span class="string">"{shown(value, MOST_OF_STRING)}"</span>'
            if len(value) > MOST_OF_STRING:
                text += f" {len(value):,} characters, {self._all_of(place)}"
            return text
        if isinstance(value, bytes):
            text = b64encode(value[:MOST_OF_STRING]).decode()
            more = f", {self._all_of(place)}" if len(value) > MOST_OF_STRING else ""
            return f'<span class="other">base64 {text}</span> {len(value):,} bytes{more}'
        if isinstance(value, datetime):
            return f'<span class="other">{value.isoformat()}</span>'
        if isinstance(value, (dict, list)):
            return "{}" if isinstance(value, dict) else "[]"
        return f'<span class="literal">{LITERALS[value] if value is None or isinstance(value, bool) else value}</span>'

    def _all_of(self, place: str) -> str:
        return f'<a href="{escape(self._address_of(place))}">show all</a>'


def _size(value: Any) -> str:
    return f'<span class="size">{{{len(value)}}}</span>' if isinstance(value, dict) else f"[{len(value)}]"


def part_at(item: dict[str, Any], place: str) -> Any:
    """The part of the item at that place; ``""`` is the whole. ``NotFound`` where there is none."""
    value: Any = item
    try:
        for position in map(int, place.split(".") if place else ()):
            if not isinstance(value, (dict, list)) or position < 0:
                raise IndexError
            value = ([*value.values()] if isinstance(value, dict) else value)[position]
    except (ValueError, IndexError):
        raise NotFound(f"there is nothing at {place[:100]!r} in the item; it may have been replaced") from None
    return value


def as_text(value: Any) -> str:
    """All of it: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return b64encode(value).decode() if isinstance(value, bytes) else value.isoformat()
