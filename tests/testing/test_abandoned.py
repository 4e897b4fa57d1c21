"""What a run of tests leaves in a store that lives on when all of it is killed, and how `gc` removes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from papertiger_shm import Connection, Events, Manager, connect
from papertiger_shm.testing.abandoned import abandoned_runs, remove_run
from testing.suite import Suite
from valkey_server import SERVERS_CAN_BE_HAD, own_server

TESTS = """
    import time
    from helpers import use
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def server():
        yield {"port": 8000}

    def test_that_goes_on(server, events, papertiger_run):
        events.insert({"id": "evt_1"})
        papertiger_run.counter("n").add()
        use("server")
        time.sleep(600)

    def test_too(server, events):
        events.insert({"id": "evt_1"})
        use("server")
        time.sleep(600)
"""


@contextmanager
def on_shm() -> Iterator[str]:
    with Manager() as manager:
        yield manager.url


@contextmanager
def on_valkey() -> Iterator[str]:
    with own_server() as (url, _):
        yield f"{url}?name=shared"


STORES = {"shm": on_shm}
if SERVERS_CAN_BE_HAD:
    STORES["valkey"] = on_valkey


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with STORES[request.param]() as url:
        yield url


def killed(suite: Suite, url: str, run: str) -> None:
    """A run all of whose processes were killed while its tests were at work."""
    started(suite, url, run)
    suite.kill()
    if not url.startswith("shm:"):
        expire_leases(url)


def started(suite: Suite, url: str, run: str) -> None:
    """A run both of whose workers are in the middle of a test."""
    suite.write("test_long.py", TESTS)
    arguments = ["-n2", f"--papertiger-url={url}", f"--papertiger-run={run}"]
    # The store is not one of the suite's own.
    suite.start(*arguments, PAPERTIGER_DIR=os.environ.get("PAPERTIGER_DIR")).wait_for("use", "server", count=2)


def expire_leases(url: str) -> None:
    """As time does, ten seconds later."""
    import valkey

    with valkey.Valkey.from_url(url.partition("?")[0]) as client:
        for key in client.keys("pt:{shared}:lease:*"):
            client.delete(key)


def gc(url: str, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "papertiger_shm", "gc", url, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["leftovers"]
    return found


def test_what_it_left_is_found_and_removed_and_nothing_else_is(suite: Suite, url: str) -> None:
    with connect(url) as connection:
        Events(connection).insert({"id": "somebody else's"})
        killed(suite, url, "dead")
        before = connection.collections()
        assert [namespace for _, namespace, _ in before if namespace.startswith("dead/")]
        [found] = gc(url, "--dry-run")
        assert (found["run"], found["removed"]) == ("dead", False)
        assert found["items"] == sum(items for _, namespace, items in before if "dead" in namespace)
        assert connection.collections() == before
        assert [run["removed"] for run in gc(url)] == [True]
        assert connection.collections() == [("paper_tiger_events", "global", 1)]
        assert gc(url) == []


def test_a_living_run_is_left_alone(suite: Suite, url: str) -> None:
    with connect(url) as connection:
        started(suite, url, "alive")
        before = connection.collections()
        assert gc(url) == []
        assert connection.collections() == before
        suite.kill()


def test_who_takes_part_meanwhile_keeps_it(suite: Suite, url: str) -> None:
    killed(suite, url, "dead")
    with connect(url) as connection:
        [run] = abandoned_runs(connection)
        worker = next(iter(run.versions))
        lease = take_part(connection, run.run_id, worker)
        assert not remove_run(connection, run)
        assert abandoned_runs(connection) == []
        lease.release()
        [run] = abandoned_runs(connection)
        lease = take_part(connection, run.run_id, "one more")
        assert not remove_run(connection, run)
        lease.release()


def take_part(connection: Connection, run_id: str, worker: str) -> Any:
    from papertiger_shm.testing.roster import Members, run_namespace

    members = Members(connection, run_namespace(run_id))
    entry = members.get(worker, None) or {**next(iter(members)), "id": worker}
    lease = connection.lease()
    members.update({**entry, "lease": lease.id})
    return lease
