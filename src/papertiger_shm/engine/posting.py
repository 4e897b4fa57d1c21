"""Posting lists: the records of one collection in order, newest first.

There is one list for the collection itself and one for each value of each declared index. The *anchor* at a list's
head holds its newest and oldest link and the count; a *link* is a record's address with, in its top 16 bits, which
of that record's lists is meant. The order is by ``created``, then by ordinal, both descending. Where an anchor is
found, and when one is made or freed, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict

from .commit import Commit
from .layout import (
    ADDRESS_MASK,
    ANCHOR,
    COUNT,
    CREATED,
    LINK_WORDS,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    ORDINAL,
    TAG_SHIFT,
)

NEAR = 16
"""How many links are walked from the newest before a sorted index of the list is made."""


def link_to(record: int, which: int) -> int:
    """The link that means the record's list number ``which``."""
    return which << TAG_SHIFT | record


def link_base(link: int) -> int:
    """The address that ``NEWER``, ``OLDER`` and ``ANCHOR`` of this link are counted from."""
    return (link & ADDRESS_MASK) - LINK_WORDS * (link >> TAG_SHIFT)


def rank(words: memoryview, record: int) -> int:
    """What lists are ordered by; the newest has the highest."""
    return words[record + CREATED] << 64 | words[record + ORDINAL]


class Postings:
    """All posting lists, as the writer changes them."""

    def __init__(self, words: memoryview, commit: Commit) -> None:
        self._words = words
        self._commit = commit
        # By anchor: rank -> link, of those lists that an insert in the middle was ever made to.
        self._sorted: dict[int, SortedDict[int, int]] = {}
        self._changed: set[int] = set()

    def neighbours(self, anchor: int, position: int) -> tuple[int, int]:
        """``(newer, older)`` links, or 0, of the place that rank ``position`` has in the list."""
        load = self._commit.load
        newest = load(anchor + NEWEST)
        if not newest or position > rank(self._words, newest & ADDRESS_MASK):
            return 0, newest
        oldest = load(anchor + OLDEST)
        if position < rank(self._words, oldest & ADDRESS_MASK):
            return oldest, 0
        newer = newest
        for _ in range(NEAR):
            older = load(link_base(newer) + OLDER)
            if position > rank(self._words, older & ADDRESS_MASK):
                return newer, older
            newer = older
        order = self._order(anchor)
        place = order.bisect_left(position)
        return order.peekitem(place)[1], order.peekitem(place - 1)[1]

    def link(self, anchor: int, link: int, position: int, newer: int, older: int) -> None:
        """Take the record in between two neighbours; its own link words are the caller's to write."""
        commit = self._commit
        commit.store(link_base(newer) + OLDER if newer else anchor + NEWEST, link)
        commit.store(link_base(older) + NEWER if older else anchor + OLDEST, link)
        commit.add(anchor + COUNT, 1)
        order = self._sorted.get(anchor)
        if order is not None:
            order[position] = link
            self._changed.add(anchor)

    def unlink(self, link: int) -> int:
        """Take the record out of the list; returns how many stay."""
        commit = self._commit
        base = link_base(link)
        newer, older, anchor = commit.load(base + NEWER), commit.load(base + OLDER), self._words[base + ANCHOR]
        commit.store(link_base(newer) + OLDER if newer else anchor + NEWEST, older)
        commit.store(link_base(older) + NEWER if older else anchor + OLDEST, newer)
        commit.add(anchor + COUNT, -1)
        order = self._sorted.get(anchor)
        if order is not None:
            del order[rank(self._words, link & ADDRESS_MASK)]
            self._changed.add(anchor)
        return commit.load(anchor + COUNT)

    def substitute(self, old: int, new: int) -> tuple[int, int]:
        """Let ``new`` stand where ``old`` stood; returns ``(newer, older)`` for the new record's own words."""
        commit = self._commit
        base = link_base(old)
        newer, older, anchor = commit.load(base + NEWER), commit.load(base + OLDER), self._words[base + ANCHOR]
        commit.store(link_base(newer) + OLDER if newer else anchor + NEWEST, new)
        commit.store(link_base(older) + NEWER if older else anchor + OLDEST, new)
        order = self._sorted.get(anchor)
        if order is not None:
            order[rank(self._words, old & ADDRESS_MASK)] = new
            self._changed.add(anchor)
        return newer, older

    def forget(self, anchor: int) -> None:
        """The anchor is freed."""
        self._sorted.pop(anchor, None)

    def settle(self) -> None:
        """The commit was published."""
        self._changed.clear()

    def undo(self) -> None:
        """The commit was discarded: a sorted index that it changed is made anew when next needed."""
        for anchor in self._changed:
            self._sorted.pop(anchor, None)
        self._changed.clear()

    def _order(self, anchor: int) -> SortedDict[int, int]:
        order = self._sorted.get(anchor)
        if order is None:
            order = SortedDict((rank(self._words, link & ADDRESS_MASK), link) for link in self._links(anchor))
            self._sorted[anchor] = order
            self._changed.add(anchor)
        return order

    def _links(self, anchor: int) -> Iterator[int]:
        link = self._commit.load(anchor + NEWEST)
        while link:
            yield link
            link = self._commit.load(link_base(link) + OLDER)
