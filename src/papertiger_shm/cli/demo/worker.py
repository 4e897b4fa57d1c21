"""One worker process of the demo: reads and writes at random, and checks everything it reads.

It trusts nothing the store says but compares it with books that it keeps by itself. What it finds off goes into its
report; it never repairs, retries or looks away. Nothing is printed here.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from papertiger_shm import Events, connect
from papertiger_shm.cli.demo.books import (
    OWN_KEYS,
    Books,
    Item,
    expected_order,
    own_item,
    own_key,
    own_type,
    shipped_events,
)
from papertiger_shm.cli.demo.latencies import Latencies
from papertiger_shm.cli.demo.scene import SHARED, SIGNAL, TALLY, Control, Reports, Tallies, own_namespace

Result = TypeVar("Result")
Sabotage = Callable[[int, str], None]
"""Called in each worker once, with its number and the store's URL, when it has begun: how tests put something wrong."""

SLICE = 0.2
"""Seconds between two reports."""

START_TIMEOUT = 60.0
FAULTS_KEPT = 5


class Worker:
    """Everything one worker knows: its handles, its books and its figures."""

    def __init__(self, url: str, number: int, workers: int) -> None:
        self.url = url
        self.number = number
        self.neighbour = (number + 1) % workers
        self.connection = connect(url)
        self.control = Control(self.connection, SHARED)
        self.tallies = Tallies(self.connection, SHARED)
        self.reports = Reports(self.connection, SHARED)
        self.shared = Events(self.connection, SHARED)
        self.own = Events(self.connection, own_namespace(number))
        self.beside = Events(self.connection, own_namespace(self.neighbour))
        self.events = shipped_events()
        self.order = expected_order(list(self.events))
        self.books = Books(number)
        self.random = random.Random(number)
        self.reads = Latencies()
        self.writes = Latencies()
        self.turns = 0
        self.step = 0
        self.fault_count = 0
        self.faults: list[str] = []

    # measured calls

    def read(self, call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        begin = time.perf_counter_ns()
        result = call(*arguments, **options)
        self.reads.add(time.perf_counter_ns() - begin)
        return result

    def write(self, call: Callable[..., Result], *arguments: Any) -> Result:
        begin = time.perf_counter_ns()
        result = call(*arguments)
        self.writes.add(time.perf_counter_ns() - begin)
        return result

    def check(self, asked: str, found: object, expected: object) -> None:
        """Compare, and keep the first few differences for the report."""
        if found != expected:
            self.fault_count += 1
            if len(self.faults) < FAULTS_KEPT:
                self.faults.append(f"{asked}: found {shortened(found)}, must be {shortened(expected)}")

    # what a worker does, one thing at a time

    def get_shared(self) -> None:
        expected = self.random.choice(self.events)
        self.check(f"get({expected['id']!r})", self.read(self.shared.get, expected["id"], None), expected)

    def list_shared(self) -> None:
        place = self.random.randrange(len(self.order))
        cursor = self.order[place]["id"]
        page = self.read(self.shared.list, limit=10, starting_after=cursor)
        self.check(f"list(limit=10, starting_after={cursor!r})", page.data, self.order[place + 1 : place + 11])

    def find_shared(self) -> None:
        expected = self.random.choice(self.events)
        found = self.read(self.shared.find_by_type, expected["type"])
        self.check(f"find_by_type({expected['type']!r})", found, [expected])

    def get_own(self) -> None:
        key = self.random.randrange(OWN_KEYS)
        found = self.read(self.own.get, own_key(self.number, key), None)
        self.check(f"get({own_key(self.number, key)!r}) of its own", found, self.books.item(key))

    def list_own(self) -> None:
        found = self.read(self.own.list_namespace, own_namespace(self.number))
        self.check("list_namespace of its own", found, self.books.listing())
        self.check("count of its own", self.read(self.own.count), len(self.books.steps))

    def find_own(self) -> None:
        type = own_type(self.random.randrange(OWN_KEYS))
        self.check(
            f"find_by_type({type!r}) of its own", self.read(self.own.find_by_type, type), self.books.listing(type)
        )

    def get_beside(self) -> None:
        """Read what another process may be replacing at this moment: whichever step it is, it has to be whole."""
        key = self.random.randrange(OWN_KEYS)
        found = self.read(self.beside.get, own_key(self.neighbour, key), None)
        if found is not None:
            self.check(f"get({own_key(self.neighbour, key)!r}) of its neighbour", found, self.as_written(key, found))

    def list_beside(self) -> None:
        """Read many that another process may be replacing: every one whole, none twice, newest first."""
        found = self.read(self.beside.list, limit=OWN_KEYS).data
        keys = [item.get("data", {}).get("key") for item in found]
        self.check("list of its neighbour", found, [self.as_written(key, item) for key, item in zip(keys, found)])
        self.check("ids in the list of its neighbour", len(set(keys)), len(keys))
        created = [item["created"] for item in found]
        self.check("order of the list of its neighbour", created, sorted(created, reverse=True))

    def as_written(self, key: object, found: Item) -> Item | None:
        """What the neighbour wrote at the step that the item claims to be of; None if it claims nonsense."""
        step = found.get("data", {}).get("step")
        return own_item(self.neighbour, key, step) if isinstance(key, int) and isinstance(step, int) else None

    def write_own(self) -> None:
        self.step += 1
        key = self.random.randrange(OWN_KEYS)
        self.write(self.own.update, own_item(self.number, key, self.step))
        self.books.wrote(key, self.step)

    def delete_own(self) -> None:
        key = self.random.randrange(OWN_KEYS)
        self.write(self.own.delete, own_key(self.number, key))
        self.books.deleted(key)

    def take_turn(self) -> None:
        self.write(self.tallies.increment, TALLY, "turns")
        self.turns += 1

    # the course of a worker

    def work(self, seconds: float) -> None:
        """Do all of the above in random order until the time is over or the parent says stop."""
        actions = [self.get_shared, self.list_shared, self.find_shared, self.get_own, self.list_own, self.find_own]
        actions += [self.get_beside, self.list_beside, self.write_own, self.delete_own, self.take_turn]
        weights = [50, 4, 8, 12, 1, 2, 12, 1, 8, 1, 2]
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < seconds and self.control.get(SIGNAL)["state"] == "run":
            slice_end = time.monotonic() + min(SLICE, seconds - elapsed)
            while time.monotonic() < slice_end:
                for action in self.random.choices(actions, weights, k=50):
                    action()
            self.report("working", time.monotonic() - begin)
        self.list_own()
        self.report("done", time.monotonic() - begin)

    def report(self, state: str, elapsed: float) -> None:
        """Publish the figures so far under the worker's own id."""
        self.reports.update(
            {
                "id": f"worker-{self.number}",
                "created": self.number,
                "worker": self.number,
                "pid": os.getpid(),
                "state": state,
                "elapsed": elapsed,
                "reads": self.reads.count,
                "read_us": self.reads.summary(),
                "writes": self.writes.count,
                "write_us": self.writes.summary(),
                "private_bytes": private_bytes(),
                "turns": self.turns,
                "steps": {str(key): step for key, step in self.books.steps.items()},
                "fault_count": self.fault_count,
                "faults": self.faults,
            }
        )


def work(url: str, number: int, workers: int, seconds: float, sabotage: Sabotage | None = None) -> None:
    """The whole life of a worker process. Ctrl-C is for the parent, which then tells the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    worker = Worker(url, number, workers)
    worker.report("ready", 0.0)
    worker.control.wait_for(START_TIMEOUT)
    if sabotage is not None:
        sabotage(number, url)
    worker.work(seconds)
    worker.connection.close()


def shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:140]} ... {text[-50:]}"


def private_bytes() -> int | None:
    """Memory that this process shares with no other; None where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
