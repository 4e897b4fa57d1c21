"""Disposing of shared values whose owner died before its own teardown.

Done by whoever sets the value up again, or, where nobody needs it, by the last of the run.
"""

from __future__ import annotations

import importlib
from typing import Any

from papertiger_shm.testing.ownership import Ownership
from papertiger_shm.testing.shared_fixture import reaper_called, unpacked

__all__ = ["dispose", "dispose_of_all"]


def dispose(record: dict[str, Any], owner: str, stored: Any) -> str | None:
    """Call the fixture's ``reap`` with the value; what is to be said where that fails, or there is none."""
    disposal = record["reap"]
    if disposal is None:
        problem = "its value was not torn down; shared_fixture(reap=function) names what to call then"
    else:
        try:
            _reaper(disposal["function"])(unpacked(stored, disposal["serializer"]))
            return None
        except Exception as error:
            problem = f"{disposal['function']} could not dispose of its value: {type(error).__name__}: {error}"
    return f"the shared fixture {record['name']!r}: its owner {owner} died, and {problem}"


def dispose_of_all(ownership: Ownership) -> list[str]:
    """Of every value whose owner died, and that nobody is going to need; what is to be said of it."""
    said = []
    for record in ownership.adopt_orphans():
        said += [dispose(record, owner, stored) for owner, stored in ownership.orphans(record)]
    return [problem for problem in said if problem is not None]


def _reaper(name: str) -> Any:
    known = reaper_called(name)
    if known is not None:
        return known
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for step in path.split("."):
        found = getattr(found, step)
    return found
