"""What a writer can be asked to do: plain values, no behaviour.

Keys and collections are bytes here. How a caller's ids, tables and namespaces become bytes is the backend's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias


class Put(NamedTuple):
    """Write one item.

    ``expect`` None inserts or replaces, 0 only inserts, and any other number only replaces that version.
    ``postings`` are the index keys that the item is to be found under.
    """

    collection: bytes
    key: bytes
    created: int
    postings: Sequence[bytes]
    payload: bytes
    expect: int | None = None


class Delete(NamedTuple):
    """Remove one item, if it is there."""

    collection: bytes
    key: bytes


class Clear(NamedTuple):
    """Remove every item of one collection."""

    collection: bytes


class ClearBelow(NamedTuple):
    """Remove every item of all collections whose name starts with ``prefix``."""

    prefix: bytes


class ClearAcross(NamedTuple):
    """Remove every item of the collections whose name, behind its first NUL, is ``name`` or starts with ``below``."""

    name: bytes
    below: bytes


class Transformed(NamedTuple):
    """What an item becomes. ``created`` None keeps it; ``posting`` is an index key lost and one gained, or None."""

    payload: bytes
    created: int | None
    posting: tuple[bytes | None, bytes | None]
    result: Any


class Transform(NamedTuple):
    """Rewrite one item from what it holds now; ``function`` is pure, since it may be called more than once."""

    collection: bytes
    key: bytes
    function: Callable[[bytes], Transformed]


Operation: TypeAlias = "Put | Delete | Clear | ClearBelow | ClearAcross | Transform"


class Request(NamedTuple):
    """Operations that happen all or not at all.

    ``number`` grows with each request of one ``client`` (16 bytes); the last one is answered again, not applied
    again. With ``client`` None nothing is remembered.
    """

    client: bytes | None
    number: int
    operations: Sequence[Operation]
