"""The parent of the demo: starts a manager and the workers, looks on, and has everything proven at the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import multiprocess
from multiprocess import resource_tracker

from papertiger_shm import Events, Manager
from papertiger_shm.cli.demo.books import shipped_events
from papertiger_shm.cli.demo.proof import faults_of_exits, faults_of_reports, faults_of_store
from papertiger_shm.cli.demo.scene import SHARED, SIGNAL, TALLY, Control, Reports, Tallies
from papertiger_shm.cli.demo.view import View
from papertiger_shm.cli.demo.worker import Sabotage, work
from papertiger_shm.cli.ending import until_asked

if TYPE_CHECKING:
    from papertiger_shm import Connection

__all__ = ["run"]

Asked = Callable[[float], bool]
"""Waits for so many seconds, or until somebody asks the demo to end, and says whether somebody did."""

LOOK = 0.2
"""Seconds between two looks at the workers' reports."""

GRACE = 30.0
"""Seconds that the workers have for starting, and again for ending."""


def run(seconds: float, workers: int, *, view: View | None = None, sabotage: Sabotage | None = None) -> int:
    """Run the demo for ``seconds`` with ``workers`` processes; returns the exit status: 0, or 1 if anything is off.

    ``sabotage`` is called in every worker as it begins, with its number and the store's URL.
    """
    view = view or View()
    asked_to_end = until_asked()
    with Manager() as manager, manager.connect() as connection:
        loaded = Events(connection, SHARED).insert_many(shipped_events())
        Tallies(connection, SHARED).insert({"id": TALLY, "turns": 0})
        view.say(
            f"manager {manager.pid} writes {manager.url}; {loaded} Stripe events loaded; starting {workers} workers"
        )
        with view, processes(manager.url, workers, seconds, sabotage) as team:
            watch(connection, team, seconds, view, asked_to_end)
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
    resource_tracker.ensure_running()  # whose start unblocks Ctrl-C, and so would do it for the first worker
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


def watch(connection: Connection, team: Sequence[Any], seconds: float, view: View, asked_to_end: Asked) -> None:
    """Start the workers' common clock and look on until all have ended, or somebody asks: then they end now."""
    control = Control(connection, SHARED)
    if all_ready(connection, team, asked_to_end):
        control.insert({"id": SIGNAL, "state": "run"})
        if all_ended(connection, team, seconds, view, asked_to_end):
            return
    view.say("asked to end: the workers finish what they are at")
    control.insert({"id": SIGNAL, "state": "stop"})
    all_ended(connection, team, 0.0, view, nobody_asks)


def all_ready(connection: Connection, team: Sequence[Any], asked_to_end: Asked) -> bool:
    """Wait until the workers are; False if somebody asks to end before."""
    deadline = time.monotonic() + GRACE
    while len(current_reports(connection)) < len(team) and time.monotonic() < deadline:
        if any(process.exitcode is not None for process in team):
            return True  # which shows in the end
        if asked_to_end(LOOK / 10):
            return False
    return True


def all_ended(connection: Connection, team: Sequence[Any], seconds: float, view: View, asked_to_end: Asked) -> bool:
    """Look on until the workers have, or the time is long over; False if somebody asks to end before."""
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds + GRACE:
        if all(process.exitcode is not None for process in team):
            return True
        view.show(elapsed, current_reports(connection), connection.stats())
        if asked_to_end(LOOK):
            return False
    return True


def nobody_asks(pause: float) -> bool:
    """For once somebody has."""
    time.sleep(pause)
    return False


def current_reports(connection: Connection) -> list[dict[str, Any]]:
    """The workers' latest reports, by number."""
    return sorted(Reports(connection).list_namespace(SHARED), key=lambda report: int(report["worker"]))
