"""Bytes flipped in a copy of a real segment, and nonsense on the socket: told so, or dropped; nobody dies of it.

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
from papertiger_shm.engine.layout import COLLECTION, COLLECTION_WORDS, H_RESERVED, H_TOP, OWN_TOKEN
from papertiger_shm.shm import wire
from papertiger_shm.shm.admission import prove_to_manager, set_patience
from papertiger_shm.shm.rendezvous import Place

from .children import Child
from .sizes import DAMAGED_COPIES, STRANGE_TALKS
from .waiting import eventually

ITEMS = 60
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
    lambda collection, key: [collection.get(key)],
    lambda collection, key: [None][: collection.version(key) is None],
    lambda collection, key: [None][: collection.count() < 0],
    lambda collection, key: collection.get_many([key, *map(str.encode, KEYS[:9])]),
    lambda collection, key: collection.page(10, None, None, [])[0],
    lambda collection, key: collection.page(10, key, None, [])[0],
    lambda collection, key: collection.page(10, None, key, [])[0],
    lambda collection, key: collection.scan([]),
    lambda collection, key: [payload for _, payload in collection.entries([])],
]


def read_damaged(path: str, image: bytes, rounds: int, seed: int, checked: bool) -> dict[str, int]:
    """Flip, read in every way, mend; in a file that ends where the kernel's promise does, below a longer mapping."""
    with open(path, "wb") as file:
        file.write(image)
        file.truncate(2 * len(image))
    with open(path, "r+b") as file:
        writable = mmap.mmap(file.fileno(), 2 * len(image))
        readable = mmap.mmap(file.fileno(), 2 * len(image), prot=mmap.PROT_READ)
        file.truncate(len(image))  # from here on a touch of what is not reserved is a SIGBUS
    words = memoryview(image).cast("Q")
    whole = payloads_of(image)
    kept = untouchable(words)
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
        places = [place for place in flips(chance, words) if place // 8 not in kept]
        for place in places:
            writable[place] ^= chance.randrange(1, 256)
        for which, collection in enumerate(collections):
            key = chance.choice(KEYS).encode()
            for read in READS:
                try:
                    found = read(collection, key)
                except (CorruptSegment, Contended, Closed, NotFound):
                    figures["refused"] += 1
                    continue
                for payload in found:
                    figures["none" if payload is None else "right"] += 1
                    assert payload is None or fits(payload, whole, which, checked), (seed, round, places, payload)
        for place in places:
            writable[place] = image[place]
    return figures


def payloads_of(image: bytes) -> list[set[bytes]]:
    memory = Memory(bytearray(image))
    return [set(Reader(memory).collection(name).scan([])) for name in COLLECTIONS]


def untouchable(words: memoryview) -> set[int]:
    """Words that only say what is whose: with one collection's token, another *is* that collection.

    And how far the kernel's promise goes: a reader has that from nobody else.
    """
    tokens = {at + 1 + COLLECTION_WORDS + OWN_TOKEN for at, kind, _ in walk(words) if kind == COLLECTION}
    return {H_RESERVED} | tokens


def flips(chance: random.Random, words: memoryview) -> list[int]:
    """Up to four bytes; most of them where something is."""
    top = words[H_TOP]
    found = []
    for _ in range(chance.choice((1, 1, 2, 4))):
        word = chance.randrange(19) if chance.random() < 0.05 else chance.randrange(64, top)
        while chance.random() < 0.9 and not words[word]:
            word = chance.randrange(64, top)
        found.append(word * 8 + chance.randrange(8))
    return [*dict.fromkeys(found)]


def fits(payload: bytes, whole: list[set[bytes]], which: int, checked: bool) -> bool:
    """An item of this collection as it was; where no checksum is looked at, at least none of the other's."""
    return payload in whole[which] or (not checked and payload not in whole[1 - which])


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
        link.close()
    eventually(lambda: good.stats()["clients"] == 1, "the strangers' connections to end")
    good.verify()
    assert manager.pid == pid


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


def drained(link: socket.socket) -> bool:
    """Read until the manager hangs up, which it does once it has seen our end; whether it said anything."""
    said = False
    with suppress(ConnectionResetError):
        while link.recv(1 << 16):
            said = True
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
            [number, wire.PING],
            [0, wire.RETRIES, chance.randrange(10)],
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
