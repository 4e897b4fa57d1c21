"""What one process of the app is told the other knows; and each test has the whole app to itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from papertiger_shm import Events

pytestmark = pytest.mark.anyio

Clients = list[httpx.AsyncClient]


async def test_an_event_is_kept_once(clients: Clients, events: Events) -> None:
    one, other = clients
    event = {"id": "evt_1", "type": "charge.succeeded", "created": 1}
    outcome = await asyncio.gather(*(client.post("/events", json=event) for client in (one, other) * 5))
    assert sorted(answer.status_code for answer in outcome) == [200] * 9 + [201]
    assert [answer.json() for answer in outcome] == [event] * 10
    assert [*events] == [event]


async def test_pages(clients: Clients, events: Events) -> None:
    one, other = clients
    events.insert_many(
        {"id": f"evt_{number}", "type": "a" if number % 2 else "b", "created": number} for number in range(9)
    )
    page = (await one.get("/events", params={"type": "a", "limit": 3})).json()
    assert ([event["id"] for event in page["data"]], page["has_more"]) == (["evt_7", "evt_5", "evt_3"], True)
    page = (await other.get("/events", params={"type": "a", "after": "evt_3"})).json()
    assert ([event["id"] for event in page["data"]], page["has_more"]) == (["evt_1"], False)
    assert (await one.get("/events", params={"after": "evt_none"})).status_code == 400


async def test_what_comes_to_one_is_waited_for_at_the_other(clients: Clients) -> None:
    one, other = clients
    waiting = asyncio.ensure_future(one.get("/events/next", params={"type": "charge.refunded"}))
    await other.post("/events", json={"id": "evt_1", "type": "charge.succeeded"})
    await other.post("/events", json={"id": "evt_2", "type": "charge.refunded"})
    assert (await waiting).json()["id"] == "evt_2"


async def test_what_does_not_come_is_told(clients: Clients) -> None:
    answer = await clients[0].get("/events/next", params={"type": "charge.refunded", "seconds": 0.05})
    assert answer.status_code == 404
    assert "no event with type='charge.refunded'" in answer.json()["detail"]


async def test_a_stream_of_changes(clients: Clients) -> None:
    one, other = clients
    async with one.stream("GET", "/events/stream") as answer:
        lines = answer.aiter_lines()
        assert await anext_line(lines, ":") == "from here on"
        for number in range(3):
            await other.post("/events", json={"id": f"evt_{number}", "type": "x"})
        seen = [json.loads(await anext_line(lines, "data:"))["id"] for _ in range(3)]
    assert seen == ["evt_0", "evt_1", "evt_2"]


async def test_nobody_is_missed_in_counting(clients: Clients, events: Events) -> None:
    events.insert({"id": "evt_1", "type": "x"})
    answers = await asyncio.gather(*(client.post("/events/evt_1/seen") for client in clients * 20))
    assert sorted(answer.json()["seen"] for answer in answers) == [*range(1, 41)]
    assert (await clients[0].post("/events/evt_none/seen")).status_code == 404


async def test_what_cannot_be_kept(clients: Clients) -> None:
    answer = await clients[0].post("/events", json={"id": ""})
    assert answer.status_code == 422
    assert "id" in answer.json()["detail"]


async def anext_line(lines: Any, beginning: str) -> str:
    async for line in lines:
        if line.startswith(beginning):
            return str(line.removeprefix(beginning).strip())
    raise AssertionError(f"the stream ended before a line that begins with {beginning!r}")
