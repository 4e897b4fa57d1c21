"""One process of a crew: ``python -m benchmarks.member URL PLACE`` does jobs until it is ended.

What it does is in ``WORK``; whom it is compared with never enters here.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.crew import Barriers, Jobs, Reports
from benchmarks.events import RECORD, STRIPE, Payload, random_ids
from benchmarks.peers import Peer
from benchmarks.peers.everyone import EVERYONE
from benchmarks.peers.private_dict import PrivateDict
from papertiger_shm import connect

Job = dict[str, Any]
Ready = Callable[[], None]
Stopped = Callable[[], bool]

AT_ONCE = 50
PAYLOADS: dict[str, Payload] = {payload.name: payload for payload in (STRIPE, RECORD)}

_attached: dict[str, Peer] = {}


def main() -> None:
    url, place = sys.argv[1], int(sys.argv[2])
    connection = connect(url)
    jobs, reports, barriers = Jobs(connection), Reports(connection), Barriers(connection)
    number = 0
    while True:
        number += 1
        job = jobs.wait_for(None, number=number)
        if place >= job["members"]:
            continue
        ready = partial(barriers.meet, f"start {number}", job["members"] + 1)
        measured = WORK[job["work"]](job, place, ready, partial(jobs.__contains__, f"stop {number}"))
        reports.insert({"id": f"{number} {place}", "job": number, "place": place, **measured})


def peer_of(job: Job) -> Peer:
    """The job's peer, attached once for all jobs."""
    name = job["peer"]
    key = f"{name} {job['address']}"
    if key not in _attached:
        if name == PrivateDict.name:  # shares nothing, so that every process has its own
            peer: Peer = PrivateDict()
            for batch in PAYLOADS[job["payload"]].stored(job["size"], job["top"]):
                peer.load(batch)
            _attached[key] = peer
        else:
            _attached[key] = EVERYONE[name].attached(job["address"])
    return _attached[key]


def read(job: Job, place: int, ready: Ready, stopped: Stopped) -> Job:
    """Random gets for a number of seconds."""
    get = peer_of(job).getter()
    ids = random_ids(PAYLOADS[job["payload"]], 10_000, job["size"], job["top"], seed=place)
    get(ids[0])
    ready()
    calls = 0
    begin = now = time.perf_counter()
    cpu = time.process_time()
    while now - begin < job["seconds"]:
        for id in ids[calls % len(ids) :][:AT_ONCE]:
            get(id)
        calls += AT_ONCE
        now = time.perf_counter()
    return {"calls": calls, "seconds": now - begin, "cpu": time.process_time() - cpu}


def insert(job: Job, place: int, ready: Ready, stopped: Stopped) -> Job:
    """A number of fresh events, one at a time."""
    peer = peer_of(job)
    count = job["count"]
    first = job["first"] + place * count
    payload = PAYLOADS[job["payload"]]
    # As in life, where "created" is now: those of all processes are of the same second, and the latest is the newest.
    now = payload.make(job["first"])["created"]
    events = peer.prepared([event | {"created": now} for event in payload.range(first, first + count)])
    put = peer.inserter()
    ready()
    begin = time.perf_counter()
    for event in events:
        put(event)
    return {"calls": count, "seconds": time.perf_counter() - begin}


def update(job: Job, place: int, ready: Ready, stopped: Stopped) -> Job:
    """Replace events of a range, as fast as they go, until told to stop."""
    peer = peer_of(job)
    events = peer.prepared(PAYLOADS[job["payload"]].range(job["first"], job["last"]))
    events = random.Random(place).sample(events, len(events))
    put = peer.inserter()
    ready()
    calls = 0
    while not stopped():
        for event in events[calls % len(events) :][:AT_ONCE]:
            put(event)
        calls += AT_ONCE
    return {"calls": calls}


WORK: dict[str, Callable[[Job, int, Ready, Stopped], Job]] = {"read": read, "insert": insert, "update": update}


if __name__ == "__main__":
    main()
