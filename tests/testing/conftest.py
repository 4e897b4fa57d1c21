"""What a test of the pytest plugin stands on: a store that stands for the store of a run, or a suite of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import short_directory
from papertiger_shm import Manager
from papertiger_shm.testing.run import Run
from testing.parties import join
from testing.suite import Suite, new_suite


@pytest.fixture(scope="session")
def run_manager(rendezvous: Path) -> Iterator[Manager]:
    # Named, though it is there in any case: pytest 7.4 may otherwise tear it down first.
    with Manager(max_size="64 MiB") as manager:
        yield manager
        with manager.connect() as connection:
            connection.verify()


@pytest.fixture
def url(run_manager: Manager) -> Iterator[str]:
    """Of an empty store."""
    yield run_manager.url
    with run_manager.connect() as connection:
        connection.clear_namespace("papertiger-run")


@pytest.fixture
def run(url: str) -> Run:
    """This process as worker gw0 of the run."""
    return join(url)


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    """An empty suite, run by real pytest processes; what its runs leave behind is removed in the end."""
    with new_suite(tmp_path / "suite", short_directory()) as suite:
        yield suite
