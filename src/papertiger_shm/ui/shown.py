"""How a text of the store's is shown, which may hold anything: as text, in its own direction, and with what cannot be

seen, or would change how the rest is seen, written as escapes.
"""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import groupby
from typing import Any, Final

from markupsafe import Markup, escape

__all__ = ["moment", "shown", "visible"]

NAMED: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str) -> str:
    """Control characters, marks of direction and the like as ``\\u202e``; for what can hold no HTML, as a title."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def shown(text: str, most: int = 300) -> Markup:
    """The first ``most`` characters as HTML, apart from what stands around them."""
    cut = text[:most]
    end = "…" if len(text) > most else ""
    if cut.isascii():  # which has one direction only
        if cut.isprintable():
            return escape(cut + end)
        return Markup(_with_escapes(cut) + end)
    return Markup(f"<bdi>{_with_escapes(cut)}{end}</bdi>")


def _with_escapes(text: str) -> str:
    return "".join(
        escape(part) if plain else f'<span class="escape">{"".join(map(_escaped, part))}</span>'
        for part, plain in ((("".join(part), plain)) for plain, part in groupby(text, str.isprintable))
    )


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return NAMED.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def moment(created: Any) -> str:
    """Seconds since 1970 as date and time in UTC; what is beyond a calendar, as the number."""
    try:
        return datetime.fromtimestamp(created, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError, TypeError):
        return str(created)
