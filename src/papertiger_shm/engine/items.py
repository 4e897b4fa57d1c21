"""Items: what one put, delete or transform changes, told to the commit.

The checks of an operation come before its first change wherever that is possible. Batches, retries, sessions and
the carrying out of commits are not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import AlreadyExists, Conflict, InvalidItem, InvalidRequest, NotFound
from .arena import Arena
from .catalogue import Catalogue
from .commit import Commit
from .directory import Directory, needle_of
from .layout import (
    ANCHOR,
    CREATED,
    CREATED_BIAS,
    H_CHANGE,
    H_ITEMS,
    LINK_WORDS,
    MAX_KEY,
    MAX_LISTS,
    MAX_PAYLOAD,
    ORDINAL,
    OWN_TOKEN,
    POSTING,
    RECORD,
    SEQUENCE,
    VERSION,
)
from .memory import Memory
from .operations import Delete, Put, Transform
from .posting import Postings, link_to
from .record import body_of_record, key_of, lists_of, payload_of, record_words, write_record


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
        self._commit = commit
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
        old = self._find(collection, put.key)
        if put.expect is not None:
            self._check_expected(put, old)
        self._write(put, collection, old)

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
        if gained is not None:
            postings.append(gained)
        created = words[old + CREATED] - CREATED_BIAS if after.created is None else after.created
        put = Put(transform.collection, transform.key, created, postings, after.payload)
        _check_limits(put)
        self._write(put, collection, old)
        return after.result

    def delete(self, delete: Delete) -> None:
        """Remove, if there."""
        collection = self._catalogue.find(delete.collection)
        if not collection:
            return
        needle = needle_of(self._commit.load(collection + OWN_TOKEN), delete.key)
        slot, old = self._directory.find(needle)
        if not old:
            return
        self._commit.touch(collection + SEQUENCE)
        self._commit.add(H_CHANGE, 1)
        self._commit.add(H_ITEMS, -1)
        self._directory.remove(slot, needle)
        for which, anchor in enumerate(self._anchors_of(old)):
            self._leave(link_to(old, which), anchor, anchor == collection)
        self._arena.free(body_of_record(self._words, old))
        self._catalogue.drop_if_empty(delete.collection, collection)

    def _find(self, collection: int, key: bytes) -> int:
        if not collection:
            return 0
        return self._directory.find(needle_of(self._commit.load(collection + OWN_TOKEN), key))[1]

    def _check_expected(self, put: Put, old: int) -> None:
        if put.expect == 0:
            if old:
                raise AlreadyExists(
                    f"there already is {describe(put.collection, put.key)}: use insert to replace it, or another id"
                )
        elif not old:
            raise Conflict(
                f"{describe(put.collection, put.key)} is gone, version {put.expect} was expected: "
                "read it again and decide anew"
            )
        elif self._words[old + VERSION] != put.expect:
            raise Conflict(
                f"{describe(put.collection, put.key)} is at version {self._words[old + VERSION]}, not {put.expect}: "
                "read it again and decide anew"
            )

    def _write(self, put: Put, collection: int, old: int) -> None:
        """Write the new record, let it take the old one's places or find its own, and let the directory lead to it."""
        commit, words = self._commit, self._words
        change = commit.load(H_CHANGE) + 1
        commit.store(H_CHANGE, change)
        collection = collection or self._catalogue.open(put.collection)
        commit.touch(collection + SEQUENCE)
        token = commit.load(collection + OWN_TOKEN)
        anchors = [collection, *self._posting_anchors(token, put.postings)]
        body = self._arena.allocate(RECORD, record_words(put.key, put.payload, len(anchors)))
        record = body + LINK_WORDS * len(anchors)
        created = put.created + CREATED_BIAS
        ordinal = words[old + ORDINAL] if old else change
        links = self._take_places(record, anchors, old, created, ordinal)
        write_record(self._memory, body, links, (created, ordinal, change, token), put.key, put.payload)
        needle = needle_of(token, put.key)
        slot, _ = self._directory.find(needle)
        if old:
            self._directory.point(slot, needle, record)
            self._arena.free(body_of_record(words, old))
        else:
            self._directory.insert(slot, needle, record)
            commit.add(H_ITEMS, 1)

    def _posting_anchors(self, token: int, postings: Sequence[bytes]) -> Iterable[int]:
        for key in dict.fromkeys(postings):
            anchor = self._directory.find(needle_of(token | 1, key))[1]
            yield anchor or self._catalogue.add_anchor(POSTING, token | 1, key)

    def _take_places(self, record: int, anchors: Sequence[int], old: int, created: int, ordinal: int) -> list[int]:
        """Enter the record in every list; returns its own link words, the last list's first."""
        postings, words = self._postings, self._words
        position = created << 64 | ordinal
        left = {anchor: link_to(old, which) for which, anchor in enumerate(self._anchors_of(old))} if old else {}
        stays = bool(old) and words[old + CREATED] == created
        links: list[int] = []
        for which, anchor in enumerate(anchors):
            link = link_to(record, which)
            before = left.pop(anchor, 0)
            if before and stays:
                newer, older = postings.substitute(before, link)
            else:
                if before:
                    postings.unlink(before)
                newer, older = postings.neighbours(anchor, position)
                postings.link(anchor, link, position, newer, older)
            links[:0] = (newer, older, anchor)
        for anchor, before in left.items():
            self._leave(before, anchor, False)
        return links

    def _leave(self, link: int, anchor: int, is_collection: bool) -> None:
        if self._postings.unlink(link) == 0 and not is_collection:
            self._catalogue.drop_posting(anchor)

    def _anchors_of(self, record: int) -> list[int]:
        words = self._words
        return [words[record - LINK_WORDS * which + ANCHOR] for which in range(lists_of(words, record))]


def _check_limits(put: Put) -> None:
    if len(put.payload) > MAX_PAYLOAD:
        raise InvalidItem(
            f"{describe(put.collection, put.key)} is {len(put.payload):,} bytes when encoded, {MAX_PAYLOAD:,} is the "
            "most: store a reference to the large part instead"
        )
    if len(put.postings) >= MAX_LISTS:
        raise InvalidRequest(f"{len(put.postings)} index values for one item; {MAX_LISTS - 1} is the most")
    longest = max(map(len, (put.key, put.collection, *put.postings)))
    if longest > MAX_KEY:
        raise InvalidRequest(f"a key of {longest:,} bytes; {MAX_KEY:,} is the most: use shorter names")
    if not -CREATED_BIAS <= put.created < CREATED_BIAS:
        raise InvalidItem(f"created: {put.created} does not fit 64 bits; use seconds since 1970")
