"""Each function of the events store on real processes: written in one, read in another that was not forked from it.

Functions named ``in_...`` run in fresh interpreters: they import what they need and know nothing of this module.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from interpreters import Failed, Interpreter, run
from papertiger_shm import (
    Connection,
    Events,
    Manager,
    ManagerUnavailable,
    NotFound,
    Supervisor,
    codec,
    connect,
    namespace,
)
from torture.waiting import eventually


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


@pytest.fixture
def events(manager: Manager) -> Iterator[Events]:
    with manager.connect() as connection:
        events = Events(connection)
        yield events
        events.clear()
        connection.verify()


def in_calls(url: str, calls: list[tuple[Any, ...]]) -> list[Any]:
    """Each call is a name and arguments of Events; pages come back as their shape, errors as their names."""
    from papertiger_shm import Events, Page, PaperTigerError, connect

    answers = []
    with connect(url) as connection:
        events = Events(connection)
        for name, *arguments in calls:
            try:
                answer = getattr(events, name)(*arguments)
            except PaperTigerError as error:
                answer = type(error).__name__
            answers.append(answer.to_dict() if isinstance(answer, Page) else answer)
    return answers


def there(events: Events, *calls: tuple[Any, ...], **environment: str) -> list[Any]:
    """What the calls answer in a fresh interpreter."""
    answers: list[Any] = run(in_calls, events.connection.url, list(calls), **environment)
    return answers


def an_event(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "object": "event", "created": 100, "type": "charge.succeeded", **more}


def when_there(owner: Interpreter, url: str) -> Connection:
    """A connection to the manager that another process is starting just now."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect(url)
        except ManagerUnavailable:
            assert owner.is_running(), owner.result()
            assert time.monotonic() < deadline


# ---- the functions, one by one ----------------------------------------------------------------------------------


def test_insert_there_and_get_here(events: Events) -> None:
    event = an_event("evt_1", data={"object": {"amount": 5, "list": [1.5, None, b"x"]}})
    assert there(events, ("insert", event)) == [event]
    assert events.get("evt_1") == event
    with pytest.raises(NotFound):
        events.get("evt_2")


def test_insert_here_and_get_there(events: Events) -> None:
    event = an_event("evt_1")
    events.insert(event)
    assert there(events, ("get", "evt_1"), ("get", "evt_2"), ("get", "evt_2", None)) == [event, "NotFound", None]


def test_insert_makes_ids_that_no_other_process_makes(events: Events) -> None:
    made = there(events, ("insert", {}), ("insert", {})) + there(events, ("insert", {}))
    assert len({event["id"] for event in made}) == 3
    assert {event["id"]: event for event in events} == {event["id"]: event for event in made}


def test_update(events: Events) -> None:
    events.insert(an_event("evt_1", livemode=False))
    changed = an_event("evt_1", livemode=True, type="charge.failed")
    missing = an_event("evt_2")
    assert there(events, ("update", changed), ("update", missing)) == [changed, missing]
    assert events.get("evt_1") == changed
    assert events.get("evt_2") == missing
    assert [event["id"] for event in events.find_by_type("charge.failed")] == ["evt_1"]


def test_delete(events: Events) -> None:
    events.insert_many([an_event("evt_1"), an_event("evt_2")])
    assert there(events, ("delete", "evt_1"), ("delete", "evt_never")) == [None, None]
    assert "evt_1" not in events
    assert there(events, ("get", "evt_1"), ("count",)) == ["NotFound", 1]


def test_count(events: Events) -> None:
    assert there(events, ("count",)) == [0]
    events.insert_many(an_event(f"evt_{n}") for n in range(250))
    assert there(events, ("count",)) == [250]


def test_list(events: Events) -> None:
    kept = [an_event(f"evt_{n}", created=n, type=f"type.{n % 2}") for n in range(25)]
    events.insert_many(kept)
    newest = kept[::-1]
    first, after, before, filtered = there(
        events,
        ("list",),
        ("list", 5, "evt_20"),
        ("list", 5, None, "evt_3"),
        ("list", 100),
    )
    assert first == {"object": "list", "data": newest[:10], "has_more": True, "url": "/v1/events"}
    assert (after["data"], after["has_more"]) == (newest[5:10], True)
    assert (before["data"], before["has_more"]) == (newest[16:21], True)
    assert (filtered["data"], filtered["has_more"]) == (newest, False)
    there(events, ("insert", an_event("evt_new", created=99)))
    assert events.list(limit=1).data[0]["id"] == "evt_new"


def test_find_by_type(events: Events) -> None:
    events.insert(an_event("evt_1", type="a", created=1))
    events.insert(an_event("evt_2", type="b", created=2))
    events.insert(an_event("evt_3", type="a", created=3))
    found, none = there(events, ("find_by_type", "a"), ("find_by_type", "c"))
    assert [event["id"] for event in found] == ["evt_3", "evt_1"]
    assert none == []
    there(events, ("update", an_event("evt_2", type="a", created=2)))
    assert [event["id"] for event in events.find_by_type("a")] == ["evt_3", "evt_2", "evt_1"]


def test_list_namespace(events: Events) -> None:
    with namespace("gw0/test_a"):
        events.insert_many([an_event("evt_1"), an_event("evt_2")])
    found, none = there(events, ("list_namespace", "gw0/test_a"), ("list_namespace", "gw0"))
    assert [event["id"] for event in found] == ["evt_2", "evt_1"]
    assert none == []


def test_clear(events: Events) -> None:
    events.insert(an_event("evt_1"))
    with namespace("gw0"):
        events.insert(an_event("evt_2"))
    assert there(events, ("clear",)) == [None]
    assert events.count() == 0
    assert events.list_namespace("gw0") == []


def test_clear_namespace(events: Events) -> None:
    for name in ("gw0", "gw0/test_a", "gw01", "global"):
        with namespace(name):
            events.insert(an_event("evt_1"))
    assert there(events, ("clear_namespace", "gw0")) == [None]
    assert [len(events.list_namespace(name)) for name in ("gw0", "gw0/test_a", "gw01", "global")] == [0, 0, 1, 1]


def test_prefix_and_table_name() -> None:
    def in_names() -> tuple[Any, ...]:
        from papertiger_shm import Events

        return Events.prefix, Events.table_name, Events.resource, Events.plural, Events.url_path, Events.indexes

    expected = ("evt", "paper_tiger_events", "event", "events", "/v1/events", ("type",))
    assert run(in_names) == expected
    assert (Events.prefix, Events.table_name) == expected[:2]


def test_start_link_here_and_use_there() -> None:
    with Events.start_link(max_size="16 MiB") as events:
        assert there(events, ("insert", an_event("evt_1")))[0]["id"] == "evt_1"
        assert events.get("evt_1") == an_event("evt_1")
        url = events.connection.url
    with pytest.raises(Failed, match="ManagerUnavailable"):
        run(in_calls, url, [("count",)])


def test_start_link_there_and_use_here() -> None:
    def in_owner(name: str) -> str:
        from papertiger_shm import Events

        with Events.start_link(name) as events:
            events.insert({"id": "evt_1", "created": 1})
            return str(events.wait_for(60, type="stop")["id"])

    with Interpreter(in_owner, "linked-there") as owner:
        with when_there(owner, "shm://linked-there") as connection:
            events = Events(connection)
            assert events.wait_for(60, since=0)["id"] == "evt_1"
            events.insert({"id": "evt_end", "type": "stop"})
        assert owner.result() == "evt_end"


def test_child_spec_under_a_supervisor() -> None:
    spec = Events.child_spec("supervised", max_size="16 MiB")
    with Supervisor([spec]), connect("shm://supervised") as connection:
        events = Events(connection)
        assert there(events, ("insert", an_event("evt_1"))) == [an_event("evt_1")]
        assert events.get("evt_1") == an_event("evt_1")
    with pytest.raises(Failed, match="ManagerUnavailable"):
        run(in_calls, "shm://supervised", [("count",)])


# ---- namespaces across processes --------------------------------------------------------------------------------


def test_a_child_takes_its_namespace_from_the_environment(events: Events) -> None:
    with namespace("gw1/test_b"):
        events.insert(an_event("evt_mine"))
    calls = [("count",), ("insert", an_event("evt_childs")), ("find_by_type", "charge.succeeded")]
    count, _, found = there(events, *calls, PAPERTIGER_NAMESPACE="gw1/test_b")
    assert count == 1
    assert [event["id"] for event in found] == ["evt_childs", "evt_mine"]
    assert events.count() == 0
    assert [event["id"] for event in events.list_namespace("gw1/test_b")] == ["evt_childs", "evt_mine"]


def test_a_namespace_of_this_thread_is_not_a_childs(events: Events) -> None:
    with namespace("here/only"):
        there(events, ("insert", an_event("evt_1")))
        assert events.count() == 0
    assert events.count() == 1


def test_a_child_connects_to_the_url_in_the_environment(events: Events) -> None:
    def in_default() -> tuple[str, str]:
        from papertiger_shm import Events, connect, current_namespace

        with connect() as connection:
            Events(connection).insert({"id": "evt_1"})
            return connection.url, current_namespace()

    url = events.connection.url
    assert run(in_default, PAPERTIGER_URL=url, PAPERTIGER_NAMESPACE="x/y") == (url, "x/y")
    assert [event["id"] for event in events.list_namespace("x/y")] == ["evt_1"]


def test_a_wait_here_ends_with_a_write_there(events: Events) -> None:
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(events.wait_for(60, type="the.one")))
    waiting.start()
    there(events, ("insert", an_event("evt_1")), ("insert", an_event("evt_2", type="the.one")))
    waiting.join(60)
    assert [event["id"] for event in found] == ["evt_2"]


def test_who_was_stopped_for_longer_than_the_timeout_finds_the_answer(events: Events) -> None:
    """As by a Ctrl-Z in the midst of a write, and a ``fg`` later."""

    def in_stopped(url: str) -> int:
        import os
        import signal

        from papertiger_shm import Events, connect
        from papertiger_shm.shm.channel import Channel

        def stopped_while_it_looks(channel: Channel, link: object) -> int:
            Channel._look = look
            os.kill(os.getpid(), signal.SIGSTOP)
            return 0

        with connect(url, timeout=1) as connection:
            look, Channel._look = Channel._look, stopped_while_it_looks
            events = Events(connection)
            events.insert({"id": "evt_1", "type": "x"})
            return events.count()

    with Interpreter(in_stopped, events.connection.url) as stopped:
        _, status = os.waitpid(stopped.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        eventually(events.count, "what it wrote is there")
        events.connection.stats()  # answered in turn: so its answer has been sent, too
        time.sleep(1.1)  # what it is about: for longer than its timeout
        os.kill(stopped.pid, signal.SIGCONT)
        assert stopped.result() == 1


def test_many_processes_write_at_once(events: Events) -> None:
    def in_writer(url: str, name: str) -> int:
        from papertiger_shm import Events, connect

        with connect(url) as connection:
            events = Events(connection)
            for n in range(100):
                events.insert({"id": f"{name}{n}", "type": name})
                events.increment("total", "n")
                events.modify("total", lambda item: {**item, "seen": {**item["seen"], name: n}})  # noqa: B023
            return events.count()

    events.insert({"id": "total", "n": 0, "seen": {}})
    writers = [Interpreter(in_writer, events.connection.url, name) for name in "abc"]
    for writer in writers:
        with writer:
            writer.result()
    assert events.count() == 301
    assert events.get("total")["n"] == 300
    assert events.get("total")["seen"] == {"a": 99, "b": 99, "c": 99}
    for name in "abc":
        assert len(events.find_by_type(name)) == 100


def test_both_codecs_read_what_the_other_writes(events: Events) -> None:
    event = an_event("evt_1", data=[1, 2**64 - 1, -(2**63), 0.1, "ü", b"\0", {"x": [None, True]}])
    names = [each.name for each in (codec.MSGPACK, codec.MSGSPEC) if each is not None]
    for writer in names:
        there(events, ("insert", event), PAPERTIGER_CODEC=writer)
        for reader in names:
            assert there(events, ("get", "evt_1"), PAPERTIGER_CODEC=reader) == [event]
