"""Items: what one put, delete or transform changes, told to the commit.

The checks of an operation come before its first change wherever that is possible. Batches, retries, sessions and
the carrying out of commits are not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import AlreadyExists, Conflict, InvalidItem, InvalidRequest, NotFound
from .arena import Arena
from .catalogue import Catalogue
from .commit import Commit
from .directory import Directory
from .layout import (
    ANCHOR,
    COUNT,
    CREATED,
    CREATED_BIAS,
    H_CHANGE,
    H_ITEMS,
    KEY,
    LINK_WORDS,
    MAX_KEY,
    MAX_LISTS,
    MAX_PAYLOAD,
    ORDINAL,
    OWN_TOKEN,
    RECORD,
    SEQUENCE,
    TAG_SHIFT,
    VERSION,
)
from .link import link_to
from .memory import Memory
from .needle import needle_of
from .operations import Delete, Put, Transform
from .posting import Postings
from .record import body_of_record, key_of, lists_of, payload_of, write_record


def describe(collection: bytes, key: bytes) -> str:
    """An item's place in words, for messages."""
    table, _, namespace = collection.partition(b"\0")
    return (
        f"{key.decode('utf-8', 'backslashreplace')!r} in table {table.decode('utf-8', 'backslashreplace')!r}, "
        f"namespace {namespace.decode('utf-8', 'backslashreplace')!r}"
    )


class Items:
    """The items of one segment, as its writer changes them."""

    def __init__(
        self,
        memory: Memory,
        commit: Commit,
        arena: Arena,
        directory: Directory,
        postings: Postings,
        catalogue: Catalogue,
    ) -> None:
        self._memory = memory
        self._words = memory.words
        self._draft = commit.draft
        self._touched = commit.touched
        self._arena = arena
        self._directory = directory
        self._postings = postings
        self._catalogue = catalogue

    def put(self, put: Put) -> None:
        """Insert or replace.

        Raises:
            AlreadyExists, Conflict: the item is not as ``put.expect`` wants it.
            InvalidItem, InvalidRequest: a part of it is larger than the format allows.
            NoRoom: there is no memory for it; changes may have been staged.
        """
        _check_limits(put)
        collection = self._catalogue.find(put.collection)
        if put.expect is not None:
            self._check_expected(put, self._find(collection, put.key))
        self._write(put, collection)

    def transform(self, transform: Transform) -> Any:
        """Rewrite an item from what it holds; returns the function's ``result``.

        Raises:
            NotFound: there is no such item. Also whatever the function and ``put`` raise.
        """
        collection = self._catalogue.find(transform.collection)
        old = self._find(collection, transform.key)
        if not old:
            raise NotFound(f"there is no {describe(transform.collection, transform.key)}: insert it first")
        words, raw = self._words, self._memory.raw
        after = transform.function(payload_of(words, raw, old))
        lost, gained = after.posting
        postings = [key_of(words, raw, anchor) for anchor in self._anchors_of(old) if anchor != collection]
        if lost in postings:
            postings.remove(lost)
        if gained is not None and gained not in postings:
            postings.append(gained)
        created = words[old + CREATED] - CREATED_BIAS if after.created is None else after.created
        put = Put(transform.collection, transform.key, created, postings, after.payload)
        _check_limits(put)
        self._write(put, collection)
        return after.result

    def delete(self, delete: Delete) -> None:
        """Remove, if there."""
        collection = self._catalogue.find(delete.collection)
        if not collection:
            return
        needle = needle_of(self._draft[collection + OWN_TOKEN], delete.key)
        slot, old = self._directory.find(needle)
        if not old:
            return
        draft = self._draft
        self._touched.add(collection + SEQUENCE)
        draft[H_CHANGE] += 1
        draft[H_ITEMS] -= 1
        self._directory.remove(slot, needle)
        for which, anchor in enumerate(self._anchors_of(old)):
            self._leave(link_to(old, which), anchor, anchor == collection)
        self._arena.free(body_of_record(self._words, old))
        if draft[collection + COUNT] == 0:
            self._catalogue.emptied.add(delete.collection)

    def _find(self, collection: int, key: bytes) -> int:
        if not collection:
            return 0
        return self._directory.find(needle_of(self._draft[collection + OWN_TOKEN], key))[1]

    def _check_expected(self, put: Put, old: int) -> None:
        if put.expect == 0:
            if old:
                raise AlreadyExists(
                    f"there already is {describe(put.collection, put.key)}: use insert to replace it, or another id"
                )
        elif not old:
            raise Conflict(
                f"version {put.expect} of {describe(put.collection, put.key)} was to be replaced, and the item is "
                "gone: read it again and decide anew"
            )
        elif self._words[old + VERSION] != put.expect:
            raise Conflict(
                f"version {put.expect} of {describe(put.collection, put.key)} was to be replaced, and it is at version "
                f"{self._words[old + VERSION]}: read it again and decide anew"
            )

    def _write(self, put: Put, collection: int) -> None:
        """Write the new record, let it take the old one's places or find its own, and let the directory lead to it."""
        draft = self._draft
        name, key, created, postings, payload, _ = put
        change = draft[H_CHANGE] + 1
        draft[H_CHANGE] = change
        collection = collection or self._catalogue.open(name)
        self._touched.add(collection + SEQUENCE)
        token = draft[collection + OWN_TOKEN]
        anchors = [collection]
        for posting in postings:
            anchors.append(self._catalogue.posting(token | 1, posting))
        needle = token.to_bytes(8, "little") + key
        slot, old = self._directory.find(needle)
        lists = len(anchors)
        body = self._arena.allocate(RECORD, lists * LINK_WORDS + KEY + (len(key) + len(payload) + 7) // 8)
        record = body + lists * LINK_WORDS
        created += CREATED_BIAS
        if old:
            ordinal = self._words[old + ORDINAL]
            links = self._take_places(record, anchors, old, created, ordinal)
            self._directory.point(slot, needle, record)
            self._arena.free(body_of_record(self._words, old))
        else:
            ordinal = change
            links = self._find_places(record, anchors, created, ordinal)
            self._directory.insert(slot, needle, record)
            draft[H_ITEMS] += 1
        write_record(self._memory, body, links, (created, ordinal, change, token), key, payload)

    def _find_places(self, record: int, anchors: Sequence[int], created: int, ordinal: int) -> list[int]:
        """Enter a new record in every list; returns its own link words, the last list's first."""
        links: list[int] = []
        for which, anchor in enumerate(anchors):
            links[:0] = *self._postings.enter(anchor, which << TAG_SHIFT | record, created, ordinal), anchor
        return links

    def _take_places(self, record: int, anchors: Sequence[int], old: int, created: int, ordinal: int) -> list[int]:
        """As ``_find_places``, for a record that replaces ``old`` and stays where that was in the lists they share."""
        postings = self._postings
        stays = self._words[old + CREATED] == created
        before = self._anchors_of(old)
        links: list[int] = []
        if stays and before == anchors:
            for which, anchor in enumerate(anchors):
                links[:0] = *postings.substitute(link_to(old, which), link_to(record, which)), anchor
            return links
        left = {anchor: link_to(old, which) for which, anchor in enumerate(before)}
        for which, anchor in enumerate(anchors):
            link = left.pop(anchor, 0)
            if link and stays:
                places = postings.substitute(link, link_to(record, which))
            else:
                if link:
                    postings.unlink(link)
                places = postings.enter(anchor, link_to(record, which), created, ordinal)
            links[:0] = *places, anchor
        for anchor, link in left.items():
            self._leave(link, anchor, False)
        return links

    def _leave(self, link: int, anchor: int, is_collection: bool) -> None:
        if self._postings.unlink(link) == 0 and not is_collection:
            self._catalogue.drop_posting(anchor)

    def _anchors_of(self, record: int) -> list[int]:
        words = self._words
        return [words[record - LINK_WORDS * which + ANCHOR] for which in range(lists_of(words, record))]


def _check_limits(put: Put) -> None:
    _, key, created, postings, payload, _ = put
    if (
        len(payload) > MAX_PAYLOAD
        or len(key) > MAX_KEY
        or not -CREATED_BIAS <= created < CREATED_BIAS
        or (len(postings) > 1 and len(set(postings)) != len(postings))
        or len(postings) >= MAX_LISTS
    ):
        _refuse(put)


def _refuse(put: Put) -> NoReturn:
    place = describe(put.collection, put.key[:80])
    if len(put.payload) > MAX_PAYLOAD:
        raise InvalidItem(
            f"{place} is {len(put.payload):,} bytes when encoded, {MAX_PAYLOAD:,} is the most: "
            "store a reference to the large part instead"
        )
    if len(put.key) > MAX_KEY:
        raise InvalidItem(f"id: {place} is {len(put.key):,} bytes long, {MAX_KEY:,} is the most")
    if not -CREATED_BIAS <= put.created < CREATED_BIAS:
        raise InvalidItem(f"created: {put.created} does not fit 64 bits; use seconds since 1970")
    raise InvalidRequest(f"{place} comes with {len(put.postings)} index values; at most {MAX_LISTS - 1}, each once")
