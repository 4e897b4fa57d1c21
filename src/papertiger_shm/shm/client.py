"""The ``shm://`` backend as a store uses it: reads from the segment, writes through the manager.

Reads touch no lock and no process. What cannot be read alone, because the writer kept moving, the manager reads in
turn with its writes. How a request travels is said in ``channel``.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..backend import Clear, ClearNamespace, Delete, Increment, Operation, Put
from ..engine import Closed, CollectionReader, Contended, Memory, Reader
from ..errors import InvalidRequest, NotFound
from . import segment as segments
from . import wire
from .channel import Channel
from .rendezvous import Place
from .segment import Segment
from .subscription import ShmSubscription
from .tally import Tally

if TYPE_CHECKING:
    from .lease import Lease

__all__ = ["open_backend"]

VERIFY_SECONDS = 600.0
"""A whole segment takes a while to check; the usual timeout is meant for requests that take microseconds."""

IDLE_CHANNELS = 4


def open_backend(name: str, *, start: bool, timeout: float) -> ShmBackend:
    """Connect to the store ``name``.

    ``start``: start a manager if there is none. ``timeout``: seconds within which a request is answered, a manager
    that is being restarted included; else ManagerUnavailable.
    """
    return ShmBackend(Place(name), start=start, timeout=timeout)


class ShmBackend:
    """One connection to one store."""

    def __init__(self, place: Place, *, start: bool, timeout: float) -> None:
        self.url = place.url
        self.timeout = timeout
        self._place = place
        self._closed = False
        self._attached: _Attached | None = None
        self.tally = Tally(self._retries)
        self._start = start
        self._channel = Channel(place, start=start, timeout=timeout, connected=self._attach)
        self._subscriptions: weakref.WeakValueDictionary[int, ShmSubscription] = weakref.WeakValueDictionary()
        self._idle_channels: list[Channel] = []
        self._channel.open()

    def collection(self, table: str, namespace: str) -> ShmCollection:
        """The view of one table in one namespace."""
        return ShmCollection(self, table, namespace)

    def commit(self, operations: Sequence[Operation]) -> list[Any]:
        """One atomic request; a result for each operation."""
        said, ends = _all_said(operations)
        results = _of_each(self._channel.ask(wire.COMMIT, said), ends)
        self._tell_reads()
        return results

    def post(self, operations: Sequence[Operation]) -> Callable[[], list[Any]]:
        """One atomic request, sent and not waited for; what it gives waits, and gives what ``commit`` would have."""
        said, ends = _all_said(operations)
        posted = self._channel.post(wire.COMMIT, said)
        return lambda: _of_each(posted.result(), ends)

    def collections(self) -> list[tuple[str, str, int]]:
        """(table, namespace, items) of every collection that holds any."""
        found = []
        for name, items in self._channel.ask(wire.COLLECTIONS):
            table, _, namespace = name.decode().partition("\0")
            found.append((table, namespace, items))
        return found

    def lease(self) -> Lease:
        """A new lease of this process: proof for others that it lives. Raises ManagerUnavailable without a store."""
        from .lease import Lease

        self._channel.ask(wire.PING)
        return Lease(self._place)

    def leased(self, id: str) -> bool:
        """Whether somebody holds the lease."""
        from .lease import is_held

        return is_held(self._place, id)

    def stats(self) -> dict[str, Any]:
        """Figures of the store and its writer."""
        self._channel.open()  # a child made by fork has no line yet over which its reads could be told
        self._tell_all_reads()
        figures: dict[str, Any] = self._channel.ask(wire.STATS)
        figures["url"] = self.url
        return figures

    def verify(self, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Have the whole segment checked, between two commits. Raises CorruptSegment."""
        # On a line of its own: no other thread's request is to wait as long, nor is ``close``.
        channel = self._further_channel()
        channel.progress = progress
        try:
            figures: dict[str, Any] = channel.ask(wire.VERIFY, timeout=max(self.timeout, VERIFY_SECONDS))
            return figures
        finally:
            channel.cut()

    def stop_manager(self) -> None:
        """Have the manager stop and remove the store, data and all."""
        self._channel.ask(wire.STOP)

    def close(self) -> None:
        """Say goodbye and unmap; again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._tell_all_reads()
        attached, self._attached = self._attached, None
        self._channel.close()
        for reference in self._subscriptions.valuerefs():  # at once, as other threads may begin to wait
            subscription = reference()
            if subscription is not None:
                subscription.cut()
        while self._idle_channels:
            self._idle_channels.pop().close()
        if attached is not None:
            attached.release()

    def subscribe(self, name: bytes) -> ShmSubscription:
        """Begin to watch a collection, on a line that nobody else uses at the time."""
        try:
            channel = self._idle_channels.pop()
        except IndexError:
            channel = self._further_channel()
        subscription = ShmSubscription(channel, self.timeout, name, self._take_back)
        self._subscriptions[id(subscription)] = subscription
        if self._closed:  # looked at last: who closes it meanwhile either finds the subscription, or is seen here
            subscription.close()
            raise InvalidRequest(f"the connection to {self.url} is closed: connect again")
        return subscription

    def _further_channel(self) -> Channel:
        return Channel(self._place, start=self._start, timeout=self.timeout, connected=lambda about: None)

    def _take_back(self, subscription: ShmSubscription, channel: Channel) -> None:
        """Keep a few lines: a wait that begins takes as long again where one has to be opened first."""
        # Taken out by hand: the dictionary itself would learn of its end in a callback, in which a Ctrl-C is lost.
        self._subscriptions.pop(id(subscription), None)
        if self._closed or not channel.is_idle() or len(self._idle_channels) >= IDLE_CHANNELS:
            channel.cut()
        else:
            self._idle_channels.append(channel)

    def reader(self, name: bytes) -> tuple[_Attached, CollectionReader]:
        """A reader of the collection in the segment that is attached now."""
        attached = self._attached
        if attached is None:
            raise InvalidRequest(f"the connection to {self.url} is closed: connect again")
        return attached, attached.reader.collection(name)

    def renew(self, attached: _Attached, deadline: float) -> None:
        """The segment was closed for ever: find the one that has taken its place, or raise ManagerUnavailable."""
        if self._attached is attached:
            self._channel.ask(wire.PING, timeout=deadline - time.monotonic())
            if self._attached is attached:
                # The manager that closed it still answers, in its last moments; the next one to ask meets the next.
                time.sleep(0.005)

    def read_in_turn(self, name: bytes, method: str, arguments: Sequence[Any], deadline: float) -> Any:
        """Have the manager read, in turn with its writes."""
        self._tell_reads()
        return self._channel.ask(wire.READ, name, method, list(arguments), timeout=deadline - time.monotonic())

    def _attach(self, about: dict[str, Any]) -> None:
        """Called with each new connection: map the segment, unless it is the one that is mapped."""
        attached = self._attached
        if attached is None or attached.segment.name != about["segment"]:
            self._attached = _Attached(segments.attach(about["segment"]), self._retries())
            if self._closed:
                # In another thread, meanwhile. No lock says so: a child forked while one is held could never close.
                self._attached = None
            # The old one is not released: another thread may be reading. It goes with its last reader.

    def look_at_tally(self, ticks: Iterator[None]) -> Iterator[None]:
        """One more read, and the ticks to go on with; who only reads tells of it here."""
        ticks = self.tally.go_on(ticks)
        self._tell_reads()
        return ticks

    def _tell_reads(self) -> None:
        """Tell the manager what was read, now and then: on the way of a request, and where reads only go on."""
        if self.tally.is_due():
            self._tell_all_reads()

    def _tell_all_reads(self) -> None:
        """Tell it now, unless the line is in use, or there is none; then the next time."""
        if any(self.tally.fresh()):
            self._channel.tell(wire.READS, self.tally.fresh, self.tally.told)

    def _retries(self) -> int:
        attached = self._attached
        return 0 if attached is None else attached.reader.retries


class ShmCollection:
    """One table in one namespace, through one connection. Every method may be called from any thread."""

    __slots__ = ("_attached", "_backend", "_name", "_namespace", "_reader", "_table", "_ticks")

    def __init__(self, backend: ShmBackend, table: str, namespace: str) -> None:
        self._backend = backend
        self._table = table
        self._namespace = namespace
        self._name = collection_name(table, namespace)
        self._ticks = backend.tally.ticks
        self._attached, self._reader = backend.reader(self._name)

    def get(self, id: str) -> bytes | None:
        """The item's payload, or None."""
        for _ in self._ticks:  # as ``_count``, written out: a call would cost three times as much
            break
        else:
            self._ticks = self._backend.look_at_tally(self._ticks)
        try:
            return self._reader.get(id.encode())
        except (Closed, Contended, ValueError) as trouble:
            found: bytes | None = self._again(trouble, self._deadline(), "get", id.encode())
            return found

    def entry(self, id: str) -> tuple[int, bytes] | None:
        """The item's version and payload, as of one moment, or None."""
        found = self._read("entry", id.encode())
        return None if found is None else (found[0], found[1])

    def version(self, id: str) -> int | None:
        """The item's version, or None."""
        found: int | None = self._read("version", id.encode())
        return found

    def count(self) -> int:
        """Number of items."""
        found: int = self._read("count")
        return found

    def get_many(self, ids: Sequence[str]) -> list[bytes | None]:
        """A payload or None for each id, all from one consistent view."""
        found: list[bytes | None] = self._read("get_many", [id.encode() for id in ids])
        return found

    def page(
        self, limit: int, after: str | None, before: str | None, filters: Sequence[bytes]
    ) -> tuple[list[bytes], bool]:
        """At most ``limit`` payloads, newest first, and whether there are more in that direction."""
        behind = None if after is None else after.encode()
        in_front = None if before is None else before.encode()
        try:
            payloads, more = self._read("page", limit, behind, in_front, list(filters))
        except NotFound:
            cursor = after if after is not None else before
            raise NotFound(
                f"the cursor {cursor!r} names no item of {self._table} in namespace {self._namespace!r}: start from "
                "the first page, or from an item that is there"
            ) from None
        return payloads, more

    def scan(self, filters: Sequence[bytes]) -> list[bytes]:
        """All matching payloads, newest first, from one consistent view."""
        found: list[bytes] = self._read("scan", list(filters))
        return found

    def entries(self, filters: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """As ``scan``, each payload with its version."""
        return [(version, payload) for version, payload in self._read("entries", list(filters))]

    def subscribe(self) -> ShmSubscription:
        """Begin to watch for changes."""
        return self._backend.subscribe(self._name)

    def _deadline(self) -> float:
        return time.monotonic() + self._backend.timeout

    def _count(self) -> None:
        """One more read, however many items it gives."""
        for _ in self._ticks:
            break
        else:
            self._ticks = self._backend.look_at_tally(self._ticks)

    def _read(self, method: str, *arguments: Any) -> Any:
        self._count()
        deadline = self._deadline()
        try:
            return getattr(self._reader, method)(*arguments)
        except (Closed, Contended, ValueError) as trouble:
            return self._again(trouble, deadline, method, *arguments)

    def _again(self, trouble: Exception, deadline: float, method: str, *arguments: Any) -> Any:
        """Read from the segment that is in use now, or have the manager read."""
        backend = self._backend
        while not isinstance(trouble, Contended):
            if isinstance(trouble, ValueError) and self._attached is backend._attached:
                raise trouble
            if isinstance(trouble, Closed):
                backend.renew(self._attached, deadline)
            self._attached, self._reader = backend.reader(self._name)
            try:
                return getattr(self._reader, method)(*arguments)
            except (Closed, Contended, ValueError) as more:
                trouble = more
            if time.monotonic() >= deadline:
                break
        return backend.read_in_turn(self._name, method, arguments, deadline)


class _Attached:
    """A mapped segment and its reader, which goes on counting ``retries``."""

    def __init__(self, segment: Segment, retries: int) -> None:
        self.segment = segment
        self._memory = Memory(segment.buffer)
        self.reader = Reader(self._memory)
        self.reader.retries = retries

    def release(self) -> None:
        """Unmap, inner views first. A thread that is just reading keeps it mapped until it is done."""
        with contextlib.suppress(BufferError):
            self._memory.release()
            self.segment.close()


def collection_name(table: str, namespace: str) -> bytes:
    """The engine's name of a collection."""
    return f"{table}\0{namespace}".encode()


# Each operation of the backend protocol as the list of those that the manager is sent.


def _all_said(operations: Sequence[Operation]) -> tuple[list[list[Any]], list[int]]:
    """What the manager is sent, and for each operation the place of the last one that stands for it."""
    said: list[list[Any]] = []
    ends: list[int] = []
    for operation in operations:
        said += _SAID[type(operation)](operation)
        ends.append(len(said) - 1)
    return said, ends


def _of_each(results: list[Any], ends: list[int]) -> list[Any]:
    return results if len(results) == len(ends) else [results[end] for end in ends]


def _put(operation: Put) -> list[list[Any]]:
    table, namespace, id, created, postings, payload, expect = operation
    return [[wire.PUT, f"{table}\0{namespace}".encode(), id.encode(), created, postings, payload, expect]]


def _delete(operation: Delete) -> list[list[Any]]:
    return [[wire.DELETE, collection_name(operation.table, operation.namespace), operation.id.encode()]]


def _clear(operation: Clear) -> list[list[Any]]:
    table, namespace = operation
    if namespace is None:
        return [[wire.CLEAR_BELOW, collection_name(table, "")]]
    return [
        [wire.CLEAR, collection_name(table, namespace)],
        [wire.CLEAR_BELOW, collection_name(table, namespace + "/")],
    ]


def _clear_namespace(operation: ClearNamespace) -> list[list[Any]]:
    return [[wire.CLEAR_ACROSS, operation.namespace.encode(), f"{operation.namespace}/".encode()]]


def _increment(operation: Increment) -> list[list[Any]]:
    table, namespace, id, field, by, indexes = operation
    return [[wire.INCREMENT, collection_name(table, namespace), id.encode(), field, by, indexes]]


_SAID: dict[type, Callable[[Any], list[list[Any]]]] = {
    Put: _put,
    Delete: _delete,
    Clear: _clear,
    ClearNamespace: _clear_namespace,
    Increment: _increment,
}
