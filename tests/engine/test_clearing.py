"""What a clear costs: the same few stores whatever it clears; the memory is taken back with what is asked behind it."""

from __future__ import annotations

from papertiger_shm.engine import Clear, Put, Request, Writer
from papertiger_shm.engine.writer import BACKLOG_WORDS

from .machine import Recorder, new_store, open_writer

SIZE = 16 << 20
LARGE = BACKLOG_WORDS * 8 // 10
NAME = b"t\0n"


def filled(items: int) -> tuple[Recorder, Writer]:
    """A store with so many large items, and one of another collection."""
    recorder = Recorder(new_store(SIZE))
    writer = open_writer(recorder.memory)
    writer.execute([Request(None, 0, [Put(b"t\0other", b"stays", 1, (), b"")])])
    for n in range(items):
        writer.execute([Request(None, 0, [Put(NAME, b"k%d" % n, n, (), bytes(LARGE))])])
    recorder.log.clear()
    return recorder, writer


def stores_of_a_clear(items: int) -> int:
    recorder, writer = filled(items)
    assert writer.execute([Request(None, 0, [Clear(NAME)])]) == [[None]]
    return len(recorder.log)


def test_a_clear_takes_nothing_back_itself() -> None:
    assert stores_of_a_clear(40) == stores_of_a_clear(1)


def test_what_is_cleared_is_taken_back_with_the_writes_behind_it() -> None:
    _, writer = filled(40)
    writer.execute([Request(None, 0, [Clear(NAME)])])
    before = writer.stats()["bytes_live"]
    writer.execute([Request(None, 0, [Put(b"t\0other", b"stays", 1, (), b"")])])
    assert writer.stats()["bytes_live"] < before - 3 * LARGE
