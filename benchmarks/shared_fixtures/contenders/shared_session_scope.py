"""pytest-shared-session-scope: a fixture that yields twice, and is told whether it is the first and the last."""

from __future__ import annotations

from benchmarks.shared_fixtures.contenders import Contender

RETURNED = """
from journal import make
from pytest_shared_session_scope import shared_session_scope_json

@shared_session_scope_json()
def resource():
    return make()
"""

YIELDED = """
from journal import drop, make
from pytest_shared_session_scope import CleanupToken, SetupToken, shared_session_scope_json

@shared_session_scope_json()
def resource():
    value = yield
    if value is SetupToken.FIRST:
        value = make()
    token = yield value
    if token is CleanupToken.LAST:
        drop(value)
"""

PARAMETRISED = """
from journal import drop, make
from pytest_shared_session_scope import CleanupToken, SetupToken, shared_session_scope_json

@shared_session_scope_json(params=["a", "b"])
def resource(request):
    value = yield
    if value is SetupToken.FIRST:
        value = make(request.param)
    token = yield value
    if token is CleanupToken.LAST:
        drop(value)
"""

SHARED_SESSION_SCOPE = Contender(
    name="pytest-shared-session-scope",
    about="@shared_session_scope_json, from its README",
    packages=("pytest-xdist", "pytest-shared-session-scope"),
    returned=RETURNED,
    yielded=YIELDED,
    parametrised=PARAMETRISED,
)
