"""Where every word of the segment is: offsets, kinds, limits, and the two ways to pack a word.

Numbers only. Nothing here reads or writes memory; ``docs/format.md`` is this file in prose, and the two change
together. An *address* is always the index of a 64-bit word in the segment, never a byte offset.
"""

from __future__ import annotations

MAGIC = 0x0001_4D48_5352_5450  # the bytes "PTRSHM\x01\x00", so that a byte-swapped reader sees at once
FORMAT = 1

# --- the header -----------------------------------------------------------------------------------------------
H_MAGIC = 0
H_FORMAT = 1
H_SIZE = 2  # bytes in the segment
H_IDENTITY = 3  # random; two stores that followed each other under one name differ here
H_GENERATION = 4  # how many writers have opened the segment
H_EPOCH = 5  # moves before freed memory is used again; the top bit says "closed for ever"
H_JOURNAL = 6  # 0, or the journal that holds a commit to be finished
H_JOURNAL_HOME = 7  # the journal that the next commit will use
H_DIRECTORY = 8
H_TOP = 9  # the first word of the arena that was never part of a block
H_RESERVED = 10  # words that the kernel has promised to back: touching one beyond may be SIGBUS
H_CHANGE = 11  # numbers every put; the source of ordinals and versions
H_COMMITS = 12
H_ITEMS = 13
H_COLLECTIONS = 14
H_ALLOCATED = 15  # words in blocks that are not free
H_SLOTS_USED = 16  # directory slots that are not empty, tombstones included
H_ENTRIES = 17  # directory slots that lead somewhere
H_TOKEN = 18  # the next token to give out; always even
ARENA = 64  # the first word behind the header

CLOSED = 1 << 63

# --- blocks: one header word, then the body -------------------------------------------------------------------
KIND_SHIFT = 56
SIZE_MASK = (1 << 48) - 1

FREE = 1
DIRECTORY = 2
JOURNAL = 3
COLLECTION = 4
POSTING = 5
RECORD = 6
SESSION = 7
REPLY = 8
CLEARED = 9

MIN_BLOCK = 8  # words; a smaller remainder stays with its neighbour

# --- what a directory slot leads to: a head of six words, then the key -------------------------------------------
CHECKSUM = 0
SHAPE = 1  # key bytes << 40 | payload bytes << 8 | number of posting lists
CREATED = 2  # record: seconds, plus CREATED_BIAS so that words compare as the numbers do
ORDINAL = 3  # record: the change that inserted it
VERSION = 4  # record: the change that wrote it
NEWEST = 2  # anchor: link to the first of its list
OLDEST = 3  # anchor: link to the last
COUNT = 4  # anchor
TOKEN = 5  # the space that the key lives in
KEY = 6  # key bytes, and behind them without a gap the payload

CREATED_BIAS = 1 << 63

# below a record: per posting list k = 0, 1, ... the three words at -3k-3, -3k-2, -3k-1
NEWER = -3
OLDER = -2
ANCHOR = -1
LINK_WORDS = 3

# below a collection's anchor
OWN_TOKEN = -1  # the token of its records; another one once it is cleared, 0 once it is gone
SEQUENCE = -2  # its seqlock
COLLECTION_WORDS = 2

# tokens: even for records; the odd one above it is the space of the same collection's posting lists
ROOT_TOKEN = 0  # the space of collections
FIRST_TOKEN = 2

# --- a word that leads somewhere: 16 bits | address -----------------------------------------------------------------
ADDRESS_MASK = (1 << 48) - 1
TAG_MASK = 0xFFFF << 48  # in a directory slot: the top of the key's hash; in a link: which list of that record
TAG_SHIFT = 48

EMPTY = 0
TOMBSTONE = (1 << 64) - 1

# --- the other blocks ----------------------------------------------------------------------------------------------
DIRECTORY_CAPACITY = 0
DIRECTORY_SLOTS = 1
DIRECTORY_GUARD = 16  # empty words behind the last slot, so that a short probe need not look for the end

JOURNAL_SEQUENCES = 0  # how many (address of a sequence, its final even value) pairs come first
JOURNAL_CHANGES = 1  # how many (address, value) pairs follow them
JOURNAL_PAIRS = 2

CLEARED_NEWEST = 0  # link to the first record of what is to be reclaimed
CLEARED_COUNT = 1
CLEARED_WORDS = 2

SESSION_HIGH = 0  # the client's 128-bit id
SESSION_LOW = 1
SESSION_NUMBER = 2  # the last request that was applied
SESSION_REPLY = 3  # 0 when every result of it was None, else the address of a reply
SESSION_WORDS = 4

REPLY_BYTES = 0
REPLY_BODY = 1

# --- limits -----------------------------------------------------------------------------------------------------------
MAX_KEY = (1 << 16) - 1
MAX_PAYLOAD = (1 << 24) + (1 << 12)  # 16 MiB of item, and what an encoder may add around it
MAX_LISTS = 255
PAYLOAD_BOUND = (MAX_PAYLOAD + 1) << 8  # a shape less its key bytes is below this
MIN_SEGMENT = 64 << 10


def block_header(kind: int, size: int) -> int:
    """The header word of a block of ``size`` words, itself included."""
    return kind << KIND_SHIFT | size


def shape_of(key_bytes: int, payload_bytes: int, lists: int) -> int:
    """The shape word of a record or, with no payload and no lists, of an anchor."""
    return key_bytes << 40 | payload_bytes << 8 | lists


def size_class(words: int) -> int:
    """Round a block's words up to its size class: even, and sixteen classes to a doubling (6.25 % lost at most)."""
    if words > 16:
        step = 1 << (words.bit_length() - 5)
        return (words + step - 1) & -step if step > 1 else words + 1 & -2
    return words + 1 & -2 if words > MIN_BLOCK else MIN_BLOCK
