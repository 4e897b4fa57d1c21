"""pytest-xdist-rate-limit: a dict in a JSON file under a lock, with callbacks for the first and the last worker."""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
import pytest
from journal import make

@pytest.fixture(scope="session")
def resource(make_shared_json):
    return make_shared_json(name="resource", on_first_worker=make)
"""

YIELDED = """
import pytest
from journal import drop, make

@pytest.fixture(scope="session")
def resource(make_shared_json):
    return make_shared_json(name="resource", on_first_worker=make, on_last_worker=lambda shared: drop(shared.read()))
"""

PARAMETRISED = """
import pytest
from journal import drop, make

@pytest.fixture(scope="session", params=["a", "b"])
def resource(request, make_shared_json):
    version = request.param
    return make_shared_json(
        name=f"resource-{version}",
        on_first_worker=lambda: make(version),
        on_last_worker=lambda shared: drop({"param": version}),
    )
"""

LOCK = """
import pytest

@pytest.fixture
def lock(make_shared_json):
    return make_shared_json(name="feature").locked_dict()
"""

COUNTER = """
import pytest

@pytest.fixture
def counter(make_shared_json):
    shared = make_shared_json(name="counter", on_first_worker={"number": 0})
    def advance():
        with shared.locked_dict() as data:
            data["number"] += 1
            return data["number"] - 1
    return advance
"""

RATE_LIMIT = Contender(
    name="pytest-xdist-rate-limit",
    about="make_shared_json, from its README",
    packages=("pytest-xdist", "pytest-xdist-rate-limit"),
    returned=RETURNED,
    yielded=YIELDED,
    parametrised=PARAMETRISED,
    value="resource.read()",
    features={"lock": LOCK, "counter": COUNTER},
)
