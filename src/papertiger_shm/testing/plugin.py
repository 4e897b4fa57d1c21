"""The pytest plugin: options, markers, fixtures, and the hooks through which pytest calls the rest.

pytest imports this file in every run on the machine that has the package, so nothing is imported here that a run
without our fixtures does not need. Nothing is decided here either: a worker's part is in ``worker``, that of the
process that started the run in ``controller``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from papertiger_shm import Connection, Events, Store
    from papertiger_shm.http import Server
    from papertiger_shm.testing.controller import Controller
    from papertiger_shm.testing.run import Run
    from papertiger_shm.testing.stripe_api import StripeApi
    from papertiger_shm.testing.worker import Worker

_FIXTURES = frozenset(
    {"events", "papertiger", "papertiger_namespace", "papertiger_run", "papertiger_store", "stripe_api"}
)
_MARKERS = ("papertiger_lock", "papertiger_serial")
_worker: pytest.StashKey[Worker] = pytest.StashKey()
_controller: pytest.StashKey[Controller] = pytest.StashKey()


# ---- options and markers ----------------------------------------------------------------------------------------


_LONGEST_RUN = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("papertiger", "one store for all workers of a run")
    group.addoption(
        "--papertiger-keep",
        choices=("none", "failed", "all"),
        default="none",
        help="keep the namespaces of failed tests, or of all, and the run's store with them, for a look",
    )
    group.addoption(
        "--papertiger-report", metavar="FILE", default=None, help="write the run's figures to FILE, as JSON"
    )
    group.addoption(
        "--papertiger-url",
        metavar="URL",
        default=None,
        help="use this store (default: $PAPERTIGER_URL, else one of the run's own)",
    )
    group.addoption("--papertiger-run", metavar="ID", default=None, help="the name of the run (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    run = config.getoption("papertiger_run")
    if run is not None and (not run or len(run) > _LONGEST_RUN or set(run) & set("/\0")):
        # With a slash one run would lie within another, and end with it.
        raise pytest.UsageError(
            f"--papertiger-run={run[:100]!a}: a run's name has 1 to {_LONGEST_RUN} characters, no slash among them, as "
            "in build-1234"
        )
    config.addinivalue_line(
        "markers", "papertiger_lock(*names): never run at the same time as a test of any worker with a name in common"
    )
    config.addinivalue_line("markers", "papertiger_serial: never run at the same time as any test of any worker")


# ---- who this process is ----------------------------------------------------------------------------------------


def worker_of(config: pytest.Config) -> Worker:
    """The part of this process that runs tests."""
    worker = config.stash.get(_worker, None)
    if worker is None:
        from papertiger_shm.testing.address import address_of
        from papertiger_shm.testing.worker import Worker

        given: dict[str, Any] | None = getattr(config, "workerinput", None)
        address = address_of(config)
        name = given["workerid"] if given is not None else "main"
        worker = config.stash[_worker] = Worker(config, address, address.party + name)
    return worker


def _controller_of(config: pytest.Config) -> Controller:
    controller = config.stash.get(_controller, None)
    if controller is None:
        from papertiger_shm.testing.address import address_of
        from papertiger_shm.testing.controller import Controller

        worker = config.stash.get(_worker, None)
        address = address_of(config) if worker is None else worker.address
        controller = config.stash[_controller] = Controller(config, address)
    return controller


def _concerns(item: pytest.Item) -> bool:
    """Whether the test has to do with the run's store, as far as pytest has found out."""
    if not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return True
    if any(item.get_closest_marker(marker) for marker in _MARKERS):
        return True
    if not _shared_fixtures_are_declared():
        return False
    from papertiger_shm.testing.dependencies import shared_in

    return bool(shared_in(item))


# ---- a worker's hooks -------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    declared = _shared_fixtures_are_declared()
    # With "request" the test, or a fixture of it, can ask for a shared fixture by name while it runs.
    concerned = any(
        _concerns(item) or (declared and "request" in getattr(item, "fixturenames", ())) for item in session.items
    )
    if declared:
        from papertiger_shm.testing.dependencies import make_lazy

        make_lazy(session.items)
        session.config.pluginmanager.register(_Asking(), "papertiger shared fixtures")
    if concerned:
        worker_of(session.config).collected(session.items)


class _Asking:
    """Keeps who asks for a shared fixture; only registered where there are any, since it is called for all fixtures.

    pytest would make a ``request`` for whoever has it as an argument: 44 us of 73, with pytest 9.2, also where it then
    answers from what it remembers, against 29 for a fixture without arguments.
    """

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, request: pytest.FixtureRequest) -> Generator[None, None, None]:
        from papertiger_shm.testing.declaration import requests

        requests.append(request)
        yield
        requests.pop()


def _shared_fixtures_are_declared() -> bool:
    # Who has not imported it has declared none.
    declaration = sys.modules.get("papertiger_shm.testing.declaration")
    return declaration is not None and bool(declaration.declared)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    worker = item.config.stash.get(_worker, None)
    if (worker is not None and worker.participant is not None) or _concerns(item):
        worker_of(item.config).begin(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    worker = item.config.stash.get(_worker, None)
    if worker is not None and worker.participant is not None:
        report = outcome.get_result()
        if report.failed and worker.failed(item) and worker.namespace is not None:
            from papertiger_shm.testing.contents import contents

            held = contents(worker.connection, worker.namespace)
            if held or "papertiger_namespace" in getattr(item, "fixturenames", ()):
                report.sections.append((f"papertiger namespace {worker.namespace}", held or "empty"))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, None]:
    worker = item.config.stash.get(_worker, None)
    problem: BaseException | None = None
    try:
        if worker is not None and worker.participant is not None:
            worker.finishing(item)
    except BaseException as error:  # a warning that is an error, too: pytest has to tear the test down all the same
        problem = error
    outcome = yield
    if problem is not None:
        outcome.force_exception(problem)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, None]:
    yield
    worker = item.config.stash.get(_worker, None)
    if worker is not None:
        worker.end(nextitem)


# ---- the run's hooks --------------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    _controller_of(node.config).worker_starts(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    _controller_of(node.config).worker_ended(node, error)


@pytest.hookimpl(hookwrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, None]:
    config = session.config
    controller = config.stash.get(_controller, None)
    if controller is not None:
        controller.no_more_workers()
    yield  # session fixtures are torn down here, and workers are waited for
    worker = config.stash.get(_worker, None)
    used = worker is not None and worker.participant is not None
    if worker is not None:
        worker.leave()
    if hasattr(config, "workerinput"):
        config.workeroutput["papertiger_used"] = "1" if used else ""  # type: ignore[attr-defined]
    elif used or controller is not None or config.getoption("papertiger_report") is not None:
        controller = _controller_of(config)
        controller.used = controller.used or used
        controller.conclude()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    controller = config.stash.get(_controller, None)
    if controller is not None:
        controller.summarise(terminalreporter)


# ---- fixtures ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def papertiger(request: pytest.FixtureRequest) -> Connection:
    """A connection to the run's store, which all its workers share."""
    worker = worker_of(request.config)
    worker.join()
    return worker.connection


@pytest.fixture(scope="session")
def papertiger_run(request: pytest.FixtureRequest) -> Run:
    """What the workers of a run have in common: counters, locks, barriers, queues, dicts, a directory."""
    worker = worker_of(request.config)
    worker.join()
    return worker.run


@pytest.fixture
def papertiger_namespace(request: pytest.FixtureRequest) -> str:
    """The namespace that this test, and the processes it starts, have for themselves; it is empty again afterwards."""
    worker = worker_of(request.config)
    if worker.namespace is None:  # the test asked by name, while it runs, and nobody could know before
        worker.begin(request.node)
    assert worker.namespace is not None
    return worker.namespace


@pytest.fixture
def papertiger_store(papertiger: Connection, papertiger_namespace: str) -> Any:
    """Gives a handle on this test's namespace for a store class: ``papertiger_store(Customers)``."""

    def handle(kind: type[Store]) -> Store:
        return kind(papertiger, papertiger_namespace)

    return handle


@pytest.fixture
def events(papertiger: Connection, papertiger_namespace: str) -> Events:
    """Stripe events, on this test's namespace."""
    from papertiger_shm import Events

    return Events(papertiger, papertiger_namespace)


@pytest.fixture(scope="session")
def _stripe_endpoints(papertiger: Connection) -> Iterator[Server]:
    """Stripe's endpoints over the run's store, in a thread of this process."""
    from papertiger_shm.http import Server, app

    with Server(app(papertiger)) as server:
        yield server


@pytest.fixture
def stripe_api(_stripe_endpoints: Server, papertiger_namespace: str) -> Iterator[StripeApi]:
    """Points the ``stripe`` package at this test's namespace: what is in its stores, ``stripe.Event.list()`` lists."""
    from papertiger_shm.testing.stripe_api import StripeApi, pointed_at

    api = StripeApi(_stripe_endpoints.url_of(papertiger_namespace), papertiger_namespace)
    with pointed_at(api):
        yield api
