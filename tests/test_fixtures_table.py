"""The table of shared fixtures says what was seen: its verdicts, and that its attempts do see what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.shared_fixtures import attempts, rows
from benchmarks.shared_fixtures.contenders.filelock_recipe import FILELOCK_RECIPE
from benchmarks.shared_fixtures.report import BEGIN, END, put_into
from benchmarks.shared_fixtures.table import missing

GOOD = {"set up": 1, "torn down": 1, "torn down early": 0, "reaped": 0, "results": 16, "passed": 16, "hung": False}


def seen(**changes: object) -> dict[str, object]:
    return {**GOOD, **{name.replace("_", " "): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("numbers", "text"), [([0, 0], "never"), ([1], "once"), ([4, 4], "4 times"), ([2, 1, 4], "1 to 4 times")]
)
def test_times(numbers: list[int], text: str) -> None:
    assert rows.times(numbers) == text


def test_yes_is_said_of_what_was_right_each_time_and_in_each_way() -> None:
    lives = [{"`return`": seen(), "`yield`": seen()}] * 3
    assert (rows.set_up_once(lives), rows.torn_down_once(lives)) == (rows.YES, rows.YES)
    once_wrong = [*lives, {"`return`": seen(set_up=4), "`yield`": seen(torn_down=4, torn_down_early=2)}]
    assert rows.set_up_once(once_wrong).text == "`return` 1 to 4 times; else once"
    assert rows.torn_down_once(once_wrong).text == "`yield` 1 to 4 times, 2 of them early"


def test_a_kill_is_survived_by_clearing_up_and_by_keeping_results() -> None:
    assert rows.after_a_kill([seen(set_up=2, reaped=1)]).good
    assert rows.after_a_kill([seen(torn_down=0)]).text == "set up once, torn down never; 16 of 16 tests have a result"
    assert not rows.after_a_kill([seen(set_up=2, reaped=1), seen(results=15)]).good
    assert not rows.after_a_kill([seen(hung=True)]).good


def test_a_failing_set_up_is_to_run_once_and_to_let_no_test_pass() -> None:
    assert rows.failing_once([seen(passed=0)]).good
    assert rows.failing_once([seen(passed=12)]).text == "once, and 12 of 16 tests pass without it"
    assert not rows.failing_once([seen(set_up=4, passed=0)]).good


def test_an_old_value_is_told_by_the_way_in_which_it_was_met() -> None:
    cell = rows.afresh([{"`-n 4`": seen()}, {"`-n 0`": seen(set_up=0)}])
    assert cell.text == "`-n 0`: old one used, 16 of 16 tests pass"


def test_what_did_not_work_is_told_apart_from_what_is_not_there() -> None:
    cell = rows.offers([{"isolation": None, "lock": True, "queue": False}])
    assert cell == rows.Cell("lock, queue did not work", False)


@pytest.mark.skipif(missing(FILELOCK_RECIPE) is not None, reason="pytest-xdist is not installed")
def test_an_attempt_sees_every_set_up_of_every_worker() -> None:
    run = attempts.failing(FILELOCK_RECIPE)
    assert (run["passed"], run["results"], run["hung"]) == (0, attempts.TESTS, False)
    assert 1 < run["set up"] <= 4


def test_a_table_replaces_the_one_of_an_earlier_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put_into(page, f"{BEGIN}\nnew\n{END}\n")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
