"""One page of a table's items, by type, id and text, in time that does not grow with the table.

Where the store's own list will not do, it is gone through step by step, up to so many items or so long; where that
ended before the page was full, one may go on from there. HTML never enters this room.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final, NamedTuple

from papertiger_shm import InvalidRequest, NotFound, Store

__all__ = ["Asked", "Found", "look"]

SHOWN: Final = 25
"""Items on a page."""

STEP: Final = 100
MOST_ITEMS: Final = 2000
MOST_SECONDS: Final = 0.2
"""What one request looks through; a step that was begun is finished."""


class Asked(NamedTuple):
    """What the items shall be like, and where to begin: empty is any, and from the newest."""

    type: str = ""
    id: str = ""
    text: str = ""
    after: str = ""
    before: str = ""


class Found(NamedTuple):
    """The items, newest first; where older and newer ones go on, None where they do not; how many were looked through.

    ``unfinished``: the look ended before the page was full, and there is more to look through from ``older``.
    """

    items: list[dict[str, Any]]
    older: str | None = None
    newer: str | None = None
    looked_through: int | None = None
    unfinished: bool = False


def look(store: Store, asked: Asked) -> Found:
    """The page. ``NotFound`` where the item to begin at is not there any more."""
    if asked.after and asked.before:
        raise InvalidRequest("items: after and before were both given; give one of them")
    if asked.id:
        item = store.get(asked.id, None)
        return Found([] if item is None or not _Test(asked.type, asked.text).passes(item) else [item])
    is_indexed = asked.type and "type" in store.indexes
    equals = {"type": asked.type} if is_indexed else {}
    test = _Test("" if is_indexed else asked.type, asked.text)
    if test.is_needed:
        return _walk(store, asked, equals, test)
    page = store.list(SHOWN, asked.after or None, asked.before or None, **equals)
    if not page.data:
        return Found([])
    has_older, has_newer = (True, page.has_more) if asked.before else (page.has_more, bool(asked.after))
    first, last = page.data[0]["id"], page.data[-1]["id"]
    return Found(page.data, last if has_older else None, first if has_newer else None)


def _walk(store: Store, asked: Asked, equals: dict[str, Any], test: _Test) -> Found:
    """Onwards from the cursor, towards older items."""
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        try:
            return _walked(store, asked, equals, test, deadline)
        except NotFound:
            if asked.after and asked.after not in store:
                raise
            # Else the item that a step went on from was deleted in between: look again.


def _walked(store: Store, asked: Asked, equals: dict[str, Any], test: _Test, deadline: float) -> Found:
    found: list[dict[str, Any]] = []
    cursor, looked_through = asked.after or None, 0
    while True:
        page = store.list(STEP, cursor, **equals)
        for item in page.data:
            looked_through += 1
            cursor = item["id"]
            if test.passes(item):
                found.append(item)
                if len(found) == SHOWN:
                    return Found(found, cursor, None, looked_through)
        if not page.has_more:
            return Found(found, None, None, looked_through)
        if looked_through >= MOST_ITEMS or time.monotonic() >= deadline:
            return Found(found, cursor, None, looked_through, unfinished=True)


class _Test:
    """Whether an item has this type, and this text anywhere in its keys and values; both may be empty."""

    def __init__(self, type: str, text: str) -> None:
        self._type = type
        self._text = text.casefold()
        self.is_needed = bool(type or text)

    def passes(self, item: dict[str, Any]) -> bool:
        if self._type and item.get("type") != self._type:
            return False
        return not self._text or self._is_in(item)

    def _is_in(self, item: dict[str, Any]) -> bool:
        left: list[Any] = [item]
        while left:
            value = left.pop()
            if isinstance(value, dict):
                left.extend(value)
                left.extend(value.values())
            elif isinstance(value, list):
                left.extend(value)
            elif isinstance(value, str):
                if self._text in value.casefold():
                    return True
            elif isinstance(value, datetime):
                if self._text in value.isoformat().casefold():
                    return True
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and self._text in str(value):
                return True
        return False
