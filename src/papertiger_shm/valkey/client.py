"""The ``valkey://`` backend as a store uses it: reads in one command each, writes in one function call.

What the functions do is said in ``library.lua``; what a URL means, in ``address``.
"""

from __future__ import annotations

import os
import random
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import valkey
from valkey.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    InvalidResponse,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from ..backend import Operation
from ..errors import (
    CorruptSegment,
    InvalidRequest,
    ManagerUnavailable,
    NotFound,
    PaperTigerError,
)
from .address import Address, address_of
from .lease import ValkeyLease
from .library import COMMIT, READ, RELIEVE
from .node import ClusterNode, SingleNode
from .refusal import as_ours, is_about_the_certificate
from .request import Outdated, Request, name_of, packed
from .subscription import ValkeySubscription

__all__ = ["open_backend"]

T = TypeVar("T")

_LOST = (valkey.ConnectionError, valkey.TimeoutError, ReadOnlyError, AskError, ClusterDownError, TryAgainError)
"""What may be over in a moment, or on another node."""

_NOT_TO_BE_REPEATED = (AuthenticationError, valkey.TimeoutError)
"""Of these: who asks again is told the same, or waits for the whole timeout once more."""

LEAST_PATIENCE = 0.05
"""Seconds that a single call may take even where the timeout is none: who is there may still answer."""

_ALL = 1 << 53
"""More than any collection holds, and a number that the server's functions can count to."""


def open_backend(url: str, *, timeout: float) -> ValkeyBackend:
    """Connect to the store that the URL names. Raises ManagerUnavailable, AccessDenied, InvalidRequest."""
    return ValkeyBackend(address_of(url), timeout)


class ValkeyBackend:
    """One connection to one store on a server; of the server's, as many as there are threads at work."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.url = address.shown
        self.timeout = timeout
        self.prefix = b"pt:{%s}:" % address.name.encode()
        self._sessions: list[_Session] = []
        self._subscriptions: weakref.WeakValueDictionary[int, ValkeySubscription] = weakref.WeakValueDictionary()
        self._closed = False
        self.patience = max(timeout, LEAST_PATIENCE)
        try:
            self._node: SingleNode | ClusterNode = (
                ClusterNode(address, self.prefix, self.patience)
                if address.cluster
                else SingleNode(address, self.patience)
            )
        except ValueError:
            raise InvalidRequest(
                f"connect: an option in the URL of {self.url} has a value that cannot be used"
            ) from None
        try:
            self.asked(lambda: self.client.ping())  # noqa: PLW0108 - the client may be another when asked again
        except TypeError as error:
            raise InvalidRequest(f"connect: an option in the URL of {self.url} is not known: {error}") from None

    @property
    def client(self) -> Any:
        """Of the server that has the store; another after a failover."""
        return self._node.client

    def collection(self, table: str, namespace: str) -> ValkeyCollection:
        """The view of one table in one namespace."""
        return ValkeyCollection(self, table, namespace)

    def subscribe(self, channel: bytes) -> ValkeySubscription:
        """Begin to watch what the server publishes on a channel."""
        subscription = ValkeySubscription(self, channel)
        self._subscriptions[id(subscription)] = subscription
        if self._closed:  # looked at last: who closes it meanwhile either finds the subscription, or is seen here
            raise InvalidRequest(f"the connection to {self.url} is closed: connect again")
        return subscription

    def forget(self, subscription: ValkeySubscription) -> None:
        """It has ended. The dictionary itself would learn of that in a callback, in which a Ctrl-C is lost."""
        self._subscriptions.pop(id(subscription), None)

    def newest_version(self) -> int:
        """The largest version that any item has had, 0 for none."""
        return int(self.asked(lambda: self.client.hget(self.prefix + b"state", "change")) or 0)

    def keys_of(self, name: bytes) -> list[bytes]:
        """The keys of one collection: items, order, index."""
        return [self.prefix + kind + name for kind in (b"items:", b"order:", b"index:")]

    # --- writing -------------------------------------------------------------------------------------------------

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """One atomic request; a result for each operation."""
        deadline = time.monotonic() + self.timeout
        at_server = True
        with self._session() as session:
            while True:
                request = Request(operations, self._entry, at_server=at_server)
                try:
                    return request.results_with(self._send(request, session, deadline))
                except Outdated as outdated:
                    if time.monotonic() >= deadline:
                        raise ManagerUnavailable(
                            f"the numbers to be added to at {self.url} were changed by others again and again, for the "
                            "whole timeout: try again, or connect with a longer timeout"
                        ) from None
                    at_server = at_server and not outdated.is_for_us
                    time.sleep(0.0 if outdated.is_for_us else random.uniform(0, 0.002))

    def post(self, operations: Sequence[Operation]) -> Callable[[], list[Any]]:
        """As ``commit``; what went wrong is raised by what it gives."""
        try:
            results = self.commit(operations)
        except PaperTigerError as problem:
            error = problem

            def fail() -> NoReturn:
                raise error

            return fail
        return lambda: results

    def _send(self, request: Request, session: _Session, deadline: float) -> list[bytes]:
        session.number += 1
        names = [*request.names]
        keys = [session.key, *(self.prefix + end for end in (b"state", b"by-table", b"by-namespace"))]
        for name in names:
            keys += self.keys_of(name)
        arguments = [self.prefix, str(session.number), packed(names), packed(request.said)]
        function = COMMIT if request.adds else RELIEVE
        try:
            answer: bytes = self.asked(lambda: function.call(self.client, keys, arguments), deadline)
        except ResponseError as error:
            request.refused(error)
        return answer.split()

    def _entry(self, table: str, namespace: str, id: str) -> tuple[int, bytes] | None:
        return self.collection(table, namespace).entry(id)

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        """One that no other thread uses: the server remembers the last request of each, to repeat none."""
        session = None
        with suppress(IndexError):
            session = self._sessions.pop()
        if session is None or session.pid != os.getpid():
            session = _Session(self.prefix + b"session:" + os.urandom(8).hex().encode())
        yield session
        self._sessions.append(session)  # not after an error: who knows what the server made of it

    def asked(self, ask: Callable[[], T], deadline: float | None = None) -> T:
        """The answer, asked for again over a new connection where one was lost."""
        if deadline is None:
            deadline = time.monotonic() + self.timeout
        pause = 0.002
        while True:
            try:
                return ask()
            except _LOST as error:
                hopeless = isinstance(error, _NOT_TO_BE_REPEATED) or is_about_the_certificate(error)
                if hopeless or time.monotonic() >= deadline:
                    raise as_ours(error, self.url) from None
                with suppress(*_LOST):
                    self._node.look_again(error)
            except (ResponseError, InvalidResponse) as error:
                raise as_ours(error, self.url) from None
            finally:
                if self._closed:  # meanwhile, by another thread, which has left the connection that is in use to us
                    self._node.hang_up()
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 1.5, 0.05)

    # --- the rest ------------------------------------------------------------------------------------------------

    def collections(self) -> list[tuple[str, str, int]]:
        """(table, namespace, items) of every collection that holds any."""
        found = []
        names: list[bytes] = self.asked(lambda: self.client.zrange(self.prefix + b"by-table", 0, -1))
        counts = self._all_of([("HLEN", self.keys_of(name)[0]) for name in names], transaction=False)
        for name, count in zip(names, counts, strict=True):
            table, _, namespace = name.decode().partition("\0")
            if count:
                found.append((table, namespace, count))
        return found

    def _all_of(self, commands: Sequence[tuple[Any, ...]], *, transaction: bool) -> list[Any]:
        """The answer to each of the commands, which are sent at once."""

        def ask() -> list[Any]:
            with self.client.pipeline(transaction=transaction) as pipeline:  # which forgets them if it fails
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = pipeline.execute()
                return answers

        return self.asked(ask)

    def lease(self) -> ValkeyLease:
        """A new lease of this process."""
        return ValkeyLease(self)

    def leased(self, id: str) -> bool:
        """Whether somebody holds the lease."""
        if not isinstance(id, str):
            raise InvalidRequest(f"leased: {id!r} is not the id of a lease; pass the id of one that lease() gave")
        return bool(self.asked(lambda: self.client.exists(self.lease_key(id))))

    def lease_key(self, id: str) -> bytes:
        """The key of a lease."""
        return self.prefix + b"lease:" + id.encode()

    def stats(self) -> dict[str, Any]:
        """Figures of the store."""
        collections = self.collections()
        state = self.asked(lambda: self.client.hgetall(self.prefix + b"state"))
        return {
            "url": self.url,
            "items": sum(count for _, _, count in collections),
            "collections": len(collections),
            "commits": int(state.get(b"commits", 0)),
        }

    def verify(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Compare the lists of every collection with its items. Figures; raises CorruptSegment."""
        collections, done = self.collections(), 0
        for table, namespace, count in collections:
            self._verify_collection(table, namespace)
            done += count
            if progress is not None:
                progress(done, sum(count for _, _, count in collections))
        return self.stats()

    def _verify_collection(self, table: str, namespace: str) -> None:
        items_key, order_key, index_key = self.keys_of(name_of(table, namespace))
        looks = [("HGETALL", items_key), ("ZRANGE", order_key, 0, -1), ("ZRANGE", index_key, 0, -1)]
        items, order, index = self._all_of(looks, transaction=True)
        members = {id: value[12:28] + id for id, value in items.items()}
        listed = {key + members[id] for id, value in items.items() for key in _index_keys(value)}
        if {*members.values()} != {*order} or listed != {*index}:
            raise CorruptSegment(
                f"{table} in namespace {namespace!r} of {self.url} has {len(items)} items, and its lists say something "
                "else: another program has written to the store's keys; dump what can be read, and clear the namespace"
            )

    def stop_manager(self) -> None:
        """Remove the store, data and all; the server stays."""
        self.asked(self._remove_keys)

    def _remove_keys(self) -> None:
        for key in self.client.scan_iter(match=self.prefix + b"*", count=1000):
            self.client.unlink(key)

    def close(self) -> None:
        """Close the connections, each as soon as its request has been answered; again does nothing."""
        self._closed = True
        for reference in self._subscriptions.valuerefs():  # at once, as other threads may begin to wait
            subscription = reference()
            if subscription is not None:
                subscription.cut()
        self._node.hang_up()


class ValkeyCollection:
    """One table in one namespace."""

    __slots__ = ("_backend", "_items", "_keys", "_namespace", "_table")

    def __init__(self, backend: ValkeyBackend, table: str, namespace: str) -> None:
        self._backend = backend
        self._table = table
        self._namespace = namespace
        self._keys = backend.keys_of(name_of(table, namespace))
        self._items = self._keys[0]

    def get(self, id: str) -> bytes | None:
        """The item's payload, or None."""
        value = self._value(id)
        return None if value is None else _payload(value)

    def entry(self, id: str) -> tuple[int, bytes] | None:
        """The item's version and payload, or None."""
        value = self._value(id)
        return None if value is None else (_version(value), _payload(value))

    def version(self, id: str) -> int | None:
        """The item's version, or None."""
        value = self._value(id)
        return None if value is None else _version(value)

    def count(self) -> int:
        """Number of items."""
        count: int = self._backend.asked(lambda: self._backend.client.hlen(self._items))
        return count

    def get_many(self, ids: Sequence[str]) -> list[bytes | None]:
        """A payload or None for each id, all from one consistent view."""
        if not ids:
            return []
        values = self._backend.asked(lambda: self._backend.client.hmget(self._items, [id.encode() for id in ids]))
        return [None if value is None else _payload(value) for value in values]

    def page(
        self, limit: int, after: str | None, before: str | None, filters: Sequence[bytes]
    ) -> tuple[list[bytes], bool]:
        """At most ``limit`` payloads, newest first, and whether there are more in that direction."""
        cursor = after if after is not None else before
        way = "newer" if before is not None else "older"
        try:
            more, *values = self._read(limit, way, cursor or "", filters)
        except ResponseError as error:
            if "PTNOTFOUND" not in str(error):
                raise
            raise NotFound(
                f"the cursor {cursor!r} names no item of {self._table} in namespace {self._namespace!r}: start from "
                "the first page, or from an item that is there"
            ) from None
        return [_payload(value) for value in values], more == b"more"

    def scan(self, filters: Sequence[bytes]) -> list[bytes]:
        """All matching payloads, newest first, from one consistent view."""
        return [_payload(value) for value in self._read(_ALL, "older", "", filters)[1:]]

    def entries(self, filters: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """As ``scan``, each payload with its version."""
        return [(_version(value), _payload(value)) for value in self._read(_ALL, "older", "", filters)[1:]]

    def subscribe(self) -> ValkeySubscription:
        """Begin to watch for changes."""
        return self._backend.subscribe(self._items)

    def _value(self, id: str) -> bytes | None:
        value: bytes | None = self._backend.asked(lambda: self._backend.client.hget(self._items, id.encode()))
        return value

    def _read(self, most: int, way: str, cursor: str, filters: Sequence[bytes]) -> list[bytes]:
        arguments = [most, way, cursor.encode(), packed([*filters])]
        answer: list[bytes] = self._backend.asked(lambda: READ.call(self._backend.client, self._keys, arguments))
        return answer


class _Session:
    """Numbers the requests of one thread at a time."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.number = 0
        self.pid = os.getpid()


def _payload(value: bytes) -> bytes:
    return value[int.from_bytes(value[:4], "big") :]


def _version(value: bytes) -> int:
    return int.from_bytes(value[4:12], "big")


def _index_keys(value: bytes) -> Iterator[bytes]:
    """The index keys in a value's head, each with its length before it."""
    end, at = int.from_bytes(value[:4], "big"), 28
    while at < end:
        behind = at + 2 + int.from_bytes(value[at : at + 2], "big")
        yield value[at:behind]
        at = behind
