"""What counts as moved between two kept results."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.compare import changed_circumstances, compared, moved
from benchmarks.results import MICROSECONDS, RATE, Unit

ROOT = Path(__file__).resolve().parent.parent.parent


def kept(rounds: dict[str, list[float]], unit: Unit = MICROSECONDS, **machine: str) -> dict[str, Any]:
    return {"machine": machine, "results": [{"name": "get", "unit": asdict(unit), "rounds": rounds}]}


def test_what_is_twice_as_slow_has_moved_for_the_worse() -> None:
    (move,) = moved(kept({"ours": [1.0, 1.1, 1.2]}), kept({"ours": [2.0, 2.2, 2.4]}))
    assert (move.of, move.ratio, move.better) == ("ours", 2.0, False)


def test_more_of_a_rate_is_better() -> None:
    (move,) = moved(kept({"ours": [1.0]}, RATE), kept({"ours": [2.0]}, RATE))
    assert move.better


def test_halves_that_touch_and_medians_that_are_close_have_not_moved() -> None:
    assert not moved(kept({"ours": [1.0, 2.0, 3.0, 4.0]}), kept({"ours": [2.0, 3.5, 4.0, 5.0]}))
    assert not moved(kept({"ours": [1.0, 1.0]}), kept({"ours": [1.05, 1.05]}))


def test_the_farthest_move_comes_first_in_either_direction() -> None:
    old, new = kept({"a": [1.0], "b": [1.0], "c": [4.0]}), kept({"a": [2.0], "b": [1.5], "c": [1.0]})
    assert [move.of for move in moved(old, new)] == ["c", "a", "b"]


def test_only_what_both_have_is_compared() -> None:
    assert not [*compared(kept({"a": [1.0], "gone": [1.0]}), kept({"b": [1.0], "gone": []}))]


def test_nothing_to_nothing_has_not_moved_and_nothing_to_something_has() -> None:
    assert not moved(kept({"a": [0.0]}), kept({"a": [0.0]}))
    assert moved(kept({"a": [0.0]}), kept({"a": [1.0]}))


def test_other_circumstances_are_told() -> None:
    told = changed_circumstances(kept({}, python="3.12", date="yesterday"), kept({}, python="3.13", date="today"))
    assert told == ["python: 3.12 before, 3.13 now"]


def test_the_command_shows_what_moved(tmp_path: Path) -> None:
    for name, seconds in (("old", 1.0), ("new", 3.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(kept({"ours": [seconds]})), encoding="utf-8")
    command = [sys.executable, "benchmarks/compare.py", str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "3.00" in done.stdout
    assert "worse" in done.stdout
    assert "1 of 1 figures moved" in done.stdout
