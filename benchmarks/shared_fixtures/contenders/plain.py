"""A plain session fixture: what pytest does by itself, once in each worker. The yardstick for times."""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
import pytest

@pytest.fixture(scope="session")
def resource():
    return {"param": "", "maker": 0, "run": ""}
"""

PLAIN = Contender(
    name="plain session fixture",
    about="@pytest.fixture(scope='session'), set up by every worker for itself",
    packages=("pytest-xdist",),
    returned=RETURNED,
)
