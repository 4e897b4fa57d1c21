"""pytest-parallex: no xdist; sets session fixtures up in the controller, then forks the workers."""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import WORKERS, Contender

RETURNED = """
import pytest
from journal import make

@pytest.fixture(scope="session")
def resource():
    return make()
"""

YIELDED = """
import pytest
from journal import drop, make

@pytest.fixture(scope="session")
def resource():
    value = make()
    yield value
    drop(value)
"""

PARAMETRISED = """
import pytest
from journal import drop, make

@pytest.fixture(scope="session", params=["a", "b"])
def resource(request):
    value = make(request.param)
    yield value
    drop(value)
"""

PARALLEX = Contender(
    name="pytest-parallex",
    about="--parallel=fork with plain session fixtures, from its README",
    packages=("pytest-parallex",),
    returned=RETURNED,
    yielded=YIELDED,
    parametrised=PARAMETRISED,
    workers=("--parallel=fork", f"--parallel-workers={WORKERS}"),
    alone=None,
)
