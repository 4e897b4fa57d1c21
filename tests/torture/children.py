"""Forked children: quick to make, so that there can be many, and easily killed. What they do never enters here."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

from .sizes import TORTURE

SECONDS = 3_600.0 if TORTURE else 120.0
"""64 processes of the long form take 85 s on a quiet machine: a busy one must not make a failure of that."""


class Child:
    """Runs a function in a forked child; leaving its ``with`` block kills the child if it still runs."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.name = function.__name__
        self._source, target = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._source)
            _be_child(target, function, arguments)
        os.close(target)
        self._status: int | None = None

    def result(self, seconds: float = SECONDS) -> Any:
        """What the function returned."""
        deadline = time.monotonic() + seconds
        answer = b""
        while True:
            ready, _, _ = select.select([self._source], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{self.name} did not return within {seconds:g} s"
            data = os.read(self._source, 1 << 20)
            if not data:
                break
            answer += data
        status = self.wait()
        assert answer, f"{self.name} ended without an answer, status {status}"
        returned, result = pickle.loads(answer)
        assert returned, f"{self.name} raised in its own process\n{result}"
        return result

    def kill(self) -> None:
        """SIGKILL, and nothing of it is left when this returns."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> int:
        """How it ended: its exit status, or the negative of the signal that ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        os.close(self._source)


def _be_child(target: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> NoReturn:
    """Never returns into the test that it was forked from."""
    try:
        try:
            result = True, function(*arguments)
        except BaseException:
            result = False, traceback.format_exc()
        with os.fdopen(target, "wb") as answer:
            pickle.dump(result, answer)
    finally:
        os._exit(0)
