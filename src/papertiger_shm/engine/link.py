"""Links of posting lists, and the order that lists are in.

A *link* is a record's address with, in its top 16 bits, which of that record's lists is meant. The order is by
``created``, then by ordinal, both descending.
"""

from __future__ import annotations

from .layout import ADDRESS_MASK, CREATED, LINK_WORDS, ORDINAL, TAG_SHIFT


def link_to(record: int, which: int) -> int:
    """The link that means the record's list number ``which``."""
    return which << TAG_SHIFT | record


def link_base(link: int) -> int:
    """The address that ``NEWER``, ``OLDER`` and ``ANCHOR`` of this link are counted from."""
    return (link & ADDRESS_MASK) - LINK_WORDS * (link >> TAG_SHIFT)


def rank(words: memoryview, record: int) -> int:
    """What lists are ordered by; the newest has the highest."""
    return words[record + CREATED] << 64 | words[record + ORDINAL]
