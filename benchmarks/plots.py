"""Plots of a kept result, as SVG and PNG. Reads the structure that ``report`` makes; measures nothing.

matplotlib is imported when something is to be drawn, and not before.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["draw"]

Data = dict[str, Any]

SUFFIXES = (".svg", ".png")
MARKERS = "osD^vP*X<>hd"
COLOURS = (*(f"C{number}" for number in range(10)), "black", "goldenrod")
COLUMNS = 3


def draw(data: Data, directory: Path) -> list[Path]:
    """Draw whatever there are figures for; gives the files made."""
    import matplotlib

    matplotlib.use("Agg")
    # The same picture gives the same file.
    matplotlib.rcParams["svg.hashsalt"] = "papertiger-shm"
    directory.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for name, figure in (
        ("latency-by-operation", latency(data)),
        ("throughput-by-readers", against(data, "readers", "gets per second, all readers together")),
        ("cost-by-size", against(data, "growth", "us for one call, median", factor=1e6)),
    ):
        if figure is None:
            continue
        for suffix in SUFFIXES:
            file = directory / f"{name}{suffix}"
            figure.savefig(file, bbox_inches="tight", dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
            made.append(file)
    return made


def latency(data: Data) -> Any:
    """Everybody's medians, a row for each operation, on a logarithmic scale."""
    rows = [row for row in data["results"] if row["chart"] is None and is_beside_peers(row, data)]
    if not rows:
        return None
    figure, (axes,) = panels(1, 9, 1.5 + 0.4 * len(rows))
    for peer in data["peers"]:
        points = [(row["median"][peer] * 1e6, -y) for y, row in enumerate(rows) if peer in row["median"]]
        if points:
            axes.plot(*zip(*points), label=peer, markersize=6, linestyle="none", **look(peer, data))
    axes.set_yticks([-y for y in range(len(rows))], [row["name"] for row in rows])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.6g}")
    axes.set_xlabel("us for one call, median")
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def is_beside_peers(row: Data, data: Data) -> bool:
    return row["unit"]["name"] == "us" and any(peer in row["median"] for peer in data["peers"])


def against(data: Data, operation: str, label: str, factor: float = 1.0) -> Any:
    """Medians against the axis that the results name, a panel for each row."""
    rows = [row for row in data["results"] if row["operation"] == operation and row["chart"] is not None]
    if not rows:
        return None
    figure, several = panels(len(rows), 4 * min(len(rows), COLUMNS) + 2, 3.4 * -(-len(rows) // COLUMNS))
    labels: dict[str, Any] = {}
    for axes, row in zip(several, rows):
        lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for name, (line, position) in row["chart"]["points"].items():
            lines[line].append((position, row["median"][name] * factor))
        for line, points in lines.items():
            (labels[line],) = axes.plot(*zip(*sorted(points)), linewidth=1.2, **look(line, data))
        axes.set_title(row["name"], fontsize=9)
        axes.set_xscale("log")
        axes.set_yscale("log")
        positions = sorted({position for points in lines.values() for position, _ in points})
        axes.set_xticks(positions, [f"{position:,g}" for position in positions])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:,.6g}")
        axes.set_xlabel(row["chart"]["axis"])
        axes.grid(visible=True, alpha=0.3)
        # From a decade below to one above: what is flat shall look flat.
        low, high = axes.get_ylim()
        axes.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))
    figure.supylabel(label, fontsize=9)
    figure.legend(labels.values(), labels.keys(), loc="outside right upper", frameon=False)
    return figure


def look(peer: str, data: Data) -> Data:
    """A peer looks the same in every plot, and like no other; the first lies above the rest."""
    place = [*data["peers"]].index(peer) if peer in data["peers"] else len(data["peers"])
    return {"color": COLOURS[place], "marker": MARKERS[place], "zorder": 3 - place / len(COLOURS)}


def panels(count: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure and its axes, in rows of ``COLUMNS``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    columns = min(count, COLUMNS)
    return figure, [figure.add_subplot(-(-count // columns), columns, place + 1) for place in range(count)]
