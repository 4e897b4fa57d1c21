"""What a page of ``papertiger-shm ui`` costs with 100,000 events in one namespace, and with 1,000 namespaces besides.

    python -m benchmarks.inspector

Each page is fetched 100 times over one connection on loopback; what counts is the whole answer. No browser is in it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable
from http.client import HTTPConnection
from importlib.resources import files
from urllib.parse import quote, urlsplit

from papertiger_shm import Connection, Events, Manager
from papertiger_shm.ui import Inspector

ITEMS = 100_000
NAMESPACES = 1000
ROUNDS = 100
BATCH = 1000
PLACE = "gw0/test_large"
HERE = f"table={Events.table_name}&namespace={quote(PLACE, safe='')}"

PAGES = {
    "the store": "/",
    "items, the newest": f"/items?{HERE}",
    "items, from the middle": f"/items?{HERE}&after=evt_050000",
    "items, the last but a few": f"/items?{HERE}&after=evt_000060",
    "items of a type": f"/items?{HERE}&type=charge.refunded",
    "items with a text that none has": f"/items?{HERE}&text=nothing+has+this",
    "one item": f"/item?{HERE}&id=evt_000001",
    "the timeline": "/timeline",
    "the timeline, one type": "/timeline?type=charge.refunded",
    "runs": "/runs",
}
OVERVIEWS = ("the store", "the timeline")


def main() -> None:
    lines = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes().splitlines()
    made = [json.loads(line) for line in lines]
    with Manager() as manager, manager.connect() as connection:
        events = Events(connection, PLACE)
        for first in range(0, ITEMS, BATCH):
            events.insert_many(
                {**made[number % len(made)], "id": f"evt_{number:06}", "created": 1735689600 + number}
                for number in range(first, first + BATCH)
            )
        report(connection, PAGES)
        for number in range(NAMESPACES):
            Events(connection, f"gw{number % 8}/test_{number}").insert_many(made[:20])
        print(f"with {NAMESPACES:,} namespaces of 20 events besides")
        report(connection, OVERVIEWS)


def report(connection: Connection, names: Iterable[str]) -> None:
    with Inspector(connection) as inspector:
        client = HTTPConnection(urlsplit(inspector.url).netloc)
        client.request("GET", inspector.address.removeprefix(inspector.url))
        welcome = client.getresponse()
        welcome.read()
        cookie = str(welcome.headers["set-cookie"]).partition(";")[0]
        for name in names:
            seconds, size = fetched(client, PAGES[name], cookie)
            median, slow = statistics.median(seconds) * 1e3, sorted(seconds)[ROUNDS * 95 // 100] * 1e3
            print(f"{name:32} {median:6.1f} ms {slow:6.1f} ms at 95 % {size / 1000:5.0f} kB")
        client.close()


def fetched(client: HTTPConnection, path: str, cookie: str) -> tuple[list[float], int]:
    """How long each round took, and how large the answer is."""
    seconds, size = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.request("GET", path, headers={"Cookie": cookie})
        answer = client.getresponse()
        size = len(answer.read())
        seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}")
    return seconds, size


if __name__ == "__main__":
    main()
