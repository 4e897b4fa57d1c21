"""The catalogue: which collections there are, and the making, clearing and reclaiming of them.

A collection is cleared in one commit, whatever it holds: its anchor's token becomes 0 and the directory forgets it,
so that nothing leads to its records any more. The anchor's block stays behind as the note of what is to be
reclaimed, which happens later in small commits. Single items are not touched in this room.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict

from ..errors import CorruptSegment, InvalidRequest
from .arena import Arena
from .commit import Commit
from .directory import Directory, needle_at, needle_of
from .layout import (
    ADDRESS_MASK,
    ANCHOR,
    CLEARED,
    COLLECTION,
    COUNT,
    H_COLLECTIONS,
    H_ITEMS,
    H_TOKEN,
    LINK_WORDS,
    MAX_KEY,
    NEWEST,
    OLDER,
    OWN_TOKEN,
    POSTING,
    ROOT_TOKEN,
    SEQUENCE,
    TOKEN,
)
from .memory import Memory
from .posting import Postings
from .record import (
    anchor_address,
    anchor_words,
    body_of_anchor,
    body_of_record,
    key_of,
    lists_of,
    write_anchor,
)

RECLAIM_AT_ONCE = 32
"""Records that one commit of lazy work takes back: some 200 us, which is what a writer may wait for it."""

KNOWN_POSTINGS = 1 << 16
"""Posting lists whose anchors are remembered: 0.1 us against 0.7 for finding one."""


class Catalogue:
    """The collections of one segment, as its writer knows them."""

    def __init__(self, memory: Memory, commit: Commit, arena: Arena, directory: Directory, postings: Postings) -> None:
        self._memory = memory
        self._words = memory.words
        self._draft = commit.draft
        self._touched = commit.touched
        self._arena = arena
        self._directory = directory
        self._postings = postings
        self._anchors: SortedDict[bytes, int] = SortedDict()
        self._moved: dict[bytes, int] = {}  # name -> anchor in the open commit, 0 for dropped
        self._cleared: list[int] = []
        self._clearing: list[int] = []
        self._known: dict[tuple[int, bytes], int] = {}  # (space, key) -> anchor of posting lists lately used

    def adopt(self, kind: int, body: int) -> None:
        """Learn of a collection that the segment already has."""
        anchor = anchor_address(COLLECTION, body)
        if kind == CLEARED:
            self._cleared.append(anchor)
        else:
            self._anchors[key_of(self._words, self._memory.raw, anchor)] = anchor

    def find(self, name: bytes) -> int:
        """The collection's anchor, or 0."""
        if name in self._moved:
            return self._moved[name]
        anchor: int = self._anchors.get(name, 0)
        return anchor

    def open(self, name: bytes) -> int:
        """The collection's anchor; a new one where there was none."""
        anchor = self.find(name)
        if anchor:
            return anchor
        if len(name) > MAX_KEY:
            raise InvalidRequest(f"a table and namespace of {len(name):,} bytes; {MAX_KEY:,} is the most")
        token = self._draft[H_TOKEN]
        self._draft[H_TOKEN] = token + 2
        anchor = self.add_anchor(COLLECTION, ROOT_TOKEN, name, token)
        self._draft[H_COLLECTIONS] += 1
        self._moved[name] = anchor
        return anchor

    def drop_if_empty(self, name: bytes, anchor: int) -> None:
        """Give back the anchor of a collection whose last item has gone."""
        if self._draft[anchor + COUNT] == 0:
            self._retire(name, anchor)
            self._arena.free(body_of_anchor(COLLECTION, anchor))

    def clear(self, name: bytes) -> None:
        """Make every item of the collection unreachable."""
        anchor = self.find(name)
        if anchor:
            self._draft[H_ITEMS] -= self._draft[anchor + COUNT]
            self._retire(name, anchor)
            self._arena.retag(body_of_anchor(COLLECTION, anchor), CLEARED)
            self._clearing.append(anchor)

    def below(self, prefix: bytes) -> list[bytes]:
        """The names of all collections that start with ``prefix``."""
        names = set(self._anchors.irange(prefix, prefix + b"\xff")) | self._moved.keys()
        return sorted(name for name in names if name.startswith(prefix) and self.find(name))

    def sizes(self) -> Iterator[tuple[bytes, int]]:
        """Every collection with the number of its items, as committed."""
        for name, anchor in self._anchors.items():
            yield name, self._words[anchor + COUNT]

    # --- posting lists and anchors ------------------------------------------------------------------------------

    def posting(self, space: int, key: bytes) -> int:
        """The anchor of the posting list with this key; a new one where there was none."""
        known = self._known.get((space, key))
        if known:
            return known
        if len(key) > MAX_KEY:
            raise InvalidRequest(f"an index value of {len(key):,} bytes; {MAX_KEY:,} is the most")
        anchor = self._directory.find(needle_of(space, key))[1] or self.add_anchor(POSTING, space, key)
        if len(self._known) >= KNOWN_POSTINGS:
            self._known.clear()
        self._known[space, key] = anchor
        return anchor

    def add_anchor(self, kind: int, space: int, key: bytes, own_token: int = 0) -> int:
        """Write an empty anchor and let the directory lead to it."""
        body = self._arena.allocate(kind, anchor_words(kind, key))
        anchor = write_anchor(self._memory, kind, body, space, key, own_token)
        needle = needle_of(space, key)
        slot, _ = self._directory.find(needle)
        self._directory.insert(slot, needle, anchor)
        return anchor

    def drop_posting(self, anchor: int) -> None:
        """Give back the anchor of a posting list whose last record has gone."""
        self._known.pop((self._words[anchor + TOKEN], key_of(self._words, self._memory.raw, anchor)), None)
        self._forget(needle_at(self._words, self._memory.raw, anchor))
        self._postings.forget(anchor)
        self._arena.free(body_of_anchor(POSTING, anchor))

    # --- lazy work -----------------------------------------------------------------------------------------------

    @property
    def has_cleared(self) -> bool:
        """Whether cleared collections still hold memory."""
        return bool(self._cleared)

    def reclaim(self) -> None:
        """Stage one bounded piece of taking back a cleared collection."""
        anchor = self._cleared[-1]
        words, draft = self._words, self._draft
        link = words[anchor + NEWEST]
        count = words[anchor + COUNT]
        taken = min(count, RECLAIM_AT_ONCE)
        for _ in range(taken):
            record = link & ADDRESS_MASK
            link = words[record + OLDER]
            self._take_back(record)
        if bool(link) != (taken < count):
            raise CorruptSegment(f"the cleared collection at word {anchor} does not hold the {count} items it counts")
        if link:
            draft[anchor + NEWEST] = link
            draft[anchor + COUNT] = count - taken
        else:
            self._arena.free(body_of_anchor(COLLECTION, anchor))
            self._cleared.pop()

    def _take_back(self, record: int) -> None:
        words, raw = self._words, self._memory.raw
        self._forget(needle_at(words, raw, record))
        for which in range(1, lists_of(words, record)):
            anchor = words[record - LINK_WORDS * which + ANCHOR]
            self._draft[anchor + COUNT] -= 1
            if self._draft[anchor + COUNT] == 0:
                self.drop_posting(anchor)
        self._arena.free(body_of_record(words, record))

    def _retire(self, name: bytes, anchor: int) -> None:
        self._touched.add(anchor + SEQUENCE)
        self._draft[H_COLLECTIONS] -= 1
        # The slot first: a reader that meets a dead token through a slot that still stands could only wait.
        self._forget(needle_of(ROOT_TOKEN, name))
        self._draft[anchor + OWN_TOKEN] = 0
        self._postings.forget(anchor)
        self._moved[name] = 0

    def _forget(self, needle: bytes) -> None:
        slot, address = self._directory.find(needle)
        if not address:
            raise CorruptSegment(f"the directory has lost the key {needle[8:]!r}; run `papertiger-shm check`")
        self._directory.remove(slot, needle)

    def settle(self) -> None:
        """The commit was published."""
        for name, anchor in self._moved.items():
            if anchor:
                self._anchors[name] = anchor
            else:
                self._anchors.pop(name, None)
        self._moved.clear()
        self._cleared += self._clearing
        self._clearing.clear()

    def undo(self) -> None:
        """The commit was discarded."""
        self._moved.clear()
        self._clearing.clear()
        self._known.clear()
