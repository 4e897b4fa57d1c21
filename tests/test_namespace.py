"""The current namespace: of the thread or task, else of the environment, else "global"."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from papertiger_shm import GLOBAL, InvalidRequest, current_namespace, namespace


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPERTIGER_NAMESPACE", raising=False)


def in_a_thread() -> str:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(current_namespace()))
    thread.start()
    thread.join()
    return seen[0]


def test_global_where_nothing_was_said() -> None:
    assert current_namespace() == GLOBAL == "global"


def test_blocks_nest_and_end() -> None:
    with namespace("a") as name:
        assert name == current_namespace() == "a"
        with namespace("b/c"):
            assert current_namespace() == "b/c"
        assert current_namespace() == "a"
    assert current_namespace() == GLOBAL


def test_a_block_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), namespace("a"):
        raise KeyError
    assert current_namespace() == GLOBAL


def test_one_object_may_be_entered_again() -> None:
    block = namespace("a")
    with block, namespace("b"), block:
        assert current_namespace() == "a"
    assert current_namespace() == GLOBAL
    with block:
        assert current_namespace() == "a"


def test_as_a_decorator() -> None:
    @namespace("a")
    def inside() -> str:
        return current_namespace()

    assert inside() == "a"
    assert current_namespace() == GLOBAL


def test_other_threads_do_not_see_it() -> None:
    with namespace("a"):
        assert in_a_thread() == GLOBAL


def test_tasks_do_not_meet() -> None:
    async def one(name: str) -> str:
        with namespace(name):
            await asyncio.sleep(0)
            return current_namespace()

    async def both() -> list[str]:
        return [*await asyncio.gather(one("a"), one("b"))]

    assert asyncio.run(both()) == ["a", "b"]


def test_a_generator_finished_elsewhere() -> None:
    def fixture() -> Iterator[None]:
        with namespace("a"):
            yield

    made = fixture()
    assert copy_context().run(lambda: (next(made), current_namespace())) == (None, "a")
    assert list(made) == []
    assert current_namespace() == GLOBAL


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gw0", "gw1/test_a", "größe", "gw0"):
        monkeypatch.setenv("PAPERTIGER_NAMESPACE", name)
        assert current_namespace() == name
        assert in_a_thread() == name
    os.environ["PAPERTIGER_NAMESPACE"] = "direct"
    assert current_namespace() == "direct"
    with namespace("inner"):
        assert current_namespace() == "inner"
    os.environ.update(PAPERTIGER_NAMESPACE="updated")
    assert current_namespace() == "updated"
    os.environ["PAPERTIGER_NAMESPACE"] = ""
    assert current_namespace() == GLOBAL
    monkeypatch.delenv("PAPERTIGER_NAMESPACE")
    assert current_namespace() == GLOBAL


def test_an_environment_that_was_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PAPERTIGER_NAMESPACE": "replaced"})
    assert current_namespace() == "replaced"


@pytest.mark.parametrize("name", ["a", "a/b/c", "tests/test_x.py::test_y[é-1]", " ", "x" * 1024, "é" * 512, "."])
def test_names_that_can_be_used(name: str) -> None:
    with namespace(name):
        assert current_namespace() == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "/a", "a/", "a//b", "a\0b", "x" * 1025, "é" * 513, "\ud800", None, 5, b"a"],
    ids=lambda n: ascii(n)[:9],
)
def test_names_that_cannot(name: object) -> None:
    with pytest.raises(InvalidRequest, match=r"^namespace: .*; a namespace is a non-empty str of at most 1024 bytes"):
        namespace(name)  # type: ignore[arg-type]
    assert current_namespace() == GLOBAL


def test_an_environment_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_NAMESPACE", "a//b")
    for _ in range(2):
        with pytest.raises(InvalidRequest, match=r"^\$PAPERTIGER_NAMESPACE: 'a//b' has an empty segment"):
            current_namespace()
    with namespace("fine"):
        assert current_namespace() == "fine"
