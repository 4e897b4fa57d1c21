"""One pytest process that runs tests: what it does before, between and after them.

It joins the run when a test first needs the store, and leaves when its session ends. What pytest calls is in
``plugin``; how shared values are kept, in ``holdings``; who may run beside whom, in ``gate``.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from papertiger_shm.errors import PaperTigerError
from papertiger_shm.testing.address import NAMESPACE_VARIABLE, RUN_VARIABLE, URL_VARIABLE, Address
from papertiger_shm.testing.naming import namespace_of

if TYPE_CHECKING:
    from papertiger_shm import Connection
    from papertiger_shm.testing.declaration import Call
    from papertiger_shm.testing.gate import Gate
    from papertiger_shm.testing.holdings import Holdings
    from papertiger_shm.testing.ownership import Ownership
    from papertiger_shm.testing.participant import Participant
    from papertiger_shm.testing.run import Run

__all__ = ["Worker"]

TIMEOUT: Final = 30.0
"""Seconds within which the store answers; a machine that runs tests on all its cores may be slow."""

KEPT_SECONDS: Final = 3600
"""How long a store lives on in which failed tests have left something to look at."""

SAID_AT: Final = (10, 30)
"""Seconds of waiting after which the terminal is told, and then once a minute."""


class Worker:
    """The tests of one process, and their part in the run."""

    def __init__(self, config: pytest.Config, address: Address, name: str) -> None:
        self.address = address
        self.name = name
        self.namespace: str | None = None
        self.participant: Participant | None = None
        self.connection: Connection
        self.run: Run
        self.holdings: Holdings
        self._config = config
        self._keep = config.getoption("papertiger_keep")
        self._gate: Gate
        self._ownership: Ownership
        self._item: pytest.Item | None = None
        self._attempts: Counter[str] = Counter()
        self._serial_tests = False
        self._environment = pytest.MonkeyPatch()
        self._test_environment = pytest.MonkeyPatch()
        self._failed = False
        self._tests = 0
        self._overhead = 0.0
        self._parent = os.getppid()
        self._said = 0.0
        self._says_it_waits = False

    # --- joining and leaving ------------------------------------------------------------------------------------

    def join(self) -> Participant:
        """Take part in the run, from the first call on; the first worker of all starts the store's manager."""
        if self.participant is None:
            try:
                self._join()
            except BaseException:
                self._environment.undo()
                raise
            assert self.participant is not None
        return self.participant

    def _join(self) -> None:
        from papertiger_shm import connect
        from papertiger_shm.testing.gate import Gate
        from papertiger_shm.testing.holdings import Holdings
        from papertiger_shm.testing.ownership import Ownership
        from papertiger_shm.testing.participant import Participant
        from papertiger_shm.testing.run import Run

        address = self.address
        self._environment.setenv(RUN_VARIABLE, address.run_id)
        self._environment.setenv(URL_VARIABLE, address.url)
        if self._keep != "none":
            self._environment.setenv("PAPERTIGER_IDLE_SECONDS", str(KEPT_SECONDS))
        # Two: what a test does to its connection, or leaves open on it, is no business of the run's.
        own = connect(address.url, start=address.own, timeout=TIMEOUT)
        self.connection = connect(address.url, start=address.own, timeout=TIMEOUT)
        participant = Participant(
            own, address.run_id, self.name, controlled=address.controlled, controller=address.controller
        )
        self.run = Run(participant, self._shared_directory)
        self._gate = Gate(participant, self.run.lock)
        self._ownership = Ownership(participant, self._dispose)
        self.holdings = Holdings(participant, self._ownership, self)
        self.participant = participant

    def _shared_directory(self) -> Path:
        factory: pytest.TempPathFactory = self._config._tmp_path_factory  # type: ignore[attr-defined]
        base = factory.getbasetemp()
        # xdist gives each worker a directory in that of the controller.
        directory = (base.parent if self.address.in_worker else base) / "papertiger"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def leave(self) -> None:
        """The session has ended: settle what is left, and say goodbye."""
        participant = self.participant
        if participant is None:
            return
        self.end_tests()
        self.holdings.let_go()
        with self.telling("the end of the run could not be told"):
            if not participant.roster.may_run_tests(besides=self.name):
                self._ownership.bury_all()
            participant.leave(tests=self._tests, overhead=self._overhead)
        self.participant = None
        self.connection.close()
        participant.connection.close()
        self._environment.undo()

    # --- test by test -------------------------------------------------------------------------------------------

    def collected(self, items: list[pytest.Item]) -> None:
        """All tests are known. Workers of one run join before the first of them runs, so that each knows the others."""
        from papertiger_shm.testing.gate import is_serial

        self._serial_tests = any(is_serial(item) for item in items)
        if self.address.in_worker:
            try:
                self.join()
            except PaperTigerError:
                pass  # the first test that needs the store meets it again, and fails with it

    def begin(self, item: pytest.Item) -> None:
        """Before any fixture of the test: a namespace of its own, for it and for the processes that it starts."""
        from papertiger_shm.testing.dependencies import refuse_circles
        from papertiger_shm.testing.gate import locks_of

        self.end()
        refuse_circles(item)
        self.join()
        self._attempts[item.nodeid] += 1
        self._item, self._failed = item, False
        test = self._test(item, self._attempts[item.nodeid])
        self.namespace = test.namespace
        self._test_environment.setenv(NAMESPACE_VARIABLE, test.namespace)
        may_wait = self._serial_tests or bool(locks_of(item))
        with nullcontext() if may_wait else self.timed():
            self._gate.enter(item, test, beside_serial_tests=self._serial_tests)
        with self.timed():
            self.holdings.before_test(item)
        self._tests += 1

    def _test(self, item: pytest.Item, attempt: int) -> Any:
        from papertiger_shm.testing.participant import Test

        namespace = namespace_of(item.nodeid, worker=self.name, attempt=attempt, prefix=self.address.prefix)
        return Test(item.nodeid, namespace)

    def failed(self, item: pytest.Item) -> bool:
        """Note that the test has failed; whether its namespace is there to be looked at."""
        if self._item is not item:
            return False
        self._failed = True
        return True

    def finishing(self, item: pytest.Item) -> None:
        """Before the fixtures of the test are torn down."""
        if self._item is item:
            with self.timed():
                self.holdings.after_test(item)

    def end(self, following: pytest.Item | None = None) -> None:
        """After the test and its fixtures: take away what it left; again does nothing.

        ``following``: the test that this worker runs next, for sure. It is announced along with the end of this one,
        since each request to a manager that sleeps takes as long as a small test.
        """
        item, self._item = self._item, None
        if item is None or self.participant is None:
            return
        namespace, self.namespace = self.namespace, None
        assert namespace is not None
        keep = self._keep == "all" or (self._keep == "failed" and self._failed)
        self._test_environment.undo()
        with self.telling("what the test left could not be taken away"), self.timed():
            said: dict[str, Any] = {"keep": namespace, "clear": None} if keep else {"clear": namespace}
            if following is not None and not self._serial_tests:  # those must know who runs, not who is about to
                said["following"] = self._test(following, self._attempts[following.nodeid] + 1)
            self.participant.end_test(**said)
        with self.telling("what the test had locked could not be let go"):
            self._gate.leave()

    def end_tests(self) -> None:
        """The last test has run here: nothing new is needed, and nobody waits for our test to end."""
        item = self._item
        self.end()
        with self.telling("the end of the tests could not be told"):
            if self.participant is not None:
                self.participant.end()
        cancel = getattr(self._config.hook, "pytest_timeout_cancel_timer", None)
        if cancel is not None and item is not None:
            cancel(item=item)  # what is waited for from now on is others' tests, no fault of the last one's

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count what happens inside to the plugin's overhead."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._overhead += time.perf_counter() - began

    # --- shared fixtures ----------------------------------------------------------------------------------------

    def shared_value(self, call: Call) -> Any:
        """The value of a shared fixture, for whoever asked pytest for it."""
        __tracebackhide__ = True
        if self.participant is None:  # the first test of all asked by name, and nobody could know before
            self.begin(call.request._pyfuncitem)
        return self.holdings.value(call)

    def _dispose(self, record: dict[str, Any], stored: Any) -> None:
        from papertiger_shm.testing.orphans import dispose

        problem = dispose(record, stored)
        if problem is not None:
            self.tell_terminal(problem)

    def is_deserted(self) -> bool:
        """Whether whoever started this worker has gone, and all others with it."""
        return self.address.in_worker and os.getppid() != self._parent

    def show_waiting(self, text: str, seconds: float) -> None:
        """Say what is waited for: in the store after a moment, and to the terminal after a while."""
        if seconds > 0.02 and not self._says_it_waits and self.participant is not None:
            self._says_it_waits = True
            self.participant.wait_for(text)
        due = next((at for at in SAID_AT if at > self._said), self._said - self._said % 60 + 60)
        if seconds >= due:
            self._said = due
            self.tell_terminal(f"{self.name} waits for {text} ({seconds:.0f} s)")

    def waited(self) -> None:
        """The wait is over."""
        self._said = 0.0
        if self._says_it_waits and self.participant is not None:
            self._says_it_waits = False
            self.participant.wait_for(None)

    @contextmanager
    def telling(self, failure: str) -> Iterator[None]:
        """The tests' results stand whatever becomes of the store: a problem with that is told, and no more."""
        try:
            yield
        except PaperTigerError as problem:
            if not self.is_deserted():
                self.tell_terminal(f"{failure}: {problem}")

    def tell_terminal(self, text: str) -> None:
        """A worker has no terminal of its own, but its standard error is the controller's."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            sys.stderr.write(f"\npapertiger: {text}\n")
            sys.stderr.flush()
