"""Makes the pictures of docs/command-line.md: a store with something in it, a run of tests, and what the commands show.

    python docs/terminal_pictures.py

Each command runs on a terminal of its own, as in the tests; the picture is what stands there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from rich.console import Console  # noqa: E402
from rich.text import Text  # noqa: E402
from screenshots import RUN, run_of_tests  # noqa: E402

from papertiger_shm import Customers, Events, Manager  # noqa: E402
from terminal import Terminal, papertiger_shm  # noqa: E402

READER = """
import sys, time
from papertiger_shm import Events, connect
with connect(sys.argv[1]) as connection:
    events = Events(connection, "global")
    ids = [event["id"] for event in events]
    while True:
        for id in ids[:40]:
            events.get(id)
        events.update({**events[ids[0]], "read": time.time()})
        time.sleep(0.002)
"""

EVENTS = DOCS.parent / "src" / "papertiger_shm" / "data" / "stripe_events.jsonl"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pt-", dir="/tmp") as directory:
        os.environ["PAPERTIGER_DIR"] = directory
        with Manager("ci", max_size="1 GiB") as manager, manager.connect() as connection:
            events = Events(connection, "global")
            events.load(EVENTS)
            now = int(time.time())
            events.insert_many([{**event, "created": now - 47 * age} for age, event in enumerate(events)])
            for worker in range(4):
                Events(connection, f"gw{worker}/test_refund").insert_many([{} for _ in range(40 - worker)])
                Customers(connection, f"gw{worker}/test_refund").insert({"email": "jenny@example.com"})
            newest = next(iter(events))["id"]
            picture("ls", None, "ls", "ci", "--table", "paper_tiger_events", "--limit", "8")
            picture("get", None, "get", "ci", newest)
    with run_of_tests() as connection:
        Events(connection, "global").load(EVENTS)
        reading = subprocess.Popen([sys.executable, "-c", READER, connection.url])
        try:
            picture("top", lambda screen: re.search(r"reads/s [1-9]", screen.text), "top", f"pytest-{RUN}")
        finally:
            reading.kill()
            reading.wait()


def picture(name: str, is_there: Callable[[Terminal], object] | None, *command: str) -> None:
    """What stands on the terminal when it is there, or when the command has ended."""
    with papertiger_shm(*command, columns=110, rows=44) as screen:
        if is_there is None:
            screen.end()
        else:
            screen.wait(lambda: is_there(screen), "it never stood there")
        shown = drawn(screen)
    console = Console(record=True, width=110, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ papertiger-shm {' '.join(command)}", style="bold green"))
    console.print(shown)
    console.print()  # the last line of a picture is cut a little
    path = DOCS / "pictures" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    console.save_svg(str(path), title="", unique_id=f"papertiger-{name}")


def drawn(screen: Terminal) -> Text:
    """The screen as text with its colours, without the empty lines at its end."""
    lines = []
    for row in range(len(screen.text.splitlines())):
        line = Text()
        for column in range(110):
            cell = screen.cell(row, column)
            colour = {"default": "", "brown": "yellow"}.get(cell.fg, cell.fg)
            line.append(cell.data, f"{colour} {'bold' if cell.bold else ''}".strip())
        line.rstrip()
        lines.append(line)
    return Text("\n").join(lines)


if __name__ == "__main__":
    main()
