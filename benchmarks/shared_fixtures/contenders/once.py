"""pytest-once: a set-up without a value, and a plain fixture beside it that hands one out.

Its documentation asks for exactly that, and says that it has no tear-down. Its set-up takes no parameters; that it is
tried all the same shows what a user is told.
"""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
import pytest
from journal import make
from pytest_once import once_fixture

@once_fixture(scope="session")
def resource_ready():
    make()

@pytest.fixture(scope="session")
def resource(resource_ready):
    return {"address": "the same for all"}
"""

PARAMETRISED = """
import pytest
from journal import make
from pytest_once import once_fixture

@once_fixture(scope="session", params=["a", "b"])
def resource(request):
    make(request.param)
"""

ONCE = Contender(
    name="pytest-once",
    about="@once_fixture and a fixture that depends on it, from its README",
    packages=("pytest-xdist", "pytest-once"),
    returned=RETURNED,
    parametrised=PARAMETRISED,
)
