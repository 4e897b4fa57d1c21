"""What a backend has to do, in types: the operations a store asks for, and the two protocols that carry them out.

Only shapes live here. No backend, no store and no encoding of items ever enters this room: payloads and index
keys are bytes that a backend keeps and compares, and need not understand (but for ``Increment``, which it has to
carry out where the writes are serialised).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

__all__ = [
    "Backend",
    "Changed",
    "Clear",
    "ClearNamespace",
    "Collection",
    "Delete",
    "Increment",
    "Lease",
    "Operation",
    "Put",
    "Subscription",
]


class Put(NamedTuple):
    """Insert or replace one item.

    ``created`` is within 64 bits, signed. ``postings`` holds the index key of each indexed value the item has.
    ``expect``: None inserts or replaces; 0 inserts only where there is none, else ``AlreadyExists``; any other
    number replaces only the item of that version, else ``Conflict``.
    """

    table: str
    namespace: str
    id: str
    created: int
    postings: tuple[bytes, ...]
    payload: bytes
    expect: int | None


class Delete(NamedTuple):
    """Remove one item; nothing happens where there is none."""

    table: str
    namespace: str
    id: str


class Clear(NamedTuple):
    """Remove every item of a table in a namespace and those below it ("a" takes "a/b" along), or, for None, in all."""

    table: str
    namespace: str | None


class ClearNamespace(NamedTuple):
    """Remove every item of every table in a namespace and those below it."""

    namespace: str


class Increment(NamedTuple):
    """Add ``by`` to the number at the dotted path ``field``; ``indexes`` are the store's indexed paths.

    The result is the new number; a field that is missing counts from 0. ``NotFound`` without the item,
    ``InvalidItem`` where the field holds something other than a number.
    """

    table: str
    namespace: str
    id: str
    field: str
    by: int | float
    indexes: tuple[str, ...]


Operation: TypeAlias = Put | Delete | Clear | ClearNamespace | Increment
"""What a backend can be asked to do; each is carried out where the writes are serialised."""


class Collection(Protocol):
    """One table in one namespace, as one connection reads it. Every method may be called from any thread.

    A version is an int above 0, unique and growing over the whole store: a later write of anything has a larger
    one. Order is "newest first": ``created`` descending, equal seconds by latest insertion first.
    """

    def get(self, id: str) -> bytes | None:
        """The item's payload, or None."""

    def entry(self, id: str) -> tuple[int, bytes] | None:
        """The item's version and payload, as of one moment, or None."""
        ...

    def version(self, id: str) -> int | None:
        """The item's version, or None."""

    def count(self) -> int:
        """Number of items, in constant time."""

    def get_many(self, ids: Sequence[str]) -> list[bytes | None]:
        """A payload or None for each id, all from one consistent view."""

    def page(
        self, limit: int, after: str | None, before: str | None, filters: Sequence[bytes]
    ) -> tuple[list[bytes], bool]:
        """At most ``limit`` payloads, newest first, and whether more follow in the direction of paging.

        ``after``: those behind that id; ``before``: those immediately in front of it; not both. ``filters`` are
        index keys, all of which must match. Raises ``NotFound`` for a cursor that names no item.
        """

    def scan(self, filters: Sequence[bytes]) -> list[bytes]:
        """All matching payloads, newest first, from one consistent view."""

    def entries(self, filters: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """As ``scan``, each payload with its version."""

    def subscribe(self) -> Subscription:
        """Begin to watch for changes, those of namespaces below not included."""
        ...


class Changed(NamedTuple):
    """What may have changed in a collection up to the version ``until``, and was not told before.

    ``ids`` are those of the items; None: any, so look at everything. There may be some that have not changed, and none
    is missing, so an item with a later version than ``until`` is told of again.
    """

    ids: Sequence[str] | None
    until: int


class Subscription(Protocol):
    """Watches one collection, from its making until ``close()``. For one thread at a time, but for ``cut()``."""

    def wait(self, seconds: float) -> Changed:
        """What has changed since the last return, as soon as anything has. The first time this is at once, and of all.

        All may have changed also after a lost connection or a manager's death. No ids after ``seconds``, which may be
        ``math.inf``, and then now and then for nothing. Raises ``InvalidRequest`` once the connection is closed, and
        ``ManagerUnavailable`` where there is nobody to tell within the connection's timeout.
        """
        ...

    def close(self) -> None:
        """End it; again does nothing."""

    def cut(self) -> None:
        """End it from any thread; one that waits is told that the connection is closed. May wait for a request."""


class Lease(Protocol):
    """Held by one process from its making until ``release()`` or the process's end, however it ends."""

    id: str

    def release(self) -> None:
        """Give it up; again does nothing."""


class Backend(Protocol):
    """One connection to one set of tables. Every method may be called from any thread, and after ``fork``."""

    url: str

    def collection(self, table: str, namespace: str) -> Collection:
        """The view of one table in one namespace; costs little, and may be kept."""

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """Carry out all operations in order as one atomic request, or none of them.

        A result for each: the new number for an ``Increment``, None for the others.
        """

    def post(self, operations: Sequence[Operation]) -> Callable[[], list[Any]]:
        """As ``commit``, but only under way when this returns; what it gives waits for the results, or raises."""

    def collections(self) -> list[tuple[str, str, int]]:
        """(table, namespace, number of items) of every collection that holds any."""

    def lease(self) -> Lease:
        """A new lease of this process. A child made by fork does not hold it."""

    def leased(self, id: str) -> bool:
        """Whether somebody holds the lease."""

    def stats(self) -> dict[str, Any]:
        """Figures of the store and its writer."""

    def verify(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Check everything stored; figures, or ``CorruptSegment``."""

    def stop_manager(self) -> None:
        """End the store itself, data and all."""

    def close(self) -> None:
        """Let go of everything this connection holds; calling it again does nothing."""
