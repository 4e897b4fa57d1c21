"""Processes that take part in a run together, and ways to kill or interrupt one at an exact moment.

No test enters this room. Whoever is killed here is killed by SIGKILL; whatever is waited for has a deadline.
"""

from __future__ import annotations

import gc
import itertools
import linecache
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from papertiger_shm import Connection, Manager, Transaction, connect
from papertiger_shm.shm.channel import Channel
from papertiger_shm.testing.run import Run

SECONDS = 60.0
"""How long anything may take; what takes longer hangs."""

ROOMS = ("papertiger_shm/testing/run/", "papertiger_shm/connection.py", "papertiger_shm/shm/channel.py")
"""Where an interruption could leave something behind; elsewhere on the way nothing is held."""

_forking = get_context("fork")


class Party:
    """This process in a run, without a roster: ``more`` is the number of other workers that may still run tests."""

    def __init__(self, connection: Connection, worker: str = "gw0", more: int = 99) -> None:
        self.connection = connection
        self.run_id = "r1"
        self.namespace = "papertiger-run/r1"
        self.worker = worker
        self.more = more
        self.told: list[str] = []
        self._leases: dict[int, Any] = {}
        self._lock = threading.Lock()
        assert self.lease_id

    @property
    def lease_id(self) -> str:
        with self._lock:
            if os.getpid() not in self._leases:
                self._leases[os.getpid()] = self.connection.lease()
            id: str = self._leases[os.getpid()].id
            return id

    def alive(self, lease_id: str) -> bool:
        return self.connection.leased(lease_id)

    def others(self) -> int:
        return self.more

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        self.told.append(text)
        yield
        self.told.append("-")

    def die(self) -> None:
        """To everybody else this process is dead from now on."""
        self._leases.pop(os.getpid()).release()


def join(url: str, worker: str = "gw0", more: int = 99) -> Run:
    """This process as a worker of the run."""
    return Run(Party(connect(url), worker, more), lambda: Path("/tmp"))  # type: ignore[arg-type]


class Worker:
    """A process that calls ``function(run, *arguments)``. Leaving the ``with`` block kills it if it still runs."""

    def __init__(self, url: str, function: Callable[..., Any], *arguments: Any, name: str = "gw1", more: int = 99):
        self._answers, answers = _forking.Pipe(duplex=False)
        self.process = _forking.Process(target=_work, args=(answers, url, name, more, function, arguments))
        self.process.start()
        answers.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def died(self) -> int:
        """Wait until it has died; by which signal."""
        self.process.join(SECONDS)
        assert self.process.exitcode is not None, "it still runs"
        return -self.process.exitcode

    def has_answered_within(self, seconds: float) -> bool:
        return self._answers.poll(seconds)

    def result(self) -> Any:
        assert self._answers.poll(SECONDS), "it did not answer"
        try:
            returned, result = self._answers.recv()
        except EOFError:
            raise AssertionError(f"it died, exit code {self.died()}") from None
        assert returned, result
        return result

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._answers.close()


def _work(
    answers: Any, url: str, name: str, more: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Forked from where hypothesis has run: an interruption is lost that comes while its callback measures a collection.
    gc.callbacks.clear()
    try:
        answer = True, function(join(url, name, more), *arguments)
    except BaseException:
        answer = False, traceback.format_exc()
    answers.send(answer)


def together(url: str, *calls: tuple[Any, ...]) -> list[Any]:
    """Each call is a function and its arguments, in a worker of its own, all at once; what they return."""
    workers = [Worker(url, *call, name=f"gw{place}") for place, call in enumerate(calls)]
    try:
        return [worker.result() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def until(condition: Callable[[], object]) -> None:
    """Return when the condition is met."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


class Fatal:
    """Strikes at one commit of this process: at the ``number``-th, ``after`` it is made or before; or never.

    ``strike``: what happens then.
    """

    def __init__(self, number: int, after: bool, strike: Callable[[], None]) -> None:
        self.seen = 0
        self._number = number
        self._after = after
        self._strike = strike

    @contextmanager
    def armed(self) -> Iterator[Fatal]:
        commit = Connection.commit

        def fatal(connection: Connection, operations: Any) -> Any:
            if connection._transaction() is not None:
                return commit(connection, operations)
            return self._around(lambda: commit(connection, operations))

        send = Transaction._send

        def fatal_send(transaction: Transaction, *, wait: bool) -> None:
            self._around(lambda: send(transaction, wait=wait))

        Connection.commit, Transaction._send = fatal, fatal_send  # type: ignore[method-assign]
        try:
            yield self
        finally:
            Connection.commit, Transaction._send = commit, send  # type: ignore[method-assign]

    def _around(self, commit: Callable[[], Any]) -> Any:
        self.seen += 1
        strikes = self.seen == self._number
        if strikes and not self._after:
            self._strike()
        answer = commit()
        if strikes and self._after:
            self._strike()
        return answer


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def interrupted_under_way(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first request inside is interrupted when it is sent, and carried out a while after that."""
    receive = Channel._receive
    interrupted = threading.Event()

    def receive_nothing(channel: Channel, link: Any, number: int, deadline: float) -> Any:
        if number and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return receive(channel, link, number, deadline)

    monkeypatch.setattr(Channel, "_receive", receive_nothing)
    os.kill(manager.pid, signal.SIGSTOP)
    going_on = threading.Timer(0.2, os.kill, (manager.pid, signal.SIGCONT))
    going_on.start()
    try:
        yield
    finally:
        going_on.join()
        monkeypatch.setattr(Channel, "_receive", receive)


MOMENTS = [(number, after) for number in range(1, 5) for after in (False, True)]
"""Before and after each of the first commits of a call; those a call does not reach strike nobody."""


class _AtLine:
    """Interrupts this thread before the ``number``-th line of ``ROOMS`` that it comes to."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.where = ""

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if not any(room in frame.f_code.co_filename for room in ROOMS):
            return None
        # No signal is seen at a "try:", which does nothing and, in some versions, is not covered by what is around it.
        if event != "line" or linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() == "try:":
            return self
        self.left -= 1
        if not self.left:
            sys.settrace(None)
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}"
            raise KeyboardInterrupt(self.where)
        return self


def interrupted_at_each_line(call: Callable[[], Any]) -> Iterator[str]:
    """Make the call over and over, interrupted before each line of ``ROOMS`` in turn; gives where, after each."""
    for number in itertools.count(1):
        tracing, before = _AtLine(number), sys.gettrace()
        # What is collected here may be another test's connection, and an interruption of its ``__del__`` is lost.
        gc.disable()
        sys.settrace(tracing)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
            gc.enable()
        if not tracing.where:
            return
        yield tracing.where
