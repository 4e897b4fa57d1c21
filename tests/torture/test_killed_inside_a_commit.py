"""The manager dies at each stage of a commit, and of the recovery from that: all of a request, or nothing of it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Any

import pytest

from papertiger_shm import Connection, Events, InvalidRequest, Manager, ManagerUnavailable, connect
from papertiger_shm.shm.failpoint import COMMIT_STAGES, RECOVERY_STAGES, STAGES, VARIABLE

from .books import Keeper, Watcher, audit, open_shared
from .children import Child
from .sizes import FAILPOINT_COUNTS
from .waiting import eventually

AFTERWARDS = 40
"""Writes and reads of each client after the last recovery, before the books are closed."""

SMALL = "1 MiB"  # so that the epoch moves often


def keep_books(url: str, name: str, gate: int) -> dict[str, Any]:
    os.read(gate, 1)
    with connect(url, timeout=60) as connection:
        told = Events(connection, "told")
        keeper = Keeper(connection, name, 3)
        while "stop" not in told:
            keeper.write()
        for _ in range(AFTERWARDS):
            keeper.write()
        return keeper.report()


def watch(url: str, names: list[str], gate: int) -> dict[str, Any]:
    os.read(gate, 1)
    with connect(url, timeout=60) as connection:
        told = Events(connection, "told")
        watcher = Watcher(connection, names, 5)
        while "stop" not in told:
            watcher.read()
        for _ in range(AFTERWARDS):
            watcher.read()
        return watcher.newest


def set_out(stack: ExitStack, manager: Manager) -> tuple[list[Child], Child]:
    """Two clients that write and one that reads, at work on this manager as soon as all are there."""
    names = ["a", "b"]
    gate, opener = os.pipe()
    keepers = [stack.enter_context(Child(keep_books, manager.url, name, gate)) for name in names]
    watcher = stack.enter_context(Child(watch, manager.url, names, gate))
    os.write(opener, b"!!!")
    os.close(gate)
    os.close(opener)
    return keepers, watcher


def close_the_books(connection: Connection, keepers: list[Child], watcher: Child) -> None:
    connection.verify()
    Events(connection, "told").insert({"id": "stop"})
    reports = [keeper.result() for keeper in keepers]
    assert watcher.result()
    audit(connection, reports)


@pytest.mark.parametrize("count", FAILPOINT_COUNTS)
@pytest.mark.parametrize("stage", COMMIT_STAGES)
def test_death_in_a_commit(stage: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if stage == "epoch-moved":
        count = min(count, 5)
    monkeypatch.setenv(VARIABLE, f"{stage}:{count}")
    with Manager(max_size=SMALL) as manager, ExitStack() as stack:
        monkeypatch.delenv(VARIABLE)
        with connect(manager.url, timeout=60) as connection:
            open_shared(connection)
        keepers, watcher = set_out(stack, manager)
        with connect(manager.url, timeout=60) as connection:
            eventually(lambda: connection.stats()["generation"] == 2, f"death at {stage}, and the next manager")
            close_the_books(connection, keepers, watcher)
            assert connection.stats()["generation"] == 2


@pytest.mark.parametrize("before", ["journal-set", "changes-half", "sequences-even"])
@pytest.mark.parametrize("stage", RECOVERY_STAGES)
def test_death_in_the_recovery(stage: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point reads go on all the while, and the request in flight is answered by the manager that lives."""
    monkeypatch.setenv(VARIABLE, f"{before}:{FAILPOINT_COUNTS[0]}")
    with Manager(max_size=SMALL, restart=False) as manager, ExitStack() as stack:
        connection = stack.enter_context(connect(manager.url, timeout=60))
        keepers, watcher = set_out_when_shared(stack, manager, connection)
        eventually(lambda: has_died(manager), f"death at {before}")
        # Once recovery is done the journal is clear, so there is only one death to be had of that.
        for _ in range(1 if stage == "recovery-done" else 3):
            monkeypatch.setenv(VARIABLE, stage)
            with pytest.raises(ManagerUnavailable):
                manager.start()
            begun = time.monotonic()
            assert Events(connection, "always").get("there")["n"] == 1
            assert time.monotonic() - begun < 20
        monkeypatch.delenv(VARIABLE)
        manager.start()
        close_the_books(connection, keepers, watcher)


def set_out_when_shared(stack: ExitStack, manager: Manager, connection: Connection) -> tuple[list[Child], Child]:
    """Two commits before the clients make theirs; the manager is to outlive these."""
    open_shared(connection)
    Events(connection, "always").insert({"id": "there", "created": 1, "n": 1})
    return set_out(stack, manager)


def has_died(manager: Manager) -> bool:
    """Whether its owner knows, and can start another."""
    try:
        return not manager.pid
    except InvalidRequest:
        return True


def test_every_stage_is_tried() -> None:
    assert {*COMMIT_STAGES, *RECOVERY_STAGES} == {*STAGES}
