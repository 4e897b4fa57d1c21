"""The current namespace: what a handle without a namespace of its own reads and writes.

Only the name is looked after here; no store and no connection ever enters this room.
"""

from __future__ import annotations

import os
from contextlib import ContextDecorator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from papertiger_shm.errors import InvalidRequest

__all__ = ["GLOBAL", "MAX_NAMESPACE", "NAMESPACE_VARIABLE", "check_namespace", "current_namespace", "namespace"]

GLOBAL: Final = "global"
"""The namespace where nothing else was said."""

MAX_NAMESPACE: Final = 1024
"""Bytes a namespace may take in UTF-8."""

NAMESPACE_VARIABLE: Final = "PAPERTIGER_NAMESPACE"

_current: ContextVar[str | None] = ContextVar("papertiger_namespace", default=None)


def check_namespace(name: object, where: str = "namespace") -> str:
    """The name as a plain str, or ``InvalidRequest``: at most 1024 bytes of UTF-8, no NUL, no empty segment."""
    rule = f"a namespace is a non-empty str of at most {MAX_NAMESPACE} bytes, as 'global' or 'gw0/test_a'"
    if not isinstance(name, str):
        raise InvalidRequest(f"{where}: it is of type {type(name).__name__}; {rule}")
    text = str.__str__(name)
    shown = ascii(text) if len(text) <= 80 else f"{text[:60]!a}..."
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(f"{where}: {shown} holds a surrogate, which UTF-8 cannot write; {rule}") from None
    if size > MAX_NAMESPACE:
        raise InvalidRequest(f"{where}: {shown} takes {size:,} bytes in UTF-8; {rule}")
    if "\0" in text:
        raise InvalidRequest(f"{where}: {shown} holds a NUL character; {rule}")
    if not all(text.split("/")):
        problem = f"{shown} has an empty segment" if text else "the name is empty"
        raise InvalidRequest(f"{where}: {problem}; {rule}")
    return text


class namespace(ContextDecorator):
    """Make ``name`` the current namespace of this thread or task, inside a ``with`` block or a decorated function.

    Blocks may be nested; the name is the whole one, not one below the outer block's. Child processes do not see
    it: they take part through ``$PAPERTIGER_NAMESPACE``. Raises ``InvalidRequest`` for a name that cannot be used.
    """

    def __init__(self, name: str) -> None:
        self.name = check_namespace(name)
        self._before: list[str | None] = []

    def _recreate_cm(self) -> namespace:
        # A decorated function may run in several threads at once; each call has an object of its own.
        return namespace(self.name)

    def __enter__(self) -> str:
        self._before.append(_current.get())
        _current.set(self.name)
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not ContextVar.reset(): a fixture's teardown may run in a copy of the context it was set up in.
        _current.set(self._before.pop())


def current_namespace() -> str:
    """The innermost ``namespace(...)`` of this thread or task, else ``$PAPERTIGER_NAMESPACE``, else ``"global"``.

    The variable is read at each call; set to the empty string it counts as not set. Raises ``InvalidRequest``
    where its value is no namespace.
    """
    name = _current.get()
    if name is not None:
        return name
    # os.environ.get() encodes the name and decodes the value each time, ten times the cost of everything else
    # here. So the dict behind it is looked into where there is one, and what its raw value means is remembered.
    try:
        raw = os.environ._data.get(_KEY)  # type: ignore[attr-defined]
    except AttributeError:
        raw = os.environ.get(NAMESPACE_VARIABLE)
    return _meaning(raw) if raw else GLOBAL


def _environment_key() -> Any:
    try:
        return os.environ.encodekey(NAMESPACE_VARIABLE)
    except AttributeError:
        return None


_KEY: Final = _environment_key()
_seen: tuple[Any, str] = (None, GLOBAL)


def _meaning(raw: Any) -> str:
    global _seen
    seen, name = _seen
    if raw != seen:
        name = check_namespace(os.fsdecode(raw), f"${NAMESPACE_VARIABLE}")
        _seen = (raw, name)
    return name
