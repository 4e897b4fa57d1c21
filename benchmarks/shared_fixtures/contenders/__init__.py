"""One file for each thing to compare with: the text of a suite's ``conftest.py``, as its own documentation has it.

A contender only writes text. What it may use of ``journal`` is ``make`` and ``drop``, which stand for an expensive
set-up and its tear-down; whether and how often they ran is read from the journal later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ALONE", "FEATURES", "WORKERS", "XDIST", "Contender"]

WORKERS = 4
XDIST = ("-n", str(WORKERS))
ALONE = ("-n", "0")

FEATURES = ("isolation", "lock", "counter", "barrier", "queue")


@dataclass(frozen=True)
class Contender:
    name: str
    about: str
    """What of it is used, and where that is documented."""
    packages: tuple[str, ...]
    """The distributions whose pytest plugins are loaded, and no others."""
    returned: str
    """A ``resource`` that is made and never torn down."""
    yielded: str | None = None
    """A ``resource`` with a tear-down; None where the documentation knows none."""
    reaped: str | None = None
    """A ``resource`` whose maker may die, where that is written differently."""
    parametrised: str | None = None
    """A ``resource`` in the two versions "a" and "b"."""
    value: str = "resource"
    """The expression by which a test reads the value."""
    workers: tuple[str, ...] = XDIST
    alone: tuple[str, ...] | None = ALONE
    """The same without workers; None where that is another thing altogether."""
    features: Mapping[str, str] = field(default_factory=dict)
    """By name out of FEATURES: the text of a conftest with a fixture of that name."""

    @property
    def with_tear_down(self) -> str:
        return self.yielded or self.returned
