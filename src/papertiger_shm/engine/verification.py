"""The whole segment, word by word: is it what a writer leaves between two commits?

Reads everything and changes nothing. The caller sees to it that no commit is carried out meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import NoReturn, TypeVar

from ..errors import CorruptSegment
from .arena import walk
from .layout import (
    ADDRESS_MASK,
    ANCHOR,
    ARENA,
    CHECKSUM,
    CLEARED,
    CLEARED_COUNT,
    CLEARED_NEWEST,
    COLLECTION,
    COUNT,
    DIRECTORY,
    DIRECTORY_CAPACITY,
    DIRECTORY_GUARD,
    DIRECTORY_SLOTS,
    EMPTY,
    FREE,
    H_ALLOCATED,
    H_CHANGE,
    H_COLLECTIONS,
    H_DIRECTORY,
    H_ENTRIES,
    H_ITEMS,
    H_JOURNAL,
    H_JOURNAL_HOME,
    H_RESERVED,
    H_SLOTS_USED,
    H_TOKEN,
    H_TOP,
    JOURNAL,
    KEY,
    LINK_WORDS,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    ORDINAL,
    OWN_TOKEN,
    POSTING,
    RECORD,
    REPLY,
    REPLY_BODY,
    REPLY_BYTES,
    ROOT_TOKEN,
    SEQUENCE,
    SESSION,
    SESSION_REPLY,
    SHAPE,
    TAG_MASK,
    TOKEN,
    TOMBSTONE,
    VERSION,
)
from .link import link_base, link_to, rank
from .memory import Memory
from .needle import needle_at, needle_hash, probe
from .record import anchor_address, checked_span, is_intact, kind_of, lists_of
from .writer import check_header

PASSES = 4
"""Of them each goes through all there is: the blocks, the records, the directory and the lists."""

TOLD_EVERY = 1024

Thing = TypeVar("Thing")


def verify(memory: Memory, progress: Callable[[int, int], object] | None = None) -> dict[str, int]:
    """Check every word that means something.

    Returns figures: how many blocks of each kind there are, and the bytes in use and free. ``progress`` is called now
    and then with how far it is, and how far it will be in the end.

    Raises:
        CorruptSegment: something is not as it must be; the message says what and where.
    """
    check_header(memory)
    try:
        return _Check(memory, progress).run()
    except IndexError as error:
        raise CorruptSegment("the segment is damaged: a word leads out of it. Start a new store") from error


class _Check:
    def __init__(self, memory: Memory, progress: Callable[[int, int], object] | None) -> None:
        self._progress = progress
        self.words = memory.words
        self.raw = memory.raw
        self.sizes: dict[int, int] = {}  # body -> words of the block
        self.records: dict[int, int] = {}  # address -> body, found by walking the arena
        self.anchors: dict[int, int] = {}  # address -> kind
        self.tokens: dict[int, int] = {}  # token -> collection, of those in use
        self.kinds: Counter[int] = Counter()
        self.members: Counter[int] = Counter()  # anchor -> records that say they are on its list
        self.listed = 0  # records on the lists of collections
        self.cleared: set[int] = set()  # records that are to be reclaimed
        self.free = 0

    def run(self) -> dict[str, int]:
        self._blocks()
        self._records()
        self._directory()
        self._lists()
        self._sessions()
        self._header()
        kinds = self.kinds
        return {
            "records": kinds[RECORD],
            "collections": kinds[COLLECTION],
            "posting_lists": kinds[POSTING],
            "cleared_collections": kinds[CLEARED],
            "sessions": kinds[SESSION],
            "free_blocks": kinds[FREE],
            "bytes_used": self.words[H_TOP] * 8,
            "bytes_free": self.free * 8,
        }

    def _told(self, which: int, things: Collection[Thing]) -> Iterator[Thing]:
        """The things one by one, with word of how far this pass is."""
        for place, thing in enumerate(things):
            if not place % TOLD_EVERY:
                self._tell(which, place, len(things))
            yield thing

    def _tell(self, which: int, done: int, total: int) -> None:
        """In thousandths of a pass, each of which is taken to last as long as another."""
        if self._progress is not None:
            self._progress(1000 * which + min(1000 * done // max(total, 1), 1000), 1000 * PASSES)

    def _fail(self, what: str) -> NoReturn:
        raise CorruptSegment(f"the segment is damaged: {what}. Stop its manager and start a new store")

    def _blocks(self) -> None:
        """Every block has a header, and the blocks fill the arena without a gap."""
        allocated = 0
        for place, (address, kind, size) in enumerate(walk(self.words)):
            if not place % TOLD_EVERY:
                self._tell(0, address, self.words[H_TOP])
            body = address + 1
            self.kinds[kind] += 1
            if kind == FREE:
                self.free += size
                continue
            allocated += size
            self.sizes[body] = size
            if kind in (COLLECTION, POSTING):
                self._anchor(kind, body, size)
            elif kind == RECORD:
                self._record_block(body, size)
        if allocated != self.words[H_ALLOCATED]:
            self._fail(f"{allocated} words are in blocks in use, the header counts {self.words[H_ALLOCATED]}")

    def _anchor(self, kind: int, body: int, size: int) -> None:
        words = self.words
        anchor = anchor_address(kind, body)
        self.anchors[anchor] = kind
        key_bytes = words[anchor + SHAPE] >> 40
        if (anchor + KEY) * 8 + key_bytes > (body - 1 + size) * 8 or words[anchor + SHAPE] != key_bytes << 40:
            self._fail(f"the anchor at word {anchor} has an impossible shape")
        if needle_hash(needle_at(words, self.raw, anchor)) != words[anchor + CHECKSUM]:
            self._fail(f"the anchor at word {anchor} does not fit its checksum")
        if kind == POSTING:
            return
        token = words[anchor + OWN_TOKEN]
        if words[anchor + SEQUENCE] & 1:
            self._fail(f"the sequence of the collection at word {anchor} is odd")
        if not token or token & 1 or token >= words[H_TOKEN] or token in self.tokens:
            self._fail(f"the collection at word {anchor} has the token {token}")
        self.tokens[token] = anchor

    def _record_block(self, body: int, size: int) -> None:
        """Find the record in its block: its lists' words lie below it, and its shape says how many they are."""
        end = body - 1 + size
        for lists in range(1, min(256, (size - KEY) // LINK_WORDS + 1)):
            record = body + LINK_WORDS * lists
            if lists_of(self.words, record) != lists or checked_span(self.words, record)[1] > end * 8:
                continue
            if is_intact(self.words, self.raw, record):
                self.records[record] = body
                return
        self._fail(f"the block at word {body - 1} holds no record that fits its checksum")

    def _records(self) -> None:
        words = self.words
        for note in (body for body in self.sizes if kind_of(words, body) == CLEARED):
            self._cleared(note)
        for record in self._told(1, self.records):
            if not 0 < words[record + ORDINAL] <= words[record + VERSION] <= words[H_CHANGE]:
                self._fail(f"the record at word {record} has an impossible ordinal or version")
            for which in range(record in self.cleared, lists_of(words, record)):
                anchor = words[record - LINK_WORDS * which + ANCHOR]
                if anchor not in self.anchors:
                    self._fail(f"the record at word {record} is on a list without an anchor, at word {anchor}")
                if (which == 0) == (self.anchors[anchor] == POSTING):
                    self._fail(f"list {which} of the record at word {record} is of the wrong kind")
                if which and words[anchor + TOKEN] != words[record + TOKEN] | 1:
                    self._fail(f"the record at word {record} is on a list of another collection")
                self.members[anchor] += 1

    def _directory(self) -> None:
        """Everything that has a key is found under it, and the directory leads to nothing else."""
        words = self.words
        directory = words[H_DIRECTORY]
        if directory not in self.sizes or kind_of(words, directory) != DIRECTORY or self.kinds[DIRECTORY] != 1:
            self._fail(f"the header leads to a directory at word {directory}")
        capacity = words[directory + DIRECTORY_CAPACITY]
        if capacity & capacity - 1 or DIRECTORY_SLOTS + capacity + DIRECTORY_GUARD >= self.sizes[directory]:
            self._fail(f"the directory claims {capacity} slots")
        end = directory + DIRECTORY_SLOTS + capacity
        if any(words[end : end + DIRECTORY_GUARD]):
            self._fail("the guard behind the directory is not empty")
        slots = words[directory + DIRECTORY_SLOTS : end].tolist()
        leading = [slot for slot in slots if slot not in (EMPTY, TOMBSTONE)]
        if len(slots) - slots.count(EMPTY) != words[H_SLOTS_USED] or len(leading) != words[H_ENTRIES]:
            self._fail("the header counts another number of directory entries than there are")
        keyed = self.records.keys() | self.anchors.keys()
        if {slot & ADDRESS_MASK for slot in leading} != keyed or len(leading) != len(keyed):
            self._fail("the directory leads to other blocks than those that have a key")
        for slot in self._told(2, leading):
            address = slot & ADDRESS_MASK
            needle = needle_at(words, self.raw, address)
            if needle_hash(needle) & TAG_MASK != slot & TAG_MASK:
                self._fail(f"the directory's entry for word {address} has the wrong hash")
            if probe(words, self.raw, directory, len(words), needle) != address:
                self._fail(f"the block at word {address} is not found under its key")

    def _lists(self) -> None:
        for anchor, kind in self.anchors.items():
            if kind == COLLECTION:
                if self.words[anchor + TOKEN] != ROOT_TOKEN:
                    self._fail(f"the collection at word {anchor} lives in space {self.words[anchor + TOKEN]}")
                self.listed += self._list(anchor, self.words[anchor + OWN_TOKEN])
            elif self.words[anchor + TOKEN] - 1 in self.tokens:
                self._list(anchor, self.words[anchor + TOKEN] - 1)
            elif self.words[anchor + COUNT] != self.members[anchor]:
                self._fail(f"the posting list at word {anchor}, of a cleared collection, counts wrongly")
        if self.listed != self.words[H_ITEMS]:
            self._fail(f"the collections hold {self.listed} items, the header counts {self.words[H_ITEMS]}")
        if self.listed + len(self.cleared) != len(self.records):
            self._fail("there are records on no list")

    def _list(self, anchor: int, token: int) -> int:
        """A list's links agree in both directions, its order holds, and its count is right."""
        words = self.words
        newer, link, count = 0, words[anchor + NEWEST], 0
        while link:
            if not count % TOLD_EVERY and self.anchors[anchor] == COLLECTION:
                self._tell(3, self.listed + count, len(self.records))
            record = link & ADDRESS_MASK
            base = link_base(link)
            if record not in self.records or words[record + TOKEN] != token or words[base + ANCHOR] != anchor:
                self._fail(f"the list at word {anchor} leads to word {record}, which is not on it")
            if words[base + NEWER] != newer:
                self._fail(f"the record at word {record} does not lead back to the newer one")
            if newer and rank(words, newer & ADDRESS_MASK) <= rank(words, record):
                self._fail(f"the record at word {record} is out of order")
            newer, link, count = link, words[base + OLDER], count + 1
        if words[anchor + OLDEST] != newer or not count == words[anchor + COUNT] == self.members[anchor] or not count:
            self._fail(f"the list at word {anchor} counts {words[anchor + COUNT]} and holds {count}")
        return count

    def _cleared(self, note: int) -> None:
        """What is left of a cleared collection hangs together in one direction, which is all that reclaiming needs."""
        words = self.words
        link, count = words[note + CLEARED_NEWEST], 0
        while link:
            record = link & ADDRESS_MASK
            if link != link_to(record, 0) or record not in self.records or record in self.cleared:
                self._fail(f"the note at word {note} leads to word {record}, which holds nothing to be reclaimed")
            if words[record + TOKEN] in self.tokens:
                self._fail(f"the record at word {record} is to be reclaimed and belongs to a collection")
            self.cleared.add(record)
            link, count = words[record + OLDER], count + 1
        if not count or count != words[note + CLEARED_COUNT]:
            self._fail(f"the note at word {note} counts {words[note + CLEARED_COUNT]} records and leads to {count}")

    def _sessions(self) -> None:
        words = self.words
        replies = set()
        for body in self.sizes:
            if kind_of(words, body) == SESSION and words[body + SESSION_REPLY]:
                replies.add(words[body + SESSION_REPLY])
        if len(replies) != self.kinds[REPLY]:
            self._fail("there are other replies than the sessions lead to")
        for reply in replies:
            if reply not in self.sizes or kind_of(words, reply) != REPLY:
                self._fail(f"a session leads to a reply at word {reply}")
            if REPLY_BODY * 8 + words[reply + REPLY_BYTES] > (self.sizes[reply] - 1) * 8:
                self._fail(f"the reply at word {reply} claims {words[reply + REPLY_BYTES]:,} bytes")

    def _header(self) -> None:
        words = self.words
        if words[H_JOURNAL]:
            self._fail("a commit is not finished")
        home = words[H_JOURNAL_HOME]
        if self.kinds[JOURNAL] != 1 or home not in self.sizes or kind_of(words, home) != JOURNAL:
            self._fail(f"the header leads to a journal at word {home}")
        if len(self.tokens) != words[H_COLLECTIONS]:
            self._fail(f"there are {len(self.tokens)} collections, the header counts {words[H_COLLECTIONS]}")
        if not ARENA <= words[H_TOP] <= words[H_RESERVED] <= len(words):
            self._fail(f"the arena's top is word {words[H_TOP]} of {words[H_RESERVED]} reserved")
