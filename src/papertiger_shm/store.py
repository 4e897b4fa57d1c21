"""Store: the pattern every resource store shares, written once.

A store turns items into operations and bytes into items. How and where they are kept is the connection's and its
backend's business; no backend is known here by name. Files for ``dump`` and ``load`` are the business of
``transfer``.
"""

from __future__ import annotations

import builtins
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, overload

from papertiger_shm import codec
from papertiger_shm import connection as connections
from papertiger_shm.backend import Clear, Collection, Delete, Increment, Put
from papertiger_shm.codec import MISSING, decode, shown
from papertiger_shm.connection import Connection, Transaction
from papertiger_shm.declared import Declared, is_text
from papertiger_shm.errors import Conflict, InvalidItem, InvalidRequest, ManagerUnavailable, NotFound, WaitTimeout
from papertiger_shm.namespace import check_namespace, current_namespace
from papertiger_shm.page import Page
from papertiger_shm.watching import Change, Search, Wanted, came_to, changes, searched, what_came

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from papertiger_shm.aio.connection import AsyncConnection
    from papertiger_shm.aio.store import AsyncStore
    from papertiger_shm.shm.manager import Manager
    from papertiger_shm.shm.supervisor import ChildSpec

__all__ = ["Change", "Store"]

Item: TypeAlias = dict[str, Any]
Items: TypeAlias = builtins.list[dict[str, Any]]
Default = TypeVar("Default")
Self = TypeVar("Self", bound="Store")

MAX_LIMIT: Final = 100
_MOST_NAMESPACES: Final = 50
_NAMESPACES_TOLD: Final = 3
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Store(Declared, abstract=True):
    """A table of items that many processes read directly and one process writes.

    Subclass it to declare a table:

        class Customers(Store, table="paper_tiger_customers", resource="customer", prefix="cus",
                        indexes=("email", "metadata.plan")):
            def find_by_email(self, email):
                return self.find_by("email", email)

    ``table`` and ``resource`` are required; ``prefix`` (of ids made for items without one) defaults to None,
    ``plural`` to resource + "s", ``url_path`` to "/v1/" + plural, ``indexes`` (dotted paths into the item) to ().
    What a subclass of a declared store leaves out, it inherits. ``abstract=True``: it declares no table itself, but
    has what others are to inherit.

    A handle, ``Customers(connection, namespace=None)``, reads and writes the current namespace of each call, or
    always the one given; on a connection for asyncio it is an ``AsyncStore``. Handles are cheap and may be shared by
    threads. Writes raise ``InvalidItem`` for items that cannot be stored and ``StoreFull`` where there is no room;
    anything raises ``ManagerUnavailable`` where the manager has to answer and does not, and ``InvalidRequest`` for
    arguments that cannot be used.
    """

    _manager: Manager | None = None

    @overload
    def __new__(cls: type[Self], connection: Connection, *arguments: Any, **named: Any) -> Self: ...
    @overload
    def __new__(cls, connection: AsyncConnection, *arguments: Any, **named: Any) -> AsyncStore: ...
    def __new__(cls, connection: Any = None, *arguments: Any, **named: Any) -> Any:
        kind_for = getattr(connection, "kind_for", None)
        return super().__new__(cls if kind_for is None else kind_for(cls))

    # ---- owning a manager

    @classmethod
    def start_link(cls: type[Self], name: str | None = None, **manager_options: Any) -> Self:
        """Start a manager, as ``Manager(name, **manager_options)``, and give a handle that owns it.

        The handle is a context manager; its end, or ``stop()``, stops the manager and the data is gone.
        """
        manager = connections.start_manager(name, **manager_options)
        try:
            handle = cls(manager.connect())
        except BaseException:
            manager.stop()
            raise
        handle._manager = manager
        return handle

    @classmethod
    def child_spec(cls, name: str | None = None, **manager_options: Any) -> ChildSpec:
        """What ``Supervisor`` needs to start, and restart, the manager that ``start_link`` would start."""
        return connections.child_spec(cls.table_name, name, **manager_options)

    def stop(self) -> None:
        """Stop the manager this handle owns, and close its connection; a second call does nothing.

        Raises ``InvalidRequest`` on a handle that was not made by ``start_link``: it has nothing to stop.
        """
        if self._manager is None:
            raise InvalidRequest(
                f"stop: this {type(self).__name__} handle owns no manager; "
                "stop the Manager it was made from, or use the handle that start_link() returned"
            )
        self._connection.close()
        self._manager.stop()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the manager the handle owns; a handle that owns none is left as it is, and so is its connection."""
        if self._manager is not None:
            self.stop()

    # ---- reading

    @overload
    def get(self, id: str) -> Item: ...
    @overload
    def get(self, id: str, default: Default) -> Item | Default: ...
    def get(self, id: str, default: Any = MISSING) -> Any:
        """The item, as a fresh dict; ``NotFound`` where there is none and no ``default`` was given."""
        namespace = self._namespace or current_namespace()
        view = self._views.get(namespace)
        if view is None:
            view = self._connection.view(self.table_name, namespace)
        try:
            payload = view.get(id)
        except (AttributeError, TypeError, UnicodeEncodeError):
            if _may_exist(id):
                raise
            payload = None
        if payload is not None:
            return decode(payload)
        if default is not MISSING:
            return default
        raise self._not_found("get", id)

    def list(
        self,
        limit: int = 10,
        starting_after: str | None = None,
        ending_before: str | None = None,
        **equals: Any,
    ) -> Page:
        """A ``Page`` of at most ``limit`` items (1 to 100), newest first.

        ``starting_after=X``: the items after X. ``ending_before=X``: those immediately before X, in the same
        order. ``equals`` filters on declared indexes, all of which must match: ``list(type="x")``, or for a
        dotted one ``list(**{"metadata.plan": "gold"})``. Raises ``NotFound`` for a cursor that names no item.
        """
        if not _is_int(limit) or not 1 <= limit <= MAX_LIMIT:
            raise InvalidRequest(f"list: limit is {shown(limit)}; it is an int from 1 to {MAX_LIMIT}")
        if starting_after is not None and ending_before is not None:
            raise InvalidRequest("list: starting_after and ending_before were both given; give one of them")
        for cursor in (starting_after, ending_before):
            if cursor is not None and not _may_exist(cursor):
                raise self._not_found("list", cursor)
        filters = self._filters("list", equals)
        return self._page(self._view(), limit, starting_after, ending_before, filters)

    def _page(
        self, view: Collection, limit: int, after: str | None, before: str | None, filters: builtins.list[bytes]
    ) -> Page:
        payloads, has_more = view.page(limit, after, before, filters)
        backwards = before is not None

        def following(cursor: str) -> Page:
            if backwards:
                return self._page(view, limit, None, cursor, filters)
            return self._page(view, limit, cursor, None, filters)

        data = [decode(payload) for payload in payloads]
        return Page(data, has_more, self.url_path, following=following, backwards=backwards)

    def count(self) -> int:
        """Number of items, in constant time."""
        return self._view().count()

    def list_namespace(self, namespace: str) -> Items:
        """All items of exactly this namespace, newest first, from one consistent view; not those of "a/b" for "a"."""
        view = self._connection.view(self.table_name, check_namespace(namespace))
        return [decode(payload) for payload in view.scan(())]

    def find_by(self, field: str, value: Any) -> Items:
        """All items of the current namespace with ``value`` in the indexed ``field``, newest first, as of one moment.

        Raises ``InvalidRequest`` for a field without an index, and for a value that no index can hold.
        """
        if not isinstance(field, str):
            raise InvalidRequest(f"find_by: the field is {shown(field)}; it is the name of an index, a str")
        filters = self._filters("find_by", {field: value})
        return [decode(payload) for payload in self._view().scan(filters)]

    def get_many(self, ids: Iterable[str]) -> builtins.list[dict[str, Any] | None]:
        """An item or None for each id, in their order, all from one consistent view."""
        wanted = _several("get_many", "ids", ids)
        possible = [id for id in wanted if _may_exist(id)]
        found = dict(zip(possible, self._view().get_many(possible)))
        payloads = [found.get(id) for id in wanted]
        return [None if payload is None else decode(payload) for payload in payloads]

    def version(self, id: str) -> int:
        """The item's version, an int above 0 that any write of the item replaces by a larger one; ``NotFound``."""
        version = self._view().version(id) if _may_exist(id) else None
        if version is None:
            raise self._not_found("version", id)
        return version

    def __len__(self) -> int:
        return self.count()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and _may_exist(id) and self._view().get(id) is not None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Newest first, from one consistent view taken now; each item is decoded when it is reached."""
        return map(decode, self._view().scan(()))

    def __getitem__(self, id: str) -> dict[str, Any]:
        return self.get(id)

    # ---- writing

    def insert(self, item: Mapping[str, Any]) -> Item:
        """Insert the item, or replace the one with its id. Gives the item as stored, a new dict.

        Without "id" one is made from the prefix; without "created" it is now. The item passed is left as it is.
        """
        put, stored = self._put(item, None)
        self._connection.commit((put,))
        return stored

    def update(self, item: Mapping[str, Any]) -> Item:
        """Replace the item with its id, or insert it: the same as ``insert``. Gives the item as stored."""
        return self.insert(item)

    def insert_new(self, item: Mapping[str, Any]) -> Item:
        """Insert the item; ``AlreadyExists`` where one has its id. Gives the item as stored."""
        put, stored = self._put(item, 0)
        self._connection.commit((put,))
        return stored

    def insert_many(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Insert or replace all items as one request, all or none. Gives their number.

        Where an id comes twice, the later item stays. ``InvalidItem`` names the item, as ``items[3].id: ...``.
        """
        puts = self._puts(items)
        if puts:
            self._connection.commit(puts)
        return len(puts)

    def delete(self, id: str) -> None:
        """Delete the item; nothing happens where there is none. Raises ``InvalidRequest`` for an id that is no str."""
        if deletion := self._deletion(id):
            self._connection.commit(deletion)

    def _deletion(self, id: str) -> tuple[Delete, ...]:
        return (Delete(self.table_name, self.namespace, id),) if _may_exist(id) else ()

    def clear(self) -> None:
        """Delete every item of this table, in every namespace."""
        self._connection.commit((Clear(self.table_name, None),))

    def clear_namespace(self, namespace: str) -> None:
        """Delete every item of this table in the namespace and those below it: "a" takes "a/b" along."""
        self._connection.commit((Clear(self.table_name, check_namespace(namespace)),))

    def increment(self, id: str, field: str, by: int | float = 1) -> Any:
        """Add ``by`` to the number at the dotted path ``field``, atomically, and give the new number.

        Inside a transaction it gives None: the number is in the transaction's ``results`` after its end.
        A field that is missing counts from 0. Raises ``NotFound`` without the item, ``InvalidItem`` where the field
        holds something other than a number, ``InvalidRequest`` where the sum does not fit 64 bits.
        """
        results = self._connection.commit((self._increment(id, field, by),))
        return None if results is None else results[0]

    def _increment(self, id: str, field: str, by: int | float) -> Increment:
        if not _is_int(by) and not isinstance(by, float):
            raise InvalidRequest(f"increment: by is {shown(by)} of type {type(by).__name__}; it is an int or a float")
        if _is_int(by) and not -(2**63) <= by < 2**64:
            raise InvalidRequest("increment: by does not fit 64 bits; use a smaller number, or a float")
        if not _is_path(field):
            raise InvalidRequest(f"increment: field is {shown(field)}; it is a dotted path such as 'data.amount'")
        if field == "id":
            raise InvalidRequest("increment: 'id' is what the item is found by; name a field that holds a number")
        if not _may_exist(id):
            raise self._not_found("increment", id)
        return Increment(self.table_name, self.namespace, id, field, by, self.indexes)

    def compare_and_set(self, item: Mapping[str, Any], version: int) -> Item:
        """Replace the item with its id if that still has ``version``, else ``Conflict``. Gives the item as stored.

        An item that has been deleted is a ``Conflict`` too, also if it has been inserted again since.
        """
        put, stored = self._replacing(item, version)
        self._connection.commit((put,))
        return stored

    def _replacing(self, item: Mapping[str, Any], version: int) -> tuple[Put, Item]:
        if not _is_int(version) or version < 1:
            raise InvalidRequest(
                f"compare_and_set: version is {shown(version)}; pass the int that version(id) gave, "
                "or use insert_new() for an item that must not exist"
            )
        if isinstance(item, dict) and "id" not in item:
            raise InvalidItem("id: missing; compare_and_set replaces the item of that id, so it has to be given")
        return self._put(item, version)

    def modify(self, id: str, function: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Item:
        """Read the item, call ``function(item)``, store what it returns; again if the item has moved in between.

        The function may be called several times, each time with a fresh dict, which it may change and return.
        Raises ``NotFound`` without the item, ``InvalidRequest`` where the function returns None or another id.
        Inside a transaction an item that moves before the end cannot be read again: that is a ``Conflict``.
        """
        while True:
            item, version = self._to_modify(id)
            changed = function(item)
            self._check_modified(id, changed)
            try:
                return self.compare_and_set(changed, version)
            except Conflict:
                continue

    def _to_modify(self, id: str) -> tuple[Item, int]:
        """The item and its version, as of one moment."""
        entry = self._view().entry(id) if _may_exist(id) else None
        if entry is None:
            raise self._not_found("modify", id)
        return decode(entry[1]), entry[0]

    def _check_modified(self, id: str, changed: object) -> None:
        if changed is None:
            raise InvalidRequest(
                f"modify: the function returned None for the {self.resource} {shown(id)}; "
                "return the changed item, and raise an exception to leave it as it is"
            )
        if isinstance(changed, Mapping) and changed.get("id") != id:
            raise InvalidRequest(
                f"modify: the function returned an item with the id {shown(changed.get('id'))} for the "
                f"{self.resource} {shown(id)}; leave the id as it is, and insert() an item of another"
            )

    def transaction(self, *, wait: bool = True) -> AbstractContextManager[Transaction]:
        """All writes of this thread or task inside the block at once, at its end: ``Connection.transaction``."""
        return self._connection.transaction(wait=wait)

    def _puts(self, items: Iterable[Mapping[str, Any]]) -> builtins.list[Put]:
        if isinstance(items, Mapping):
            raise InvalidRequest("insert_many: items is one dict; pass a list of items, or use insert()")
        puts = []
        for place, item in enumerate(items):
            try:
                puts.append(self._put(item, None)[0])
            except InvalidItem as problem:
                raise InvalidItem(f"items[{place}].{problem}") from None
        return puts

    def _put(self, item: Mapping[str, Any], expect: int | None) -> tuple[Put, Item]:
        """The operation that stores the item, and the item as it will be stored, never the caller's own object."""
        if not isinstance(item, dict):
            raise codec.not_an_item(item)
        stored: Item = {**item}
        if "id" not in stored:
            stored["id"] = _new_id(self.prefix)
        if "created" not in stored:
            stored["created"] = int(time.time())
        id, created = codec.identity(stored)
        payload = codec.encode_plain(stored)
        if payload is None:
            payload = codec.encode(stored)
            stored = decode(payload)
        postings = self._postings(stored) if self.indexes else ()
        return Put(self.table_name, self.namespace, id, created, postings, payload, expect), stored

    def _postings(self, stored: Item) -> tuple[bytes, ...]:
        keys = []
        for field in self.indexes:
            value = codec.field_value(stored, field)
            if value is not MISSING:
                keys.append(codec.index_key(field, value))
        return tuple(keys)

    # ---- waiting

    def wait_for(self, timeout: float | None, *, since: int | None = None, **equals: Any) -> Item:
        """The first item that matches ``equals`` (on declared indexes), now or when it comes.

        Of several the one that was written first. ``since``: only what was written after that version.
        ``timeout``: seconds, None for ever; ``WaitTimeout`` when they have passed.
        """
        seconds, wanted = self._waited_for(timeout, since, equals)
        search = searched(self._view(), wanted, since or 0, seconds)
        if search.found is None:
            raise self._not_come(search, seconds, since, self.namespace)
        return search.found

    def _waited_for(self, timeout: float | None, since: int | None, equals: dict[str, Any]) -> tuple[float, Wanted]:
        seconds = _seconds(timeout)
        _check_version("wait_for", since)
        return seconds, Wanted(equals, self._filters("wait_for", equals))

    def _not_come(self, search: Search, seconds: float, since: int | None, namespace: str) -> WaitTimeout:
        """What to raise once so many seconds are over; it says what came instead."""
        wanted, began = search.wanted, search.began
        later = "" if since is None else f"after version {since} "
        told = [
            f"wait_for: no {self.resource} {_described(wanted.equals)}in namespace {shown(namespace)} {later}"
            f"within {seconds:g} s",
            *what_came(search.view, wanted, began if since is None else since, self.indexes),
            *self._came_elsewhere(wanted, began if since is None or began is None else since, namespace),
            "check that it is written to this table and namespace, or wait longer",
        ]
        return WaitTimeout("; ".join(told))

    def _came_elsewhere(self, wanted: Wanted, after: int | None, here: str) -> builtins.list[str]:
        """In words, to which other namespaces what was waited for came after a version; nothing without one."""
        if after is None:
            return []
        try:
            others = [
                namespace
                for table, namespace, _ in self._connection.collections()
                if table == self.table_name and namespace != here
            ]
            views = ((other, self._connection.view(self.table_name, other)) for other in others[:_MOST_NAMESPACES])
            namespaces = came_to(views, wanted, after)
        except ManagerUnavailable:
            return []  # what is to be told is that the time is over
        return [f"it came to namespace {', '.join(map(shown, namespaces[:_NAMESPACES_TOLD]))}"] if namespaces else []

    def watch(self, since: int | None = None, **equals: Any) -> Iterator[Change]:
        """The changes of the items that match ``equals``, in commit order, for ever.

        Without ``since`` those from this call on; with it, first the items written after that version, as
        inserts. It is woken by a commit and then looks, so of several changes of one item between two
        looks only the last is seen, and an item that came and went is not. An item that stops matching is a
        delete, one that begins to an insert. Deletes between two looks come before the rest. The manager's death
        and restart lose and repeat nothing.
        """
        return changes(self._view(), self._watched_for(since, equals), since)

    def _watched_for(self, since: int | None, equals: dict[str, Any]) -> Wanted:
        _check_version("watch", since)
        return Wanted(equals, self._filters("watch", equals))

    # ---- files

    def dump(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None) -> int:
        """Write the current namespace's items, oldest first, from one consistent view; gives their number.

        The suffix of ``path`` decides: ``.jsonl`` for JSON Lines (bytes and datetimes as tagged objects) or
        ``.msgpack``. The file is there once it is complete; one that was there before is replaced then.
        ``progress(done, total)`` is called now and then with numbers of items. Raises ``InvalidRequest`` for another
        suffix, and ``OSError`` for a file that cannot be written.
        """
        from papertiger_shm import transfer

        return transfer.dump(path, self._view().scan(()), progress)

    def load(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None) -> int:
        """Insert or replace every item of a file that ``dump`` wrote; gives their number.

        Goes in batches of up to 1,000 items or 4 MiB, each all or nothing. Bad input raises ``InvalidItem``, which
        names file and line and says how many items had gone in. ``progress(done, total)`` gets bytes of the file.
        Raises ``InvalidRequest`` for another suffix, and ``OSError`` for a file that cannot be read.
        """
        from papertiger_shm import transfer

        return transfer.load(path, lambda item: self._put(item, None)[0], self._connection.commit, progress)

    # ---- saying what is wrong

    def _filters(self, call: str, equals: dict[str, Any]) -> builtins.list[bytes]:
        filters = []
        for field, value in equals.items():
            if field not in self.indexes:
                declared = ", ".join(map(repr, self.indexes)) or "none"
                raise InvalidRequest(
                    f"{call}: {type(self).__name__} has no index on {shown(field)}, "
                    f"the declared indexes are {declared}; use one of them, or declare it in the class"
                )
            try:
                filters.append(codec.index_key(field, value))
            except InvalidItem as problem:
                raise InvalidRequest(f"{call}: {problem}") from None
        return filters

    def _not_found(self, call: str, id: object) -> NotFound:
        return NotFound(
            f"{call}: no {self.resource} {shown(id)} in namespace {shown(self.namespace)} of {self._connection.url}; "
            "check the id and the namespace"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection.url} namespace={self._namespace or 'current'}>"


# ---- ids and arguments ------------------------------------------------------------------------------------------


def _new_id(prefix: str | None) -> str:
    # From the kernel, not from random: forked processes would share its state and make the same ids.
    number = int.from_bytes(os.urandom(20), "big")
    digits = []
    for _ in range(24):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    made = "".join(digits)
    return made if prefix is None else f"{prefix}_{made}"


def _may_exist(id: object) -> bool:
    """Whether an item could have this id at all; ``InvalidRequest`` for what is no str."""
    if not isinstance(id, str):
        raise InvalidRequest(f"the id {shown(id)} is of type {type(id).__name__}; ids are str, as 'evt_123'")
    return bool(id) and len(id) <= codec.MAX_ID and is_text(id) and len(id.encode()) <= codec.MAX_ID


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and all(value.split(".")) and is_text(value)


def _several(call: str, what: str, values: object) -> builtins.list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidRequest(f"{call}: {what} is {shown(values)}; pass a list of them")
    return [*values]


def _seconds(timeout: float | None) -> float:
    if timeout is None:
        return math.inf
    if not (_is_int(timeout) or isinstance(timeout, float)) or not timeout >= 0:
        raise InvalidRequest(f"wait_for: timeout is {shown(timeout)}; it is a number of seconds, 0 or more, or None")
    return float(timeout)


def _check_version(call: str, since: int | None) -> None:
    if since is not None and (not _is_int(since) or since < 0):
        raise InvalidRequest(f"{call}: since is {shown(since)}; pass an int that version(id) gave, or None")


def _described(equals: dict[str, Any]) -> str:
    if not equals:
        return ""
    return f"with {', '.join(f'{field}={shown(value)}' for field, value in equals.items())} "
