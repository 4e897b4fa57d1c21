"""Runs the function of a shared fixture, whatever its kind, and remembers what there is to undo.

Which worker does so, and what becomes of the value, never enters here.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

from papertiger_shm.errors import InvalidRequest

__all__ = ["Making", "Request"]


class Making:
    """One set-up. ``undo`` takes back what it did, the last first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self.foundations: list[Any] = []
        """The definitions of the fixtures that it asked for."""

    def run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """What the function returns or yields."""
        __tracebackhide__ = True
        if inspect.iscoroutinefunction(function):
            return self._loop().run(function(**arguments))
        if inspect.isasyncgenfunction(function):
            return self._first_of_async(function(**arguments))
        if inspect.isgeneratorfunction(function):
            return self._first_of(function(**arguments))
        return function(**arguments)

    @property
    def has_to_undo(self) -> bool:
        """Whether there is anything to tear down."""
        return bool(self._undo)

    def add(self, finalizer: Callable[[], object]) -> None:
        """Have it called by ``undo``."""
        self._undo.append(finalizer)

    def undo(self) -> None:
        """Call every finalizer; the first error is raised when all have been called."""
        first: BaseException | None = None
        while self._undo:
            try:
                self._undo.pop()()
            except BaseException as error:
                first = first or error
        if first is not None:
            raise first

    def _first_of(self, generator: Generator[Any, None, None]) -> Any:
        __tracebackhide__ = True
        try:
            value = next(generator)
        except StopIteration:
            raise InvalidRequest("the generator did not yield a value; yield the value to be shared") from None

        def rest() -> None:
            for _ in generator:
                raise InvalidRequest("the generator yielded a second value; yield once")

        self.add(rest)
        return value

    def _first_of_async(self, generator: AsyncGenerator[Any, None]) -> Any:
        __tracebackhide__ = True
        loop = self._loop()

        async def first() -> Any:
            async for value in generator:
                return value
            raise InvalidRequest("the asynchronous generator did not yield a value; yield the value to be shared")

        async def rest() -> None:
            async for _ in generator:
                raise InvalidRequest("the asynchronous generator yielded a second value; yield once")

        value = loop.run(first())
        self.add(lambda: loop.run(rest()))
        return value

    def _loop(self) -> Any:
        from papertiger_shm.testing.background_loop import BackgroundLoop

        loop = BackgroundLoop()
        self.add(loop.close)
        return loop


class Request:
    """pytest's request, but for finalizers: those wait for the end of the value, not for that of pytest's fixture."""

    def __init__(self, request: pytest.FixtureRequest, making: Making) -> None:
        self._request = request
        self._making = making

    def addfinalizer(self, finalizer: Callable[[], object]) -> None:
        """Have it called when the shared value is torn down."""
        self._making.add(finalizer)

    def getfixturevalue(self, argname: str) -> Any:
        """The value of another fixture, which the shared one stands on from now on."""
        __tracebackhide__ = True
        value = self._request.getfixturevalue(argname)
        self._making.foundations.append(self._request._get_active_fixturedef(argname))
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)
