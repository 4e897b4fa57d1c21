"""The directory where keys collide: tombstones, slots that are given up and taken again, and sweeping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm.engine import Clear, Delete, Memory, Operation, Put, Reader, Request, verify
from papertiger_shm.engine.directory import FIRST_CAPACITY
from papertiger_shm.engine.layout import FIRST_TOKEN
from papertiger_shm.engine.needle import needle_hash, needle_of

from .machine import new_store, open_writer
from .model import Model, check_collection

NAME = b"t\0n"


def crowded(places: int, wanted: int) -> list[bytes]:
    """Keys of the first collection that all begin to be looked for in the same few slots, the last of them included."""
    found = list[bytes]()
    n = 0
    while len(found) < wanted:
        key = b"c%d" % n
        place = needle_hash(needle_of(FIRST_TOKEN, key)) & FIRST_CAPACITY - 1
        if place >= FIRST_CAPACITY - places // 2 or place < places // 2:
            found.append(key)
        n += 1
    return found


KEYS = crowded(6, 14)

operations = st.one_of(
    st.builds(lambda key: Put(NAME, key, 1, (), key * 3), st.sampled_from(KEYS)),
    st.builds(lambda key: Put(NAME, key, 1, (), key * 3), st.sampled_from(KEYS)),
    st.builds(Delete, st.just(NAME), st.sampled_from(KEYS)),
)


@given(st.lists(st.lists(operations, min_size=1, max_size=6), max_size=40))
def test_keys_in_one_cluster_are_never_lost(batches: list[list[Operation]]) -> None:
    memory = Memory(new_store())
    writer, model, reader = open_writer(memory), Model(), Reader(memory)
    # An item that stays keeps the collection, and so the token that makes the keys collide.
    first: list[Operation] = [Put(NAME, b"stays", 1, (), b"")]
    for batch in [first, *batches]:
        request = Request(None, 0, batch)
        model.agree(writer.execute([request])[0], request)
        model.learn(reader)
        collection = reader.collection(NAME)
        held = model.collections[NAME]
        expected = [held[key].payload if key in held else None for key in KEYS]
        assert collection.get_many(KEYS) == expected
        assert [collection.get(key) for key in KEYS] == expected
    verify(memory)


def test_a_slot_given_up_and_taken_again_in_one_request_is_nobody_elses() -> None:
    for gone in KEYS[::2]:
        for new in KEYS[1::2]:
            memory = Memory(new_store())
            writer = open_writer(memory)
            puts = {key: Put(NAME, key, 1, (), key * 3) for key in [b"stays", *KEYS]}
            writer.execute([Request(None, 0, [puts[b"stays"], *(puts[key] for key in KEYS[::2])])])
            writer.execute([Request(None, 0, [Delete(NAME, gone), puts[new], puts[gone]])])
            there = {*KEYS[::2], new}
            found = Reader(memory).collection(NAME).get_many(KEYS)
            assert found == [key * 3 if key in there else None for key in KEYS], (gone, new)
            verify(memory)


def test_tombstones_do_not_pile_up() -> None:
    """A store that is emptied and filled for ever keeps its probes short, and stays where it is."""
    memory = Memory(new_store())
    writer, reader = open_writer(memory), Reader(memory)
    writer.execute([Request(None, 0, [Put(NAME, b"stays", 1, (), b"here")])])
    for n in range(3_000):
        key = b"k%d" % n
        assert writer.execute([Request(None, 0, [Put(NAME, key, n, (), key)])]) == [[None]]
        assert reader.collection(NAME).get(key) == key
        assert writer.execute([Request(None, 0, [Delete(NAME, key)])]) == [[None]]
        assert reader.collection(NAME).get(b"stays") == b"here"
    verify(memory)
    assert writer.stats()["bytes_used"] < 40 << 10


def test_growth_keeps_every_key_of_every_kind() -> None:
    memory = Memory(new_store(1 << 20))
    writer, model, reader = open_writer(memory), Model(), Reader(memory)
    names = [b"t\0%d" % n for n in range(20)]
    for n in range(900):
        operation: Operation = Put(names[n % 20], b"k%d" % n, n, [b"i=%d" % (n % 7)], b"%d" % n)
        if n % 97 == 96:
            operation = Clear(names[n % 20])
        request = Request(None, 0, [operation])
        model.agree(writer.execute([request])[0], request)
        if n % 60 == 59 or n == 899:
            model.learn(reader)
            for name in names:
                check_collection(model, reader.collection(name), name, (), ())
            verify(memory)
