"""Runs a pytest suite as its user would: a process of its own, with workers of its own, and the plugin as installed.

The suite sees nothing of the run that it is started from.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["Ran", "run_suite", "surroundings"]

PATIENCE = 240


@dataclass(frozen=True)
class Ran:
    status: int
    output: str

    @property
    def counts(self) -> dict[str, int]:
        """How many passed, failed, ..., from the last line."""
        last = self.output.rstrip().splitlines()[-1]
        return {outcome: int(number) for number, outcome in re.findall(r"(\d+) ([a-z]+)", last.partition(" in ")[0])}


def run_suite(directory: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
    """``pytest`` in that directory, with those arguments."""
    # Of the plugins that are here for other tests, one warns where nobody has configured it.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", *plugin(), *arguments]
    done = subprocess.run(
        command,
        cwd=directory,
        env=surroundings(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(done.returncode, done.stdout)


def surroundings(further: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is to see nothing of the run that it is started from."""
    foreign = ("PYTEST", "PAPERTIGER_URL", "PAPERTIGER_NAMESPACE", "PAPERTIGER_RUN")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**variables, "PYTHONDONTWRITEBYTECODE": "1", **further}


def plugin() -> list[str]:
    """What loads the plugin where the package is not installed, and pytest does not find it."""
    if any(entry.value == "papertiger_shm.testing.plugin" for entry in entry_points(group="pytest11")):
        return []
    return ["-p", "papertiger_shm.testing.plugin"]
