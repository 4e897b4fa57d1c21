"""The parent of the demo: starts a manager and the workers, looks on, and has everything proven at the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import multiprocess

from papertiger_shm import Events, Manager
from papertiger_shm.cli.demo.books import shipped_events
from papertiger_shm.cli.demo.proof import faults_of_exits, faults_of_reports, faults_of_store
from papertiger_shm.cli.demo.scene import SHARED, SIGNAL, TALLY, Control, Reports, Tallies
from papertiger_shm.cli.demo.view import View
from papertiger_shm.cli.demo.worker import Sabotage, work

if TYPE_CHECKING:
    from papertiger_shm import Connection

__all__ = ["run"]

LOOK = 0.2
"""Seconds between two looks at the workers' reports."""

GRACE = 30.0
"""Seconds that the workers have for starting, and again for ending."""


def run(seconds: float, workers: int, *, view: View | None = None, sabotage: Sabotage | None = None) -> int:
    """Run the demo for ``seconds`` with ``workers`` processes; returns the exit status: 0, or 1 if anything is off.

    ``sabotage`` is called in every worker as it begins, with its number and the store's URL.
    """
    view = view or View()
    with Manager() as manager, manager.connect() as connection:
        loaded = Events(connection, SHARED).insert_many(shipped_events())
        Tallies(connection, SHARED).insert({"id": TALLY, "turns": 0})
        view.say(
            f"manager {manager.pid} writes {manager.url}; {loaded} Stripe events loaded; starting {workers} workers"
        )
        with view, processes(manager.url, workers, seconds, sabotage) as team:
            watch(connection, team, seconds, view)
            exits = [process.exitcode for process in team]
        reports = current_reports(connection)
        faults = faults_of_exits(exits) + faults_of_reports(reports, workers) + faults_of_store(connection, reports)
        view.finish(reports, connection.stats(), faults)
    return 1 if faults else 0


@contextmanager
def processes(url: str, workers: int, seconds: float, sabotage: Sabotage | None) -> Iterator[list[Any]]:
    """Fresh interpreters, not forks; whichever still runs at the end of the block is killed."""
    spawn = multiprocess.get_context("spawn")
    team = [
        spawn.Process(target=work, args=(url, number, workers, seconds, sabotage), daemon=True)
        for number in range(workers)
    ]
    try:
        for process in team:
            with interrupt_blocked():
                process.start()
        yield team
    finally:
        for process in team:
            if process.is_alive():
                process.kill()
            if process.pid is not None:
                process.join()


@contextmanager
def interrupt_blocked() -> Iterator[None]:
    """A process started in here begins with Ctrl-C blocked, until it has made its own arrangements."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def watch(connection: Connection, team: Sequence[Any], seconds: float, view: View) -> None:
    """Start the workers' common clock and look on until all have ended. Ctrl-C makes them end now."""
    control = Control(connection, SHARED)
    try:
        wait_until_ready(connection, team)
        control.insert({"id": SIGNAL, "state": "run"})
        look_on(connection, team, seconds, view)
    except KeyboardInterrupt:
        view.say("interrupted: the workers finish what they are at")
        control.insert({"id": SIGNAL, "state": "stop"})
        look_on(connection, team, 0.0, view)


def wait_until_ready(connection: Connection, team: Sequence[Any]) -> None:
    deadline = time.monotonic() + GRACE
    while len(current_reports(connection)) < len(team) and time.monotonic() < deadline:
        if any(process.exitcode is not None for process in team):
            return
        time.sleep(LOOK / 10)


def look_on(connection: Connection, team: Sequence[Any], seconds: float, view: View) -> None:
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds + GRACE:
        running = [process for process in team if process.exitcode is None]
        if not running:
            return
        view.show(elapsed, current_reports(connection), connection.stats())
        running[0].join(LOOK)


def current_reports(connection: Connection) -> list[dict[str, Any]]:
    """The workers' latest reports, by number."""
    return sorted(Reports(connection).list_namespace(SHARED), key=lambda report: int(report["worker"]))
