"""Errors: their classes, the built-in ones they also are, and that the message names the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import papertiger_shm
from papertiger_shm import Connection, PaperTigerError

BASES: dict[str, type[Exception]] = {
    "NotFound": KeyError,
    "AlreadyExists": PaperTigerError,
    "Conflict": PaperTigerError,
    "InvalidItem": ValueError,
    "InvalidRequest": ValueError,
    "StoreFull": MemoryError,
    "WaitTimeout": TimeoutError,
    "ManagerUnavailable": ConnectionError,
    "AccessDenied": PermissionError,
    "CorruptSegment": PaperTigerError,
}


@pytest.mark.parametrize(("name", "base"), BASES.items())
def test_each_is_also_of_the_built_in_kind(name: str, base: type[Exception]) -> None:
    kind = getattr(papertiger_shm, name)
    assert issubclass(kind, PaperTigerError)
    assert issubclass(kind, base)
    assert str(kind("what was asked: what was wrong; what to do")) == "what was asked: what was wrong; what to do"
    assert issubclass(PaperTigerError, Exception)


CASES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("NotFound", lambda things: things.get("evt_nobody"), "evt_nobody"),
    ("NotFound", lambda things: things["evt_nobody"], "evt_nobody"),
    ("NotFound", lambda things: things.list(starting_after="evt_nobody"), "evt_nobody"),
    ("NotFound", lambda things: things.list(ending_before="evt_nobody"), "evt_nobody"),
    ("NotFound", lambda things: things.version("evt_nobody"), "evt_nobody"),
    ("NotFound", lambda things: things.increment("evt_nobody", "n"), "evt_nobody"),
    ("NotFound", lambda things: things.modify("evt_nobody", dict), "evt_nobody"),
    ("AlreadyExists", lambda things: things.insert_new({"id": "evt_taken"}), "evt_taken"),
    ("Conflict", lambda things: things.compare_and_set({"id": "evt_taken"}, 1), "evt_taken"),
    ("InvalidItem", lambda things: things.insert({"amount": {1, 2}}), "amount"),
    ("InvalidItem", lambda things: things.insert("not_a_dict"), "not_a_dict"),
    ("InvalidItem", lambda things: things.increment("evt_taken", "id.x"), "id"),
    ("InvalidRequest", lambda things: things.list(limit=4711), "4711"),
    ("InvalidRequest", lambda things: things.find_by("colour", "red"), "colour"),
    ("InvalidRequest", lambda things: things.clear_namespace("x//y"), "x//y"),
    ("InvalidRequest", lambda things: things.get(4711), "4711"),
    ("WaitTimeout", lambda things: things.wait_for(0, type="red"), "red"),
]


@pytest.mark.parametrize(("name", "call", "value"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_the_message_names_the_value(things: Any, name: str, call: Callable[[Any], Any], value: str) -> None:
    things.insert({"id": "evt_taken"})
    with pytest.raises(PaperTigerError) as caught:
        call(things)
    assert type(caught.value) is getattr(papertiger_shm, name)
    assert value in str(caught.value)
    assert len(str(caught.value)) > len(value) + 20
    assert str(caught.value) == caught.value.args[0]


def test_an_error_survives_pickling(things: Any) -> None:
    import pickle

    with pytest.raises(PaperTigerError) as caught:
        things.get("nobody")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value)
    assert str(copy) == str(caught.value)


@pytest.mark.parametrize("timeout", [1e10, 1e300, 10**400], ids=["centuries", "for ever", "no float"])
def test_a_connection_may_have_as_long_a_timeout_as_anybody_means(
    things: Any, connection: Connection, timeout: float
) -> None:
    things.insert({"id": "a"})
    with papertiger_shm.connect(connection.url, timeout=timeout) as patient:
        assert type(things)(patient).version("a")


def test_every_use_of_a_closed_connection_is_refused(things: Any, new_connection: Callable[[], Connection]) -> None:
    connection = new_connection()
    store = type(things)(connection)
    store.insert({"id": "a"})
    assert store.get("a")["id"] == "a"
    connection.close()
    connection.close()
    uses: list[Callable[[], Any]] = [
        lambda: store.get("a"),
        lambda: store.get("a", None),
        lambda: store.count(),
        lambda: store.list(),
        lambda: list(store),
        lambda: "a" in store,
        lambda: store.find_by("type", "x"),
        lambda: store.get_many(["a"]),
        lambda: store.version("a"),
        lambda: store.insert({"id": "b"}),
        lambda: store.delete("a"),
        lambda: store.clear(),
        lambda: store.increment("a", "n"),
        lambda: store.wait_for(0),
        lambda: store.transaction().__enter__(),
        lambda: type(things)(connection).get("a"),
        connection.stats,
        connection.verify,
        connection.__enter__,
    ]
    for use in uses:
        with pytest.raises(papertiger_shm.InvalidRequest, match="closed"):
            use()
    assert [item["id"] for item in things] == ["a"]


def test_a_connection_tells_figures(things: Any, connection: Connection) -> None:
    things.insert({"id": "a"})
    figures = connection.stats()
    assert figures["items"] >= 1
    assert figures["collections"] >= 1
    assert figures["commits"] >= 1
    assert connection.verify()
    assert (type(things).table_name, "global", 1) in connection.collections()
