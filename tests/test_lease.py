"""A lease is held as long as its process lives, and by no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from papertiger_shm import Connection, InvalidRequest, Manager, ManagerUnavailable, connect


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager(max_size="16 MiB") as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    with manager.connect() as connection:
        yield connection


HOLDER = """
import sys
from papertiger_shm import connect
lease = connect(sys.argv[1]).lease()
print(lease.id, flush=True)
sys.stdin.readline()
"""


def holder(url: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", HOLDER, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_until_it_is_released(connection: Connection, rendezvous: Path) -> None:
    lease = connection.lease()
    assert connection.leased(lease.id)
    assert connection.leased(lease.id), "looking must not take it away"
    lease.release()
    assert not connection.leased(lease.id)
    lease.release()
    name = connection.url.removeprefix("shm://")
    assert not [*rendezvous.glob(f"{name}/lease.*")], "no file stays"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_until_its_process_dies(connection: Connection, number: int) -> None:
    process, id = holder(connection.url)
    with process:
        assert connection.leased(id)
        process.send_signal(number)
        process.wait(timeout=30)
        assert not connection.leased(id)


def test_a_stopped_process_lives(connection: Connection) -> None:
    process, id = holder(connection.url)
    with process:
        process.send_signal(signal.SIGSTOP)
        assert connection.leased(id)
        process.kill()


def test_a_forked_child_does_not_hold_it(connection: Connection) -> None:
    """The child of a holder lives on after it; it must not be taken for the holder."""
    process, id = holder_that_forks(connection.url)
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait(timeout=30)
        try:
            os.kill(child, 0)
            assert not connection.leased(id)
        finally:
            os.kill(child, signal.SIGKILL)


FORKS = """
import os, sys, time
from papertiger_shm import connect
lease = connect(sys.argv[1]).lease()
print(lease.id, flush=True)
told, tell = os.pipe()
child = os.fork()
if not child:
    os.write(tell, b"!")
    time.sleep(60)
    os._exit(0)
os.read(told, 1)
print(child, flush=True)
sys.stdin.readline()
"""


def holder_that_forks(url: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_the_end_of_a_child_does_not_end_it(connection: Connection) -> None:
    lease = connection.lease()
    child = os.fork()
    if not child:
        del lease
        os._exit(0)
    os.waitpid(child, 0)
    assert connection.leased(lease.id)
    lease.release()


def test_it_outlives_the_death_of_a_manager(manager: Manager) -> None:
    with connect(manager.url, timeout=60) as connection:
        lease = connection.lease()
        os.kill(manager.pid, signal.SIGKILL)
        connection.stats()
        assert connection.leased(lease.id)
        lease.release()
        assert not connection.leased(lease.id)


def test_nothing_is_left_with_the_store(rendezvous: Path) -> None:
    with Manager("leases", max_size="16 MiB") as manager:
        connection = manager.connect()
        connection.lease()
    assert not (rendezvous / "leases").exists()
    with pytest.raises(ManagerUnavailable):
        connection.lease()
    assert not (rendezvous / "leases").exists()


@pytest.mark.parametrize("id", ["", "../lock", "0123", None, 3])
def test_what_is_no_lease(connection: Connection, id: str) -> None:
    with pytest.raises(InvalidRequest, match="leased"):
        connection.leased(id)
    assert not connection.leased("0123456789abcdef")
