"""Transactions: all at once, or not at all, and nobody else's."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from papertiger_shm import (
    AlreadyExists,
    Conflict,
    Connection,
    InvalidItem,
    InvalidRequest,
    NotFound,
    namespace,
)


def ids(items: Any) -> list[str]:
    return sorted(item["id"] for item in items)


def test_everything_happens_at_the_end(things: Any, twin: Any) -> None:
    things.insert({"id": "old", "n": 1})
    with things.transaction():
        assert things.insert({"id": "a", "created": 1}) == {"id": "a", "created": 1}
        things.insert_many([{"id": "b"}, {"id": "c"}])
        things.update({"id": "old", "n": 2})
        things.insert_new({"id": "d"})
        things.delete("c")
        things.increment("old", "n", 5)
        assert ids(things) == ids(twin) == ["old"]
        assert things.get("old")["n"] == 1
        assert things.get("a", None) is None
    assert ids(things) == ids(twin) == ["a", "b", "d", "old"]
    assert things.get("old")["n"] == 7


def test_nothing_happens_on_an_exception(things: Any) -> None:
    things.insert({"id": "old", "n": 1})
    with pytest.raises(ZeroDivisionError), things.transaction():
        things.insert({"id": "a"})
        things.delete("old")
        things.clear()
        raise ZeroDivisionError
    assert ids(things) == ["old"]
    things.insert({"id": "after"})
    assert ids(things) == ["after", "old"]


def test_a_bad_item_refuses_the_whole(things: Any) -> None:
    with pytest.raises(InvalidItem), things.transaction():
        things.insert({"id": "a"})
        things.insert({"id": "b", "n": object()})
    assert things.count() == 0


def test_a_refused_write_that_was_caught_is_not_part_of_it(things: Any) -> None:
    with things.transaction():
        things.insert({"id": "a"})
        with pytest.raises(InvalidItem):
            things.insert({"id": "b", "n": object()})
    assert ids(things) == ["a"]


def test_already_exists_at_the_end_writes_nothing(things: Any, others: Any) -> None:
    things.insert({"id": "taken", "n": 1})
    with pytest.raises(AlreadyExists, match="taken"), things.transaction():
        others.insert({"id": "x"})
        things.insert({"id": "a"})
        things.delete("taken")
        things.insert({"id": "taken", "n": 2})
        things.insert_new({"id": "taken", "n": 3})
        things.insert({"id": "b"})
    assert ids(things) == ["taken"]
    assert things.get("taken")["n"] == 1
    assert others.count() == 0


def test_conflict_and_not_found_at_the_end_write_nothing(things: Any) -> None:
    things.insert({"id": "a", "n": 1})
    version = things.version("a")
    things.insert({"id": "a", "n": 2})
    with pytest.raises(Conflict), things.transaction():
        things.insert({"id": "b"})
        things.compare_and_set({"id": "a", "n": 3}, version)
    with pytest.raises(NotFound), things.transaction():
        things.insert({"id": "b"})
        things.increment("nobody", "n")
    with pytest.raises(InvalidItem), things.transaction():
        things.insert({"id": "b", "n": "text"})
        things.increment("b", "n")
    assert ids(things) == ["a"]
    assert things.get("a")["n"] == 2


def test_writes_are_in_order(things: Any) -> None:
    with things.transaction():
        things.insert({"id": "a", "n": 1, "type": "x"})
        things.increment("a", "n", 5)
        things.delete("a")
        things.insert_new({"id": "a", "n": 2, "type": "y"})
        things.increment("a", "n", 5)
        things.increment("a", "more")
    item = things.get("a")
    assert (item["n"], item["more"]) == (7, 1)
    assert things.find_by("type", "x") == []
    assert ids(things.find_by("type", "y")) == ["a"]


def test_clear_inside(things: Any) -> None:
    below = type(things)(things.connection, "global/below")
    things.insert({"id": "old"})
    below.insert({"id": "old"})
    with things.transaction():
        things.insert({"id": "early"})
        things.clear_namespace("global")
        things.insert({"id": "late"})
        assert ids(things) == ["old"]
    assert ids(things) == ["late"]
    assert ids(below) == []
    with things.transaction():
        below.insert({"id": "x"})
        things.clear()
        things.insert({"id": "last"})
    assert (ids(things), ids(below)) == (["last"], [])


def test_numbers_are_in_results(things: Any) -> None:
    things.insert({"id": "a", "n": 1})
    with things.transaction() as transaction:
        assert things.increment("a", "n") is None
        things.insert({"id": "b"})
        things.increment("a", "x", 0.5)
        things.clear_namespace("other")
        things.increment("a", "n", 10)
        with pytest.raises(InvalidRequest):
            _ = transaction.results
    assert transaction.results == [2, None, 0.5, None, 12]
    with things.transaction() as empty:
        pass
    assert empty.results == []


def test_a_block_inside_a_block_is_part_of_it(things: Any) -> None:
    with things.transaction() as outer:
        things.insert({"id": "a"})
        with things.transaction() as inner:
            things.insert({"id": "b"})
        assert inner is outer
        assert things.count() == 0
        with pytest.raises(ZeroDivisionError), things.transaction():
            things.insert({"id": "dropped"})
            raise ZeroDivisionError
        things.insert({"id": "c"})
    assert ids(things) == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError), things.transaction():
        with things.transaction():
            things.insert({"id": "d"})
        raise ZeroDivisionError
    assert ids(things) == ["a", "b", "c"]


def test_it_spans_stores_and_namespaces(things: Any, others: Any, connection: Connection) -> None:
    with connection.transaction():
        things.insert({"id": "a"})
        others.insert({"id": "b"})
        with namespace("x/y"):
            things.insert({"id": "c"})
        assert things.count() == others.count() == 0
    assert (ids(things), ids(others)) == (["a"], ["b"])
    assert ids(things.list_namespace("x/y")) == ["c"]
    with pytest.raises(ZeroDivisionError), connection.transaction():
        things.clear()
        others.clear()
        raise ZeroDivisionError
    assert things.count() == others.count() == 1


def test_another_connection_is_not_part_of_it(things: Any, twin: Any) -> None:
    with pytest.raises(ZeroDivisionError), things.transaction():
        things.insert({"id": "a"})
        twin.insert({"id": "b"})
        assert ids(things) == ["b"]
        raise ZeroDivisionError
    assert ids(things) == ["b"]


def test_other_threads_are_not_part_of_it(things: Any) -> None:
    with pytest.raises(ZeroDivisionError), things.transaction():
        things.insert({"id": "mine"})
        thread = threading.Thread(target=things.insert, args=({"id": "theirs"},))
        thread.start()
        thread.join(30)
        assert ids(things) == ["theirs"]
        raise ZeroDivisionError
    assert ids(things) == ["theirs"]


def test_other_tasks_are_not_part_of_it(things: Any) -> None:
    async def other() -> None:
        things.insert({"id": "task"})
        await asyncio.to_thread(things.insert, {"id": "thread"})

    async def main() -> None:
        with things.transaction():
            things.insert({"id": "mine"})
            await asyncio.create_task(other())
            assert ids(things) == ["task", "thread"]

    asyncio.run(main())
    assert ids(things) == ["mine", "task", "thread"]


def test_readers_see_all_of_it_or_nothing(things: Any, twin: Any) -> None:
    keys = [f"k{n}" for n in range(20)]
    things.insert_many({"id": key, "round": 0} for key in keys)
    reading, done = threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def read() -> None:
        while not done.is_set():
            seen.append({item["round"] for item in twin.get_many(keys)})
            seen.append({item["round"] for item in twin})
            reading.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(30)
    for number in range(1, 40):
        with things.transaction():
            for key in keys:
                things.update({"id": key, "round": number})
    done.set()
    thread.join(30)
    assert seen
    assert {len(rounds) for rounds in seen} == {1}


def test_modify_inside(things: Any, twin: Any) -> None:
    things.insert({"id": "a", "n": 1})
    with things.transaction():
        things.modify("a", lambda item: {**item, "n": item["n"] + 1})
        assert things.get("a")["n"] == 1
    assert things.get("a")["n"] == 2
    with pytest.raises(Conflict), things.transaction():
        things.modify("a", lambda item: {**item, "n": 0})
        twin.increment("a", "n")
    assert things.get("a")["n"] == 3


def test_a_transaction_of_thousands(things: Any) -> None:
    with things.transaction() as transaction:
        for n in range(3_000):
            things.insert({"id": str(n), "created": n})
            if n % 3 == 0:
                things.delete(str(n))
    assert things.count() == 2_000
    assert len(transaction.results) == 4_000


def test_one_that_is_not_waited_for_is_done_before_what_comes_later(things: Any) -> None:
    things.insert({"id": "a", "n": 0})
    sent = []
    for _ in range(5):
        with things.transaction(wait=False) as transaction:
            things.increment("a", "n")
        sent.append(transaction)
    assert things.increment("a", "n", 10) == 15
    assert [transaction.results for transaction in sent] == [[1], [2], [3], [4], [5]]
    assert [transaction.results for transaction in sent] == [[1], [2], [3], [4], [5]], "they can be looked at again"
    with things.transaction(wait=False) as empty:
        pass
    assert empty.results == []


def test_one_that_is_not_waited_for_raises_from_its_results(things: Any) -> None:
    things.insert({"id": "a"})
    with things.transaction(wait=False) as failing:
        things.insert({"id": "b"})
        things.insert_new({"id": "a"})
    things.insert({"id": "c"})
    for _ in range(2):
        with pytest.raises(AlreadyExists):
            _ = failing.results
    assert sorted(ids(things)) == ["a", "c"]


def test_one_that_is_not_waited_for_is_done_when_its_connection_is_closed(things: Any, new_connection: Any) -> None:
    with new_connection() as connection:
        other = type(things)(connection, things.namespace)
        with other.transaction(wait=False):
            for number in range(2_000):
                other.insert({"id": str(number)})
    assert things.count() == 2_000
