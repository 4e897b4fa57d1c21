"""``@shared_fixture``: declares a fixture whose value is made once for a whole run, whatever the number of workers.

What is declared here is a session fixture to pytest. Whose turn it is to set it up, and when it is torn down, is said
in ``ownership``; what a worker does about it, in ``holdings``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pytest

from papertiger_shm.errors import InvalidRequest

__all__ = [
    "Call",
    "Declaration",
    "SharedFixtureWarning",
    "declaration_of",
    "declared",
    "reapers",
    "requests",
    "shared_fixture",
]

_MARK: Final = "_papertiger_declaration"
declared: list[str] = []
"""The names of all shared fixtures that this process has seen declared."""

requests: list[Any] = []
"""pytest's requests for fixtures that are being set up, the innermost last."""

reapers: dict[str, Callable[[Any], object]] = {}
"""By name, the functions of the modules that this process has."""


class SharedFixtureWarning(UserWarning):
    """A test went on with a shared value whose owner had died."""


@dataclass(frozen=True)
class Declaration:
    """What was said of one shared fixture."""

    function: Callable[..., Any]
    name: str
    arguments: tuple[str, ...]
    serializer: str | None
    reap: Callable[[Any], object] | None
    frozen: bool

    @property
    def identity(self) -> str:
        """The same in every worker, and of no other fixture."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def disposal(self) -> dict[str, Any] | None:
        """How any worker disposes of a value whose owner died; None where nothing was said."""
        return None if self.reap is None else {"function": reaper_name(self.reap), "serializer": self.serializer}

    def packed(self, value: Any) -> Any:
        """The value as it is stored."""
        if self.serializer is None:
            return value
        import dill

        return dill.dumps(value)

    def handed_out(self, stored: Any) -> Any:
        """The value as a test gets it, from what was stored."""
        value = unpacked(stored, self.serializer)
        return frozen(value) if self.frozen else value


@dataclass(frozen=True)
class Call:
    """One time that pytest asks for the value of a shared fixture."""

    declaration: Declaration
    request: Any
    given: tuple[str, ...]
    """The arguments that pytest has set up for it, in this worker."""
    instance: object
    """The test class's instance, for a fixture that is a method."""

    @property
    def label(self) -> str:
        """The fixture's name, with its parameter, as people know it."""
        if not hasattr(self.request, "param"):
            return self.declaration.name
        text = repr(self.request.param)
        return f"{self.declaration.name}[{text if len(text) <= 40 else text[:37] + '...'}]"


def shared_fixture(
    function: Callable[..., Any] | None = None,
    *,
    params: Iterable[object] | None = None,
    ids: Sequence[object | None] | Callable[[Any], object | None] | None = None,
    autouse: bool = False,
    name: str | None = None,
    serializer: str | None = None,
    reap: Callable[[Any], object] | None = None,
    frozen: bool = False,
) -> Any:
    """A fixture that is set up once for the whole run, by the worker that needs it first, and torn down once, last.

    What the function returns or yields is given to the tests of every worker, each time as a fresh object. It may be
    a coroutine function or an asynchronous generator, and may take session fixtures, which are set up in that one
    worker only, and other shared fixtures. ``params``, ``ids``, ``autouse`` and ``name`` are those of
    ``pytest.fixture``.

    ``serializer``: None for values that an item may hold, or "dill" for any object that dill can carry over. ``reap``:
    a function of a module, called with the value where the owner was killed before its own teardown. ``frozen``: hand
    out one object, which cannot be changed, instead of a fresh one to each test; for large values, and not with dill.

    Raises ``InvalidRequest`` for arguments that cannot be used.
    """
    if serializer not in (None, "dill"):
        raise InvalidRequest(f"shared_fixture: serializer is {serializer!r}; it is None or 'dill'")
    if frozen and serializer is not None:
        raise InvalidRequest(
            f"shared_fixture: serializer is {serializer!r} and frozen is true, but only data can be kept from being "
            "changed, not any object; leave one of them out"
        )
    if reap is not None:
        reapers[reaper_name(reap)] = reap

    def declare(function: Callable[..., Any]) -> Any:
        if not inspect.isfunction(function):
            raise InvalidRequest(f"shared_fixture: it was put on {function!r}; put it on a function, above its def")
        signature = inspect.signature(function)
        arguments = tuple(argument for argument in signature.parameters if argument != "self")
        declaration = Declaration(function, name or function.__name__, arguments, serializer, reap, frozen)
        fixture = _as_session_fixture(declaration, signature)
        declared.append(declaration.name)
        return pytest.fixture(scope="session", params=params, ids=ids, autouse=autouse, name=name)(fixture)

    return declare if function is None else declare(function)


def _as_session_fixture(declaration: Declaration, signature: inspect.Signature) -> Callable[..., Any]:
    def shared(*instance: object, **given: object) -> Any:
        from papertiger_shm.testing.plugin import worker_of

        __tracebackhide__ = True
        asking = requests[-1]
        call = Call(declaration, asking, tuple(given), instance[0] if instance else None)
        return worker_of(asking.config).shared_value(call)

    function = declaration.function
    shared.__name__, shared.__qualname__ = function.__name__, function.__qualname__
    shared.__doc__, shared.__module__ = function.__doc__, function.__module__
    # pytest sees the arguments of the function, so that it knows what depends on what; the request it is given by us.
    parameters = [one for one in signature.parameters.values() if one.name != "request"]
    setattr(shared, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    setattr(shared, "__wrapped__", function)  # noqa: B010
    setattr(shared, _MARK, declaration)
    return shared


def declaration_of(fixturedef: Any) -> Declaration | None:
    """What was declared, for a fixture definition of pytest's; None for one that is not shared."""
    declaration: Declaration | None = getattr(fixturedef.func, _MARK, None)
    return declaration


# ---- values of owners that died -----------------------------------------------------------------------------------


def reaper_name(function: Callable[[Any], object]) -> str:
    """By which any worker finds the function. Raises InvalidRequest for one that only this process could find."""
    qualname = getattr(function, "__qualname__", "")
    if not qualname or "<" in qualname:
        raise InvalidRequest(
            f"shared_fixture: reap is {function!r}, which other workers could not find; use a function of a module"
        )
    # The file, too: every conftest.py outside a package is the module "conftest".
    try:
        file = inspect.getsourcefile(inspect.unwrap(function)) or ""
    except TypeError:  # a built-in one, such as os.remove
        file = ""
    return f"{function.__module__}:{qualname}:{file}"


def unpacked(stored: Any, serializer: str | None) -> Any:
    """The value, from what was stored."""
    if serializer is None:
        return stored
    import dill

    return dill.loads(stored)


def frozen(value: Any) -> Any:
    """The same data, which cannot be changed: mappings that are read only, and tuples for lists."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value
