"""Makes the catalogue that both suites test: slowly, as such things are."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

PRODUCTS = ("anvil", "bucket", "crowbar", "drum", "easel", "funnel", "gong", "hammock")


def make(directory: Path) -> dict[str, Any]:
    """Prices, and a file for each product; told to whoever looks into $CATALOGUE_LOG."""
    tell("made")
    directory.mkdir()
    for product in PRODUCTS:
        (directory / f"{product}.txt").write_text(f"One {product}.\n", encoding="utf-8")
        time.sleep(0.02)
    prices = {product: 100 * (number + 1) for number, product in enumerate(PRODUCTS)}
    return {"currency": "usd", "prices": prices, "directory": str(directory)}


def remove(catalogue: dict[str, Any]) -> None:
    tell("removed")
    shutil.rmtree(catalogue["directory"])


def tell(what: str) -> None:
    if log := os.environ.get("CATALOGUE_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(what + "\n")
