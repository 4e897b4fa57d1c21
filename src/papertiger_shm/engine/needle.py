"""Needles: what the directory is searched for, and the search as any reader may make it.

A key lives in a *space*, named by a token, and its *needle* is the token's eight bytes followed by the key's own: what
is hashed, and what is compared. Nothing here changes memory.
"""

from __future__ import annotations

from xxhash import xxh3_64_intdigest

from ..errors import CorruptSegment
from .layout import DIRECTORY_CAPACITY, DIRECTORY_GUARD, DIRECTORY_SLOTS, SHAPE, TAG_MASK, TOKEN
from .memory import Slices

NEEDLE = TOKEN * 8  # byte offset of the needle in a block's head
_OVERHEAD = 8  # bytes of a needle that are not the key's

needle_hash = xxh3_64_intdigest


def needle_of(token: int, key: bytes) -> bytes:
    """What is hashed and compared for ``key`` in the space ``token``."""
    return token.to_bytes(8, "little") + key


def needle_at(words: memoryview, raw: Slices, address: int) -> bytes:
    """The needle of the block at ``address``."""
    start = address * 8 + NEEDLE
    return raw[start : start + _OVERHEAD + (words[address + SHAPE] >> 40)]


def leads_to(words: memoryview, raw: Slices, address: int, needle: bytes) -> bool:
    """Whether the block at ``address`` has this needle and no longer one."""
    start = address * 8 + NEEDLE
    return raw[start : start + len(needle)] == needle and words[address + SHAPE] >> 40 == len(needle) - _OVERHEAD


def probe(words: memoryview, raw: Slices, directory: int, limit: int, needle: bytes) -> int:
    """The address that ``needle`` leads to, or 0, in the directory whose body is at ``directory``.

    Addresses from ``limit`` on are never followed. Ends after one round at the most, whatever the memory holds.

    Raises:
        IndexError, CorruptSegment: the memory is no directory, or is no longer one.
    """
    capacity = words[directory + DIRECTORY_CAPACITY]
    base, mask = directory + DIRECTORY_SLOTS, capacity - 1
    if not capacity or capacity & mask or base + capacity + DIRECTORY_GUARD > limit:
        raise CorruptSegment(f"the directory at word {directory} claims {capacity} slots")
    hashed = xxh3_64_intdigest(needle)
    tag = hashed & TAG_MASK
    place = hashed & mask
    for _ in range(capacity):
        slot = words[base + place]
        if not slot:
            return 0
        address = slot ^ tag
        if address < limit and leads_to(words, raw, address, needle):
            return address
        place = place + 1 & mask
    return 0
