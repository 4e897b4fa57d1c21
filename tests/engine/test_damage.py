"""Damaged segments: a reader stays within the memory there is, comes to an end, and says what it met.

No writer of this format leaves such memory. A disk, a stray pointer or another format does; a reader must neither die
of it nor take it for data.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from papertiger_shm.engine import Closed, CollectionReader, Contended, Memory, Put, Reader, Request, Transform, verify
from papertiger_shm.engine.arena import walk
from papertiger_shm.engine.layout import (
    ARENA,
    COLLECTION,
    COLLECTION_WORDS,
    DIRECTORY,
    DIRECTORY_CAPACITY,
    DIRECTORY_SLOTS,
    FREE,
    H_ALLOCATED,
    H_COLLECTIONS,
    H_DIRECTORY,
    H_ENTRIES,
    H_FORMAT,
    H_ITEMS,
    H_JOURNAL,
    H_JOURNAL_HOME,
    H_MAGIC,
    H_RESERVED,
    H_SIZE,
    H_SLOTS_USED,
    H_TOP,
    JOURNAL,
    KEY,
    LINK_WORDS,
    OWN_TOKEN,
    POSTING,
    RECORD,
    SESSION,
    SESSION_REPLY,
    SHAPE,
)
from papertiger_shm.errors import CorruptSegment, NotFound

from .machine import new_store, open_writer
from .model import CLIENTS, Appended, Model

ROUNDS = int(os.environ.get("PAPERTIGER_DAMAGE_ROUNDS", "800"))
BOUND = 300_000

A, B = b"events\0a", b"events\0b"
COLORS = [b"color=%d" % n for n in range(3)]
KEYS = [b"key%d" % n for n in range(12)]

READS: dict[str, Callable[[CollectionReader], Any]] = {
    "get": lambda c: [c.get(key) for key in KEYS],
    "version": lambda c: [c.version(key) for key in KEYS],
    "entry": lambda c: [c.entry(key) for key in KEYS],
    "count": lambda c: c.count(),
    "get_many": lambda c: c.get_many(KEYS),
    "page": lambda c: c.page(4, None, None)[0],
    "page after": lambda c: c.page(4, KEYS[7], None)[0],
    "page before": lambda c: c.page(4, None, KEYS[2], [COLORS[1]])[0],
    "scan": lambda c: c.scan(),
    "filtered scan": lambda c: c.scan(COLORS[:2]),
    "entries": lambda c: c.entries([COLORS[0]]),
}


def populated() -> tuple[bytes, Model]:
    """A segment in which every kind of block is, and what it holds."""
    buffer = new_store()
    memory = Memory(buffer)
    writer, model = open_writer(memory), Model()
    requests = [
        Request(CLIENTS[0], n + 1, [Put(name, key, n % 5, [COLORS[n % 3], COLORS[n % 2]][: 1 + (n % 3 != n % 2)], b"")])
        for name in (A, B)
        for n, key in enumerate(KEYS)
    ]
    requests = [
        request._replace(number=n + 1, operations=[_told(request.operations[0], n)])  # type: ignore[arg-type]
        for n, request in enumerate(requests)
    ]
    requests.append(Request(CLIENTS[1], 1, [Transform(A, KEYS[3], Appended(b" and more"))]))
    for request in requests:
        model.agree(writer.execute([request])[0], request)
        model.learn(Reader(memory))
    verify(memory)
    return bytes(buffer), model


def _told(put: Put, n: int) -> Put:
    return put._replace(payload=b"%s %s %d " % (put.collection, put.key, n) + b"." * (n % 40))


@pytest.fixture(scope="module")
def segment() -> tuple[bytes, Model]:
    """Made once; every test damages a copy."""
    return populated()


class Fenced:
    """Memory that ends where the kernel's promise does, and of which only so much may be read."""

    def __init__(self, buffer: bytearray, limit: int) -> None:
        self.memory = Memory(buffer)
        self._words, self._raw = self.memory.words, self.memory.raw
        self._limit = limit
        self.loads = 0
        self.memory.words = self  # type: ignore[assignment]
        self.memory.raw = _FencedSlices(self)

    def __len__(self) -> int:
        return len(self._words)

    def __getitem__(self, place: int) -> int:
        assert not isinstance(place, slice)
        value = self._words[place]
        assert place < self._limit, f"word {place} is not there to be read"
        self._load()
        return value

    def slice(self, span: slice) -> bytes:
        assert span.stop <= self._limit * 8 or span.start >= span.stop or span.start >= len(self._words) * 8, (
            f"bytes to {span.stop} are not there to be read"
        )
        self._load()
        return self._raw[span]

    def _load(self) -> None:
        self.loads += 1
        assert self.loads < BOUND, "the read does not end"


class _FencedSlices:
    def __init__(self, fence: Fenced) -> None:
        self._fence = fence

    def __getitem__(self, span: slice) -> bytes:
        return self._fence.slice(span)


def damages(image: bytes, chance: random.Random) -> tuple[bytearray, list[int]]:
    """A copy with one to three words that are not what they were.

    Not those that say which records are a collection's: with one collection's token, another is that collection.
    """
    buffer = bytearray(image)
    words = memoryview(buffer).cast("Q")
    tokens = {address + 1 + COLLECTION_WORDS + OWN_TOKEN for address, kind, _ in walk(words) if kind == COLLECTION}
    top = words[H_TOP]
    hit = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(H_TOP) if chance.random() < 0.1 else chance.randrange(ARENA, top)
        # Half of the time something that means something.
        while place in tokens or (chance.random() < 0.8 and not words[place]):
            place = chance.randrange(ARENA, top)
        kind = chance.randrange(6)
        if kind <= 1:
            words[place] ^= 1 << chance.randrange(64)
        elif kind == 2:
            words[place] = chance.randrange(1 << 64)
        elif kind == 3:
            words[place] = words[chance.randrange(ARENA, top)]
        elif kind == 4:
            words[place] = chance.choice((0, 1, 2, top, top - 1, len(words) - 1, (1 << 48) - 1, (1 << 64) - 1))
        else:
            buffer[place * 8 + chance.randrange(8)] = chance.randrange(256)
        hit.append(place)
    return buffer, hit


def fits(read: str, result: Any, model: Model, name: bytes) -> bool:
    """Whether the result is true, as far as what cannot be reached allows."""
    held = model.collections[name]
    if read in ("get", "get_many"):
        return all(found in (None, held[key].payload) for key, found in zip(KEYS, result))
    if read == "version":
        return all(found in (None, held[key].version) for key, found in zip(KEYS, result))
    if read == "entry":
        return all(found in (None, (held[key].version, held[key].payload)) for key, found in zip(KEYS, result))
    if read == "count":
        return isinstance(result, int)
    whole = [(item.version, item.payload) for _, item in model.items(name)]
    return all(
        (entry in whole) if read == "entries" else entry in [payload for _, payload in whole] for entry in result
    )


def check_reads(image: bytes, buffer: bytearray, model: Model, checked: bool) -> tuple[int, int]:
    """All reads of damaged memory, by a reader that knew it whole and by one that did not."""
    limit = max(memoryview(b)[: ARENA * 8].cast("Q")[H_RESERVED] for b in (image, buffer))
    raised = answered = 0
    for warm in (False, True):
        for name in (A, B):
            live = bytearray(image if warm else buffer)
            fence = Fenced(live, min(limit, len(live) // 8))
            collection = Reader(fence.memory, checked=checked).collection(name)
            if warm:
                collection.get(KEYS[0])
                live[:] = buffer
            for read, perform in READS.items():
                fence.loads = 0
                try:
                    result = perform(collection)
                except (CorruptSegment, Contended, Closed, NotFound):
                    raised += 1
                else:
                    answered += 1
                    assert not checked or fits(read, result, model, name), (read, result)
    return raised, answered


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_damage_is_never_taken_for_data(segment: tuple[bytes, Model], checked: bool, part: int) -> None:
    image, model = segment
    raised = answered = 0
    for number in range(ROUNDS // 8):
        seed = number * 8 + part * 2 + checked
        buffer, hit = damages(image, random.Random(seed))
        try:
            more = check_reads(image, buffer, model, checked)
        except Exception as error:
            raise AssertionError(f"damage {seed}, of words {hit}") from error
        raised, answered = raised + more[0], answered + more[1]
    assert raised
    assert answered > raised


@pytest.mark.parametrize("checked", [False, True])
def test_every_header_word_may_be_anything(segment: tuple[bytes, Model], checked: bool) -> None:
    image, model = segment
    chance = random.Random(5)
    directory = memoryview(image).cast("Q")[H_DIRECTORY]
    for place in (*range(19), directory + DIRECTORY_CAPACITY):
        for value in (0, 1, 64, 511, 1 << 13, 1 << 47, (1 << 63) - 1, (1 << 64) - 1, chance.randrange(1 << 64)):
            buffer = bytearray(image)
            memoryview(buffer).cast("Q")[place] = value
            try:
                check_reads(image, buffer, model, checked)
            except Exception as error:
                raise AssertionError(f"header word {place} is {value:#x}") from error


@pytest.mark.parametrize("checked", [False, True])
def test_every_bit_of_a_records_shape_may_be_wrong(segment: tuple[bytes, Model], checked: bool) -> None:
    """It says how long key and payload are: no length may lead out of the memory there is."""
    image, model = segment
    words = memoryview(image).cast("Q")
    record = next(record for a, kind, _ in walk(words) if kind == RECORD for record, _ in record_in(words, a + 1))
    for bit in range(64):
        buffer = bytearray(image)
        memoryview(buffer).cast("Q")[record + SHAPE] ^= 1 << bit
        try:
            check_reads(image, buffer, model, checked)
        except Exception as error:
            raise AssertionError(f"bit {bit} of the shape of the record at word {record}") from error


def test_a_list_that_bites_its_tail_comes_to_an_end(segment: tuple[bytes, Model]) -> None:
    """Even if the count, which would end it, is damaged too."""
    image, _ = segment
    buffer = bytearray(image)
    words = memoryview(buffer).cast("Q")
    for address, kind, _ in walk(words):
        if kind in (COLLECTION, POSTING):
            words[address + 1 + (COLLECTION_WORDS if kind == COLLECTION else 0) + 4] = 1 << 60
        if kind == RECORD:
            for record, lists in record_in(words, address + 1):
                for which in range(lists):
                    words[record - LINK_WORDS * which - 2] = words[record - LINK_WORDS * which - 3] or (
                        which << 48 | record
                    )
    for checked in (False, True):
        fence = Fenced(bytearray(buffer), words[H_RESERVED])
        with pytest.raises((CorruptSegment, Contended)):
            Reader(fence.memory, checked=checked).collection(A).scan()
        fence.loads = 0
        with pytest.raises((CorruptSegment, Contended)):
            Reader(fence.memory, checked=checked).collection(A).scan([COLORS[0], COLORS[1]])


# --- verify ----------------------------------------------------------------------------------------------------------


def record_in(words: memoryview, body: int) -> Iterator[tuple[int, int]]:
    """``(address, lists)`` of the record in an undamaged block."""
    for lists in range(1, 10):
        record = body + LINK_WORDS * lists
        if words[record + SHAPE] & 0xFF == lists and words[record + SHAPE] >> 40 in (len(KEYS[0]), len(KEYS[-1])):
            yield record, lists
            return
    raise AssertionError("no record here")


def meaningful(words: memoryview) -> Iterator[tuple[int, int]]:
    """``(word, bits)`` of all that verify can know: bits of the word that cannot be otherwise in a whole segment."""
    every = (1 << 64) - 1
    for place in (H_MAGIC, H_FORMAT, H_JOURNAL_HOME, H_DIRECTORY, H_TOP, H_ITEMS, H_COLLECTIONS, H_ALLOCATED):
        yield place, every
    yield from ((H_JOURNAL, every), (H_SLOTS_USED, every), (H_ENTRIES, every))
    for address, kind, _ in walk(words):
        body = address + 1
        if kind == FREE:
            continue
        yield address, every & ~(0xFF << 48)  # bits between size and kind mean nothing
        if kind == DIRECTORY:
            yield body + DIRECTORY_CAPACITY, every
            for slot in range(words[body + DIRECTORY_CAPACITY]):
                yield body + DIRECTORY_SLOTS + slot, every
        elif kind in (COLLECTION, POSTING):
            anchor = body + (COLLECTION_WORDS if kind == COLLECTION else 0)
            if kind == COLLECTION:
                yield anchor + OWN_TOKEN, every
            yield from _with_bytes(anchor, words[anchor + SHAPE] >> 40)
        elif kind == RECORD:
            for record, lists in record_in(words, body):
                yield from ((word, every) for word in range(body, record))
                assert record == body + LINK_WORDS * lists
                shape = words[record + SHAPE]
                yield from _with_bytes(record, (shape >> 40) + (shape >> 8 & 0xFFFF_FFFF))
        elif kind == SESSION:
            yield body + SESSION_REPLY, every
        else:
            assert kind in (JOURNAL, 8)


def _with_bytes(head: int, length: int) -> Iterator[tuple[int, int]]:
    """The head at this address and so many bytes behind it."""
    yield from ((head + word, (1 << 64) - 1) for word in range(KEY + length // 8))
    if length % 8:
        yield head + KEY + length // 8, (1 << length % 8 * 8) - 1


def test_verify_notices_every_word_that_is_not_as_it_was(segment: tuple[bytes, Model]) -> None:
    image, _ = segment
    chance = random.Random(1)
    buffer = bytearray(image)
    words = memoryview(buffer).cast("Q")
    unnoticed = []
    places = list(meaningful(memoryview(image).cast("Q")))
    assert len(places) > 1_000
    for place, bits in places:
        before = words[place]
        bit = chance.choice([bit for bit in range(64) if bits >> bit & 1])
        words[place] ^= 1 << bit
        try:
            verify(Memory(buffer))
        except CorruptSegment:
            pass
        else:
            unnoticed.append((place, bit))
        words[place] = before
    assert not unnoticed
    verify(Memory(buffer))


def test_verify_raises_nothing_else(segment: tuple[bytes, Model]) -> None:
    image, _ = segment
    noticed = 0
    for seed in range(ROUNDS):
        buffer, hit = damages(image, random.Random(seed))
        try:
            verify(Memory(buffer))
        except CorruptSegment:
            noticed += 1
        except Exception as error:
            raise AssertionError(f"damage {seed}, of words {hit}") from error
    assert noticed > ROUNDS // 2


# --- what is no segment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", [open_writer, verify])
@pytest.mark.parametrize(
    ("place", "value"),
    [(H_MAGIC, 0), (H_MAGIC, 0x5054_5253_484D_0100), (H_FORMAT, 2), (H_FORMAT, 0), (H_SIZE, 1 << 20)],
)
def test_another_format_is_refused(
    segment: tuple[bytes, Model], use: Callable[[Memory], Any], place: int, value: int
) -> None:
    buffer = bytearray(segment[0])
    memoryview(buffer).cast("Q")[place] = value
    before = bytes(buffer)
    with pytest.raises(CorruptSegment):
        use(Memory(buffer))
    assert bytes(buffer) == before, "what is not understood is not touched"


@pytest.mark.parametrize("use", [open_writer, verify])
@pytest.mark.parametrize("size", [0, 8, 512, 4096, 32 << 10, (64 << 10) - 4096])
def test_a_segment_cut_short_is_refused(segment: tuple[bytes, Model], use: Callable[[Memory], Any], size: int) -> None:
    with pytest.raises(CorruptSegment):
        use(Memory(bytearray(segment[0][:size])))


@pytest.mark.parametrize("words", [(1, 10), (1 << 40, 1), ((1 << 64) - 1, (1 << 64) - 1), (0, 4000)])
def test_a_journal_that_cannot_be_is_not_carried_out(segment: tuple[bytes, Model], words: tuple[int, int]) -> None:
    buffer = bytearray(segment[0])
    view = memoryview(buffer).cast("Q")
    home = view[H_JOURNAL_HOME]
    view[home], view[home + 1] = words
    for n in range(2, 20):
        view[home + n] = (1 << 64) - n
    for journal in (home, home + 8, 3, len(view) - 1, 1 << 50, (1 << 64) - 1):
        view[H_JOURNAL] = journal
        with pytest.raises(CorruptSegment):
            open_writer(Memory(buffer))
