"""The engine: a store in a buffer.

Functions and small classes over memory, with one writer and any number of readers. No processes, no sockets, no
files and no clocks in this whole folder, so that it can be stopped at every single store and looked at. It imports
nothing of the project but the errors.
"""

from __future__ import annotations

from .memory import Memory
from .operations import Clear, ClearAcross, ClearBelow, Delete, Operation, Put, Request, Transform, Transformed
from .reader import WEAKLY_ORDERED, Closed, CollectionReader, Contended, Reader
from .verify import verify
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
