"""The newest table in a page of the documentation: between two marks, and nothing else of the page is touched.

Reads what ``report`` keeps. No figure in a page is ever written by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.report import summary

__all__ = ["BEGIN", "END", "put_into", "tables"]

BEGIN = "<!-- made by benchmarks: begin -->"
END = "<!-- made by benchmarks: end -->"

Data = dict[str, Any]


def put_into(page: Path, data: Data, plots: list[Path]) -> None:
    """Put the tables, and the plots if there are any, between the marks; a page without them gets both at its end."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and not end:
        raise ValueError(f"{page}: {BEGIN!r} is there and {END!r} is not; write it where the tables are to end")
    if not begin:
        before = f"{before.rstrip()}\n\n" if before.strip() else ""
        after = "\n"
    pictures = [f"![{plot.stem}]({relative(plot, page)})" for plot in plots if plot.suffix == ".svg"]
    made = "\n\n".join([BEGIN, *tables(data), *pictures, END])
    page.write_text(f"{before}{made}{after}", encoding="utf-8")


def relative(plot: Path, page: Path) -> str:
    return Path(os.path.relpath(plot, page.parent)).as_posix()


def tables(data: Data) -> list[str]:
    """Markdown: the machine, the targets, every figure, the peers, and why cells are empty."""
    return [
        machine_line(data),
        f"{summary(data['results']).capitalize()}.",
        table_of_targets(data),
        table_of_figures(data),
        table_of_peers(data),
        table_of_reasons(data),
        *(f"{result['name']}: {note}." for result in data["results"] for note in result["notes"]),
    ]


def machine_line(data: Data) -> str:
    machine = "; ".join(f"{name}: {value}" for name, value in data["machine"].items())
    return f"Made with `python -m benchmarks`. {machine}."


def table_of_targets(data: Data) -> str:
    rows = []
    for result in data["results"]:
        for target in result["targets"]:
            measured = "" if target["measured"] is None else f"{target['measured']:.3g}"
            met = {True: "met", False: "**missed**", None: "not measured"}[target["met"]]
            rows.append([result["name"], target["about"], measured, target["asked"], met])
    return markdown(["operation", "asked of the medians", "measured", "target", ""], rows)


def table_of_figures(data: Data) -> str:
    rows = []
    for result in data["results"]:
        unit = result["unit"]
        title = result["name"] + (f" [{unit['name']}]" if unit["name"] else "")
        for name, median in result["median"].items():
            low, high = result["middle_half"][name]
            spread = f"{shown(low, unit)} - {shown(high, unit)}"
            rows.append([title, name, shown(median, unit), spread, str(len(result["rounds"][name]))])
            title = ""
    return markdown(["operation", "of", "median", "middle half", "rounds"], rows)


def table_of_peers(data: Data) -> str:
    rows = [[name, about["version"], about["about"]] for name, about in data["peers"].items()]
    return markdown(["peer", "version", "used as"], rows)


def table_of_reasons(data: Data) -> str:
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in data["results"]:
        for peer, reason in result["cannot"].items():
            reasons.setdefault((peer, reason), []).append(result["name"])
    rows = [[peer, reason, "; ".join(names)] for (peer, reason), names in reasons.items()]
    return markdown(["peer", "has an empty cell because it", "in"], rows) if rows else ""


def shown(value: float, unit: Data) -> str:
    return f"{value * unit['factor']:,.{unit['digits']}f}"


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
