"""Fill a store to the brim, and see that a full store keeps its promises. How it is limited never enters here."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from papertiger_shm import Connection, Events, Manager, StoreFull, connect

from .children import Child
from .killing import kill_writer

PROCESSES = 4
BATCH = 20
SIZES = (20_000, 5_000, 1_000, 200, 10)
"""Bytes of filler; when no more of one size go in, the next smaller follow, down to the smallest items there are."""


def fill(url: str, number: int, turn: int) -> dict[str, int]:
    """Write until nothing goes in any more; odd numbers in batches. What was acknowledged: bytes of each item."""
    batch = BATCH if number % 2 else 1
    held: dict[str, int] = {}
    with connect(url, timeout=60) as connection:
        events = Events(connection, f"fill/{number}")
        for size in SIZES:
            while True:
                ids = [f"evt_{len(held) + n}" for n in range(batch)]
                items = [an_event(id, size, turn) for id in ids]
                try:
                    if batch > 1:
                        assert events.insert_many(items) == batch
                    else:
                        events.insert_new(items[0])
                except StoreFull as full:
                    told_what_to_do(full)
                    # What was freed in the meantime by the retrying of others may let the next size in, not this one.
                    assert len(events) == len(held), "a request that failed has changed the count"
                    assert all(id not in events for id in ids), "a request that failed has left an item"
                    break
                held.update(dict.fromkeys(ids, size))
    return held


def an_event(id: str, size: int, turn: int) -> dict[str, Any]:
    return {"id": id, "created": turn, "type": "filler", "data": f"{id}." + "x" * size}


def told_what_to_do(full: StoreFull) -> None:
    message = str(full)
    assert len(re.findall(r"\d[\d,]*", message)) >= 3, message
    assert "Clear" in message, message
    assert "max_size" in message, message
    assert "Nothing was changed" in message, message


def still_all_there(connection: Connection, number: int, held: dict[str, int], turn: int) -> None:
    """Every acknowledged item and no other, as it was."""
    events = Events(connection, f"fill/{number}")
    assert len(events) == len(held)
    found = {item["id"]: item for item in events}
    assert found == {id: an_event(id, size, turn) for id, size in held.items()}
    for id in [*held][:50]:
        assert events.get(id) == found[id]
    assert len(events.list(limit=100).data) == min(100, len(held))


def full_turn(manager: Manager, connection: Connection, turn: int) -> int:
    """Fill by several processes at once, look at everything, empty; how many bytes went in."""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(fill, manager.url, number, turn)) for number in range(PROCESSES)]
        books = [child.result() for child in children]
    connection.verify()
    for number, held in enumerate(books):
        still_all_there(connection, number, held, turn)
    kill_writer(connection)  # a full store can be taken over: recovery needs no memory that is not there
    connection.verify()
    for number, held in enumerate(books):
        still_all_there(connection, number, held, turn)
    deletes_and_clears_make_room(connection, books, turn)
    return sum(size for held in books for size in held.values())


def deletes_and_clears_make_room(connection: Connection, books: list[dict[str, int]], turn: int) -> None:
    # Whoever came too late for large items has too little to make room for any.
    large = [sum(size == SIZES[0] for size in held.values()) for held in books]
    number = large.index(max(large))
    held, other = books[number], (number + 1) % PROCESSES
    events = Events(connection, f"fill/{number}")
    # Another client filled up its last corner in between, so it is deletes of one's own that make room again.
    for id in [*held][:10]:
        events.delete(id)
        assert id not in events
    assert len(events) == len(held) - 10
    again = an_event("evt_again", SIZES[0], turn)
    assert events.insert(again) == again
    events.clear_namespace(f"fill/{number}")
    assert [*events] == []
    assert events.insert_many(an_event(f"evt_{n}", SIZES[0], turn) for n in range(BATCH)) == BATCH
    still_all_there(connection, other, books[other], turn)
    connection.verify()
    events.clear()
    assert connection.collections() == []
    connection.verify()


def fill_and_empty(manager: Manager, turns: int) -> dict[str, Any]:
    """Several turns, each of which must take about as much as the first."""
    with connect(manager.url, timeout=60) as connection:
        first = manager.pid
        taken = [full_turn(manager, connection, turn) for turn in range(turns + 1)]
        figures = connection.stats()
    # One life for the first manager, and one for each that was killed on purpose: none died of a SIGBUS.
    assert figures["generation"] == turns + 2, figures
    assert figures["writer_pid"] != first
    assert min(taken) > 0.8 * max(taken), taken
    return {"taken": taken, "reserved": figures["bytes_reserved"]}
