"""What every test stands on: hypothesis profiles, and a rendezvous directory that no real store shares.

Fixtures that one test file needs live in that file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Timings on a shared machine say nothing about correctness, so no profile has a deadline.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), print_blob=True, derandomize=True)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


def short_directory() -> str:
    """A new directory of this user's alone; short, since a socket's whole path has to fit into some 100 bytes."""
    base = "/tmp" if os.access("/tmp", os.W_OK) else None
    return tempfile.mkdtemp(prefix="pt-", dir=base)


# These keep both cores busy for seconds. Two of them at once, in two workers, would only try each other's patience.
HEAVY = ("tests/test_concurrency.py", "tests/torture/test_many.py", "tests/torture/test_writer_killed.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(HEAVY):
            item.add_marker(pytest.mark.papertiger_lock("both cores"))


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that the tests are part of has a store of its own, by our plugin; they are about others."""
    for variable in ("PAPERTIGER_NAMESPACE", "PAPERTIGER_RUN", "PAPERTIGER_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session", autouse=True)
def rendezvous() -> Iterator[Path]:
    """The run's own PAPERTIGER_DIR, and no store or namespace taken from the shell the tests were started in."""
    directory = short_directory()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PAPERTIGER_DIR", directory)
        environment.delenv("PAPERTIGER_URL", raising=False)
        environment.delenv("PAPERTIGER_NAMESPACE", raising=False)
        yield Path(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def apart_from_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A rendezvous directory of this test's own: what stores there are is known, and any name is free."""
    directory = short_directory()
    monkeypatch.setenv("PAPERTIGER_DIR", directory)
    yield
    shutil.rmtree(directory, ignore_errors=True)
