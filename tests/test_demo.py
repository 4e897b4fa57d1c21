"""The demo as a newcomer runs it, and the proof that its checks would see something wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from papertiger_shm.cli.demo.books import Books, expected_order, own_item, own_type, shipped_events
from papertiger_shm.cli.demo.latencies import Latencies

DEADLINE = 120
COMMAND = [sys.executable, "-W", "error", "-m", "papertiger_shm"]

SABOTAGED = """
import os
from papertiger_shm import Events, connect
from papertiger_shm.cli.demo.run import run
from papertiger_shm.cli.demo.books import own_item, shipped_events
from papertiger_shm.cli.demo.scene import SHARED, own_namespace

def write_next_door(number, url):
    # Every key, so that whichever the owner looks at first is wrong; and before the owner has looked its last.
    if number == 1:
        Events(connect(url), own_namespace(0)).insert_many([own_item(1, key, 1) for key in range(64)])
    else:
        Events(connect(url), own_namespace(0)).wait_for(60)

def change_a_shared_event(number, url):
    if number == 0:
        Events(connect(url), SHARED).update(shipped_events()[7] | {"livemode": "no"})

def drop_a_shared_event(number, url):
    if number == 0:
        Events(connect(url), SHARED).delete(shipped_events()[7]["id"])

def die(number, url):
    if number == 1:
        os._exit(9)

def raise_something(number, url):
    if number == 0:
        os.close(2)
        raise RuntimeError("wrong on purpose")

def nothing(number, url):
    pass

if __name__ == "__main__":
    raise SystemExit(run(seconds=1, workers=2, sabotage={name}))
"""


def finished(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return finished([*COMMAND, "demo", "--seconds", "1"])


def test_the_demo_proves_itself_and_says_so(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "OK: " in demo.stdout
    assert "by 4 processes" in demo.stdout
    assert demo.stderr == ""


def test_the_demo_is_plain_where_nobody_watches(demo: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in demo.stdout
    for heading in ("reads/s", "p50", "p99", "writes/s", "MiB", "commits", "reader retries", "memory"):
        assert heading in demo.stdout


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("write_next_door", "worker 0 found"),
        ("change_a_shared_event", "wrong answers"),
        ("drop_a_shared_event", "263 shared events"),
        ("die", "worker 1 ended with exit code 9"),
        ("raise_something", "worker 0 ended with exit code 1"),
    ],
)
def test_the_demo_sees_what_is_wrong(tmp_path: Path, name: str, verdict: str) -> None:
    script = tmp_path / "sabotaged.py"
    script.write_text(SABOTAGED.replace("{name}", name))
    done = finished([sys.executable, str(script)])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "OFF: " in done.stdout
    assert verdict in done.stdout


def test_the_sabotage_itself_is_not_what_fails(tmp_path: Path) -> None:
    script = tmp_path / "sabotaged.py"
    script.write_text(SABOTAGED.replace("{name}", "nothing"))
    done = finished([sys.executable, str(script)])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("when", [" starting ", " reads "])
@pytest.mark.parametrize(
    ("tell", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)], ids=["as a terminal", "as kill"]
)
def test_who_ends_the_demo_early_has_its_proof(tell: Callable[[int, int], None], number: int, when: str) -> None:
    """Of a terminal's signal to every process of the group the parent alone takes notice."""
    command = [*COMMAND, "demo", "--seconds", "600", "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while when not in (line := process.stdout.readline()):
            assert line, process.communicate()
        tell(process.pid, number)
        out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, out + err
    assert "asked to end" in out
    assert "OK: " in out
    assert err == ""


@pytest.mark.parametrize("arguments", [["demo", "--workers", "0"], ["demo", "--seconds", "soon"], ["unknown"]])
def test_wrong_usage_is_exit_status_2(arguments: list[str]) -> None:
    done = finished([*COMMAND, *arguments])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_stats_of_a_store_that_is_not_there_is_one_sentence_and_exit_status_1() -> None:
    done = finished([*COMMAND, "stats", "no-such-store"])
    assert done.returncode == 1
    assert "no-such-store" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_shipped_events_are_264_and_each_has_a_type_of_its_own() -> None:
    events = shipped_events()
    assert len(events) == 264
    assert len({event["id"] for event in events}) == len({event["type"] for event in events}) == 264


def test_expected_order_is_created_descending_then_latest_insertion_first() -> None:
    items = [{"id": "a", "created": 1}, {"id": "b", "created": 2}, {"id": "c", "created": 1}]
    assert [item["id"] for item in expected_order(items)] == ["b", "c", "a"]


def test_books_keep_a_replaced_item_in_its_place_and_give_a_deleted_one_a_new_place() -> None:
    books = Books(worker=0)
    for step, key in enumerate([0, 1, 2, 0]):
        books.wrote(key, step)
    assert [item["data"]["key"] for item in books.listing()] == [2, 1, 0]
    books.deleted(0)
    assert books.item(0) is None
    books.wrote(0, 9)
    assert [item["data"]["key"] for item in books.listing()] == [0, 2, 1]
    assert books.listing(own_type(2)) == [own_item(0, 2, 2)]


def test_latencies_give_percentiles_in_microseconds() -> None:
    latencies = Latencies()
    assert latencies.summary() == {"p50": 0.0, "p99": 0.0, "max": 0.0}
    for us in range(1, 101):
        latencies.add(us * 1000 - 1)
    latencies.add(5_000_000)
    assert latencies.percentile(50) == pytest.approx(51.0)
    assert latencies.percentile(99) == pytest.approx(100.0)
    assert latencies.percentile(100) == pytest.approx(5000.0)
