"""What was asked, whether it was met, and what the tables and the page make of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.measure import Samples
from benchmarks.page import BEGIN, END, put_into, tables
from benchmarks.report import as_data, print_results, summary
from benchmarks.results import COUNT, MEBIBYTES, Chart, Limit, Ratio, Result, Same

SAMPLES = {"ours": Samples((1.0, 2.0, 3.0)), "theirs": Samples((4.0, 4.0, 4.0)), "none": Samples((0.0,))}


@pytest.mark.parametrize(
    ("target", "asked", "measured", "met"),
    [
        (Ratio("ours", "theirs", 0.6), "<= 0.6", 0.5, True),
        (Ratio("ours", "theirs", 1 / 2), "<= 1/2", 0.5, True),
        (Ratio("ours", "theirs", 1 / 9), "<= 1/9", 0.5, False),
        (Ratio("theirs", "ours", 1.5), "<= 1.5", 2.0, False),
        (Ratio("ours", "absent", 1.0), "<= 1", None, None),
        (Ratio("ours", "none", 1.0), "<= 1", None, None),
        (Same("theirs", "ours"), "flat", 2.0, False),
        (Same("ours", "theirs"), "flat", 0.5, True),
        (Limit("none", 0, COUNT), "<= 0", 0.0, True),
        (Limit("ours", 2**20, MEBIBYTES), "<= 1 MiB", 2 / 2**20, True),
        (Limit("ours", 1, COUNT), "<= 1", 2.0, False),
        (Limit("absent", 1, COUNT), "<= 1", None, None),
    ],
)
def test_targets(target: Ratio | Limit, asked: str, measured: float | None, met: bool | None) -> None:
    assert target.asked() == asked
    assert target.measured(SAMPLES) == measured
    assert target.met(SAMPLES) is met


def test_flat_is_what_the_noise_does_not_tell_apart() -> None:
    noisy = {"small": Samples((1.0, 2.0, 3.0, 4.0)), "large": Samples((2.0, 3.5, 4.0, 5.0))}
    assert Same("large", "small").met(noisy)


RESULT = Result(
    "get",
    "get, random [of many]",
    SAMPLES,
    (Ratio("ours", "theirs", 1.0), Ratio("theirs", "ours", 1.0), Ratio("ours", "absent", 1.0)),
    unit=COUNT,
    cannot={"other": "has no look-up"},
    chart=Chart("events", {"ours": ("ours", 1_000)}),
    notes=["a word on it"],
)


def data() -> dict[str, object]:
    return as_data({"cores": "2"}, {"ours": {"version": "1", "about": "as it is"}}, [RESULT])


def test_what_is_kept_has_every_round_and_survives_a_file() -> None:
    kept = json.loads(json.dumps(data()))
    (result,) = kept["results"]
    assert result["rounds"]["ours"] == [1.0, 2.0, 3.0]
    assert [target["met"] for target in result["targets"]] == [True, False, None]
    assert summary(kept["results"]) == "targets: 1 met, 1 missed, 1 not measured"


def test_the_tables_tell_figures_verdicts_and_reasons() -> None:
    console = Console(file=io.StringIO(), width=150)
    print_results(console, [RESULT])
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for told in ("get, random [of many]", "met", "MISSED", "not measured", "other has no look-up", "a word on it"):
        assert told in shown


def test_the_page_keeps_what_is_around_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    for _ in range(2):
        put_into(page, data(), [tmp_path / "plots" / "cost.svg", tmp_path / "plots" / "cost.png"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old" not in text
    assert "![cost](plots/cost.svg)" in text
    assert "cost.png" not in text


def test_a_page_without_marks_gets_them_and_one_with_half_of_them_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    put_into(page, data(), [])
    assert page.read_text(encoding="utf-8").count(BEGIN) == 1
    page.write_text(f"{BEGIN}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="is not; write it"):
        put_into(page, data(), [])


def test_cells_of_the_page_do_not_break_its_tables() -> None:
    kept = as_data({}, {"a|b": {"version": "1", "about": ""}}, [])
    assert any(r"a\|b" in table for table in tables(kept))
