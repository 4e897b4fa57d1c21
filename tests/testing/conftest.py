"""A store for each test that stands for the store of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from papertiger_shm import Manager
from papertiger_shm.testing.run import Run
from testing.parties import join


@pytest.fixture(scope="session")
def run_manager() -> Iterator[Manager]:
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
