"""Posting lists: the records of one collection in order, newest first.

There is one list for the collection itself and one for each value of each declared index. The *anchor* at a list's
head holds its newest and oldest link and the count. Where an anchor is found, and when one is made or freed, is
decided elsewhere; what a link says, and what the order is, in ``link``.
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
from .link import link_base, rank

NEAR = 8
"""How many links are walked from the newest before a sorted index of the list is made."""


class Postings:
    """All posting lists, as the writer changes them."""

    def __init__(self, words: memoryview, commit: Commit) -> None:
        self._words = words
        self._draft = commit.draft
        # By anchor: rank -> link, of those lists that an insert in the middle was ever made to.
        self._sorted: dict[int, SortedDict[int, int]] = {}
        self._changed: set[int] = set()

    def enter(self, anchor: int, link: int, created: int, ordinal: int) -> tuple[int, int]:
        """Take the record in at the place that its rank has.

        Returns ``(newer, older)`` links, or 0, for the record's own words, which are the caller's to write.
        """
        draft, words = self._draft, self._words
        newest = draft[anchor + NEWEST]
        if newest:
            first = newest & ADDRESS_MASK
            # An item that is the newest is the usual case, and half the cost of an insert when not written out.
            latest = words[first + CREATED]
            if created > latest or (created == latest and ordinal > words[first + ORDINAL]):
                newer, older = 0, newest
                draft[anchor + NEWEST] = link
                draft[first - LINK_WORDS * (newest >> TAG_SHIFT) + NEWER] = link
            else:
                newer, older = self._neighbours(anchor, newest, created << 64 | ordinal)
                draft[link_base(newer) + OLDER] = link
                draft[link_base(older) + NEWER if older else anchor + OLDEST] = link
        else:
            newer = older = 0
            draft[anchor + NEWEST] = link
            draft[anchor + OLDEST] = link
        draft[anchor + COUNT] += 1
        if anchor in self._sorted:
            self._sorted[anchor][created << 64 | ordinal] = link
            self._changed.add(anchor)
        return newer, older

    def unlink(self, link: int) -> int:
        """Take the record out of the list; returns how many stay."""
        draft = self._draft
        base = link_base(link)
        newer, older, anchor = draft[base + NEWER], draft[base + OLDER], self._words[base + ANCHOR]
        draft[link_base(newer) + OLDER if newer else anchor + NEWEST] = older
        draft[link_base(older) + NEWER if older else anchor + OLDEST] = newer
        draft[anchor + COUNT] -= 1
        if anchor in self._sorted:
            del self._sorted[anchor][rank(self._words, link & ADDRESS_MASK)]
            self._changed.add(anchor)
        return draft[anchor + COUNT]

    def substitute(self, old: int, new: int) -> tuple[int, int]:
        """Let ``new`` stand where ``old`` stood; returns ``(newer, older)`` for the new record's own words."""
        draft = self._draft
        base = link_base(old)
        newer, older, anchor = draft[base + NEWER], draft[base + OLDER], self._words[base + ANCHOR]
        draft[link_base(newer) + OLDER if newer else anchor + NEWEST] = new
        draft[link_base(older) + NEWER if older else anchor + OLDEST] = new
        if anchor in self._sorted:
            self._sorted[anchor][rank(self._words, old & ADDRESS_MASK)] = new
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

    def _neighbours(self, anchor: int, newest: int, position: int) -> tuple[int, int]:
        """The links around a place that is not the first; the older one is 0 where it is the last."""
        draft, words = self._draft, self._words
        oldest = draft[anchor + OLDEST]
        if position < rank(words, oldest & ADDRESS_MASK):
            return oldest, 0
        if anchor not in self._sorted:
            newer = newest
            for _ in range(NEAR):
                older = draft[link_base(newer) + OLDER]
                if position > rank(words, older & ADDRESS_MASK):
                    return newer, older
                newer = older
        order = self._order(anchor)
        # Where to go on from, not at which place: half the cost, since a place has to be counted.
        newer = order[next(order.irange(position))]
        return newer, draft[link_base(newer) + OLDER]

    def _order(self, anchor: int) -> SortedDict[int, int]:
        order = self._sorted.get(anchor)
        if order is None:
            order = SortedDict((rank(self._words, link & ADDRESS_MASK), link) for link in self._links(anchor))
            self._sorted[anchor] = order
            self._changed.add(anchor)
        return order

    def _links(self, anchor: int) -> Iterator[int]:
        link = self._draft[anchor + NEWEST]
        while link:
            yield link
            link = self._draft[link_base(link) + OLDER]
