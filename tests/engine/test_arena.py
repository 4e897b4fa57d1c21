"""The arena on its own: blocks never overlap, undoing is exact, neighbours join, and memory does not creep away."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm.engine import Clear, Delete, Memory, Operation, Put, Reader, Request, verify
from papertiger_shm.engine.arena import Arena, NoRoom, walk
from papertiger_shm.engine.commit import Commit
from papertiger_shm.engine.layout import ARENA, FREE, H_ALLOCATED, H_RESERVED, H_TOP, MIN_BLOCK, RECORD, size_class

from .machine import STEP, new_store, open_writer, stepwise

SIZE = 64 << 10


class Bench:
    """An arena in zeroed memory, with no store around it."""

    def __init__(self) -> None:
        self.memory = Memory(bytearray(SIZE))
        self.words = self.memory.words
        self.words[H_TOP] = ARENA
        self.words[H_RESERVED] = ARENA
        self.commit = Commit(self.memory)
        self.arena = Arena(self.memory, self.commit, stepwise(SIZE))

    def settle(self) -> None:
        for address, value in self.commit.draft.items():
            self.words[address] = value
        self.commit.discard()
        self.arena.settle()

    def undo(self) -> None:
        self.commit.discard()
        self.arena.undo()

    def blocks(self) -> list[tuple[int, int, int]]:
        return list(walk(self.words))

    def fill(self, body: int) -> int:
        """Scribble over the whole body, as a record's bytes would; returns the block's end."""
        end = body - 1 + (self.commit.draft[body - 1] & (1 << 48) - 1)
        for word in range(body, end):
            self.words[word] = (1 << 64) - 1
        return end


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=8),
            st.sampled_from(["settle", "settle", "undo", "epoch", "adopt"]),
        ),
        max_size=25,
    )
)
def test_blocks_never_overlap_and_undo_is_exact(batches: list[tuple[list[tuple[bool, int]], str]]) -> None:
    bench = Bench()
    live: dict[int, int] = {}
    for steps, end in batches:
        before = bench.blocks(), bench.arena.free_words, bench.arena.quarantined
        now = dict(live)
        for allocate, number in steps:
            if allocate:
                try:
                    body = bench.arena.allocate(RECORD, number)
                except NoRoom:
                    continue
                assert bench.fill(body) - body >= number
                now[body] = bench.fill(body)
            elif live.keys() & now.keys():
                body = sorted(live.keys() & now.keys())[number % len(live.keys() & now.keys())]
                bench.arena.free(body)
                del now[body]
        spans = sorted((body - 1, stop) for body, stop in {**live, **now}.items())
        assert all(stop <= start for (_, stop), (start, _) in pairwise(spans)), "freed blocks stay as they are"
        if end == "undo":
            bench.undo()
            assert (bench.blocks(), bench.arena.free_words, bench.arena.quarantined) == before
        else:
            bench.settle()
            live = now
        if end == "epoch":
            bench.arena.advance_epoch()
        if end == "adopt":
            bench.arena = Arena(bench.memory, bench.commit, stepwise(SIZE))
            assert {body for _, body in bench.arena.adopt()} == live.keys()
        used = {address + 1: address + size for address, kind, size in bench.blocks() if kind != FREE}
        assert used == live
        assert bench.words[H_ALLOCATED] == sum(stop - body + 1 for body, stop in live.items())
        free = bench.words[H_TOP] - ARENA - bench.words[H_ALLOCATED]
        assert bench.arena.free_words + bench.arena.quarantined == free


def test_neighbours_join() -> None:
    bench = Bench()
    bodies = [bench.arena.allocate(RECORD, 100) for _ in range(6)]
    bench.settle()
    top = bench.words[H_TOP]
    for body in (bodies[1], bodies[3], bodies[2]):
        bench.arena.free(body)
    bench.settle()
    bench.arena.advance_epoch()
    assert bench.arena.allocate(RECORD, 300) == bodies[1], "three blocks are one"
    bench.settle()
    assert bench.words[H_TOP] == top


def test_nothing_freed_is_used_before_the_epoch_moves() -> None:
    bench = Bench()
    body = bench.arena.allocate(RECORD, 100)
    bench.settle()
    bench.arena.free(body)
    assert bench.arena.allocate(RECORD, 100) != body
    bench.settle()
    assert bench.arena.allocate(RECORD, 100) != body
    bench.settle()
    bench.arena.advance_epoch()
    assert bench.arena.allocate(RECORD, 100) == body


def test_size_classes_waste_little() -> None:
    for words in range(1, 5_000):
        size = size_class(words)
        assert size >= max(words, MIN_BLOCK)
        assert size % 2 == 0
        assert size <= max(words * 1.0626 + 2, MIN_BLOCK)
        assert size_class(size) == size


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clears", [False, True])
def test_memory_does_not_creep_away(seed: int, clears: bool) -> None:
    """Endless writing with shifting sizes uses no more than the most that was ever alive, and a half."""
    size = 512 << 10
    memory = Memory(new_store(size))
    writer = open_writer(memory)
    chance = random.Random(seed)
    peak = 0
    for turn in range(2_500):
        about = 50 + 40 * (turn // 100 % 12)
        name, key = b"t\0%d" % chance.randrange(3), b"k%d" % chance.randrange(40)
        operation: Operation = Put(
            name, key, turn % 9, [b"i=%d" % (turn % 5)], b"x" * chance.randrange(about, 2 * about)
        )
        if turn % 5 == 4:
            operation = Delete(name, key)
        if clears and turn % 150 == 149:
            operation = Clear(name)
        (outcome,) = writer.execute([Request(None, 0, [operation])])
        assert outcome == [None]
        writer.idle()
        peak = max(peak, writer.stats()["bytes_live"])
    assert writer.stats()["bytes_used"] <= 1.5 * peak + STEP + size // 64 * 2
    figures = verify(memory)
    assert figures["bytes_used"] == writer.stats()["bytes_used"]


def test_a_verification_tells_how_far_it_is() -> None:
    memory = Memory(new_store(4 << 20))
    writer = open_writer(memory)
    for name in (b"t\0a", b"t\0b"):
        for start in range(0, 3000, 500):
            puts = [Put(name, b"k%d" % k, k, [b"i=%d" % (k % 7)], b"x") for k in range(start, start + 500)]
            assert writer.execute([Request(None, 0, puts)]) == [[None] * 500]
    told: list[tuple[int, int]] = []
    assert verify(memory, lambda done, total: told.append((done, total)))["records"] == 6000
    ((total,), done) = {total for _, total in told}, [done for done, _ in told]
    assert done == sorted(done)
    assert 0 <= done[0] < 0.05 * total
    assert 0.8 * total < done[-1] <= total
    for passed in range(4):  # each pass is told of in its midst
        assert any(passed * total // 4 < step < (passed + 1) * total // 4 for step in done)


def test_namespaces_that_come_and_go_leave_no_trace() -> None:
    memory = Memory(new_store(128 << 10))
    writer = open_writer(memory)

    def turn(n: int) -> dict[str, Any]:
        name = b"t\0run%d" % n
        puts = [Put(name, b"k%d" % k, k, [b"i=%d" % k], b"x" * 50) for k in range(5)]
        assert writer.execute([Request(None, 0, puts)]) == [[None] * 5]
        assert Reader(memory).collection(name).count() == 5
        writer.execute([Request(None, 0, [Clear(name)] if n % 2 else [Delete(name, put.key) for put in puts])])
        while writer.idle():
            pass
        return writer.stats()

    for n in range(60):
        early = turn(n)
    for n in range(60, 600):
        late = turn(n)
    assert late["items"] == late["collections"] == 0
    assert late["bytes_used"] <= early["bytes_used"] + STEP
    figures = verify(memory)
    assert (figures["records"], figures["posting_lists"]) == (0, 0)
