"""The recipe of pytest-xdist's documentation: a lock file, and the value in a JSON file beside it.

"Making session-scoped fixtures execute only once", https://pytest-xdist.readthedocs.io/en/stable/how-to.html. It has
no tear-down. Parameters and counters are not in it either, and are written here in the same manner.
"""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
import json
import pytest
from filelock import FileLock
from journal import make

@pytest.fixture(scope="session")
def resource(tmp_path_factory, worker_id):
    if worker_id == "master":
        return make()
    file = tmp_path_factory.getbasetemp().parent / "resource.json"
    with FileLock(f"{file}.lock"):
        if file.is_file():
            return json.loads(file.read_text())
        value = make()
        file.write_text(json.dumps(value))
    return value
"""

PARAMETRISED = """
import json
import pytest
from filelock import FileLock
from journal import make

@pytest.fixture(scope="session", params=["a", "b"])
def resource(request, tmp_path_factory, worker_id):
    if worker_id == "master":
        return make(request.param)
    file = tmp_path_factory.getbasetemp().parent / f"resource-{request.param}.json"
    with FileLock(f"{file}.lock"):
        if file.is_file():
            return json.loads(file.read_text())
        value = make(request.param)
        file.write_text(json.dumps(value))
    return value
"""

LOCK = """
import pytest
from filelock import FileLock

@pytest.fixture
def lock(tmp_path_factory):
    return FileLock(tmp_path_factory.getbasetemp().parent / "feature.lock")
"""

COUNTER = """
import pytest
from filelock import FileLock

@pytest.fixture
def counter(tmp_path_factory):
    file = tmp_path_factory.getbasetemp().parent / "counter"
    def advance():
        with FileLock(f"{file}.lock"):
            number = int(file.read_text()) if file.exists() else 0
            file.write_text(str(number + 1))
        return number
    return advance
"""

FILELOCK_RECIPE = Contender(
    name="xdist docs' filelock recipe",
    about="filelock and a JSON file, from pytest-xdist's how-to",
    packages=("pytest-xdist", "filelock"),
    returned=RETURNED,
    parametrised=PARAMETRISED,
    features={"lock": LOCK, "counter": COUNTER},
)
