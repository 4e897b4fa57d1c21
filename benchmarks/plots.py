"""Plots of a kept result, as SVG and PNG. Reads the structure that ``report`` makes; measures nothing.

matplotlib is imported when something is to be drawn, and not before.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["draw"]

Data = dict[str, Any]

SUFFIXES = (".svg", ".png")
MARKERS = "osD^vP*X<>"


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
        ("cost-by-size", growth(data)),
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
    rows = [
        result
        for result in data["results"]
        if result["unit"]["name"] == "us"
        and result["chart"] is None
        and any(name in data["peers"] for name in median(result))
    ]
    if not rows:
        return None
    figure, axes = _figure(9, 1.5 + 0.45 * len(rows))
    for place, peer in enumerate(data["peers"]):
        points = [(row["median"][peer] * 1e6, -y) for y, row in enumerate(rows) if peer in row["median"]]
        if points:
            axes.plot(*zip(*points), MARKERS[place % len(MARKERS)], label=peer, markersize=6, linestyle="none")
    axes.set_yticks([-y for y in range(len(rows))], [row["name"] for row in rows])
    axes.set_xscale("log")
    axes.set_xlabel("us for one call, median")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def growth(data: Data) -> Any:
    """What an operation costs against the size of the store; ours bold, the others thin."""
    return against(data, "growth", "us for one call, median", factor=1e6)


def against(data: Data, operation: str, label: str, factor: float = 1.0) -> Any:
    """Medians against the axis that the results name, a panel for each row."""
    rows = [row for row in data["results"] if row["operation"] == operation and row["chart"] is not None]
    if not rows:
        return None
    figure, panels = _figure(4.2 * min(len(rows), 3) + 2, 3.4 * -(-len(rows) // 3), len(rows))
    for axes, row in zip(panels if len(rows) > 1 else [panels], rows):
        lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for name, (line, position) in row["chart"]["points"].items():
            lines[line].append((position, row["median"][name] * factor))
        for place, (line, points) in enumerate(lines.items()):
            axes.plot(*zip(*sorted(points)), marker=MARKERS[place % len(MARKERS)], label=line, linewidth=1.2)
        axes.set_title(row["name"], fontsize=9)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(row["chart"]["axis"])
        axes.set_ylabel(label, fontsize=8)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7, frameon=False)
    return figure


def median(row: Data) -> Data:
    medians: Data = row["median"]
    return medians


def _figure(width: float, height: float, panels: int = 1) -> Any:
    """A figure and its axes; several in rows of three."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    columns = min(panels, 3)
    axes = [figure.add_subplot(-(-panels // columns), columns, place + 1) for place in range(panels)]
    return figure, axes if panels > 1 else axes[0]
