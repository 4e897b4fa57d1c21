"""The same stores for asyncio: what is awaited, what is direct, and what a cancelled task leaves behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from followed import Followed
from loops import anext_, in_loop_within, until
from papertiger_shm import (
    AlreadyExists,
    AsyncConnection,
    AsyncStore,
    Conflict,
    Connection,
    Events,
    InvalidRequest,
    NotFound,
    Store,
    WaitTimeout,
    async_connect,
    codec,
    namespace,
    watching,
)

SECONDS = 60


in_loop = in_loop_within(SECONDS)


@pytest.fixture(scope="session")
def url(connection: Connection) -> str:
    return connection.url


@pytest.fixture(scope="session")
def requests(url: str) -> Iterator[AsyncConnection]:
    """One connection for the whole run: each test has a loop of its own."""

    async def connected() -> AsyncConnection:
        return await async_connect(url)

    connection = asyncio.run(connected())
    yield connection
    asyncio.run(connection.close())


@pytest.fixture
def awaited(things: Store, requests: AsyncConnection) -> Any:
    """The same table as ``things``, for asyncio."""
    return type(things)(requests)


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


# --- connecting -------------------------------------------------------------------------------------------------------


@in_loop
async def test_both_ways_to_connect(url: str, things: Any) -> None:
    async with async_connect(url) as connection:
        await type(things)(connection).insert({"id": "a"})
        assert (connection.url, connection.closed) == (url, False)
    assert connection.closed
    connection = await async_connect(url)
    assert type(things)(connection).get("a")["id"] == "a"
    async with connection as same:
        assert same is connection
    assert connection.closed
    await connection.close()


@in_loop
async def test_a_closed_connection_says_so(url: str, things: Any) -> None:
    async with async_connect(url) as connection:
        closed = type(things)(connection)
    for call in (closed.insert({}), closed.delete("a"), connection.stats(), connection.clear_namespace("x")):
        with pytest.raises(InvalidRequest, match="closed"):
            await call
    with pytest.raises(InvalidRequest, match="closed"):
        closed.count()
    with pytest.raises(InvalidRequest, match="closed"):
        async with connection:
            pass
    with pytest.raises(InvalidRequest, match="closed"):
        async with closed.transaction():
            pass


def test_without_a_loop_it_says_so(url: str) -> None:
    connecting = async_connect(url).__await__()
    with pytest.raises(InvalidRequest, match="no asyncio loop"):
        next(connecting)


@in_loop
async def test_what_cannot_be_connected_to(url: str) -> None:
    with pytest.raises(InvalidRequest, match="not a URL"):
        await async_connect("ci")
    with pytest.raises(InvalidRequest, match="timeout"):
        async with async_connect(url, timeout=-1):
            pass


@in_loop
async def test_closing_waits_for_what_is_under_way(url: str, things: Any) -> None:
    connection = await async_connect(url)
    handle = type(things)(connection)
    tasks = [asyncio.ensure_future(handle.insert({"id": f"t{number}"})) for number in range(50)]
    await asyncio.sleep(0)  # each has begun
    await connection.close()
    await asyncio.gather(*tasks)
    assert things.count() == 50


@pytest.mark.parametrize("closes_too", [False, True])
@in_loop
async def test_another_thread_closes_it_just_now(
    url: str, things: Any, monkeypatch: pytest.MonkeyPatch, closes_too: bool
) -> None:
    connection = await async_connect(url)
    line = connection._line
    submit = line.submit

    def be_late(*work: Any) -> Any:
        monkeypatch.undo()
        closing = threading.Thread(target=lambda: asyncio.run(connection.close()))
        closing.start()
        closing.join(SECONDS)
        return submit(*work)

    monkeypatch.setattr(line, "submit", be_late)
    if closes_too:
        await connection.close()
    else:
        with pytest.raises(InvalidRequest, match="closed"):
            await type(things)(connection).insert({})
    assert connection.closed


@in_loop
async def test_figures_and_the_rest_of_a_connection(requests: AsyncConnection, awaited: Any) -> None:
    await awaited.insert({"id": "a"})
    assert (await requests.stats())["items"] >= 1
    assert await requests.verify()
    assert (awaited.table_name, "global", 1) in await requests.collections()
    lease = await requests.lease()
    assert await requests.leased(lease.id)
    lease.release()
    assert not await requests.leased(lease.id)
    assert repr(requests) == f"<AsyncConnection {requests.url}>"


@in_loop
async def test_questions_are_behind_what_was_asked_before(requests: AsyncConnection, awaited: Any) -> None:
    go_on = threading.Event()
    requests.submit(go_on.wait, SECONDS)
    writing = asyncio.ensure_future(awaited.insert({"id": "a"}))
    await asyncio.sleep(0)
    asking = asyncio.ensure_future(requests.collections())
    await asyncio.sleep(0.05)  # it has to be late however long one waits; mostly it would be early by now
    go_on.set()
    assert (awaited.table_name, "global", 1) in await asking
    await writing


# --- handles ----------------------------------------------------------------------------------------------------------


def test_what_a_handle_is(requests: AsyncConnection, things: Any, connection: Connection) -> None:
    events = Events(requests, "x")
    assert isinstance(events, AsyncStore)
    assert isinstance(events, Events)
    assert (type(events).__name__, type(events).__module__) == ("AsyncEvents", Events.__module__)
    assert type(events) is type(Events(requests))
    assert type(type(events)(requests)) is type(events)
    assert (events.namespace, events.connection, events.table_name) == ("x", requests, "paper_tiger_events")
    assert type(Events(connection)) is Events
    with pytest.raises(InvalidRequest, match="async_connect"):
        type(events)(connection)
    with pytest.raises(InvalidRequest, match="Connecting; await it first"):
        Events(async_connect(requests.url))  # type: ignore[call-overload]
    with pytest.raises(InvalidRequest, match="no table"):
        Store(requests)
    with pytest.raises(InvalidRequest, match="owns no manager"):
        events.stop()


@in_loop
async def test_methods_of_the_class_itself(requests: AsyncConnection, things: Any) -> None:
    class Seats(type(things), table="seats"):  # type: ignore[misc]
        def insert(self, item: Any) -> Any:
            return super().insert({"free": True, **item})

        def take(self, id: str) -> Any:
            return self.modify(id, lambda seat: {**seat, "free": False})

        def of_plan(self, plan: str) -> list[dict[str, Any]]:
            return self.find_by("metadata.plan", plan)

    seats = Seats(requests)
    await seats.clear()
    assert (await seats.insert({"id": "a", "metadata": {"plan": "gold"}}))["free"] is True
    assert (await seats.take("a"))["free"] is False
    assert ids(seats.of_plan("gold")) == ["a"]
    await seats.clear()


@in_loop
async def test_all_resources_at_once(requests: AsyncConnection, connection: Connection) -> None:
    shop = requests.checkout("async-shop")
    customer = await shop.customers.insert({"email": "jenny@example.com"})
    await shop.invoices.insert({"id": "in_1", "customer": customer["id"]})
    assert ids(shop.invoices.find_by_customer(customer["id"])) == ["in_1"]
    assert ids(connection.checkout("async-shop").invoices) == ["in_1"]
    assert [store.table_name for store in shop] == [store.table_name for store in connection.checkout()]
    assert shop["charges"] is shop.charges
    with pytest.raises(AttributeError, match="chargs"):
        shop.chargs  # noqa: B018
    await shop.clear()
    assert sum(store.count() for store in shop) == 0


# --- writing: what asyncio gets is what everybody gets ----------------------------------------------------------------


STEPS: list[tuple[str, tuple[Any, ...]]] = [
    ("insert", ({"id": "a", "type": "x", "created": 1, "n": 1},)),
    ("insert", ({"id": "a", "type": "y", "created": 2, "n": 1},)),
    ("update", ({"id": "b", "created": 3, "parts": (1, 2)},)),
    ("insert_new", ({"id": "c", "created": 4, "raw": b"\xff"},)),
    ("insert_new", ({"id": "c", "created": 5},)),
    ("insert", ({"id": "d", "bad": object()},)),
    ("insert", ("no dict",)),
    ("insert_many", ([{"id": f"m{number}", "created": number} for number in range(5)],)),
    ("insert_many", ([],)),
    ("insert_many", ([{"id": "n"}, {"id": 1}],)),
    ("insert_many", ({"id": "n"},)),
    ("delete", ("m1",)),
    ("delete", ("none",)),
    ("delete", ("",)),
    ("delete", (1,)),
    ("increment", ("a", "n", 2)),
    ("increment", ("a", "new.deep", 1.5)),
    ("increment", ("none", "n")),
    ("increment", ("b", "parts")),
    ("increment", ("a", "n", "1")),
    ("compare_and_set", ({"id": "a"}, 1)),
    ("compare_and_set", ({"n": 1}, 1)),
    ("compare_and_set", ({"id": "a"}, 0)),
    ("modify", ("a", lambda item: {**item, "modified": True})),
    ("modify", ("a", lambda item: None)),
    ("modify", ("a", lambda item: {"id": "b"})),
    ("modify", ("none", lambda item: item)),
    ("clear_namespace", ("elsewhere",)),
    ("clear_namespace", ("a//b",)),
    ("wait_for", (0,)),
    ("wait_for", (-1,)),
    ("clear", ()),
    ("wait_for", (0,)),
]


@in_loop
async def test_each_write_does_what_it_does_without_asyncio(awaited: Any, things: Any, others: Any) -> None:
    """Side by side on two tables: the same results, the same errors, the same items."""
    plain = type(things)(things.connection, "plain")
    ours = type(awaited)(awaited.connection, "ours")

    def named(error: Exception) -> tuple[type, str]:
        text = str(error).replace("'plain'", "'ours'").replace(type(things).__name__, "")
        return type(error), text if "version" not in text else ""

    for name, arguments in STEPS:
        results: list[Any] = []
        try:
            results.append(await getattr(ours, name)(*arguments))
        except Exception as error:
            results.append(named(error))
        try:
            results.append(getattr(plain, name)(*arguments))
        except Exception as error:
            results.append(named(error))
        assert results[0] == results[1], name
        assert [*ours] == [*plain], name
    assert type(results[0]) is tuple


@in_loop
async def test_reads_are_direct(awaited: Any) -> None:
    await awaited.insert_many([{"id": f"t{number}", "type": "x", "created": number} for number in range(30)])
    assert (awaited.count(), len(awaited), "t3" in awaited, awaited["t3"]["created"]) == (30, 30, True, 3)
    assert ids(awaited.list(3, starting_after="t20")) == ["t19", "t18", "t17"]
    assert len([*awaited.list(7, type="x").auto_paging_iter()]) == 30
    assert ids(awaited.find_by("type", "x")) == ids(awaited) == ids(awaited.list_namespace("global"))
    assert awaited.get_many(["t1", "no"])[1] is None
    assert awaited.version("t2") > 0
    with pytest.raises(NotFound):
        awaited.get("no")


@in_loop
async def test_a_function_to_modify_with_may_be_awaited(awaited: Any, things: Any) -> None:
    await awaited.insert({"id": "a", "n": 0})
    tries = []

    async def add(item: dict[str, Any]) -> dict[str, Any]:
        tries.append(item["n"])
        if len(tries) == 1:
            things.increment("a", "n", 10)  # it moves in between
        await asyncio.sleep(0)
        return {**item, "n": item["n"] + 1}

    assert (await awaited.modify("a", add))["n"] == 11
    assert tries == [0, 10]
    version = awaited.version("a")
    await awaited.compare_and_set({"id": "a", "n": 12}, version)
    with pytest.raises(Conflict):
        await awaited.compare_and_set({"id": "a", "n": 13}, version)


@in_loop
async def test_tasks_at_once(awaited: Any) -> None:
    await awaited.insert({"id": "n", "n": 0})
    results = await asyncio.gather(*(awaited.increment("n", "n") for _ in range(200)))
    assert sorted(results) == [*range(1, 201)]
    outcome = await asyncio.gather(*(awaited.insert_new({"id": "one"}) for _ in range(20)), return_exceptions=True)
    assert [type(each) for each in outcome].count(AlreadyExists) == 19


@in_loop
async def test_each_task_has_its_namespace(awaited: Any) -> None:
    async def in_its_own(name: str) -> None:
        with namespace(name):
            await awaited.insert({"id": name})
            await asyncio.sleep(0)
            assert ids(awaited) == [name]
            await awaited.delete(name)

    await asyncio.gather(*(in_its_own(f"space{number}") for number in range(20)))
    assert awaited.count() == 0


def test_loops_and_threads_share_a_connection(awaited: Any) -> None:
    async def write(place: int) -> None:
        await asyncio.gather(*(awaited.insert({"id": f"t{place}_{number}"}) for number in range(20)))

    threads = [threading.Thread(target=lambda place=place: asyncio.run(write(place))) for place in range(5)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert awaited.count() == 100


def test_a_child_made_by_fork(awaited: Any) -> None:
    asyncio.run(awaited.insert({"id": "parent"}))

    def child() -> None:
        async def main() -> None:
            await awaited.insert({"id": "child"})
            changes = awaited.watch()
            await awaited.delete("parent")
            assert (await anext_(changes)).kind == "delete"
            await changes.aclose()

        asyncio.run(main())
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0
    assert ids(awaited) == ["child"]
    asyncio.run(awaited.insert({"id": "after"}))


# --- transactions -----------------------------------------------------------------------------------------------------


@in_loop
async def test_a_transaction_is_all_or_nothing(awaited: Any, things: Any) -> None:
    await awaited.insert({"id": "n", "n": 1})
    async with awaited.transaction() as transaction:
        assert (await awaited.insert({"id": "a"}))["id"] == "a"
        await awaited.delete("n")
        await awaited.insert({"id": "n", "n": 5})
        assert await awaited.increment("n", "n", 2) is None
        await asyncio.gather(asyncio.sleep(0))
        assert ids(things) == ["n"]
        with pytest.raises(InvalidRequest, match="not been committed"):
            transaction.results  # noqa: B018
    assert transaction.results == [None, None, None, 7]
    assert sorted(ids(things)) == ["a", "n"]
    with pytest.raises(ZeroDivisionError):
        async with awaited.transaction():
            await awaited.clear()
            raise ZeroDivisionError
    with pytest.raises(AlreadyExists):
        async with awaited.connection.transaction():
            await awaited.delete("n")
            await awaited.insert_new({"id": "a"})
    assert sorted(ids(things)) == ["a", "n"]
    async with awaited.transaction() as empty:
        pass
    assert empty.results == []


@in_loop
async def test_a_block_inside_a_block(awaited: Any) -> None:
    async with awaited.transaction() as outer:
        await awaited.insert({"id": "a"})
        with pytest.raises(ZeroDivisionError):
            async with awaited.transaction():
                await awaited.insert({"id": "b"})
                raise ZeroDivisionError
        async with awaited.transaction() as inner:
            await awaited.insert({"id": "c"})
        assert inner is outer
        assert awaited.count() == 0
    assert sorted(ids(awaited)) == ["a", "c"]


@in_loop
async def test_other_tasks_are_not_part_of_it(awaited: Any) -> None:
    async with awaited.transaction():
        await awaited.insert({"id": "mine"})
        await asyncio.create_task(awaited.insert({"id": "other"}))
        assert ids(awaited) == ["other"]
    assert sorted(ids(awaited)) == ["mine", "other"]


@in_loop
async def test_a_transaction_that_is_cancelled_is_nothing(awaited: Any) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with awaited.transaction():
            await awaited.insert({"id": "a"})
            inside.set()
            await asyncio.sleep(SECONDS)

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await awaited.insert({"id": "b"})
    assert ids(awaited) == ["b"]


# --- cancelled writes -------------------------------------------------------------------------------------------------


async def cancelled_somewhere(chance: random.Random, work: Coroutine[Any, Any, Any]) -> bool:
    """Cancel it at some point, or too late; whether it was."""
    task = asyncio.ensure_future(work)
    for _ in range(chance.randrange(4)):
        await asyncio.sleep(0)
    pause = chance.choice([0, 0, 0, 0.00005, 0.00005, 0.0002, 0.0002, 0.001, 0.001, SECONDS])
    await asyncio.wait([task], timeout=pause)  # in one case of ten too late, however slow the machine is
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


@in_loop
async def test_a_cancelled_write_never_comes_after_a_later_one(awaited: Any, twin: Any) -> None:
    chance = random.Random(3)
    outcomes = []
    for number in range(300):
        outcomes.append(await cancelled_somewhere(chance, awaited.insert({"id": f"t{number}"})))
        await awaited.delete(f"t{number}")
        assert f"t{number}" not in twin
    await awaited.delete("none")  # behind all that was begun
    assert twin.count() == 0
    assert {*outcomes} == {True, False}


@in_loop
async def test_a_cancelled_write_happens_whole_and_once_or_not(awaited: Any, twin: Any) -> None:
    chance = random.Random(4)
    await awaited.insert({"id": "sum", "n": 0})

    async def write(number: int) -> None:
        async with awaited.transaction():
            await awaited.insert_new({"id": f"t{number}"})
            await awaited.increment("sum", "n")

    whole = [number for number in range(300) if not await cancelled_somewhere(chance, write(number))]
    await awaited.insert({"id": "last"})  # behind all that was begun
    present = {item["id"] for item in twin} - {"sum", "last"}
    assert {f"t{number}" for number in whole} <= present
    assert twin.get("sum")["n"] == len(present)
    assert 0 < len(whole) < 300


# --- waiting ----------------------------------------------------------------------------------------------------------


@in_loop
async def test_what_is_there_or_comes_is_waited_for(awaited: Any, twin: Any) -> None:
    await awaited.insert({"id": "a", "type": "x"})
    assert (await awaited.wait_for(0, type="x"))["id"] == "a"
    since = awaited.version("a")
    waiting = [asyncio.ensure_future(awaited.wait_for(SECONDS, since=since, type=kind)) for kind in ("x", "y")]
    await asyncio.sleep(0.01)
    twin.insert({"id": "b", "type": "y"})
    twin.insert({"id": "c", "type": "x"})
    assert ids(await asyncio.gather(*waiting)) == ["c", "b"]
    assert (await awaited.wait_for(None, type="y"))["id"] == "b"


@in_loop
async def test_a_wait_that_is_over_tells_what_came_instead(awaited: Any, twin: Any) -> None:
    elsewhere = type(twin)(twin.connection, "elsewhere")
    waiting = asyncio.ensure_future(awaited.wait_for(2, type="x"))
    begun = time.monotonic()
    while not waiting.done():  # what comes before the wait has begun has not come
        await asyncio.wait([waiting], timeout=0.02)
        twin.insert({"id": "a", "type": "y"})
        elsewhere.insert({"id": "b", "type": "x"})
    with pytest.raises(WaitTimeout, match="1 other came .* with type 'y'.*; it came to namespace 'elsewhere'"):
        await waiting
    assert time.monotonic() - begun < 30
    with namespace("nowhere"), pytest.raises(WaitTimeout, match="namespace 'nowhere'"):
        await awaited.wait_for(0.01, type="x")


@in_loop
async def test_a_wait_is_over_in_time_where_all_threads_are_at_work(awaited: Any) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    go_on = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(go_on.wait, SECONDS))
    try:
        with pytest.raises(WaitTimeout):
            await asyncio.wait_for(awaited.wait_for(0.01, type="never"), SECONDS / 2)
    finally:
        go_on.set()
        await working


@in_loop
async def test_what_came_in_time_is_found_by_a_loop_that_is_late(awaited: Any, twin: Any) -> None:
    waiting = asyncio.ensure_future(awaited.wait_for(1, type="x"))
    await asyncio.sleep(0.1)
    twin.insert({"id": "a", "type": "y"})
    time.sleep(0.1)  # the loop is held up, so that this change is told by itself, and the next one is not
    twin.insert({"id": "b", "type": "x"})
    time.sleep(1)
    assert (await waiting)["id"] == "b"


@in_loop
async def test_the_loop_goes_on_while_one_waits(awaited: Any, twin: Any) -> None:
    waiting = asyncio.ensure_future(awaited.wait_for(SECONDS, type="x"))
    for number in range(100):
        await awaited.insert({"id": f"t{number}", "type": "y"})
    assert not waiting.done()
    twin.insert({"id": "x", "type": "x"})
    assert (await waiting)["id"] == "x"


@in_loop
async def test_many_tasks_wait_and_each_gets_its_own(awaited: Any, twin: Any) -> None:
    waiting = [asyncio.ensure_future(awaited.wait_for(SECONDS, type=number)) for number in range(50)]
    await asyncio.sleep(0)
    for number in range(50):
        twin.insert({"id": f"t{number}", "type": number})
    assert ids(await asyncio.gather(*waiting)) == [f"t{number}" for number in range(50)]


@in_loop
async def test_cancelled_waits_leave_nothing(awaited: Any, twin: Any) -> None:
    def waiting_threads() -> int:
        return sum(thread.name == "papertiger wait" for thread in threading.enumerate())

    for _ in range(20):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(awaited.wait_for(None, type="x"), 0.005)
        task = asyncio.ensure_future(awaited.wait_for(None, type="x"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: waiting_threads() == 0)
    twin.insert({"id": "a", "type": "x"})
    assert (await awaited.wait_for(SECONDS, type="x"))["id"] == "a"


@in_loop
async def test_waits_that_cannot_be_meant(awaited: Any) -> None:
    with pytest.raises(InvalidRequest, match="timeout"):
        await awaited.wait_for("1")
    with pytest.raises(InvalidRequest, match="since"):
        await awaited.wait_for(0, since=-1)
    with pytest.raises(InvalidRequest, match="email"):
        awaited.watch(email="x")
    with pytest.raises(InvalidRequest, match="since"):
        awaited.watch(since="1")


# --- watching ---------------------------------------------------------------------------------------------------------


@in_loop
async def test_watch_sees_changes_in_commit_order(awaited: Any, twin: Any) -> None:
    twin.insert({"id": "before", "type": "x"})
    changes = awaited.watch(type="x")
    for id in "abc":
        twin.insert({"id": id, "type": "x"})
    twin.insert({"id": "other", "type": "y"})
    seen = []
    async for change in changes:
        seen.append((change.kind, change.id))
        if len(seen) == 3:
            break
    assert seen == [("insert", "a"), ("insert", "b"), ("insert", "c")]
    twin.delete("before")
    assert (await anext_(changes))[:2] == ("delete", "before")
    await changes.aclose()
    await changes.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext_(changes)
    async with awaited.watch(since=0) as everything:
        assert [(await anext_(everything)).id for _ in range(4)] == ["a", "b", "c", "other"]


@in_loop
async def test_a_step_that_times_out_loses_nothing(awaited: Any, twin: Any) -> None:
    chance = random.Random(5)
    changes = awaited.watch()
    written = 0
    seen: list[str] = []
    timeouts = 0
    while len(seen) < 200:
        if written < 200 and chance.random() < 0.7:
            twin.insert({"id": f"t{written}"})
            written += 1
        try:
            seen.append((await asyncio.wait_for(anext_(changes), chance.choice([0.00001, 0.0005, 0.002]))).id)
        except asyncio.TimeoutError:
            timeouts += 1
    assert seen == [f"t{number}" for number in range(200)]
    assert timeouts
    await changes.aclose()


@in_loop
async def test_a_step_that_fails_in_the_middle_loses_nothing(
    awaited: Any, twin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = awaited.watch()
    twin.insert_many([{"id": id, "created": 1} for id in "abc"])
    failing = [False, True]

    def decode(payload: bytes) -> Any:
        if failing and failing.pop(0):
            raise MemoryError
        return codec.decode(payload)

    monkeypatch.setattr(watching, "decode", decode)
    with pytest.raises(MemoryError):
        await anext_(changes)
    assert [(await asyncio.wait_for(anext_(changes), SECONDS)).id for _ in range(3)] == [*"abc"]
    await changes.aclose()


@in_loop
async def test_what_is_watched_is_what_is_there(awaited: Any, twin: Any) -> None:
    """Whoever applies the changes has the collection, while tasks write, and steps are cancelled."""
    chance = random.Random(6)
    followed = Followed()

    async def write(place: int) -> None:
        for step in range(60):
            id = f"t{chance.randrange(20)}"
            if chance.random() < 0.7:
                await awaited.insert({"id": id, "type": chance.choice("xxy"), "step": step})
            elif chance.random() < 0.8:
                await awaited.delete(id)
            else:
                await awaited.insert_many({"id": f"t{n}", "type": "x"} for n in range(chance.randrange(100)))

    async def follow() -> None:
        changes = awaited.watch(since=0, type="x")
        while "end" not in followed.items:
            try:
                change = await asyncio.wait_for(anext_(changes), chance.choice([0.0005, 1]))
            except asyncio.TimeoutError:
                continue
            followed.apply(change)
        await changes.aclose()

    following = asyncio.ensure_future(follow())
    await asyncio.gather(*(write(place) for place in range(4)))
    await awaited.insert({"id": "end", "type": "x"})
    await following
    assert followed.items == {item["id"]: item for item in twin.find_by("type", "x")}
    followed.assert_told_once()


@in_loop
async def test_a_step_begins_before_the_one_that_was_cancelled_has_ended(awaited: Any, twin: Any) -> None:
    changes = awaited.watch()
    cancelled = asyncio.ensure_future(anext_(changes))
    await asyncio.sleep(0.01)
    inserting = threading.Timer(0.1, twin.insert, [{"id": "a"}])
    inserting.start()
    cancelled.cancel()
    assert (await changes.__anext__()).id == "a"  # at once, in this task: the other one has not run since
    inserting.join()
    assert cancelled.cancelled()
    await changes.aclose()


@in_loop
async def test_a_watch_that_another_task_closes(awaited: Any) -> None:
    changes = awaited.watch()
    ended = []

    async def follow() -> None:
        async for _ in changes:
            pass
        ended.append(True)

    following = [asyncio.ensure_future(follow()) for _ in range(3)]
    await asyncio.sleep(0.01)
    await changes.aclose()
    await asyncio.gather(*following)
    assert ended == [True] * 3


@in_loop
async def test_tasks_share_a_watch(awaited: Any, twin: Any) -> None:
    changes = awaited.watch()
    seen: list[str] = []

    async def follow() -> None:
        async for change in changes:
            seen.append(change.id)
            await asyncio.sleep(0)

    following = [asyncio.ensure_future(follow()) for _ in range(3)]
    for number in range(50):
        await asyncio.to_thread(twin.insert, {"id": f"t{number}"})
    await until(lambda: len(seen) >= 50)
    assert sorted(seen) == sorted(f"t{number}" for number in range(50))
    await changes.aclose()
    await asyncio.gather(*following)


def test_a_watch_goes_on_in_another_loop(awaited: Any, twin: Any) -> None:
    changes = awaited.watch()

    async def step() -> Any:
        return (await asyncio.wait_for(anext_(changes), SECONDS)).id

    for id in "abc":
        twin.insert({"id": id})
        assert asyncio.run(step()) == id
    asyncio.run(changes.aclose())


@in_loop
async def test_a_connection_that_is_closed_ends_the_waits(url: str, things: Any) -> None:
    connection = await async_connect(url)
    handle = type(things)(connection)
    changes = handle.watch()
    waiting = [asyncio.ensure_future(handle.wait_for(None)), asyncio.ensure_future(anext_(changes))]
    await asyncio.sleep(0.05)  # either way they have to end; mostly they wait by now
    await connection.close()
    outcome = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in outcome] == [InvalidRequest, InvalidRequest]


# --- files ------------------------------------------------------------------------------------------------------------


@in_loop
async def test_files(awaited: Any, things: Any, tmp_path: Path) -> None:
    await awaited.insert_many([{"id": f"t{number}", "created": number} for number in range(2500)])
    before = [*awaited]
    told: list[tuple[int, int]] = []
    file = tmp_path / "things.jsonl"
    assert await awaited.dump(file, progress=lambda done, total: told.append((done, total))) == 2500
    assert told[-1] == (2500, 2500)
    await awaited.clear()
    assert await awaited.load(file) == 2500
    assert [*things] == before
    with pytest.raises(InvalidRequest, match="suffix"):
        await awaited.dump(tmp_path / "things.txt")
    await awaited.clear()
    with pytest.raises(ZeroDivisionError):
        async with awaited.transaction():
            assert await awaited.load(file) == 2500
            raise ZeroDivisionError
    assert awaited.count() == 0
    async with awaited.transaction():
        await awaited.load(file)
        assert awaited.count() == 0
    assert [*things] == before


@in_loop
async def test_a_cancelled_load_puts_no_more_in(awaited: Any, tmp_path: Path) -> None:
    file = tmp_path / "things.jsonl"
    file.write_text("".join(f'{{"id": "t{number}", "created": {number}}}\n' for number in range(5000)))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    going, go_on = threading.Event(), threading.Event()

    def pause(done: int, total: int) -> None:
        going.set()
        go_on.wait(SECONDS)

    loading = asyncio.ensure_future(awaited.load(file, progress=pause))
    await until(going.is_set)
    assert awaited.count() == 1000
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    await awaited.clear()
    go_on.set()
    await asyncio.to_thread(int)  # the only thread there is has done with the file
    assert awaited.count() == 0


@in_loop
async def test_a_cancelled_dump_leaves_no_file(awaited: Any, tmp_path: Path) -> None:
    await awaited.insert_many([{"id": f"t{number}"} for number in range(3000)])
    going, go_on = threading.Event(), threading.Event()

    def pause(done: int, total: int) -> None:
        going.set()
        go_on.wait(SECONDS)

    dumping = asyncio.ensure_future(awaited.dump(tmp_path / "things.jsonl", progress=pause))
    await until(going.is_set)
    dumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dumping
    go_on.set()
    await until(lambda: [*tmp_path.iterdir()] == [])


@in_loop
async def test_a_dump_that_is_cancelled_at_its_very_end_leaves_no_file(
    awaited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, go_on = threading.Event(), threading.Event()

    def pause(file: int) -> None:
        going.set()
        go_on.wait(SECONDS)

    monkeypatch.setattr(os, "fsync", pause)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    dumping = asyncio.ensure_future(awaited.dump(tmp_path / "things.jsonl"))
    await until(going.is_set)
    dumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dumping
    go_on.set()
    await asyncio.to_thread(int)  # the only thread there is has done with the file
    assert [*tmp_path.iterdir()] == []
