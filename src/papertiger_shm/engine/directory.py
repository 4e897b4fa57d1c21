"""The directory: an open-addressed hash table of words that leads from a key to the address of its block.

Collections, records and posting lists are all found through it. A slot is 16 bits of the hash and an address; a
lookup goes from the hash's place upwards until it meets an empty slot.

This is the writer's side; what is looked for, and how a reader finds it, is said in ``needle``. What the blocks are is
not known here beyond the head that all of them share.
"""

from __future__ import annotations

from array import array

from xxhash import xxh3_64_intdigest

from .arena import Arena
from .commit import Commit
from .layout import (
    ADDRESS_MASK,
    DIRECTORY,
    DIRECTORY_CAPACITY,
    DIRECTORY_GUARD,
    DIRECTORY_SLOTS,
    EMPTY,
    H_DIRECTORY,
    H_ENTRIES,
    H_SLOTS_USED,
    TAG_MASK,
    TOKEN,
    TOMBSTONE,
)
from .memory import Memory
from .needle import leads_to, needle_at

FIRST_CAPACITY = 512


def create_directory(memory: Memory, commit: Commit, arena: Arena) -> None:
    """Stage a new store's first directory; its fresh memory is zero already."""
    body = arena.allocate(DIRECTORY, DIRECTORY_SLOTS + FIRST_CAPACITY + DIRECTORY_GUARD)
    memory.words[body + DIRECTORY_CAPACITY] = FIRST_CAPACITY
    commit.draft[H_DIRECTORY] = body


class Directory:
    """The directory as the writer changes it."""

    def __init__(self, memory: Memory, commit: Commit, arena: Arena) -> None:
        self._memory = memory
        self._words = memory.words
        self._raw = memory.raw
        self._draft = commit.draft
        self._arena = arena
        self._limit = len(memory.words)
        # Slots given up in the open commit, by needle. A key that comes back in the same commit gets its slot
        # again: a reader in mid-probe must not miss a key that is there before the commit and after it.
        self._vacated: dict[bytes, int] = {}
        self._vacant: set[int] = set()
        self._aim()

    def find(self, needle: bytes) -> tuple[int, int]:
        """``(slot, address)`` of the needle; with address 0, the slot is where it would go."""
        draft, base, mask, limit = self._draft, self._base, self._mask, self._limit
        hashed = xxh3_64_intdigest(needle)
        tag = hashed & TAG_MASK
        place = hashed & mask
        free = 0
        while True:
            at = base + place
            slot = draft[at]
            if slot == EMPTY:
                return self._vacated.get(needle) or free or at, 0
            if slot == TOMBSTONE:
                if not free and at not in self._vacant:
                    free = at
            else:
                address = slot ^ tag
                if address < limit and leads_to(self._words, self._raw, address, needle):
                    return at, address
            place = place + 1 & mask

    def point(self, slot: int, needle: bytes, address: int) -> None:
        """Let the slot that ``find`` gave for this needle lead to ``address``."""
        self._draft[slot] = xxh3_64_intdigest(needle) & TAG_MASK | address

    def insert(self, slot: int, needle: bytes, address: int) -> None:
        """As ``point``, for a needle that led nowhere."""
        draft = self._draft
        if draft[slot] == EMPTY:
            draft[H_SLOTS_USED] += 1
        draft[H_ENTRIES] += 1
        if self._vacant:
            self._vacated.pop(needle, None)
            self._vacant.discard(slot)
        draft[slot] = xxh3_64_intdigest(needle) & TAG_MASK | address

    def remove(self, slot: int, needle: bytes) -> None:
        """Let the needle lead nowhere; its slot becomes a tombstone."""
        self._draft[slot] = TOMBSTONE
        self._draft[H_ENTRIES] -= 1
        self._vacated[needle] = slot
        self._vacant.add(slot)

    def space_of(self, word: int, after: int) -> int | None:
        """The space whose key this slot leads to, or led to before it became a tombstone; None for any other word."""
        if not self._base <= word <= self._base + self._mask:
            return None
        slot = self._words[word] if after in (EMPTY, TOMBSTONE) else after
        return None if slot in (EMPTY, TOMBSTONE) else self._words[(slot & ADDRESS_MASK) + TOKEN]

    def sweep(self) -> None:
        """Before a commit is published: a tombstone with nothing behind it need not be one."""
        for slot in self._vacant:
            behind = self._base + (slot - self._base + 1 & self._mask)
            if self._draft[behind] == EMPTY:
                self._draft[slot] = EMPTY
                self._draft[H_SLOTS_USED] -= 1

    def settle(self) -> None:
        """The commit was published, or discarded."""
        self._vacated.clear()
        self._vacant.clear()

    def has_room(self, entries: int) -> bool:
        """Whether ``entries`` more keep the probes short: at most three slots of five in use."""
        return (self._draft[H_SLOTS_USED] + entries) * 5 <= (self._mask + 1) * 3

    def rebuild(self, entries: int) -> None:
        """Stage a fresh directory with room for ``entries`` more and no tombstones; call with an empty commit.

        Raises:
            NoRoom: the arena has no block for it.
        """
        words, raw = self._words, self._raw
        live = words[H_ENTRIES] + entries
        capacity = FIRST_CAPACITY
        while live * 5 > capacity * 2:
            capacity *= 2
        body = self._arena.allocate(DIRECTORY, DIRECTORY_SLOTS + capacity + DIRECTORY_GUARD)
        # Built in private memory and moved in one piece: a store into an array is half the cost of one into a view.
        table = array("Q", bytes(8 * (capacity + DIRECTORY_GUARD)))
        mask = capacity - 1
        for slot in words[self._base : self._base + self._mask + 1].tolist():
            if slot != EMPTY and slot != TOMBSTONE:
                place = xxh3_64_intdigest(needle_at(words, raw, slot & ADDRESS_MASK)) & mask
                while table[place]:
                    place = place + 1 & mask
                table[place] = slot
        words[body + DIRECTORY_CAPACITY] = capacity
        words[body + DIRECTORY_SLOTS : body + DIRECTORY_SLOTS + len(table)] = memoryview(table)
        self._arena.free(words[H_DIRECTORY])
        self._draft[H_DIRECTORY] = body
        self._draft[H_SLOTS_USED] = words[H_ENTRIES]

    def reopen(self) -> None:
        """The directory is another one than before."""
        self._aim()

    def _aim(self) -> None:
        body = self._words[H_DIRECTORY]
        self._base = body + DIRECTORY_SLOTS
        self._mask = self._words[body + DIRECTORY_CAPACITY] - 1
