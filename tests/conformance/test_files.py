"""dump and load: both formats there and back, and files that are no dumps."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from papertiger_shm import InvalidItem, InvalidRequest, namespace

from .values import alike

SUFFIXES = [".jsonl", ".msgpack"]
ODD: list[dict[str, Any]] = [
    {"id": "plain", "created": 1, "n": 1, "text": "ü\U0001f42f\n", "nothing": None},
    {"id": "bytes", "created": 2, "data": b"\x00\xff", "list": [b"", {"x": b"y"}]},
    {"id": "moment", "created": 2, "at": datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=timezone.utc)},
    {"id": "floats", "created": 1, "list": [math.nan, math.inf, -math.inf, -0.0, 1e300]},
    {"id": "ints", "created": -5, "list": [2**64 - 1, -(2**63)]},
    {"id": "tags", "created": 2, "data": {"$bytes": "aGk="}, "more": {"$dict": {"$float": "nan"}}, "$": {}},
    {"id": "lines\u2028 and \x1e", "created": 2, "type": "x"},
]


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_there_and_back(things: Any, tmp_path: Path, suffix: str) -> None:
    things.insert_many(ODD)
    before = list(things)
    path = tmp_path / f"dump{suffix}"
    assert things.dump(path) == len(ODD)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    things.clear()
    assert things.load(path) == len(ODD)
    assert alike(list(things), before)
    assert ids(things.find_by("type", "x")) == ["lines\u2028 and \x1e"]
    with namespace("other"):
        assert things.load(str(path)) == len(ODD)
        assert alike(list(things), before)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_replaces_and_keeps_the_rest(things: Any, tmp_path: Path, suffix: str) -> None:
    things.insert({"id": "a", "n": 1})
    things.dump(tmp_path / f"x{suffix}")
    things.update({"id": "a", "n": 2})
    things.insert({"id": "b"})
    things.load(tmp_path / f"x{suffix}")
    assert things.get("a")["n"] == 1
    assert "b" in things


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_dump(things: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    assert things.dump(path) == 0
    assert path.read_bytes() == b""
    assert things.load(path) == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_dump_takes_its_place_when_it_is_complete(things: Any, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"things{suffix}"
    things.insert({"id": "first"})
    things.dump(file)
    before = file.read_bytes()
    things.insert({"id": "second"})

    def interrupt(done: int, total: int) -> None:
        assert file.read_bytes() == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        things.dump(file, progress=interrupt)
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_long_work_tells_how_far_it_is(things: Any, tmp_path: Path, suffix: str) -> None:
    things.insert_many({"id": str(n), "created": n // 7} for n in range(3_500))
    before = ids(things)
    dumped: list[tuple[int, int]] = []
    loaded: list[tuple[int, int]] = []
    path = tmp_path / f"x{suffix}"
    assert things.dump(path, progress=lambda *step: dumped.append(step)) == 3_500
    things.clear()
    assert things.load(path, progress=lambda *step: loaded.append(step)) == 3_500
    assert ids(things) == before
    for steps in (dumped, loaded):
        assert len(steps) > 1
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_json_lines_are_what_they_say(things: Any, tmp_path: Path) -> None:
    things.insert_many([{"id": "a", "created": 2, "x": [None, 1.5]}, {"id": "b", "created": 1}])
    things.dump(tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "b", "created": 1},
        {"id": "a", "created": 2, "x": [None, 1.5]},
    ]


def test_a_file_of_ones_own(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"n": 1}\n\n{"id": "a", "created": 5}')
    assert things.load(path) == 2
    made = next(iter(things))
    assert made["id"].startswith("thg_")


@pytest.mark.parametrize("name", ["x.txt", "x", "x.json", ".jsonl"])
def test_a_suffix_that_says_nothing(things: Any, tmp_path: Path, name: str) -> None:
    for call in (things.dump, things.load):
        with pytest.raises(InvalidRequest, match=r"\.jsonl"):
            call(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_not_there(things: Any, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        things.load(tmp_path / f"no{suffix}")
    with pytest.raises(FileNotFoundError):
        things.dump(tmp_path / "no such place" / f"x{suffix}")


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("x.jsonl", b'{"id": "a"}\n{"id": ', "line 2"),
        ("x.jsonl", b'{"id": "a"}\n[1]\n', "line 2"),
        ("x.jsonl", b'{"id": "a"}\n{"id": 5}\n', "line 2.*id"),
        ("x.jsonl", b'{"id": "a"}\n\xff\n', "line 2"),
        ("x.jsonl", b'{"id": "a", "x": {"$bytes": "!"}}\n', "line 1"),
        ("x.jsonl", b'{"id": "a", "x": {"$datetime": "0001-01-01T00:00:00+05:00"}}\n', "line 1.*range"),
        ("x.msgpack", b"\x81\xa2id\xa1a\x81\xa2id", "item 2"),
        ("x.msgpack", b"\x81\xa2id\xa1a\xc1", "item 2"),
        ("x.msgpack", b"\x93\x01\x02\x03", "item 1"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(
    things: Any, tmp_path: Path, name: str, content: bytes, where: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidItem, match=where) as caught:
        things.load(path)
    assert str(path) in str(caught.value)
    assert things.count() == 0
