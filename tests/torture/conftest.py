"""What the torture stands on: a manager that is restarted, and which form of the tests runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from papertiger_shm import Connection, Manager, connect

from .sizes import TORTURE


def pytest_report_header() -> str:
    return f"torture: the {'long' if TORTURE else 'short'} form (PAPERTIGER_TORTURE=1 chooses the long one)"


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager(max_size="256 MiB") as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    """Patient enough for a restart on a machine that is busy with other things."""
    with connect(manager.url, timeout=60) as connection:
        yield connection
