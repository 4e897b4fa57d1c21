"""docs/faq.md: each error message that heads an answer is one that is raised, word for word.

What no code of ours says is listed here, and marked on the page.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from documented_page import ROOT
from papertiger_shm import Events, Manager, PaperTigerError, Store, connect
from papertiger_shm.shm.launch import launch
from papertiger_shm.shm.leftovers import remove_leftovers
from papertiger_shm.shm.rendezvous import Place
from patience import set_timeout
from suites import run_suite

PAGE = ROOT / "docs" / "faq.md"
HEADINGS = re.findall(r"^### `(.*)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) if PAGE.is_file() else []

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not shipped with the tests")

NOT_OURS = {
    "resource_tracker: There appear to be ... leaked shared_memory objects to clean up at shutdown",
    "BufferError: cannot close exported pointers exist",
    "Fatal Python error: Bus error",
    "DeprecationWarning: This process ... is multi-threaded, use of fork() may lead to deadlocks in the child",
    "RuntimeError: An attempt has been made to start a new process before the current process has finished its "
    "bootstrapping phase",
    "fixture 'events' not found",
}
"""What others say: the standard library, the kernel, pytest. On the page each says so."""

RAISERS: dict[str, Callable[..., object]] = {}
"""By how a heading begins: what raises such an error, or returns what a run of pytest says."""

Raiser = Callable[..., object]


def says(beginning: str) -> Callable[[Raiser], Raiser]:
    def declare(raiser: Raiser) -> Raiser:
        assert beginning not in RAISERS
        RAISERS[beginning] = raiser
        return raiser

    return declare


class Orders(Store, table="orders", resource="order", prefix="ord", indexes=("status",)):
    pass


@pytest.fixture
def manager(apart_from_all: None) -> Iterator[Manager]:
    with Manager("ci", max_size="1 MiB") as manager:
        yield manager


# --- no manager, or another ------------------------------------------------------------------------------------------


@says("ManagerUnavailable: no manager answers")
def nobody_there(apart_from_all: None) -> None:
    connect("shm://ci")


@says("ManagerUnavailable: the manager of shm://ci was asked")
def manager_stopped(manager: Manager) -> None:
    with connect("shm://ci", timeout=30) as connection:
        set_timeout(connection._backend, 0.3)
        os.kill(manager.pid, signal.SIGSTOP)
        try:
            Events(connection).insert({"id": "evt_1"})
        finally:
            os.kill(manager.pid, signal.SIGCONT)


@says("ManagerUnavailable: the segment")
def memory_apart(manager: Manager) -> None:
    card = Place("ci").card()
    assert card is not None
    memory, elsewhere = f"/dev/shm/{card.segment}", f"/dev/shm/{card.segment}-elsewhere"
    os.rename(memory, elsewhere)
    try:
        connect("shm://ci").close()
    finally:
        os.rename(elsewhere, memory)


@says("AlreadyExists: a manager was asked for")
def name_taken(manager: Manager) -> None:
    Manager("ci").start()


@says("InvalidRequest: connect: no URL was given")
def no_url(apart_from_all: None) -> None:
    connect()


@says("InvalidRequest: connect: ... names a Valkey or Redis server")
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkey", None)
    connect("valkey://localhost:6379/0")


@says("InvalidRequest: the connection to shm://ci is closed")
def closed(manager: Manager) -> None:
    events = Events(manager.connect())
    events._connection.close()
    events.count()


@says("InvalidRequest: the manager of shm://ci belongs to process")
def started_by_the_parent(manager: Manager) -> str:
    told, heard = multiprocessing.Pipe()

    def start() -> None:
        try:
            manager.start()
        except PaperTigerError as error:
            heard.send(in_a_traceback(error))

    child = multiprocessing.get_context("fork").Process(target=start)
    child.start()
    said = told.recv()
    child.join()
    return str(said)


# --- the system ------------------------------------------------------------------------------------------------------


@says("StoreFull: no room for")
def full(manager: Manager) -> None:
    events = Events(manager.connect())
    for number in range(1000):
        events.insert({"id": f"evt_{number}", "text": "x" * 10_000})


@says("AccessDenied:")
def open_to_others(apart_from_all: None) -> None:
    os.chmod(os.environ["PAPERTIGER_DIR"], 0o755)
    Manager("ci").start()


@says("InvalidRequest: the socket path")
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_DIR", "/tmp/" + "far/" * 30)
    Manager("ci").start()


@says("CorruptSegment: shm://ci has left")
def scribbled_upon(apart_from_all: None) -> None:
    place = Place("ci")
    started = launch(place, kind="owned", max_size=1 << 20)
    card = place.card()
    assert card is not None
    started.process.kill()
    started.process.wait()
    started.let_go()
    with open(f"/dev/shm/{card.segment}", "r+b") as file:
        file.write(b"garbage!")
    try:
        Manager("ci").start()
    finally:
        remove_leftovers(place)


# --- items and calls -------------------------------------------------------------------------------------------------


@says("InvalidItem: data.price: ")
def no_such_type(manager: Manager) -> None:
    Events(manager.connect()).insert({"data": {"price": 1j}})


@says("InvalidItem: at: the datetime")
def naive(manager: Manager) -> None:
    Events(manager.connect()).insert({"at": datetime(2026, 11, 28)})


@says("InvalidItem: prices: the key")
def number_as_key(manager: Manager) -> None:
    Events(manager.connect()).insert({"prices": {1: "one"}})


@says("InvalidItem: status: the field is indexed")
def index_of_a_dict(manager: Manager) -> None:
    Orders(manager.connect()).insert({"status": {"open": True}})


@says("NotFound: get: no event")
def not_there(manager: Manager) -> None:
    Events(manager.connect()).get("evt_1")


@says("AlreadyExists: there already is")
def twice(manager: Manager) -> None:
    events = Events(manager.connect())
    events.insert({"id": "evt_1"})
    events.insert_new({"id": "evt_1"})


@says("Conflict: version")
def moved(manager: Manager) -> None:
    events = Events(manager.connect())
    event = events.insert({"id": "evt_1"})
    version = events.version("evt_1")
    events.update(event)
    events.compare_and_set(event, version)


@says("WaitTimeout: wait_for:")
def never_came(manager: Manager) -> None:
    Events(manager.connect()).wait_for(0, type="charge.refunded")


@says("InvalidRequest: list: Orders has no index")
def no_index(manager: Manager) -> None:
    Orders(manager.connect()).list(city="Lyon")


@says("InvalidRequest: list: limit is")
def too_many(manager: Manager) -> None:
    Orders(manager.connect()).list(limit=1000)


# --- pytest ----------------------------------------------------------------------------------------------------------


def run(tmp_path: Path, conftest: str, test: str, *arguments: str) -> str:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        f"import pytest\nfrom papertiger_shm.testing import shared_fixture\n{conftest}", encoding="utf-8"
    )
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    plugins = ["-p", "papertiger_shm.testing.plugin", "-p", "xdist.plugin"]
    return run_suite(tmp_path, *plugins, *arguments, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}).output


@says("InvalidItem: the shared fixture")
def live_object(tmp_path: Path) -> str:
    conftest = "@shared_fixture\ndef server():\n    return object()\n"
    return run(tmp_path, conftest, "def test_it(server): ...")


@says("SharedFixtureFailed: the shared fixture")
def failed_elsewhere(tmp_path: Path) -> str:
    conftest = "@shared_fixture\ndef server():\n    raise OSError('no')\n"
    test = "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_it(server, n): ..."
    return run(tmp_path, conftest, test, "-n", "2")


@says("InvalidRequest: the shared fixture 'server' depends on")
def parametrised(tmp_path: Path) -> str:
    conftest = (
        "@pytest.fixture(scope='session', params=[1, 2])\ndef port(request):\n    return request.param\n"
        "@shared_fixture\ndef server(port):\n    return port\n"
    )
    return run(tmp_path, conftest, "def test_it(server): ...")


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beginning", RAISERS)
def test_the_page_has_the_message(beginning: str, request: pytest.FixtureRequest) -> None:
    [heading] = [heading for heading in HEADINGS if heading.startswith(beginning)]
    assert is_in(heading, said_by(RAISERS[beginning], request))


def said_by(raiser: Raiser, request: pytest.FixtureRequest) -> str:
    arguments = raiser.__code__.co_varnames[: raiser.__code__.co_argcount]
    values: list[Any] = [request.getfixturevalue(argument) for argument in arguments]
    try:
        return str(raiser(*values))
    except PaperTigerError as error:
        return in_a_traceback(error)


def in_a_traceback(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def is_in(heading: str, said: str) -> bool:
    """Whether a line of it begins so; ``...`` stands for anything in the line, and pytest puts an E before it."""
    pattern = ".*".join(map(re.escape, heading.split("...")))
    return re.search(rf"^(?:E +)?(?:[\w.]+\.)?{pattern}", said, re.MULTILINE) is not None


def test_every_heading_is_ours_and_tried_or_another_s_and_marked() -> None:
    untried = {heading for heading in HEADINGS if not any(map(heading.startswith, RAISERS))}
    assert untried == NOT_OURS
    text = PAGE.read_text(encoding="utf-8")
    answers = {heading: text.partition(f"### `{heading}`\n")[2].partition("\n#")[0] for heading in HEADINGS}
    assert {heading for heading, answer in answers.items() if "*Not ours:" in answer} == NOT_OURS


@pytest.mark.parametrize(
    "said", ["StoreFull: no space for 5 bytes", "NotFound: no room for 5 bytes", "no room for 5 bytes"]
)
def test_another_message_is_told_from_it(said: str) -> None:
    assert is_in("StoreFull: no room for ... bytes", "papertiger_shm.errors.StoreFull: no room for 5 bytes: at all")
    assert not is_in("StoreFull: no room for ... bytes", said)
