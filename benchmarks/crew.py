"""The harness's own processes: they take jobs from a papertiger-shm store, meet at a barrier, and publish samples.

This side hands out the jobs; ``member`` is the other. The store is the crew's own, never one that is measured. What
a job does is not known here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from papertiger_shm import Connection, Manager, Store

__all__ = ["Barriers", "Crew", "Jobs", "Reports"]

ROOT = Path(__file__).resolve().parent.parent
PAUSE = 0.0002
PATIENCE = 120.0
"""Seconds within which a job is done by any means."""


class Jobs(Store, table="bench_jobs", resource="job", indexes=("number",)):
    """What is to be done, by those whose place is below ``members``."""


class Reports(Store, table="bench_reports", resource="report", indexes=("job",)):
    """What each member measured."""


class Barriers(Store, table="bench_barriers", resource="barrier"):
    """``arrived``: how many stand at it."""

    def meet(self, id: str, parties: int) -> None:
        """Go on when so many have come."""
        arrived = self.increment(id, "arrived")
        deadline = time.monotonic() + PATIENCE
        while arrived < parties:
            if time.monotonic() > deadline:
                raise TimeoutError(f"barrier {id}: {arrived} of {parties} came in {PATIENCE:g} s; see what keeps them")
            time.sleep(PAUSE)
            arrived = self.get(id)["arrived"]


class Crew:
    """So many processes that do jobs. A context manager, which ends with them all gone."""

    def __init__(self, members: int) -> None:
        self._members = members
        self._manager = Manager(max_size="64 MiB")
        self._processes: list[subprocess.Popen[str]] = []
        self._number = 0

    def __enter__(self) -> Crew:
        self._manager.start()
        self._connection: Connection = self._manager.connect()
        self._jobs = Jobs(self._connection)
        self._reports = Reports(self._connection)
        self._barriers = Barriers(self._connection)
        command = [sys.executable, "-m", "benchmarks.member", self._manager.url]
        for place in range(self._members):
            self._processes.append(
                subprocess.Popen([*command, str(place)], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ)
            )
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.communicate()
        self._connection.close()
        self._manager.stop()

    @contextmanager
    def at_work(self, members: int, work: str, **job: Any) -> Iterator[list[dict[str, Any]]]:
        """Have so many members do this; the block begins when all are at the barrier.

        At its end they are told to stop, and what they report is in the list.
        """
        self._number += 1
        number, barrier = self._number, f"start {self._number}"
        with self._connection.transaction():
            self._barriers.insert({"id": barrier, "arrived": 0})
            self._jobs.insert({"id": f"job {number}", "number": number, "members": members, "work": work, **job})
        self._meet(barrier, members + 1)
        reports: list[dict[str, Any]] = []
        try:
            yield reports
        finally:
            self._jobs.insert({"id": f"stop {number}"})
        reports += self._collected(number, members)

    def wait(self, members: int) -> None:
        """Wait until so many have reported on the job that is done now, which ends by itself."""
        self._collected(self._number, members)

    def _meet(self, barrier: str, parties: int) -> None:
        arrived = self._barriers.increment(barrier, "arrived")
        while arrived < parties:
            self._see_that_all_live()
            time.sleep(PAUSE)
            arrived = self._barriers.get(barrier)["arrived"]

    def _collected(self, number: int, members: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE
        while len(reports := self._reports.find_by("job", number)) < members:
            self._see_that_all_live()
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {number}: {len(reports)} of {members} reported in {PATIENCE:g} s")
            time.sleep(PAUSE)
        return reports

    def _see_that_all_live(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                said = process.communicate()[1]
                raise RuntimeError(f"a process of the crew ended with status {process.returncode}:\n{said}")
