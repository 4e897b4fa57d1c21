"""docs/format.md is enough to write a reader: this one was written from the page, and uses nothing of the engine."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from xxhash import xxh3_64_intdigest

from papertiger_shm import Customers, Manager, namespace

ADDRESS = (1 << 48) - 1


class Page:
    """A reader of a segment at rest: no retries, since nobody writes meanwhile."""

    def __init__(self, segment: str) -> None:
        with open(f"/dev/shm/{segment}", "rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert self.bytes[:8] == b"PTRSHM\x01\x00"
        assert self.word(1) == 1
        assert not self.word(5) >> 63

    def word(self, address: int) -> int:
        assert address < 64 or address < self.word(10)
        word: int = struct.unpack_from("<Q", self.bytes, address * 8)[0]
        return word

    def find(self, token: int, key: bytes) -> int | None:
        needle = token.to_bytes(8, "little") + key
        hashed = xxh3_64_intdigest(needle)
        directory = self.word(8)
        capacity = self.word(directory)
        for step in range(capacity):
            slot = self.word(directory + 1 + (hashed + step) % capacity)
            if slot == 0:
                return None
            address = slot & ADDRESS
            if slot != 2**64 - 1 and slot >> 48 == hashed >> 48:
                start = (address + 5) * 8
                if self.bytes[start : start + len(needle)] == needle and self.word(address + 1) >> 40 == len(key):
                    return address
        return None

    def collection(self, table: str, namespace: str) -> tuple[int, int]:
        anchor = self.find(0, f"{table}\0{namespace}".encode())
        assert anchor is not None
        assert not self.word(anchor - 2) & 1
        return anchor, self.word(anchor - 1)

    def item(self, record: int) -> Any:
        shape = self.word(record + 1)
        start = (record + 6) * 8 + (shape >> 40)
        end = start + (shape >> 8 & 0xFFFFFFFF)
        assert xxh3_64_intdigest(self.bytes[(record + 1) * 8 : end]) == self.word(record)
        return msgpack.unpackb(self.bytes[start:end], timestamp=3)

    def items(self, anchor: int) -> Iterator[Any]:
        link = self.word(anchor + 2)
        for _ in range(self.word(anchor + 4)):
            record, which = link & ADDRESS, link >> 48
            assert self.word(record - 3 * which - 1) == anchor
            yield self.item(record)
            link = self.word(record - 3 * which - 2)
        assert link == 0

    def blocks(self) -> Iterator[tuple[int, int]]:
        address = 64
        while address < self.word(9):
            header = self.word(address)
            yield header >> 56, address + 1
            address += header & ADDRESS


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager(max_size="16 MiB") as manager:
        yield manager


def test_a_reader_written_from_the_page(manager: Manager) -> None:
    with manager.connect() as connection:
        customers = Customers(connection)
        for n in range(300):
            with namespace(f"n{n % 3}"):
                plan = {"plan": n % 2 == 0 or 1.5}
                customers.insert({"id": f"cus_{n}", "created": n // 7, "email": f"{n}@x", "metadata": plan})
        customers.clear_namespace("n2")
        with namespace("n1"):
            customers.delete("cus_1")
            expected = list(customers)
            gold = customers.find_by("metadata.plan", 1)
        figures = connection.stats()
        page = Page(figures["segment"])
        anchor, token = page.collection("paper_tiger_customers", "n1")
        assert list(page.items(anchor)) == expected
        for item in expected:
            record = page.find(token, item["id"].encode())
            assert record is not None
            assert page.item(record) == item
        assert page.find(token, b"cus_1") is None
        posting = page.find(token + 1, b"metadata.plan\0" + msgpack.packb(1))
        assert posting is not None
        assert list(page.items(posting)) == gold
        assert page.find(0, b"paper_tiger_customers\0n2") is None
        assert page.word(13) == figures["items"] == 199
        assert page.word(14) == figures["collections"] == 2


def test_blocks_fill_the_arena(manager: Manager) -> None:
    with manager.connect() as connection:
        Customers(connection).insert_many([{"email": str(n)} for n in range(50)])
        kinds = [kind for kind, _ in Page(connection.stats()["segment"]).blocks()]
        assert kinds.count(6) == 50
        assert kinds.count(5) == 50
        assert kinds.count(4) == kinds.count(3) == kinds.count(2) == 1
