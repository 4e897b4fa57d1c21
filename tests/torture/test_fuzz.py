"""Bytes and words changed in a copy of a real segment, and nonsense on the socket: told so, or dropped; nobody dies.

What single words of a damaged segment do to a reader is looked at in the engine's tests, in memory that counts every
step. Here the damage is to bytes of a mapped file, in a process of its own that a SIGBUS or a SIGSEGV would end.
"""

from __future__ import annotations

import mmap
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from papertiger_shm import Connection, CorruptSegment, Events, Manager, NotFound, connect
from papertiger_shm.codec import pack, unpack
from papertiger_shm.engine import Closed, CollectionReader, Contended, Memory, Reader
from papertiger_shm.engine.arena import walk
from papertiger_shm.engine.layout import (
    ADDRESS_MASK,
    COLLECTION,
    COLLECTION_WORDS,
    DIRECTORY_CAPACITY,
    DIRECTORY_SLOTS,
    EMPTY,
    H_DIRECTORY,
    H_RESERVED,
    H_TOP,
    KEY,
    LINK_WORDS,
    OWN_TOKEN,
    SHAPE,
    TOMBSTONE,
)
from papertiger_shm.shm import wire
from papertiger_shm.shm.introduction import prove_to_manager, set_patience
from papertiger_shm.shm.rendezvous import Place

from .children import Child
from .processes import descriptors, threads
from .sizes import DAMAGED_COPIES, STRANGE_TALKS
from .waiting import eventually

ITEMS = 40
BEYOND = 64
"""How much longer than the memory the mapping is, in which a touch of what is not there is a SIGBUS."""
STUCK_SECONDS = 20
"""After which reading one damaged copy counts as stuck; it takes about a millisecond."""

COLLECTIONS = [b"paper_tiger_events\0fuzz", b"paper_tiger_events\0fuzz/other"]
KEYS = [f"evt_{n}" for n in range(ITEMS)]


# ---- a damaged segment ----------------------------------------------------------------------------------------------


@pytest.fixture
def image(manager: Manager, connection: Connection) -> bytes:
    """The reserved part of a segment that has seen inserts, updates, deletes and clears."""
    for namespace in ("fuzz", "fuzz/other"):
        events = Events(connection, namespace)
        events.insert_many(an_event(namespace, n, 1) for n in range(ITEMS))
        events.insert_many(an_event(namespace, n, 2) for n in range(0, ITEMS, 3))
        for n in range(0, ITEMS, 7):
            events.delete(f"evt_{n}")
    Events(connection, "gone").insert_many(an_event("gone", n, 1) for n in range(ITEMS))
    Events(connection).clear_namespace("gone")
    segment = connection.stats()["segment"]
    reserved = connection.stats()["bytes_reserved"]
    with open(f"/dev/shm/{segment}", "rb") as file:
        return file.read(reserved)


def an_event(namespace: str, n: int, version: int) -> dict[str, Any]:
    data = f"{namespace} {n} {version} " + "." * (n * 7)
    return {"id": f"evt_{n}", "created": n % 5, "type": f"kind.{n % 4}", "data": data}


READS: list[Callable[[CollectionReader, bytes], Any]] = [
    lambda collection, key: [None][: collection.count() < 0],
    lambda collection, key: collection.get_many([key, *map(str.encode, KEYS[:9])]),
    lambda collection, key: collection.page(10, None, None, [])[0],
    lambda collection, key: collection.page(10, key, None, [])[0],
    lambda collection, key: collection.page(10, None, key, [])[0],
    lambda collection, key: collection.scan([]),
    lambda collection, key: [payload for _, payload in collection.entries([])],
]


def read_damaged(path: str, image: bytes, rounds: int, seed: int, checked: bool) -> dict[str, int]:
    """Damage, read in every way, mend; in a file that ends where the kernel's promise does, below a longer mapping."""
    with open(path, "wb") as file:
        file.write(image)
        file.truncate(BEYOND * len(image))
    with open(path, "r+b") as file:
        writable = mmap.mmap(file.fileno(), len(image))
        readable = mmap.mmap(file.fileno(), BEYOND * len(image), prot=mmap.PROT_READ)
        file.truncate(len(image))  # from here on a touch of what is not reserved is a SIGBUS
    words, stored = memoryview(image).cast("Q"), memoryview(writable).cast("Q")
    written = [payloads_of(image, name) for name in COLLECTIONS]
    kept, leads = untouchable(words), leading(words)
    harmless = {word for role, found in leads.items() if role != SHAPE for word in found}
    chance = random.Random(seed)
    memory = Memory(readable)
    figures = {"right": 0, "none": 0, "refused": 0}
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for round in range(rounds):
        signal.alarm(STUCK_SECONDS)
        collections = [Reader(memory, checked=checked).collection(name) for name in COLLECTIONS]
        if round % 2:  # a reader that has seen it whole
            for collection in collections:
                collection.get(b"evt_1")
        damaged = {word: value for word, value in damage(chance, words, leads).items() if word not in kept}
        for word, value in damaged.items():
            stored[word] = value
        exactly = checked or damaged.keys() <= harmless
        for which, collection in enumerate(collections):
            for key, payload in everything_read(collection, chance, figures):
                figures["none" if payload is None else "right"] += 1
                assert fits(key, payload, written[which], written[1 - which], exactly), (seed, round, damaged, payload)
        for word in damaged:
            stored[word] = words[word]
    return figures


def everything_read(
    collection: CollectionReader, chance: random.Random, figures: dict[str, int]
) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Some of what one collection gives, in every way, with the key that it was given for, if any."""
    some = [key.encode() for key in chance.sample(KEYS, 10)]
    for key in some:
        try:
            yield key, collection.get(key)
            collection.version(key)
        except REFUSALS:
            figures["refused"] += 1
    for read in READS:
        try:
            found = read(collection, some[0])
        except REFUSALS:
            figures["refused"] += 1
        else:
            yield from ((None, payload) for payload in found)


REFUSALS = (CorruptSegment, Contended, Closed, NotFound)


def payloads_of(image: bytes, name: bytes) -> dict[bytes, set[bytes]]:
    """By key, what was ever stored under it: freed memory still has the former one, and a slot may lead there."""
    namespace = name.partition(b"\0")[2].decode()
    written = {f"evt_{n}".encode(): {pack(an_event(namespace, n, version)) for version in (1, 2)} for n in range(ITEMS)}
    collection = Reader(Memory(bytearray(image))).collection(name)
    assert all(payload in written[key] for key in written if (payload := collection.get(key)) is not None)
    return written


def untouchable(words: memoryview) -> set[int]:
    """Words that only say what is whose: with one collection's token, another *is* that collection.

    And how far the kernel's promise goes: a reader has that from nobody else.
    """
    tokens = {at + 1 + COLLECTION_WORDS + OWN_TOKEN for at, kind, _ in walk(words) if kind == COLLECTION}
    return {H_RESERVED} | tokens


def leading(words: memoryview) -> dict[int, list[int]]:
    """Words that lead somewhere, or say how long or how many, by their place below or behind a head.

    Those of the directory stand beside them, under numbers that no place has.
    """
    directory = words[H_DIRECTORY]
    first = directory + DIRECTORY_SLOTS
    roles: dict[int, list[int]] = {1000: [H_DIRECTORY], 1001: [directory + DIRECTORY_CAPACITY], 1002: []}
    for place in range(first, first + words[directory + DIRECTORY_CAPACITY]):
        if words[place] not in (EMPTY, TOMBSTONE):
            roles[1002].append(place)
            head = words[place] & ADDRESS_MASK
            for offset in range(-LINK_WORDS * (words[head + SHAPE] & 0xFF), KEY):
                roles.setdefault(offset, []).append(head + offset)
    return roles


def damage(chance: random.Random, words: memoryview, leads: dict[int, list[int]]) -> dict[int, int]:
    """Up to four bytes flipped, most of them where something is; or one word in place of another of its kind.

    That one leads somewhere real, in a circle perhaps, where a flipped one mostly leads out of the segment.
    """
    if chance.random() < 0.3:
        kind = chance.choice([*leads.values()])
        return {chance.choice(kind): words[chance.choice(kind)]}
    top = words[H_TOP]
    found = {}
    for _ in range(chance.choice((1, 1, 2, 4))):
        word = chance.randrange(19) if chance.random() < 0.05 else chance.randrange(64, top)
        if chance.random() < 0.6:
            word = chance.choice(chance.choice([*leads.values()]))
        while chance.random() < 0.9 and not words[word]:
            word = chance.randrange(64, top)
        found[word] = words[word] ^ chance.randrange(1, 256) << 8 * chance.randrange(8)
    return found


def fits(
    key: bytes | None,
    payload: bytes | None,
    written: dict[bytes, set[bytes]],
    others: dict[bytes, set[bytes]],
    exactly: bool,
) -> bool:
    """An item as it was written under this key; where its own bytes were damaged and no checksum is looked at, at
    least none of the other collection's."""
    if payload is None:
        return True
    if exactly:
        return payload in written[key] if key is not None else any(payload in found for found in written.values())
    return not any(payload in found for found in others.values())


@pytest.mark.parametrize("checked", [False, True], ids=["as this processor orders", "as if weakly ordered"])
def test_flipped_bytes_kill_nobody(image: bytes, checked: bool, tmp_path: Path, record_property: Any) -> None:
    seed = random.randrange(1 << 30)
    with Child(read_damaged, str(tmp_path / "copy"), image, DAMAGED_COPIES // 2, seed, checked) as child:
        figures = child.result(3600)
    record_property("figures", figures)
    print(figures)
    assert figures["right"] > figures["none"]
    assert figures["refused"] > 0


# ---- nonsense on the socket -----------------------------------------------------------------------------------------


@pytest.fixture
def good(manager: Manager) -> Iterator[Connection]:
    """A client that wants nothing but what it has a right to."""
    with connect(manager.url, timeout=60) as connection:
        Events(connection, "good").insert({"id": "evt_good", "created": 1, "n": 0})
        yield connection


def still_serving(manager: Manager, good: Connection, pid: int, turn: int) -> None:
    """The client that was there, and the next one that comes."""
    assert Events(good, "good").increment("evt_good", "n") == 2 * turn + 1
    with connect(manager.url, timeout=60) as next:
        assert Events(next, "good").increment("evt_good", "n") == 2 * turn + 2
        assert next.stats()["writer_pid"] == pid


def test_nonsense_before_the_handshake_is_over(manager: Manager, good: Connection) -> None:
    chance = random.Random()
    pid = manager.pid
    eventually(lambda: threads(pid) == 1, "the last handshake to end")
    files = descriptors(pid)
    links = []
    for turn in range(STRANGE_TALKS):
        link = socket.socket(socket.AF_UNIX)
        link.connect(Place(manager.name).socket)
        link.settimeout(60)
        links.append(link)
        with suppress(OSError):
            for piece in nonsense(chance):
                link.sendall(piece)
            if chance.random() < 0.5:
                link.shutdown(socket.SHUT_WR)
        if len(links) > 20:  # some stay half open all the while
            links.pop(chance.randrange(len(links))).close()
        if turn % 10 == 0:
            still_serving(manager, good, pid, turn // 10)
    for link in links:
        only_a_handshake(link)
    eventually(lambda: descriptors(pid) == files, "the strangers' connections to be closed")
    eventually(lambda: threads(pid) == 1, "the last handshake to end")
    assert good.stats()["clients"] == 1
    good.verify()
    assert manager.pid == pid
    for link in links:
        link.close()


def only_a_handshake(link: socket.socket) -> None:
    """A stranger is asked for its proof, told that it has failed or nothing, and hung up on, however long it waits."""
    said = drained(link)
    frames = wire.FrameReader()
    frames.feed(memoryview(said))
    assert all(body[:1] == b"#" for body in frames.bodies()), said


def nonsense(chance: random.Random) -> list[bytes]:
    """What a stranger may send in answer to the challenge."""
    body = chance.choice(
        [
            chance.randbytes(chance.randrange(200)),
            b"#CHALLENGE#" + chance.randbytes(20),
            b"#CHALLENGE#{sha256}" + chance.randbytes(40),
            b"#WELCOME#",
            b"{md5}" + chance.randbytes(16),
            chance.randbytes(16),
            pack([0, wire.HELLO, wire.PROTOCOL, chance.randbytes(16)]),
        ]
    )
    whole = wire.frame(body)
    return chance.choice(
        [
            [whole],
            [body],
            [whole[: chance.randrange(len(whole))]],
            [whole, whole, whole],
            [chance.randbytes(4), body],
            [b"\xff\xff\xff\xff", chance.randbytes(8)],
            [],
        ]
    )


def test_nonsense_after_the_handshake(manager: Manager, good: Connection) -> None:
    chance = random.Random()
    pid = manager.pid
    outcomes = {"answered": 0, "dropped": 0}
    for turn in range(STRANGE_TALKS):
        with authenticated(manager.name) as link:
            if chance.random() < 0.9:
                link.sendall(wire.request_frame([0, wire.HELLO, wire.PROTOCOL, chance.randbytes(16)]))
            with suppress(OSError):
                for _ in range(chance.randrange(1, 6)):
                    link.sendall(mutated(chance, a_request(chance)))
                link.shutdown(socket.SHUT_WR)
            outcomes["answered" if drained(link) else "dropped"] += 1
        if turn % 10 == 0:
            still_serving(manager, good, pid, turn // 10)
    print(outcomes)
    assert outcomes["answered"]
    good.verify()
    assert manager.pid == pid
    assert Events(good, "good").count() == 1


def authenticated(name: str) -> socket.socket:
    place = Place(name)
    link = socket.socket(socket.AF_UNIX)
    link.connect(place.socket)
    set_patience(link, 60)
    prove_to_manager(link, place.key())
    return link


def drained(link: socket.socket) -> bytes:
    """All that the manager says until it hangs up."""
    said = b""
    with suppress(ConnectionResetError):
        while more := link.recv(1 << 16):
            said += more
    return said


def a_request(chance: random.Random) -> list[Any]:
    """One that a client might send, about a table that no good client knows."""
    table = b"strange\0" + chance.choice([b"a", b"a/b", b"b"])
    key = chance.choice([b"k1", b"k2", b"k3"])
    payload = pack({"id": key.decode(), "created": 1, "n": chance.randrange(1 << 60), "data": "x" * 50})
    operations = [
        [
            wire.PUT,
            table,
            key,
            chance.randrange(-5, 5),
            [b"type\0\xa1" + bytes([chance.randrange(256)])],
            payload,
            None,
        ],
        [wire.DELETE, table, key],
        [wire.CLEAR, table],
        [wire.CLEAR_BELOW, b"strange\0a/"],
        [wire.CLEAR_ACROSS, b"a", b"a/"],
        [wire.INCREMENT, table, key, "n", chance.choice([1, -1, 0.5, 1 << 63]), []],
    ]
    number = chance.randrange(1, 1000)
    return chance.choice(
        [
            [number, wire.COMMIT, chance.sample(operations, chance.randrange(1, 5))],
            [number, wire.COMMIT, chance.sample(operations, chance.randrange(1, 5))],
            [number, wire.READ, table, "get", [key]],
            [number, wire.READ, table, "page", [3, None, key, []]],
            [number, wire.READ, table, chance.choice(["scan", "entries", "get_many"]), [[key]]],
            [number, wire.COLLECTIONS],
            [number, wire.STATS],
            [number, wire.AWAIT, table, chance.random() < 0.5],
            [number, wire.PING],
            [0, wire.READS, chance.randrange(10), chance.randrange(10)],
        ]
    )


def mutated(chance: random.Random, message: list[Any]) -> bytes:
    """The request's frame with something wrong, or not. Never one that tells the manager to stop: it would obey."""
    body = bytearray(pack(message))
    for _ in range(chance.choice((0, 1, 1, 3, 10))):
        place = chance.randrange(len(body))
        change = chance.randrange(4)
        if change == 0:
            body[place] = chance.randrange(256)
        elif change == 1:
            body[place] ^= 1 << chance.randrange(8)
        elif change == 2:
            del body[place : place + chance.randrange(1, 4)]
            body = body or bytearray(b"\0")
        else:
            body[place:place] = chance.randbytes(chance.randrange(1, 5))
    if says_stop(body) or b"paper_tiger" in body:
        return wire.request_frame(message)
    whole = wire.frame(bytes(body))
    return whole if chance.random() < 0.9 else chance.randbytes(chance.randrange(1, 5)) + whole


def says_stop(body: bytearray) -> bool:
    try:
        message = unpack(bytes(body))
    except ValueError:
        return False
    return isinstance(message, list) and len(message) > 1 and message[1] == wire.STOP
