"""What tests use beside the plugin's fixtures: ``shared_fixture``, and the warning and view that go with it.

The plugin itself is ``papertiger_shm.testing.plugin``, which pytest finds by its entry point. All of this stands on
the package's public API; no backend, engine or file of the package's is known here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from papertiger_shm.testing.declaration import SharedFixtureWarning, shared_fixture
    from papertiger_shm.testing.failure import SharedFixtureFailed
    from papertiger_shm.testing.overview import runs_in
    from papertiger_shm.testing.remains import DeadRun, dead_runs, remove_dead_run
    from papertiger_shm.testing.run import Run

__all__ = [
    "DeadRun",
    "Run",
    "SharedFixtureFailed",
    "SharedFixtureWarning",
    "dead_runs",
    "remove_dead_run",
    "runs_in",
    "shared_fixture",
]

_HOMES = {
    "DeadRun": "remains",
    "Run": "run",
    "SharedFixtureFailed": "failure",
    "SharedFixtureWarning": "declaration",
    "dead_runs": "remains",
    "remove_dead_run": "remains",
    "runs_in": "overview",
    "shared_fixture": "declaration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
