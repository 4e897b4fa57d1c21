"""Fresh interpreters for tests: a function runs in a new Python process that was not forked from this one.

Only the function's source and its arguments go over, so it imports what it needs itself and sees nothing of the
module it stands in. What it returns comes back; what it raises is a ``Failed`` here, with its traceback. No test and
no fixture enters this room.
"""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

SECONDS = 120.0
"""How long a function may take; one that takes longer has got stuck."""

_MAIN = """
import __future__, os, pickle, sys, traceback
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
source, file, name, arguments = pickle.load(sys.stdin.buffer)
here = {"__name__": "__fresh__", "__file__": file}
exec(compile(source, file, "exec", __future__.annotations.compiler_flag, dont_inherit=True), here)
try:
    result = True, here[name](*arguments)
except BaseException:
    result = False, traceback.format_exc()
pickle.dump(result, answer)
answer.close()
"""


class Failed(AssertionError):
    """The function raised, or its interpreter ended before it returned."""


class Interpreter:
    """A fresh interpreter that is running a function. Leaving its ``with`` block kills it if it still runs."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **environment: str | None) -> None:
        self.name = function.__name__
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(environment),
        )
        assert self._process.stdin is not None
        with self._process.stdin as pipe:
            pickle.dump((_source(function), inspect.getsourcefile(function), self.name, arguments), pipe)
        self._process.stdin = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def result(self, seconds: float = SECONDS) -> Any:
        """What the function returned."""
        try:
            answer, complaints = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, complaints = self._process.communicate()
            raise Failed(f"{self.name} did not return within {seconds:g} s\n{complaints.decode()}") from None
        if self._process.returncode or not answer:
            raise Failed(f"{self.name} ended with status {self._process.returncode}\n{complaints.decode()}")
        returned, result = pickle.loads(answer)
        if not returned:
            raise Failed(f"{self.name} raised in its own interpreter\n{result}{complaints.decode()}")
        if complaints:
            raise Failed(f"{self.name} complained\n{complaints.decode()}")
        return result

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_running():
            self._process.kill()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def run(function: Callable[..., Any], *arguments: Any, **environment: str | None) -> Any:
    """What the function returns in a fresh interpreter; ``environment`` is added to this one's, None takes away."""
    with Interpreter(function, *arguments, **environment) as interpreter:
        return interpreter.result()


def _source(function: Callable[..., Any]) -> str:
    lines, number = inspect.getsourcelines(function)
    # As far down as it stands in its file, so that a traceback shows the right lines.
    return "\n" * (number - 1) + textwrap.dedent("".join(lines))


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    environment: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in environment.items() if value is not None}
