"""A payment desk: payments come at random, so many clerks take them in turn, and who finds none free waits.

This is one process of the simulation; the notebook starts several. Each publishes day by day, and knows of no other.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import suppress
from heapq import heapify, heapreplace
from random import Random

from papertiger_shm import ManagerUnavailable, Store, connect

PER_MINUTE = 2.6  # payments that come, and each takes a clerk a minute, both exponentially distributed
CLERKS = 3
PATIENCE = 2.0  # minutes after which a wait is a long one
A_DAY = 4_000  # payments
WARM_UP = 400  # payments until a day is as busy as it stays
BIN, BINS = 0.5, 24  # minutes, and how many; the last takes whatever is longer


class Days(Store, table="desk_days", resource="day", prefix="day"):
    """A day of one ``process``: how many payments waited ``long``, and how long all did, as counts in ``waits``."""


def day(random: Random) -> list[float]:
    """How long each payment of a day had to wait, in minutes."""
    free_at = [0.0] * CLERKS
    heapify(free_at)
    waits, now = [], 0.0
    for _ in range(WARM_UP + A_DAY):
        now += random.expovariate(PER_MINUTE)
        start = max(now, free_at[0])
        heapreplace(free_at, start + random.expovariate(1.0))
        waits.append(start - now)
    return waits[WARM_UP:]


def simulate(seed: int, days: int) -> None:
    random = Random(seed)
    # $PAPERTIGER_URL says where; when the store has gone, nobody wants to know any more.
    with suppress(ManagerUnavailable), connect() as connection:
        store = Days(connection)
        for _ in range(days):
            waits = day(random)
            bins = Counter(min(int(wait / BIN), BINS - 1) for wait in waits)
            outcome = {"waits": [bins[place] for place in range(BINS)], "long": sum(wait > PATIENCE for wait in waits)}
            with store.transaction(wait=False):  # the next day need not wait until this one is written
                store.insert({"process": seed, **outcome})


if __name__ == "__main__":
    simulate(seed=int(sys.argv[1]), days=int(sys.argv[2]))
