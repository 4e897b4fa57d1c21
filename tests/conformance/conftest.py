"""The backends the suite runs against, and stores on tables that no other test has.

A backend is added by one entry in ``BACKENDS``. Nothing else in this directory knows a backend by name.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from papertiger_shm import Connection, Manager, Store, connect
from valkey_cluster import IS_WANTED, three_nodes
from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

Connect = Callable[[], Connection]


@contextmanager
def shm() -> Iterator[Connect]:
    with Manager() as manager:
        yield manager.connect


@contextmanager
def valkey() -> Iterator[Connect]:
    with server_for_tests() as url:
        yield lambda: connect(f"{url}?name=conformance-{os.getpid()}")


@contextmanager
def cluster() -> Iterator[Connect]:
    with three_nodes() as nodes:
        yield lambda: connect(f"{nodes.url}&name=conformance-{os.getpid()}")


BACKENDS: dict[str, Callable[[], AbstractContextManager[Connect]]] = {"shm": shm}
if SERVERS_CAN_BE_HAD:
    BACKENDS["valkey"] = valkey
if IS_WANTED:
    BACKENDS["cluster"] = cluster
"""Each makes a store of its own and yields what gives a new connection to it."""


class Things(Store, table="things", resource="thing", prefix="thg", indexes=("type", "metadata.plan", "metadata.seat")):
    """A store with a plain index and two dotted ones; each test has it on a table of its own."""


class Others(Store, table="others", resource="other", indexes=("type",)):
    """A second table, without a prefix for its ids."""


_tables = itertools.count()


def on_own_table(kind: type[Store]) -> type[Store]:
    return type(kind.__name__, (kind,), {}, table=f"{kind.table_name}_{next(_tables)}")


@pytest.fixture(scope="session", params=sorted(BACKENDS))
def new_connection(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Gives another connection to the store the whole run uses."""
    with BACKENDS[request.param]() as connect:
        yield connect


@pytest.fixture(scope="session")
def connection(new_connection: Connect) -> Iterator[Connection]:
    """One connection for the whole run, to a store that is checked from end to end when all is done."""
    with new_connection() as connection:
        yield connection
        connection.verify()


@pytest.fixture
def things(connection: Connection) -> Any:
    return on_own_table(Things)(connection)


@pytest.fixture
def others(connection: Connection) -> Any:
    return on_own_table(Others)(connection)


@pytest.fixture
def twin(things: Store, new_connection: Connect) -> Iterator[Any]:
    """The same table through a connection of its own."""
    with new_connection() as connection:
        yield type(things)(connection)
