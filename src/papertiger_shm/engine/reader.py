"""Readers: point reads that never wait, and multi-record reads under a collection's seqlock.

A reader only loads. A *point read* follows one directory word to a record that is immutable for as long as the
epoch stands still, copies it, and looks at the epoch again. A *multi-record read* copies everything between two
looks at the collection's sequence and at the epoch. Nothing is decoded here, nothing waits and nothing sleeps: a
read that keeps losing the race says so with ``Contended``, and the caller has it done by the writer instead.

Whatever is read from the segment is checked before it is used as an address or a length. Where the memory cannot be
what a writer leaves, and nothing moved meanwhile, that is ``CorruptSegment``.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from xxhash import xxh3_64_intdigest

from ..errors import CorruptSegment, NotFound
from .layout import (
    ADDRESS_MASK,
    ANCHOR,
    ARENA,
    CLOSED,
    COUNT,
    DIRECTORY_CAPACITY,
    DIRECTORY_GUARD,
    DIRECTORY_SLOTS,
    H_DIRECTORY,
    H_EPOCH,
    H_MAGIC,
    H_RESERVED,
    KEY,
    LINK_WORDS,
    MAX_PAYLOAD,
    MIN_BLOCK,
    NEWER,
    NEWEST,
    OLDER,
    OWN_TOKEN,
    PAYLOAD_BOUND,
    ROOT_TOKEN,
    SEQUENCE,
    SHAPE,
    TAG_MASK,
    TAG_SHIFT,
    TOKEN,
    VERSION,
)
from .link import rank
from .memory import Memory
from .needle import NEEDLE, needle_of, probe
from .record import is_intact

WEAKLY_ORDERED = platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686")
"""Whether loads and stores may be seen out of order here, so that every record's checksum must be verified too."""

ATTEMPTS = 64
"""How often a read starts over before it is ``Contended``; a commit of one record takes some five to ten of them."""

LOOK_EVERY = 256
"""Records after which a long read looks whether the writer has overtaken it: what follows would be in vain."""

LONG_ATTEMPTS = 4
"""How often a read may come so far in vain. Its caller has a deadline, and a walk of a large list takes a good part of
that: with ATTEMPTS, 100,000 items under a busy writer took 20 s."""

T = TypeVar("T")


class Contended(Exception):
    """The writer moved under every attempt, or stopped with a sequence odd. Ask it to do the read in turn."""


class Closed(Exception):
    """The writer has closed the segment for ever; another one may have taken its place."""


class _Torn(Exception):
    """What was met cannot be: the race was lost, or the segment is damaged."""


class _Overtaken(Exception):
    """The writer moved under a read that had come a long way."""


class _Moved(Exception):
    """The collection went and came back while it was looked up: look again."""


class _View(NamedTuple):
    """What a reader may keep for as long as the epoch stands still. Swapped whole, so threads need no lock."""

    epoch: int
    base: int  # of the directory's slots
    mask: int
    limit: int  # addresses from here on are not backed by memory yet
    anchor: int  # of the collection; 0 while there is none
    token_at: int  # where its token stands
    token: int
    prefix: bytes  # the token as needles begin


class Reader:
    """Reads one segment. ``checked`` also verifies the checksum of every record that is read."""

    def __init__(self, memory: Memory, *, checked: bool = WEAKLY_ORDERED) -> None:
        self.memory = memory
        self.checked = checked
        self.retries = 0

    def collection(self, name: bytes) -> CollectionReader:
        """A reader of one collection, which need not exist yet."""
        return CollectionReader(self, name)


class CollectionReader:
    """Reads one collection of one segment; any number of threads may share it.

    Every method may raise ``Contended``, ``Closed`` or ``CorruptSegment``.
    """

    def __init__(self, reader: Reader, name: bytes) -> None:
        self._reader = reader
        self._words = reader.memory.words
        self._raw = reader.memory.raw
        self._checked = reader.checked
        self._needle = needle_of(ROOT_TOKEN, name)
        self._keep(_View(0, H_MAGIC, 0, 0, 0, H_MAGIC, 0, b""))

    # --- point reads -------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The payload of the item, or None.

        Written out for an item within a few slots of its place, and for one that is not there: 0.5 us where ``_point``
        takes 2.1. Every doubt falls through to the plain way.
        """
        words, raw, epoch, base, mask, limit, end_of_memory, token_at, token, prefix = self._hot
        needle = prefix + key
        hashed = xxh3_64_intdigest(needle)
        tag = hashed & TAG_MASK
        first = place = base + (hashed & mask)
        slot = words[place]
        record = slot ^ tag
        if record >= limit and slot:
            for place in range(first + 1, first + DIRECTORY_GUARD):
                slot = words[place]
                record = slot ^ tag
                if record < limit or not slot:
                    break
        if record < limit:
            start = (record << 3) + NEEDLE
            end = start + len(needle)
            if raw[start:end] == needle:
                rest = words[record + SHAPE] - (len(key) << 40)
                if 0 <= rest < PAYLOAD_BOUND:
                    stop = end + (rest >> 8)
                    if stop <= end_of_memory and words[token_at] == token:
                        payload = raw[end:stop]
                        if words[H_EPOCH] == epoch:
                            return payload
        elif (
            not slot
            and place <= base + mask  # from the last slot a search goes on at the first, over the empty ones behind it
            and words[token_at] == token
            and words[H_RESERVED] == limit
            and words[H_EPOCH] == epoch
        ):
            return None
        return self._point(key, self._payload)

    def version(self, key: bytes) -> int | None:
        """The item's version, or None."""
        return self._point(key, self._version)

    def entry(self, key: bytes) -> tuple[int, bytes] | None:
        """The item's version and payload, or None."""
        return self._point(key, self._entry)

    def count(self) -> int:
        """How many items there are."""
        for _ in range(ATTEMPTS):
            view = self._current()
            if not view.anchor:
                return 0
            count = self._words[view.anchor + COUNT]
            if self._stands(view):
                return count
            self._reader.retries += 1
        raise Contended

    def _point(self, key: bytes, take: Callable[[int, _View], T]) -> T | None:
        """``take`` of the record with this key while it is sure to be the record, None where there is none."""
        for _ in range(ATTEMPTS):
            view = self._current()
            if not view.anchor:
                return None
            try:
                record = probe(self._words, self._raw, view.base - DIRECTORY_SLOTS, view.limit, view.prefix + key)
                found = take(record, view) if record else None
            except (IndexError, _Torn, CorruptSegment) as error:
                if self._stands(view):
                    raise self._corrupt(error) from error
            else:
                # The token still has to be the collection's: what is found under one that has gone may never have
                # been to be seen, and what is missed may be there under the next.
                if self._stands(view):
                    return found
            self._reader.retries += 1
        raise Contended

    # --- multi-record reads --------------------------------------------------------------------------------------

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The payload of each item, or None, all as of one moment."""

        def read(view: _View, sequence: int) -> list[bytes | None]:
            found: list[bytes | None] = []
            for done, key in enumerate(keys):
                if done and not done % LOOK_EVERY:
                    self._see_whether_overtaken(view, sequence)
                record = self._find(view, view.token, key)
                found.append(self._payload(record, view) if record else None)
            return found

        found = self._consistent(read)
        return [None] * len(keys) if found is None else found

    def scan(self, filters: Sequence[bytes] = ()) -> list[bytes]:
        """The payloads of all items that are on the posting list of every filter, newest first."""
        return self._all(filters, self._payloads)

    def entries(self, filters: Sequence[bytes] = ()) -> list[tuple[int, bytes]]:
        """As ``scan``, each payload with its version."""
        return self._all(filters, lambda records, view: [self._entry(record, view) for record in records])

    def _all(self, filters: Sequence[bytes], take: Callable[[list[int], _View], list[T]]) -> list[T]:
        def read(view: _View, sequence: int) -> list[T]:
            found: list[T] = []
            for records in self._walk(view, sequence, filters):
                found += take(records, view)
            return found

        return self._consistent(read) or []

    def page(
        self, limit: int, after: bytes | None, before: bytes | None, filters: Sequence[bytes] = ()
    ) -> tuple[list[bytes], bool]:
        """At most ``limit`` payloads, newest first, and whether there are more in the direction of paging.

        Those right behind the item with key ``after``, or right before the one with key ``before``, or the newest.

        Raises:
            NotFound: the cursor is no item of this collection.
        """
        key, way = (after, OLDER) if before is None else (before, NEWER)

        def read(view: _View, sequence: int) -> tuple[list[bytes], bool] | None:
            cursor = 0
            if key is not None:
                cursor = self._find(view, view.token, key)
                if not cursor:
                    return None
            records: list[int] = []
            for some in self._walk(view, sequence, filters, cursor, way, limit + 1):
                records += some
            more = len(records) > limit
            del records[limit:]
            if way == NEWER:
                records.reverse()
            return self._payloads(records, view), more

        found = self._consistent(read)
        if found is None:
            if key is not None:
                raise NotFound("the cursor names no item")
            return [], False
        return found

    def _consistent(self, read: Callable[[_View, int], T]) -> T | None:
        """``read`` under the collection's seqlock; None where there is no such collection."""
        words = self._words
        long_attempts = 0
        for _ in range(ATTEMPTS):
            view = self._current()
            if not view.anchor:
                return None
            sequence = words[view.anchor + SEQUENCE]
            if not sequence & 1:
                try:
                    found = read(view, sequence)
                except _Overtaken:
                    long_attempts += 1
                except (IndexError, _Torn, CorruptSegment) as error:
                    if words[view.anchor + SEQUENCE] == sequence and self._stands(view):
                        raise self._corrupt(error) from error
                else:
                    if words[view.anchor + SEQUENCE] == sequence and self._stands(view):
                        return found
            self._reader.retries += 1
            if long_attempts == LONG_ATTEMPTS:
                break
        raise Contended

    # --- steps of a read, each of them only as true as the checks around the whole ---------------------------------

    def _walk(
        self,
        view: _View,
        sequence: int,
        filters: Sequence[bytes],
        cursor: int = 0,
        way: int = OLDER,
        most: int = sys.maxsize,
    ) -> Iterator[list[int]]:
        """Up to ``most`` records that are on the lists of all filters, some at a time.

        From the newest, or on from ``cursor`` in direction ``way``.
        """
        words, limit, token = self._words, view.limit, view.token
        lead, rest = self._lists(view, filters) if filters else (view.anchor, None)
        if not lead:
            return
        bound = left = min(words[lead + COUNT], limit // MIN_BLOCK)
        link = self._next_to(cursor, lead, way, view, sequence) if cursor else words[lead + NEWEST]
        while link and most:
            if not left:
                raise _Torn(f"the list of {bound} records does not end")
            # Bounded by a range, and without a call: a generator of single records took twice as long for each.
            steps = min(left, most, LOOK_EVERY)
            left -= steps
            records = []
            for _ in range(steps):
                record = base = link
                if link > ADDRESS_MASK:  # not the collection's own list, which is each record's first
                    record &= ADDRESS_MASK
                    base = record - LINK_WORDS * (link >> TAG_SHIFT)
                if base < ARENA or record >= limit:
                    raise _Torn(f"a posting list goes astray at word {record}")
                if words[base + ANCHOR] != lead or words[record + TOKEN] != token:
                    raise _Torn(f"the record at word {record} is not on the list that led to it")
                if not rest or rest <= {words[other + ANCHOR] for other in self._bases(record)}:
                    records.append(record)
                link = words[base + way]
                if not link:
                    break
            most -= len(records)
            yield records
            if bound - left >= LOOK_EVERY:
                self._see_whether_overtaken(view, sequence)

    def _lists(self, view: _View, filters: Sequence[bytes]) -> tuple[int, set[int]]:
        """The anchor of the shortest of these lists, and those of the others; 0 where one of them does not exist."""
        words = self._words
        anchors = [self._find(view, view.token | 1, key) for key in filters]
        if not all(anchors):
            return 0, set()
        lead = anchors[0] if len(anchors) == 1 else min(anchors, key=lambda anchor: words[anchor + COUNT])
        return lead, {*anchors} - {lead}

    def _next_to(self, cursor: int, lead: int, way: int, view: _View, sequence: int) -> int:
        """The link that follows ``cursor`` in a list that it may or may not be on."""
        words = self._words
        for base in self._bases(cursor):
            if words[base + ANCHOR] == lead:
                return words[base + way]
        position = rank(words, cursor)
        newer, older = 0, words[lead + NEWEST]
        steps = 0
        for steps in range(1, min(words[lead + COUNT], view.limit // MIN_BLOCK) + 1):
            if not steps % LOOK_EVERY:
                self._see_whether_overtaken(view, sequence)
            base = self._base_of(older, view)
            if rank(words, older & ADDRESS_MASK) < position:
                break
            newer, older = older, words[base + OLDER]
        if steps >= LOOK_EVERY:
            self._see_whether_overtaken(view, sequence)
        return newer if way == NEWER else older

    def _see_whether_overtaken(self, view: _View, sequence: int) -> None:
        if self._words[view.anchor + SEQUENCE] != sequence:
            raise _Overtaken

    def _base_of(self, link: int, view: _View) -> int:
        record = link & ADDRESS_MASK
        base = record - LINK_WORDS * (link >> TAG_SHIFT)
        if base < ARENA or record >= view.limit:
            raise _Torn(f"a posting list goes astray at word {record}")
        return base

    def _bases(self, record: int) -> range:
        lists = self._words[record + SHAPE] & 0xFF
        if record - LINK_WORDS * lists < ARENA:
            raise _Torn(f"the record at word {record} claims to be on {lists} lists")
        return range(record, record - LINK_WORDS * lists, -LINK_WORDS)

    def _find(self, view: _View, space: int, key: bytes) -> int:
        return probe(self._words, self._raw, view.base - DIRECTORY_SLOTS, view.limit, needle_of(space, key))

    def _version(self, record: int, view: _View) -> int:
        if self._checked:
            self._payload(record, view)
        return self._words[record + VERSION]

    def _payloads(self, records: list[int], view: _View) -> list[bytes]:
        if self._checked:
            return [self._payload(record, view) for record in records]
        words, raw, end_of_memory = self._words, self._raw, view.limit * 8
        payloads = []
        for record in records:
            shape = words[record + SHAPE]
            length = shape >> 8 & 0xFFFF_FFFF
            start = (record + KEY) * 8 + (shape >> 40)
            end = start + length
            if length > MAX_PAYLOAD or end > end_of_memory:
                raise _Torn(f"the record at word {record} claims {length:,} bytes")
            payloads.append(raw[start:end])
        return payloads

    def _payload(self, record: int, view: _View) -> bytes:
        shape = self._words[record + SHAPE]
        length = shape >> 8 & 0xFFFF_FFFF
        start = (record + KEY) * 8 + (shape >> 40)
        if length > MAX_PAYLOAD or start + length > view.limit * 8:
            raise _Torn(f"the record at word {record} claims {length:,} bytes")
        payload = self._raw[start : start + length]
        if self._checked and not is_intact(self._words, self._raw, record):
            raise _Torn(f"the record at word {record} does not fit its checksum")
        return payload

    def _entry(self, record: int, view: _View) -> tuple[int, bytes]:
        return self._words[record + VERSION], self._payload(record, view)

    # --- the view ------------------------------------------------------------------------------------------------

    def _stands(self, view: _View) -> bool:
        """Whether the view is still that of the collection, and of all the memory there is, as they are."""
        words = self._words
        return words[H_EPOCH] == view.epoch and words[view.token_at] == view.token and words[H_RESERVED] == view.limit

    def _current(self) -> _View:
        """A view of the collection as it is now; its ``anchor`` is 0 where there is no such collection."""
        view = self._view
        if view.anchor and self._stands(view):
            return view
        words = self._words
        for _ in range(ATTEMPTS):
            epoch, limit = words[H_EPOCH], words[H_RESERVED]
            if epoch & CLOSED:
                raise Closed
            try:
                view = self._look(epoch, limit)
            except _Moved:
                pass
            except (IndexError, CorruptSegment) as error:
                if words[H_EPOCH] == epoch and words[H_RESERVED] == limit:
                    raise self._corrupt(error) from error
            else:
                if words[H_EPOCH] == epoch and words[H_RESERVED] == limit:
                    self._keep(view)
                    return view
            self._reader.retries += 1
        raise Contended

    def _keep(self, view: _View) -> None:
        self._view = view
        # With nothing below its limit, the quick way of ``get`` finds nothing, and the plain one verifies checksums.
        limit = 0 if self._checked else view.limit
        self._hot = (
            self._words,
            self._raw,
            view.epoch,
            view.base,
            view.mask,
            limit,
            limit * 8,
            view.token_at,
            view.token,
            view.prefix,
        )

    def _look(self, epoch: int, limit: int) -> _View:
        words = self._words
        directory = words[H_DIRECTORY]
        if not ARENA <= directory < limit <= len(words):
            raise CorruptSegment(f"the header leads to a directory at word {directory} of {limit}")
        anchor = probe(words, self._raw, directory, limit, self._needle)
        mask = words[directory + DIRECTORY_CAPACITY] - 1
        if not anchor:
            return _View(epoch, directory + DIRECTORY_SLOTS, mask, limit, 0, H_MAGIC, 0, b"")
        token = words[anchor + OWN_TOKEN]
        if not token:
            # On its way out, empty; unless it went before and the directory leads to another one by now.
            if probe(words, self._raw, directory, limit, self._needle) != anchor:
                raise _Moved
            return _View(epoch, directory + DIRECTORY_SLOTS, mask, limit, 0, H_MAGIC, 0, b"")
        prefix = token.to_bytes(8, "little")
        return _View(epoch, directory + DIRECTORY_SLOTS, mask, limit, anchor, anchor + OWN_TOKEN, token, prefix)

    def _corrupt(self, error: Exception) -> CorruptSegment:
        reason = str(error) or type(error).__name__
        return CorruptSegment(f"the segment is damaged: {reason}. Stop its manager and start a new store")
