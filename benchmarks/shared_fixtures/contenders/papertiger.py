"""papertiger-shm: ``shared_fixture`` and ``papertiger_run``, as docs/testing.md has them."""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
from journal import make
from papertiger_shm.testing import shared_fixture

@shared_fixture
def resource():
    return make()
"""

YIELDED = """
from journal import drop, make
from papertiger_shm.testing import shared_fixture

@shared_fixture
def resource():
    value = make()
    yield value
    drop(value)
"""

REAPED = """
from journal import drop, make, reap
from papertiger_shm.testing import shared_fixture

@shared_fixture(reap=reap)
def resource():
    value = make()
    yield value
    drop(value)
"""

PARAMETRISED = """
from journal import drop, make
from papertiger_shm.testing import shared_fixture

@shared_fixture(params=["a", "b"])
def resource(request):
    value = make(request.param)
    yield value
    drop(value)
"""

ISOLATION = """
import pytest

@pytest.fixture
def isolation(events):
    def write(key):
        events.insert({"id": key})
        return events.count()
    return write
"""

LOCK = """
import pytest

@pytest.fixture
def lock(papertiger_run):
    return papertiger_run.lock("feature")
"""

COUNTER = """
import pytest

@pytest.fixture
def counter(papertiger_run):
    return papertiger_run.counter("feature").next
"""

BARRIER = """
import pytest

@pytest.fixture
def barrier(papertiger_run):
    return lambda parties: papertiger_run.barrier("feature", parties).wait(timeout=20)
"""

QUEUE = """
import pytest

@pytest.fixture
def queue(papertiger_run):
    return papertiger_run.queue("feature")
"""

PAPERTIGER = Contender(
    name="papertiger-shm",
    about="@shared_fixture and papertiger_run",
    packages=("pytest-xdist", "papertiger-shm"),
    returned=RETURNED,
    yielded=YIELDED,
    reaped=REAPED,
    parametrised=PARAMETRISED,
    features={"isolation": ISOLATION, "lock": LOCK, "counter": COUNTER, "barrier": BARRIER, "queue": QUEUE},
)
