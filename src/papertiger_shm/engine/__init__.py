"""The engine: a store in a buffer.

Functions and small classes over memory, with one writer and any number of readers. No processes, no sockets, no
files and no clocks in this whole folder, so that it can be stopped at every single store and looked at. It imports
nothing of the project but the errors.

Who only reads loads no more than the reader: the writer's parts are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .memory import Memory
from .reader import WEAKLY_ORDERED, Closed, CollectionReader, Contended, Reader

if TYPE_CHECKING:
    from .operations import Clear, ClearAcross, ClearBelow, Delete, Operation, Put, Request, Transform, Transformed
    from .verification import verify
    from .writer import Outcome, Writer, check_header, create

__all__ = [
    "WEAKLY_ORDERED",
    "Clear",
    "ClearAcross",
    "ClearBelow",
    "Closed",
    "CollectionReader",
    "Contended",
    "Delete",
    "Memory",
    "Operation",
    "Outcome",
    "Put",
    "Reader",
    "Request",
    "Transform",
    "Transformed",
    "Writer",
    "check_header",
    "create",
    "verify",
]

_HOMES = {
    "operations": (
        "Clear",
        "ClearAcross",
        "ClearBelow",
        "Delete",
        "Operation",
        "Put",
        "Request",
        "Transform",
        "Transformed",
    ),
    "verification": ("verify",),
    "writer": ("Outcome", "Writer", "check_header", "create"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
