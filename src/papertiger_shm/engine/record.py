"""Records and anchors: how a block's body is laid out, written into fresh memory, and read back.

A record is written once, before anything leads to it, and its head, key and payload never change afterwards; only
its link words do. Where a block comes from and what leads to it is decided elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

from xxhash import xxh3_64_intdigest

from .layout import (
    CHECKSUM,
    COLLECTION,
    COLLECTION_WORDS,
    KEY,
    KIND_SHIFT,
    LINK_WORDS,
    SHAPE,
    shape_of,
)
from .memory import Memory, Slices
from .needle import needle_of

_HEAD = struct.Struct("<5Q")  # shape, created, ordinal, version, token
_ANCHOR_HEAD = struct.Struct("<6Q")  # checksum, shape, newest, oldest, count, token
_below_head = lru_cache(maxsize=256)(lambda words: struct.Struct(f"<{words}Q"))  # links, checksum


def anchor_words(kind: int, key: bytes) -> int:
    """Words of the body that such an anchor needs."""
    return (COLLECTION_WORDS if kind == COLLECTION else 0) + KEY + (len(key) + 7) // 8


def anchor_address(kind: int, body: int) -> int:
    """Where in its block an anchor's head begins."""
    return body + COLLECTION_WORDS if kind == COLLECTION else body


def body_of_anchor(kind: int, anchor: int) -> int:
    """The inverse of ``anchor_address``."""
    return anchor - COLLECTION_WORDS if kind == COLLECTION else anchor


def body_of_record(words: memoryview, record: int) -> int:
    """The body of the block that the record is in."""
    return record - LINK_WORDS * lists_of(words, record)


def lists_of(words: memoryview, record: int) -> int:
    """How many posting lists the record is on."""
    return words[record + SHAPE] & 0xFF


def key_of(words: memoryview, raw: Slices, address: int) -> bytes:
    """The key of a record or an anchor."""
    start = (address + KEY) * 8
    return raw[start : start + (words[address + SHAPE] >> 40)]


def payload_of(words: memoryview, raw: Slices, record: int) -> bytes:
    """The payload of a record that is known to be one."""
    shape = words[record + SHAPE]
    start = (record + KEY) * 8 + (shape >> 40)
    return raw[start : start + (shape >> 8 & 0xFFFF_FFFF)]


def checked_span(words: memoryview, record: int) -> tuple[int, int]:
    """The bytes that a record's checksum covers, as ``(start, end)``: its head behind the checksum, key, payload."""
    shape = words[record + SHAPE]
    start = (record + SHAPE) * 8
    return start, (record + KEY) * 8 + (shape >> 40) + (shape >> 8 & 0xFFFF_FFFF)


def write_record(
    memory: Memory,
    body: int,
    links: Sequence[int],
    stamp: tuple[int, int, int, int],
    key: bytes,
    payload: bytes,
) -> None:
    """Fill the body of a fresh block.

    ``links`` are ``newer, older, anchor`` of the last list down to those of list 0; ``stamp`` is created (biased),
    ordinal, version and token.
    """
    words = len(links)
    content = _HEAD.pack(len(key) << 40 | len(payload) << 8 | words // LINK_WORDS, *stamp) + key + payload
    content = _below_head(words + 1).pack(*links, xxh3_64_intdigest(content)) + content
    start = body * 8
    memory.fresh[start : start + len(content)] = content


def write_anchor(memory: Memory, kind: int, body: int, space: int, key: bytes, own_token: int) -> int:
    """Fill the body of a fresh block with an empty anchor; returns the anchor's address."""
    anchor = anchor_address(kind, body)
    if kind == COLLECTION:
        memory.words[body] = 0
        memory.words[body + 1] = own_token
    content = _ANCHOR_HEAD.pack(anchor_checksum(space, key), shape_of(len(key), 0, 0), 0, 0, 0, space) + key
    memory.fresh[anchor * 8 : anchor * 8 + len(content)] = content
    return anchor


def anchor_checksum(space: int, key: bytes) -> int:
    """What an anchor's checksum word holds: of the needle, since everything else in it changes."""
    return xxh3_64_intdigest(needle_of(space, key))


def is_intact(words: memoryview, raw: Slices, record: int) -> bool:
    """Whether the record's checksum fits what it holds."""
    start, end = checked_span(words, record)
    return xxh3_64_intdigest(raw[start:end]) == words[record + CHECKSUM]


def kind_of(words: memoryview, body: int) -> int:
    """What the block with this body holds."""
    return words[body - 1] >> KIND_SHIFT
