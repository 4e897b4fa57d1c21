"""A shared dict is a dict, of which each call is one step among all that workers do to it."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm import InvalidItem, InvalidRequest, Manager, NotFound
from papertiger_shm.testing.run import Run
from testing.parties import Worker, join, together

KEYS = st.sampled_from(["", "a", "b", "=", "a/b", "ä", "\0", "x" * 300, "x" * 301])
VALUES = st.none() | st.integers(-5, 5) | st.text("xy", max_size=3) | st.lists(st.integers(0, 3), max_size=2)
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, VALUES),
    st.tuples(st.just("del"), KEYS),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("modify"), KEYS, VALUES),
    st.tuples(st.sampled_from(["pop", "setdefault"]), KEYS, VALUES),
    st.tuples(st.just("pop"), KEYS),
    st.tuples(st.just("update"), st.dictionaries(KEYS, VALUES, max_size=4)),
    st.tuples(st.sampled_from(["popitem", "clear"])),
)

examples = itertools.count()
lasting_run = functools.cache(join)


def outcome(mapping: Any, step: str, *arguments: Any) -> Any:
    try:
        if step == "set":
            mapping[arguments[0]] = arguments[1]
            return None
        if step == "del":
            del mapping[arguments[0]]
            return None
        if step == "modify":
            return modified(mapping, *arguments)
        return getattr(mapping, step)(*arguments)
    except KeyError:
        return KeyError


def modified(mapping: Any, key: str, default: Any) -> Any:
    if not isinstance(mapping, dict):
        return mapping.modify(key, lambda value: [value], default)
    mapping[key] = [mapping.get(key, default)]
    return mapping[key]


@given(steps=st.lists(STEPS, max_size=30))
def test_as_a_dict(run_manager: Manager, steps: list[Any]) -> None:
    run, name = lasting_run(run_manager.url), f"config {next(examples)}"
    model: dict[str, Any] = {}
    for step in steps:
        shared = run.dict(name)
        assert outcome(shared, *step) == outcome(model, *step)
        assert [*shared.items()] == [*model.items()]
    shared = run.dict(name)
    assert shared == model
    assert shared.copy() == model
    assert [*shared] == [*shared.keys()] == [*model]
    assert [*shared.values()] == [*model.values()]
    assert len(shared) == len(model)
    assert bool(shared) == bool(model)
    for key in ("a", "x" * 301):
        assert (key in shared) == (key in model)
        assert shared.get(key, 7) == model.get(key, 7)


def count_up(run: Run, number: int) -> None:
    for _ in range(number):
        run.dict("counts").modify("n", lambda n: n + 1, 0)
        run.dict("counts").modify("list", lambda values: [*values, run.worker], [])


def test_modify_loses_nothing(url: str, run: Run) -> None:
    together(url, *[(count_up, 25)] * 4)
    counts = run.dict("counts")
    assert counts["n"] == 100
    assert sorted(counts["list"]) == sorted([f"gw{place}" for place in range(4)] * 25)


def win(run: Run, names: list[str]) -> int:
    won = 0
    for name in names:
        won += run.dict("prizes").pop(name, None) is not None
    return won


def test_pop_gives_each_to_one(url: str, run: Run) -> None:
    prizes = run.dict("prizes")
    names = [f"p{place}" for place in range(40)]
    prizes.update(dict.fromkeys(names, 1))
    assert sum(together(url, *[(win, names)] * 4)) == 40
    assert not prizes


def first(run: Run) -> Any:
    return run.dict("first").setdefault("who", run.worker)


def test_setdefault_has_one_winner(url: str) -> None:
    assert len(set(together(url, *[(first,)] * 4))) == 1


def test_modify(run: Run) -> None:
    config = run.dict("config")
    with pytest.raises(NotFound, match="modify: dict 'config' has no key 'a'"):
        config.modify("a", lambda value: value)

    def append(value: list[int]) -> list[int]:
        value.append(len(value))
        return value

    default = [0]
    assert config.modify("a", append, default) == [0, 1]
    assert default == [0]
    assert config.modify("a", append) == [0, 1, 2] == config["a"]
    with pytest.raises(InvalidRequest, match="the function returned None for the key 'a'"):
        config.modify("a", lambda value: value.append(4))
    with pytest.raises(KeyError, match="mine"):
        config.modify("a", lambda value: {}["mine"], 5)
    assert config["a"] == [0, 1, 2]


def test_what_is_read_is_a_copy(run: Run) -> None:
    config = run.dict("config")
    config["a"] = {"b": (1,)}
    config["a"]["b"].append(2)
    assert config["a"] == {"b": [1]}


def test_it_is_gone_through_as_it_was(run: Run) -> None:
    config = run.dict("config")
    config.update(a=1, b=2)
    seen = []
    for key, value in config.items():
        seen.append((key, value))
        config.clear()
    assert seen == [("a", 1), ("b", 2)]


def test_what_cannot_be_used(run: Run) -> None:
    config = run.dict("config")
    with pytest.raises(InvalidRequest, match="the key 5 is of type int; keys are str"):
        config[5] = 1  # type: ignore[index]
    assert 5 not in config
    with pytest.raises(InvalidItem, match=r"value\.x"):
        config["a"] = {"x": object()}
    with pytest.raises(InvalidItem):
        config.update(a=1, b=object())
    assert not config, "an update happens wholly or not at all"
    with pytest.raises(KeyError, match="dict 'config' has no key 'a'; set it first"):
        config["a"]


def test_dicts_of_other_names_are_others(url: str, run: Run) -> None:
    names = ["a", "a/b", "a%2Fb", "x" * 999, "x" * 1000]
    for name in names:
        run.dict(name)["k"] = name
    run.dict("a").clear()
    assert [run.dict(name).get("k") for name in names] == [None, *names[1:]]
    with Worker(url, lambda run: run.dict("a/b")["k"]) as other:
        assert other.result() == "a/b"
