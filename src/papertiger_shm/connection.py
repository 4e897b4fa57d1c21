"""connect() and what it gives: URLs, the open connection, and transactions over it.

This is the one room that knows backends by name, and imports each only when a URL asks for it. Nothing about
items, resources or how a backend works ever enters it: what goes through here are operations and bytes.
"""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from papertiger_shm.backend import ClearNamespace
from papertiger_shm.errors import InvalidRequest
from papertiger_shm.namespace import check_namespace

if TYPE_CHECKING:
    from types import TracebackType

    from papertiger_shm.backend import Backend, Collection, Lease, Operation
    from papertiger_shm.resources.checkout import Checkout
    from papertiger_shm.shm.leftovers import Leftover
    from papertiger_shm.shm.manager import Manager
    from papertiger_shm.shm.supervisor import ChildSpec

__all__ = [
    "URL_VARIABLE",
    "Connection",
    "Transaction",
    "child_spec",
    "connect",
    "leftovers",
    "remove_leftover",
    "start_manager",
    "stores",
]

URL_VARIABLE: Final = "PAPERTIGER_URL"

_LONGEST_TIMEOUT: Final = 2e6
"""Seconds, three weeks; some of what waits for us takes no number that is much larger."""

_MAX_VIEWS: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SERVERS: Final = frozenset({"valkey", "valkeys", "redis", "rediss", "unix"})


# ---- URLs -------------------------------------------------------------------------------------------------------


def connect(url: str | None = None, *, start: bool = False, timeout: float = 5.0) -> Connection:
    """Connect to the store at ``url``, as ``"shm://ci"``; None means ``$PAPERTIGER_URL``.

    ``"valkey://host:6379/0?name=ci"`` is the store ``ci`` on a Valkey or Redis server, which is there already;
    ``redis``, ``rediss``, ``valkeys`` and ``unix`` are known too.

    ``start``: start a manager if none is there, exactly one however many ask; a server is never started. ``timeout``:
    seconds to wait for an answer, now and whenever one has to be waited for later.

    Raises ``ManagerUnavailable`` where none is there, ``AccessDenied`` where it is another user's, and
    ``InvalidRequest`` for a URL that cannot be used.
    """
    given = _given_or_from_environment(url)
    seconds = _timeout(timeout)
    scheme, rest = _parts(given)
    if scheme in _SERVERS:
        return Connection(_backend_on_server(given, seconds))
    name = _shm_name(given, scheme, rest)
    from papertiger_shm.shm.client import open_backend

    return Connection(open_backend(name, start=bool(start), timeout=seconds))


def _backend_on_server(url: str, timeout: float) -> Backend:
    try:
        import valkey  # noqa: F401
    except ImportError:
        raise InvalidRequest(
            f"connect: {_shown(url)} names a Valkey or Redis server, and its client is not installed: "
            "pip install 'papertiger-shm[valkey]'"
        ) from None
    from papertiger_shm.valkey.client import open_backend

    return open_backend(url, timeout=timeout)


def _given_or_from_environment(url: str | None) -> str:
    if url is None:
        url = os.environ.get(URL_VARIABLE)
        if not url:
            raise InvalidRequest(
                f"connect: no URL was given and ${URL_VARIABLE} is not set; "
                "pass a URL such as 'shm://ci', or set the variable"
            )
    if not isinstance(url, str):
        raise InvalidRequest(f"connect: a URL is a str such as 'shm://ci', not {type(url).__name__}")
    return url


def _parts(url: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(url)
    if match is None:
        remedy = f"write 'shm://{url}'" if _NAME.fullmatch(url) else "write one such as 'shm://ci'"
        raise InvalidRequest(f"connect: {_shown(url)} is not a URL; {remedy}")
    return match[1].lower(), match[2]


def _shm_name(url: str, scheme: str, name: str) -> str:
    if scheme != "shm":
        raise InvalidRequest(f"connect: {_shown(url)} has a scheme that no backend serves; use one such as 'shm://ci'")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"connect: the name in {_shown(url)} cannot be used; a name has 1 to 64 letters, digits, '.', '_' or '-', "
            "and begins with a letter or digit, as in 'shm://ci'"
        )
    return name


def _shown(url: str) -> str:
    """The URL for a message: what may hold a password is left out."""
    match = _SCHEME.fullmatch(url)
    scheme, rest = (f"{match[1]}://", match[2]) if match else ("", url)
    login, at, host = rest.rpartition("@")
    if at and re.search(r"[?#]", login):  # the @ may stand in a query, and what follows it be half a password
        host = ""
    shown = f"{scheme}{'...@' if at else ''}{re.split('[?#]', host, maxsplit=1)[0]}"
    return ascii(shown) if len(shown) <= 120 else f"{shown[:100]!a}..."


def _timeout(timeout: object) -> float:
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 <= timeout < math.inf:
        return float(min(timeout, _LONGEST_TIMEOUT))
    raise InvalidRequest(f"connect: timeout is {timeout!r}; it is a number of seconds, 0 or more")


# ---- the connection ---------------------------------------------------------------------------------------------


class Connection:
    """An open connection to one store, made by ``connect`` or ``Manager.connect``.

    May be shared by threads and used after ``fork``. It is a context manager, which closes it. Every use of a
    closed connection raises ``InvalidRequest`` (a ``ValueError``, as using a closed file is).
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._closed = False
        # No lock guards this: a fork while another thread held it would leave the child waiting for ever.
        self._views: dict[str, dict[str, Collection]] = {}

    @property
    def url(self) -> str:
        """Where the store is; ``connect`` takes it in any process of the same user."""
        return self._backend.url

    @property
    def closed(self) -> bool:
        """Whether ``close()`` has been called."""
        return self._closed

    def close(self) -> None:
        """Let go of the store; its data and its manager stay. Calling it again does nothing.

        What other threads have asked for already is still answered; what they ask from now on raises InvalidRequest.
        """
        self._closed = True
        for views in [*self._views.values()]:
            views.clear()
        self._backend.close()

    def stats(self) -> dict[str, Any]:
        """Figures of the store, by name; on a server ``url``, ``items``, ``collections`` and ``commits`` alone.

        ``items`` and ``collections`` (tables in namespaces that hold any); ``bytes_used``, ``bytes_live``,
        ``bytes_free`` and ``bytes_quarantined`` (freed, and perhaps still read), ``bytes_reserved`` (taken from the
        system) and ``bytes_max``; ``commits``; ``reads``, of all connections, each of which tells of its own about
        twice a second, and ``reader_retries``, those of them that a write had overtaken; ``generation`` (managers that
        have opened it); ``clients`` and ``sessions``; ``writer_pid``; ``name``, ``url``,
        ``kind`` and ``segment``, the name of the shared memory.
        """
        return self._open().stats()

    def verify(self, *, progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
        """Check everything stored, in time that grows with it, while writes wait. Raises ``CorruptSegment``.

        Gives figures of what was gone through, by name, as ``records``, ``collections`` and ``bytes_used``.
        ``progress`` is called now and then with how far it is, and how far it will be in the end.
        """
        return self._open().verify(progress)

    def collections(self) -> list[tuple[str, str, int]]:
        """(table, namespace, number of items) of every collection that holds any."""
        return self._open().collections()

    def stop_manager(self) -> None:
        """Have the store's manager stop and remove the store, data and all, whoever started it."""
        self._open().stop_manager()

    def checkout(self, namespace: str | None = None) -> Checkout:
        """All resource stores on one namespace: ``connection.checkout("test-1").customers.insert({...})``.

        Its ``clear()`` empties the namespace in one request. None is the namespace that is current at each call.
        """
        from papertiger_shm.resources.checkout import Checkout

        return Checkout(self, namespace)

    def clear_namespace(self, namespace: str) -> None:
        """Delete every item of every table in the namespace and those below it: "a" takes "a/b" along.

        One request, at the same cost however many items there are; inside a transaction it waits for its end.
        """
        self.commit((ClearNamespace(check_namespace(namespace)),))

    def lease(self) -> Lease:
        """A new lease: an id by which others can tell that this process still lives, for as long as it does.

        It ends with ``release()``, or with the process, however that ends; a child made by fork does not hold it.
        Raises ``ManagerUnavailable`` where there is no store any more.
        """
        return self._open().lease()

    def leased(self, id: str) -> bool:
        """Whether a living process holds the lease with this ``id``. It is looked at anew with each call."""
        return self._open().leased(id)

    @contextmanager
    def transaction(self, *, wait: bool = True) -> Iterator[Transaction]:
        """Writes of this thread or task inside the block happen all at once at its end; on an exception, none.

        Reads inside see what was committed before. Writes of other threads and tasks, also through this very
        connection, are not part of it. A write that cannot happen (``AlreadyExists``, ``Conflict``, ...) raises at
        the end of the block, and then nothing is written. A block inside a block is part of the outer one, whose
        end writes; if the inner one fails, its own writes alone are dropped. The numbers of ``increment`` are in
        ``results`` of the transaction afterwards, one entry for each operation.

        ``wait=False`` does not wait for the manager at the end of the outermost block: ``results`` does, and raises
        there what the block's end would have raised. Later requests of this connection are carried out after it, and
        ``close()`` waits for it too; but a read may not see the writes yet, and without a look at ``results`` nobody
        learns that they failed.
        """
        self._open()
        with self._gathering() as transaction:
            yield transaction
        if transaction._over:
            transaction._send(wait=wait)

    @contextmanager
    def _gathering(self) -> Iterator[Transaction]:
        """The transaction of this thread or task, a new one that is over at the end, or the outer one, which is not."""
        outer = self._transaction()
        if outer is not None:
            with outer._savepoint():
                yield outer
            return
        transaction = Transaction(self)
        try:
            try:
                _active.set((*(other for other in _active.get() if not other._over), transaction))
                yield transaction
            finally:
                transaction._over = True
        finally:
            # Again, since an interruption may come before any line, the one above too: no later write may go in here.
            transaction._over = True
            # Not ContextVar.reset(): a generator may be finished in another context than it was begun in.
            _active.set(tuple(other for other in _active.get() if not other._over))

    def commit(self, operations: Sequence[Operation]) -> list[Any] | None:
        """Carry out all operations as one atomic request; inside a transaction keep them for its end and give None."""
        backend = self._open()
        return None if self._kept(operations) else backend.commit(operations)

    def _kept(self, operations: Sequence[Operation]) -> bool:
        """Whether this thread or task is in a transaction, which then has kept them for its end."""
        if _active.get():
            transaction = self._transaction()
            if transaction is not None:
                transaction._operations.extend(operations)
                return True
        return False

    def views(self, table: str) -> dict[str, Collection]:
        """The views of one table that are at hand, by namespace; emptied when the connection is closed."""
        return self._views.setdefault(table, {})

    def view(self, table: str, namespace: str) -> Collection:
        """One table in one namespace; kept in ``views(table)`` from then on."""
        view = self._open().collection(table, namespace)
        views = self.views(table)
        if len(views) >= _MAX_VIEWS:  # a run makes a namespace for each test; few are read again
            views.clear()
        views[namespace] = view
        if self._closed:  # meanwhile, by another thread
            views.clear()
        return view

    def _open(self) -> Backend:
        if self._closed:
            raise InvalidRequest(
                f"the connection to {self.url} is closed, and was used all the same; "
                "connect again, or close it after the last use"
            )
        return self._backend

    def _transaction(self) -> Transaction | None:
        for transaction in _active.get():
            if transaction._connection is self and not transaction._over and transaction._owner == _here():
                return transaction
        return None

    def __enter__(self) -> Connection:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection {self.url}{' closed' if self._closed else ''}>"


# ---- transactions -----------------------------------------------------------------------------------------------


class Transaction:
    """What ``with connection.transaction() as transaction:`` gives: the writes on their way, then their results."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._owner = _here()
        self._over = False
        self._operations: list[Operation] = []
        self._results: list[Any] | None = None
        self._answer: Callable[[], list[Any]] | None = None

    def __len__(self) -> int:
        """Operations so far."""
        return len(self._operations)

    @property
    def results(self) -> list[Any]:
        """A result for each operation, in order: the new number for ``increment``, None for the others.

        Raises ``InvalidRequest`` before the end of the block, and if it did not get there.
        """
        if self._results is None and self._answer is not None:
            self._results = self._answer()
        if self._results is None:
            raise InvalidRequest(
                "results: the transaction has not been committed, so there are none; read them after the with block"
            )
        return self._results

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        before = len(self._operations)
        try:
            yield
        except BaseException:
            del self._operations[before:]
            raise

    def _send(self, *, wait: bool) -> None:
        backend = self._connection._open()
        if not self._operations:
            self._results = []
        elif wait:
            self._results = backend.commit(self._operations)
        else:
            self._answer = backend.post(self._operations)

    def __repr__(self) -> str:
        state = "committed" if self._results is not None else "open" if self._answer is None else "sent"
        return f"<Transaction {self._connection.url} {state}, {len(self)} operations>"


_active: ContextVar[tuple[Transaction, ...]] = ContextVar("papertiger_transactions", default=())


def _here() -> tuple[int, int, object]:
    """This process, thread and task. A context alone would not do: tasks and to_thread() begin with a copy of it."""
    task: object = None
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
    return os.getpid(), threading.get_ident(), task


# ---- managers, for the stores -----------------------------------------------------------------------------------


def start_manager(name: str | None = None, **options: Any) -> Manager:
    """Start a manager as ``Manager(name, **options)`` does, and return it."""
    from papertiger_shm.shm.manager import Manager

    manager = Manager(name, **options)
    manager.start()
    return manager


def child_spec(id: str, name: str | None = None, **options: Any) -> ChildSpec:
    """What a ``Supervisor`` needs to start, and start again, a manager ``Manager(name, **options)``."""
    from papertiger_shm.shm.supervisor import ChildSpec

    return ChildSpec(id=id, name=name, options=options)


# ---- what there is, and what dead runs left ------------------------------------------------------------------------


def stores() -> list[str]:
    """The URLs of this user's stores that have a manager just now, by name; servers are not asked."""
    from papertiger_shm.shm.channel import listens
    from papertiger_shm.shm.rendezvous import Place, names

    return [place.url for place in map(Place, names()) if listens(place)]


def leftovers(*, everywhere: bool = False) -> list[Leftover]:
    """What runs of this user that were killed left behind: stores without a manager, and segments without a store.

    Never listed: a store whose manager or owner is alive, and memory that some process has mapped. ``everywhere``
    also lists the segments of other rendezvous directories (``$PAPERTIGER_DIR``) that no process has mapped.
    """
    from papertiger_shm.shm.leftovers import find_leftovers

    return find_leftovers(everywhere=everywhere)


def remove_leftover(leftover: Leftover) -> bool:
    """Remove one of ``leftovers()``, data and all; False, and nothing is removed, if it is in use by now."""
    from papertiger_shm.shm.leftovers import remove_leftover

    return remove_leftover(leftover)
