"""The README's commands are the ones that CI runs, and its figures were measured."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()

PEERS = ["papertiger-shm", "lmdb", "SQLite", "diskcache", "Valkey", "Manager.dict", "UltraDict", "filelock + JSON"]
COLUMNS = {
    "`get`": "get, a Stripe event of 100,000 [us]",
    "`list`, 10": "list(limit=10), 100,000 [us]",
    "`find_by`, 20": "find_by_type, 20 matches, 100,000 [us]",
    "`insert`": "insert, as it comes [us]",
    "`insert_many`, each": "insert_many, one event of 1,000 [us]",
    "`get` by 4 processes, 1/s": "get, all readers together [1/s]",
}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = re.findall(r"^\$ (.*)$", README, re.MULTILINE)
    assert commands[-1] in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_comparison_is_what_was_measured() -> None:
    assert "\n".join(comparison(medians(PERFORMANCE))) in README, "put this table there, or measure again"


def test_the_comparison_says_when_it_was_measured_and_with_what() -> None:
    date, python = re.search(r"^Made with .* date: ([\d-]+);.* python: CPython (\d+\.\d+)", PERFORMANCE, re.M).groups()
    assert f"on {date}, two cores, CPython {python};" in README
    assert "; cores: 2;" in PERFORMANCE


def test_the_comparison_tells_who_is_quicker_and_who_has_no_such_thing() -> None:
    ours, lmdb = "papertiger-shm", "lmdb"
    measured = {(operation, peer): 20.0 for operation in COLUMNS.values() for peer in PEERS}
    measured |= {
        ("insert, as it comes [us]", lmdb): 19.4,
        ("get, all readers together [1/s]", f"{lmdb}, 4 readers"): 19.4,
    }
    measured |= {("get, all readers together [1/s]", f"{ours}, 4 readers"): 20.0}
    del measured[COLUMNS["`find_by`, 20"], lmdb]
    rows = comparison(measured)
    assert rows[2:4] == [
        "| papertiger-shm | 20 | 20 | 20 | 20 | 20 | 20 |",
        "| lmdb | 20 | 20 | - | **19** | 20 | 19 |",
    ]


def medians(page: str) -> dict[tuple[str, str], float]:
    """By operation and by what it was measured of, from the table that the benchmarks put into the page."""
    found = {}
    operation = ""
    for named, of, median in re.findall(
        r"^\| ([^|]*) \| ([^|]+) \| ([\d,.]+) \| [\d,.]+ - [\d,.]+ \| \d+ \|$", page, re.M
    ):
        operation = named.strip() or operation
        found[operation, of] = float(median.replace(",", ""))
    return found


def comparison(measured: dict[tuple[str, str], float]) -> list[str]:
    """The README's table, line by line."""
    lines = [f"|  | {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * len(COLUMNS)}"]
    for peer in PEERS:
        cells = [cell(measured, operation, peer) for operation in COLUMNS.values()]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    return lines


def cell(measured: dict[tuple[str, str], float], operation: str, peer: str) -> str:
    def of(one: str) -> str:
        return f"{one}, 4 readers" if operation.endswith("[1/s]") else one

    value = measured.get((operation, of(peer)))
    if value is None:
        return "-"
    ours = measured[operation, of(PEERS[0])]
    quicker = value > ours if operation.endswith("[1/s]") else value < ours
    return f"**{value:,.0f}**" if quicker else f"{value:,.0f}"
