"""The arena: blocks of words, handed out and taken back.

The segment only says, in each block's header word, how large the block is and what it holds, so that the arena can
be walked from its first word to the top. Which blocks are free, and which of those may be used again, is the
writer's private knowledge, made anew by a walk when a writer opens the segment: a free block needs no links, and
what a dead writer scribbled into one harms nobody.

A freed block stays as it is, byte for byte, in *quarantine* until the epoch has moved, since a reader may still
hold its address. What is stored in a block is not this room's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sortedcontainers import SortedList

from ..errors import CorruptSegment
from .commit import Commit
from .layout import (
    ARENA,
    CLEARED,
    FREE,
    H_ALLOCATED,
    H_EPOCH,
    H_RESERVED,
    H_TOP,
    KIND_SHIFT,
    MIN_BLOCK,
    SIZE_MASK,
    block_header,
    size_class,
)
from .memory import Memory

Reserve = Callable[[int], int]
"""Make the segment safe to touch up to this byte; answer up to which byte it now is. ``OSError`` when it cannot."""

_TAKEN, _KEPT, _CARVED = "taken", "kept", "carved"
_NOTHING = (0, 0)


class NoRoom(Exception):
    """No block of the wanted size can be had now. The engine's own; callers of the engine see ``StoreFull``."""

    def __init__(self, words: int, reason: str) -> None:
        super().__init__(reason)
        self.words = words
        self.reason = reason


class Arena:
    """The blocks of one segment, as its writer knows them."""

    def __init__(self, memory: Memory, commit: Commit, reserve: Reserve) -> None:
        self._words = memory.words
        self._draft = commit.draft
        self._reserve = reserve
        self._backed = memory.words[H_RESERVED]
        size = len(memory.words)
        # Records leave this much at the end alone, so that a full store can still be read, cleared and joined.
        self._margin = min(size // 32, 4096)
        self._lump = min(max(size // 64, 512), 1 << 17)
        self._bins: dict[int, dict[int, None]] = {}
        self._sizes: SortedList[int] = SortedList()
        self._size_at: dict[int, int] = {}
        self._start_of_end: dict[int, int] = {}
        self._largest = 0  # of the blocks in bins
        # Cutting one block after the other off the same free one costs a third of going through the bins each time.
        self._carved = _NOTHING
        self._moves: list[tuple[str, int, int]] = []  # what this commit did to bins and the carved block
        self._freed: list[tuple[int, int]] = []
        self._quarantine: list[tuple[int, int]] = []
        self.quarantined = 0

    # --- within a commit -----------------------------------------------------------------------------------

    def allocate(self, kind: int, words: int, *, spare: bool = False) -> int:
        """A block with a body of at least ``words`` words; returns the address of the body.

        ``spare`` blocks may come from the last few words that records leave alone.

        Raises:
            NoRoom: neither a free block nor the rest of the segment is large enough.
        """
        size = size_class(words + 1)
        fitting = self._bins.get(size)
        if fitting:
            address = next(iter(fitting))
            self._drop(address, size)
            self._moves.append((_TAKEN, address, size))
        elif size <= self._carved[1]:
            address = self._carved[0]
            size = self._carve(size)
        elif size <= self._largest:
            address, size = self._split(size)
        else:
            address = self._grow(size, 0 if spare else self._margin)
        self._draft[address] = kind << KIND_SHIFT | size
        self._draft[H_ALLOCATED] += size
        return address + 1

    def free(self, body: int) -> None:
        """Give the block back; it can be used again when the epoch has moved after this commit."""
        header = self._draft[body - 1]
        size = header & SIZE_MASK
        self._draft[body - 1] = block_header(FREE, size)
        self._draft[H_ALLOCATED] -= size
        self._freed.append((body - 1, size))

    def settle(self) -> None:
        """The commit was published."""
        self._moves.clear()
        if self._freed:
            self._quarantine += self._freed
            self.quarantined += sum(size for _, size in self._freed)
            self._freed.clear()

    def undo(self) -> None:
        """The commit was discarded: the free blocks are again what they were before it."""
        for move, address, size in reversed(self._moves):
            if move is _TAKEN:
                self._keep(address, size)
            elif move is _KEPT:
                self._drop(address, size)
            else:
                self._carved = address, size
        self._moves.clear()
        self._freed.clear()

    # --- between commits -----------------------------------------------------------------------------------

    @property
    def wants_epoch(self) -> bool:
        """A good lump of memory waits in quarantine: a fixed amount, or an eighth of a large store."""
        return self.quarantined > max(self._lump, self._words[H_TOP] >> 3)

    def advance_epoch(self) -> None:
        """Move the epoch, and make everything in quarantine free. One word changes, so this needs no journal."""
        self._words[H_EPOCH] += 1
        for address, size in self._quarantine:
            self._keep(*self._join(address, size))
        self._quarantine.clear()
        self.quarantined = 0

    def adopt(self) -> Iterator[tuple[int, int]]:
        """Walk the arena of a segment that another writer left; yields ``(kind, body)`` of every block in use.

        Run it to its end: free blocks become known on the way. The epoch has to have moved.
        """
        for address, kind, size in walk(self._words):
            if kind == FREE:
                self._keep(*self._join(address, size))
            else:
                yield kind, address + 1

    @property
    def free_words(self) -> int:
        """Words in free blocks, quarantine not included."""
        return sum(self._size_at.values()) + self._carved[1]

    def _carve(self, size: int) -> int:
        """Cut ``size`` words, or a little more, off the block that is being carved; returns how many."""
        address, found = self._carved
        self._moves.append((_CARVED, address, found))
        rest = found - size
        if rest < MIN_BLOCK:
            self._carved = _NOTHING
            return found
        self._carved = address + size, rest
        self._draft[address + size] = FREE << KIND_SHIFT | rest
        return size

    def _split(self, size: int) -> tuple[int, int]:
        """Begin to carve the best fitting larger block."""
        found: int = self._sizes[self._sizes.bisect_left(size)]
        address = next(iter(self._bins[found]))
        self._drop(address, found)
        self._moves.append((_TAKEN, address, found))
        self._moves.append((_CARVED, *self._carved))
        if self._carved[1]:
            self._keep(*self._carved)
            self._moves.append((_KEPT, *self._carved))
        self._carved = address, found
        return address, self._carve(size)

    def _grow(self, size: int, margin: int) -> int:
        top = self._draft[H_TOP]
        end = top + size
        if end + margin > self._backed:
            self._back(size, end + margin)
        self._draft[H_TOP] = end
        return top

    def _back(self, size: int, end: int) -> None:
        """See that the kernel backs the segment up to ``end``."""
        if end > len(self._words):
            raise NoRoom(size, "the segment's max_size is used up")
        try:
            self._backed = self._reserve(end * 8) // 8
        except OSError as error:
            raise NoRoom(size, f"the machine's shared memory is used up ({error.strerror})") from error
        self._words[H_RESERVED] = self._backed

    def _join(self, address: int, size: int) -> tuple[int, int]:
        """The block together with its free neighbours, which leave their bins.

        Their headers are about to be ordinary memory, so the one that stays says so at once: with either value in that
        word the arena can be walked, and whoever walks it after a crash must not meet what was written over the others.
        """
        before = self._start_of_end.get(address)
        behind = self._size_at.get(address + size)
        if before is not None:
            self._drop(before, address - before)
            address, size = before, size + address - before
        if behind is not None:
            self._drop(address + size, behind)
            size += behind
        if before is not None or behind is not None:
            self._words[address] = FREE << KIND_SHIFT | size
        return address, size

    def _keep(self, address: int, size: int) -> None:
        self._size_at[address] = size
        self._start_of_end[address + size] = address
        found = self._bins.get(size)
        if found is None:
            self._bins[size] = {address: None}
            self._sizes.add(size)
            self._largest = max(self._largest, size)
        else:
            found[address] = None

    def _drop(self, address: int, size: int) -> None:
        del self._size_at[address]
        del self._start_of_end[address + size]
        found = self._bins[size]
        del found[address]
        if not found:
            del self._bins[size]
            self._sizes.remove(size)
            if size == self._largest:
                self._largest = self._sizes[-1] if self._sizes else 0


def walk(words: memoryview) -> Iterator[tuple[int, int, int]]:
    """Every block from the first to the top as ``(address, kind, size)``.

    Raises:
        CorruptSegment: a header word cannot be one, so that the walk cannot go on.
    """
    address, top = ARENA, words[H_TOP]
    if not ARENA <= top <= len(words):
        raise CorruptSegment(f"the arena's top is word {top} of {len(words)}")
    while address < top:
        header = words[address]
        kind, size = header >> KIND_SHIFT, header & SIZE_MASK
        if not FREE <= kind <= CLEARED or size < 2 or address + size > top:
            raise CorruptSegment(f"word {address} is no block header: {header:#018x}")
        yield address, kind, size
        address += size
