"""The catalogue: which collections there are, and the making, clearing and reclaiming of them.

A collection is cleared in one commit, whatever it holds: it gets another token and an empty list, so that nothing
leads to its records any more. That one word, its own token, decides for every point read. A small block stays behind
as the note of what is to be reclaimed, which happens later in small commits. Single items are not touched in this room.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict

from ..errors import CorruptSegment, InvalidRequest
from .arena import Arena
from .commit import Commit
from .directory import Directory
from .layout import (
    ADDRESS_MASK,
    ANCHOR,
    CLEARED,
    CLEARED_COUNT,
    CLEARED_NEWEST,
    CLEARED_WORDS,
    COLLECTION,
    COUNT,
    EMPTY,
    H_COLLECTIONS,
    H_ITEMS,
    H_TOKEN,
    LINK_WORDS,
    MAX_KEY,
    NEWEST,
    OLDER,
    OLDEST,
    OWN_TOKEN,
    POSTING,
    ROOT_TOKEN,
    SEQUENCE,
    TOKEN,
    TOMBSTONE,
)
from .memory import Memory
from .needle import needle_at, needle_of
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
        self.backlog = 0
        """Records that are to be reclaimed."""
        self._clearing: list[int] = []
        self._retired: dict[int, int] = {}  # tokens that go with the open commit -> anchors of their collections
        self.emptied: set[bytes] = set()
        """Names of collections that the open commit took the last item from, at some moment."""
        self._known: dict[tuple[int, bytes], int] = {}  # (space, key) -> anchor of posting lists lately used

    def adopt(self, kind: int, body: int) -> None:
        """Learn of a collection that the segment already has."""
        if kind == CLEARED:
            self._cleared.append(body)
            self.backlog += self._words[body + CLEARED_COUNT]
        else:
            anchor = anchor_address(COLLECTION, body)
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
        anchor = self.add_anchor(COLLECTION, ROOT_TOKEN, name, self._new_token())
        self._draft[H_COLLECTIONS] += 1
        self._moved[name] = anchor
        return anchor

    def clear(self, name: bytes) -> None:
        """Make every item of the collection unreachable."""
        anchor, draft = self.find(name), self._draft
        if not anchor or not draft[anchor + COUNT]:
            return
        note = self._arena.allocate(CLEARED, CLEARED_WORDS, spare=True)
        self._words[note + CLEARED_NEWEST] = draft[anchor + NEWEST]
        self._words[note + CLEARED_COUNT] = draft[anchor + COUNT]
        self._clearing.append(note)
        self._touched.add(anchor + SEQUENCE)
        draft[H_ITEMS] -= draft[anchor + COUNT]
        self._retired[draft[anchor + OWN_TOKEN]] = anchor
        draft[anchor + OWN_TOKEN] = self._new_token()
        draft[anchor + NEWEST] = draft[anchor + OLDEST] = draft[anchor + COUNT] = 0
        self._postings.forget(anchor)
        self.emptied.add(name)

    def below(self, prefix: bytes) -> list[bytes]:
        """The names of all collections that start with ``prefix``."""
        names = set(self._anchors.irange(prefix, prefix + b"\xff")) | self._moved.keys()
        return sorted(name for name in names if name.startswith(prefix) and self.find(name))

    def across(self, name: bytes, below: bytes) -> list[bytes]:
        """Of every family the collection ``name``, and those whose name in the family starts with ``below``.

        A family is what comes before a name's first NUL. One look-up for each, however many collections there are.
        """
        found = []
        for family in self._families():
            if self.find(family + name):
                found.append(family + name)
            found += self.below(family + below)
        return found

    def _families(self) -> list[bytes]:
        """The beginnings of names, each with its NUL; from one to the next by one step in the order of names."""
        families = {name.partition(b"\0")[0] for name in self._moved}
        name = next(iter(self._anchors), None)
        while name is not None:
            family = name.partition(b"\0")[0]
            families.add(family)
            name = next(self._anchors.irange(family + b"\1"), None)
        return [family + b"\0" for family in sorted(families)]

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

    def reclaim(self, journal_words: int, at_most: int = RECLAIM_AT_ONCE) -> None:
        """Stage one bounded piece of taking back a cleared collection: ``at_most`` records, and what fits the journal.

        A single record always does: the commit that put it there was larger.
        """
        note = self._cleared[-1]
        words = self._words
        link, count = words[note + CLEARED_NEWEST], words[note + CLEARED_COUNT]
        taken = 0
        while taken < min(count, at_most):
            record = link & ADDRESS_MASK
            # Its slot and block, and of each list at most the count, the slot and the block; as pairs.
            if taken and 2 * (len(self._draft) + 8 + 4 * lists_of(words, record)) > journal_words:
                break
            link = words[record + OLDER]
            self._take_back(record)
            taken += 1
        self.backlog -= taken
        if bool(link) != (taken < count):
            raise CorruptSegment(f"the note at word {note} counts {count} items to be reclaimed, and leads to others")
        if link:
            self._draft[note + CLEARED_NEWEST] = link
            self._draft[note + CLEARED_COUNT] = count - taken
        else:
            self._arena.free(note)
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

    def _new_token(self) -> int:
        token = self._draft[H_TOKEN]
        self._draft[H_TOKEN] = token + 2
        return token

    def _forget(self, needle: bytes) -> None:
        slot, address = self._directory.find(needle)
        if not address:
            raise CorruptSegment(f"the directory has lost the key {needle[8:]!r}; run `papertiger-shm check`")
        self._directory.remove(slot, needle)

    # --- the end of a commit -----------------------------------------------------------------------------------------

    @property
    def finishing_adds(self) -> int:
        """Words, at the most, that ``finish`` adds to the commit."""
        return 8 * len(self.emptied)

    def finish(self) -> None:
        """Before the commit is published: give back the anchors of collections whose last item has gone.

        Not earlier: one that is emptied and filled again in one commit must stay the same for readers.
        """
        draft = self._draft
        for name in self.emptied:
            anchor = self.find(name)
            if anchor and draft[anchor + COUNT] == 0:
                draft[H_COLLECTIONS] -= 1
                self._retired[draft[anchor + OWN_TOKEN]] = anchor
                draft[anchor + OWN_TOKEN] = 0
                self._forget(needle_of(ROOT_TOKEN, name))
                self._postings.forget(anchor)
                self._arena.free(body_of_anchor(COLLECTION, anchor))
                self._moved[name] = 0

    def arrange(self) -> None:
        """Put the words of the commit into the order in which point reads may meet them.

        A cleared collection's token comes after all that its new token leads to, and before whatever else the commit
        changed under the old one, which nobody may see. Where the collection goes altogether, its slot comes last.
        """
        if not self._retired:
            return
        draft = self._draft
        slots: list[int] = []
        unseen: list[int] = []
        for address, after in draft.items():
            space = self._directory.space_of(address, after)
            if space is not None and space & ~1 in self._retired:
                unseen.append(address)
            elif space == ROOT_TOKEN and after in (EMPTY, TOMBSTONE):
                slots.append(address)
        tokens = [anchor + OWN_TOKEN for anchor in self._retired.values()]
        for address in dict.fromkeys((*tokens, *unseen, *slots)):
            draft[address] = draft.pop(address)

    def settle(self) -> None:
        """The commit was published."""
        if self._moved or self._clearing:
            self._settle_collections()
        if self.emptied:
            self._retired.clear()
            self.emptied.clear()

    def _settle_collections(self) -> None:
        for name, anchor in self._moved.items():
            if anchor:
                self._anchors[name] = anchor
            else:
                self._anchors.pop(name, None)
        self._moved.clear()
        for note in self._clearing:
            self._cleared.append(note)
            self.backlog += self._words[note + CLEARED_COUNT]
        self._clearing.clear()

    def undo(self) -> None:
        """The commit was discarded."""
        self._moved.clear()
        self._clearing.clear()
        self._retired.clear()
        self.emptied.clear()
        self._known.clear()
