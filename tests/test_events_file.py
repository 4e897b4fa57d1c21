"""The Stripe events that come with the package: in through one process, out and equal in another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from interpreters import run
from papertiger_shm import Events, Manager

NUMBER = 264


def shipped() -> list[dict[str, Any]]:
    text = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def with_equal_seconds() -> list[dict[str, Any]]:
    """The same, seven at a time in one second."""
    events = shipped()
    return [{**event, "created": events[place // 7 * 7]["created"]} for place, event in enumerate(events)]


def in_writer(url: str, events: list[dict[str, Any]], one_by_one: bool) -> int:
    from papertiger_shm import Events, connect

    with connect(url) as connection:
        store = Events(connection)
        if one_by_one:
            for event in events:
                store.insert(event)
        else:
            assert store.insert_many(events) == len(events)
        return store.count()


def in_reader(url: str, ids: list[str], types: list[str], limit: int) -> dict[str, Any]:
    """Everything, by every way there is to read it."""
    from papertiger_shm import Events, connect

    with connect(url) as connection:
        store = Events(connection)
        forwards, cursor, more = [], None, True
        while more:
            page = store.list(limit=limit, starting_after=cursor)
            assert len(page.data) == limit or not page.has_more
            forwards += page.data
            cursor, more = page.data[-1]["id"], page.has_more
        backwards, cursor, more = [forwards[-1]], forwards[-1]["id"], True
        while more:
            page = store.list(limit=limit, ending_before=cursor)
            assert len(page.data) == limit or not page.has_more
            backwards[:0] = page.data
            cursor, more = page.data[0]["id"], page.has_more
        return {
            "get": [store.get(id) for id in ids],
            "get_many": store.get_many(ids),
            "find_by_type": [store.find_by_type(type) for type in types],
            "filtered": [store.list(type=type).data for type in types],
            "forwards": forwards,
            "backwards": backwards,
            "iterated": list(store),
            "paged": list(store.list(limit=limit).auto_paging_iter()),
            "count": store.count(),
        }


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


@pytest.fixture
def store(manager: Manager) -> Iterator[Events]:
    with manager.connect() as connection:
        store = Events(connection)
        yield store
        connection.verify()
        store.clear()


def test_there_are_264_each_of_its_own_type() -> None:
    events = shipped()
    assert len({event["id"] for event in events}) == len({event["type"] for event in events}) == len(events) == NUMBER
    seconds = [event["created"] for event in with_equal_seconds()]
    assert len(set(seconds)) < NUMBER / 5


@pytest.mark.parametrize("one_by_one", [True, False], ids=["insert", "insert_many"])
@pytest.mark.parametrize("limit", [7, 100])
@pytest.mark.parametrize("events", [shipped(), with_equal_seconds()], ids=["as shipped", "equal seconds"])
def test_they_come_out_as_they_went_in(
    store: Events, events: list[dict[str, Any]], limit: int, one_by_one: bool
) -> None:
    url = store.connection.url
    assert run(in_writer, url, events, one_by_one) == NUMBER
    found = run(in_reader, url, [event["id"] for event in events], [event["type"] for event in events], limit)
    latest_first = events[::-1]
    newest_first = sorted(latest_first, key=lambda event: -event["created"])
    assert found["get"] == found["get_many"] == events
    assert found["find_by_type"] == found["filtered"] == [[event] for event in events]
    assert found["forwards"] == newest_first
    assert found["backwards"] == newest_first
    assert found["iterated"] == found["paged"] == newest_first
    assert found["count"] == NUMBER


def test_they_stay_in_place_when_written_again(store: Events) -> None:
    events = with_equal_seconds()
    url = store.connection.url
    run(in_writer, url, events, False)
    before = [event["id"] for event in store]
    run(in_writer, url, events[::-2], True)
    assert [event["id"] for event in store] == before
