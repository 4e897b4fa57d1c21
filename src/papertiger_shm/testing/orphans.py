"""Disposing of shared values whose owner died before its own teardown.

Done by whoever sets the value up again, or, where nobody needs it, by the last of the run.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from types import ModuleType
from typing import Any

from papertiger_shm.testing.declaration import reapers, unpacked

__all__ = ["dispose"]


def dispose(record: dict[str, Any], stored: Any) -> str | None:
    """Call the fixture's ``reap`` with the value; what is to be said where that fails, or there is none."""
    disposal = record["reap"]
    if disposal is None and not record["to_undo"]:
        return None
    if disposal is None:
        problem = "its value was not torn down; shared_fixture(reap=function) names what to call then"
    else:
        try:
            _reaper(disposal["function"])(unpacked(stored, disposal["serializer"]))
            return None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.fail too, by which pytest-timeout ends what takes too long
            problem = f"{disposal['function']} could not dispose of its value: {type(error).__name__}: {error}"
    return f"the shared fixture {record['name']!r}: its owner {record['owner']} died, and {problem}"


def _reaper(name: str) -> Any:
    if name in reapers:
        return reapers[name]
    module, path, file = name.split(":", 2)
    found: Any = _module(module, file)
    for step in path.split("."):
        found = getattr(found, step)
    return found


def _module(name: str, file: str) -> ModuleType:
    """The module of this name: the one in that file, where the file is on this machine and another has its name."""
    try:
        found = importlib.import_module(name)
        if not os.path.isfile(file) or os.path.realpath(inspect.getsourcefile(found) or "") == os.path.realpath(file):
            return found
    except ModuleNotFoundError:  # a test file that only workers have imported, from where it is
        pass
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"there is no module {name} in {file}")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
