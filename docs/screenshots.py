"""Makes docs/pictures: the pages of `papertiger-shm ui` in the light and in the dark, of a run of tests as it goes on.

    pip install -e '.[http,test]' selenium pillow && python docs/screenshots.py

It needs Chromium and its driver on PATH. The run is a real one, with pytest-xdist, shared fixtures, and the Stripe
events of the package as its data; what is to be seen is waited for, and then it is told to end.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import chromium, colours, resize, until  # noqa: E402
from papertiger_shm import Connection, Events, ManagerUnavailable, connect  # noqa: E402
from papertiger_shm.testing import runs_in  # noqa: E402
from papertiger_shm.ui import Inspector  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LARGEST = 150_000
WIDE, NARROW = (1100, 700), (400, 760)
RUN = "checkout"
STILL_SECONDS = 2.0

CONFTEST = """
import time
from pathlib import Path
from papertiger_shm.testing import shared_fixture


def until_there(name):
    while not Path(name).exists():
        time.sleep(0.01)


@shared_fixture
def price_list():
    yield {"price_gold": 9900, "price_silver": 4900}


@shared_fixture
def payment_gateway(price_list):
    yield {"url": "http://127.0.0.1:8420"}


@shared_fixture
def search_index():
    until_there("index")
    yield {"documents": 264}
"""

SUITE = """
import json
import os
import time
from importlib.resources import files

import pytest
from conftest import until_there

LINES = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes().splitlines()
EVENTS = [json.loads(line) for line in LINES]
KINDS = ["charge", "customer", "invoice", "payment_intent", "payout", "subscription_schedule"]


def deliver(events, kind, first):
    for place, event in enumerate(event for event in EVENTS if event["type"].startswith(kind + ".")):
        if place < 9:
            events.insert({**event, "created": first + 7 * place})


ran = []


def deliver_and_look(request, events, kind, first):
    deliver(events, kind, first)
    ran.append(kind)
    if len(ran) == 5:  # here each worker stands still to be looked at
        if os.environ["PYTEST_XDIST_WORKER"] in ("gw2", "gw3"):
            request.getfixturevalue("search_index")
        until_there("end")


@pytest.mark.parametrize("attempt", range(1, 5))
@pytest.mark.parametrize("kind", KINDS)
def test_events_are_delivered_once(request, events, price_list, payment_gateway, kind, attempt):
    deliver_and_look(request, events, kind, int(time.time()) - 260 + 60 * attempt + 5 * KINDS.index(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_refunds_are_found(request, events, papertiger_store, price_list, payment_gateway, kind):
    from papertiger_shm import Customers

    papertiger_store(Customers).insert({"id": "cus_jenny", "email": "jenny@example.com"})
    deliver_and_look(request, events, kind, int(time.time()) - 60)
"""


@contextmanager
def run_of_tests() -> Iterator[Connection]:
    """The store of a run that stands still, with all its workers at a test."""
    with tempfile.TemporaryDirectory(prefix="pt-", dir="/tmp") as directory:
        place = Path(directory)
        (place / "conftest.py").write_text(CONFTEST)
        (place / "test_webhooks.py").write_text(SUITE)
        os.environ["PAPERTIGER_DIR"] = directory
        options = ["-n", "4", "--papertiger-run", RUN, "--papertiger-keep", "all"]
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", *options]
        running = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with until(lambda: opened(f"shm://pytest-{RUN}"), "the run's store") as connection:
                try:
                    until(lambda: stands_still(connection), "a run in which one worker waits for another")
                    yield connection
                finally:
                    (place / "index").touch()
                    (place / "end").touch()
                    running.wait()
                    connection.stop_manager()
        finally:
            running.kill()
            running.wait()


def opened(url: str) -> Connection | None:
    try:
        return connect(url)
    except ManagerUnavailable:
        return None


def stands_still(connection: Connection) -> bool:
    for run in runs_in(connection):
        busy = [worker for worker in run["workers"] if worker["seconds"] > STILL_SECONDS]
        return len(busy) == 4 and any(worker["waits_for"] for worker in busy)
    return False


def take(driver: Any, name: str) -> None:
    """The page as it is now, with 256 colours, which are more than it has but for the edges of letters."""
    from PIL import Image

    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    file = PICTURES / f"{name}.png"
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)
    size = file.stat().st_size
    if size >= LARGEST:
        raise AssertionError(f"{file} has {size:,} bytes; a picture may have {LARGEST:,}: take less of the page")
    sys.stdout.write(f"{file.relative_to(ROOT)} {size:,} bytes\n")


def show(driver: Any, address: str) -> None:
    driver.get(address)
    until(lambda: driver.execute_script("return document.documentElement.dataset.state") == "live", "a live page")
    driver.execute_script("document.activeElement.blur()")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with run_of_tests() as connection, Inspector(connection) as inspector, chromium() as driver:
        table = Events.table_name
        places = {place for name, place, _ in connection.collections() if name == table}
        place = max(place for place in places if "invoice" in place)
        items = f"{inspector.url}/items?{urlencode({'table': table, 'namespace': place})}"
        show(driver, inspector.address)
        for scheme in ("light", "dark"):
            colours(driver, scheme)
            resize(driver, *WIDE)
            for name in ("", "timeline", "runs"):
                show(driver, f"{inspector.url}/{name}")
                take(driver, f"{name or 'store'}-{scheme}")
            show(driver, items)
            unfold(driver)
            take(driver, f"items-{scheme}")
        resize(driver, *NARROW)
        show(driver, f"{inspector.url}/timeline")
        take(driver, "narrow-dark")


def unfold(driver: Any) -> None:
    """The second item, and what it is about."""
    driver.execute_script(
        "const item = document.querySelectorAll('details.item')[1]; item.open = true;"
        "const parts = [...item.querySelectorAll('details')];"
        "for (const part of parts.slice(0, 2)) part.open = true"
    )


if __name__ == "__main__":
    main()
