"""Every error a caller can meet, each also of the built-in kind that Python users already catch.

Only the classes live here. The sentence inside one is written where it is raised, and says what was asked,
what was wrong and what to do. Nothing is imported here, so every other room may import this one.
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "Conflict",
    "CorruptSegment",
    "InvalidItem",
    "InvalidRequest",
    "ManagerUnavailable",
    "NotFound",
    "PaperTigerError",
    "StoreFull",
    "WaitTimeout",
]


class PaperTigerError(Exception):
    """The root of everything this package raises on purpose."""


class NotFound(PaperTigerError, KeyError):
    """No item, or no cursor, has the id that was asked for."""

    # KeyError shows repr() of its argument, which would put the sentence in quotes.
    __str__ = Exception.__str__


class AlreadyExists(PaperTigerError):
    """``insert_new`` met an item with the same id."""


class Conflict(PaperTigerError):
    """``compare_and_set`` met another version than the one it was told to replace."""


class InvalidItem(PaperTigerError, ValueError):
    """The item cannot be stored; the message starts with the path to the offending value."""


class InvalidRequest(PaperTigerError, ValueError):
    """The arguments of a call cannot be used."""


class StoreFull(PaperTigerError, MemoryError):
    """The segment, or the machine's shared memory, has no room for the write; nothing was changed."""


class WaitTimeout(PaperTigerError, TimeoutError):
    """``wait_for`` saw no matching item in time."""


class ManagerUnavailable(PaperTigerError, ConnectionError):
    """No manager answers: none was started, it has stopped, or it did not answer in time."""


class AccessDenied(PaperTigerError, PermissionError):
    """The store belongs to another user, or its rendezvous place cannot be trusted."""


class CorruptSegment(PaperTigerError):
    """The segment holds something no writer of this format writes."""
