"""A benchmark harness whose processes share a store: plans the runs, has workers do them, tells what comes of it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import worker
from candidates import CANDIDATES, corpus
from report import summary, table
from rich.console import Console
from rich.live import Live
from worker import Run, Runs

from papertiger_shm import Manager, WaitTimeout

MOST_DEATHS = 10


class Crew:
    """The workers. One that dies is replaced; what it had claimed another claims again, perhaps its replacement."""

    def __init__(self, size: int, url: str) -> None:
        self.url = url
        self.deaths = 0
        self.workers = [self.start_one() for _ in range(size)]

    def start_one(self) -> subprocess.Popen[bytes]:
        """A fresh interpreter, in a session of its own: the Ctrl-C of a terminal is for the harness alone."""
        return subprocess.Popen([sys.executable, worker.__file__, self.url], start_new_session=True)

    def replace_the_dead(self) -> None:
        for place, process in enumerate(self.workers):
            if status := process.poll():
                self.deaths += 1
                if self.deaths > MOST_DEATHS:
                    raise SystemExit(f"{self.deaths} workers have died, the last with exit status {status}")
                self.workers[place] = self.start_one()

    def end(self) -> None:
        for process in self.workers:
            process.terminate()
            process.wait()


def plan(repeats: int) -> list[Run]:
    """All candidates once, then all again: whatever slows the machine down for a while slows down all of them."""
    return [
        {"id": f"{candidate} #{repeat}", "candidate": candidate, "state": "waiting", "claims": 0}
        for repeat in range(1, repeats + 1)
        for candidate in CANDIDATES
    ]


def follow(runs: Runs, crew: Crew, console: Console) -> None:
    """A line for each run that is done, until all are; on a terminal a live table below."""
    done = last = 0
    # The table is read from the shared memory at each refresh: neither a worker nor the manager is asked.
    with Live(get_renderable=lambda: table(runs), console=console, transient=True):
        while done < runs.count():
            crew.replace_the_dead()
            with suppress(WaitTimeout):  # time to look at the crew again
                run = runs.wait_for(0.2, since=last, state="done")
                last = runs.version(run["id"])
                done += 1
                again = f", claimed {run['claims']} times" if run["claims"] > 1 else ""
                console.print(f"{run['id']}: {run['compress_ms']:.2f} ms, {run['bytes']:,} bytes{again}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares the standard library's compressors.")
    parser.add_argument("--workers", type=int, default=2, help="processes that measure (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each candidate (default: 3)")
    parser.add_argument("--out", type=Path, help="keep all runs in this .jsonl file")
    parser.add_argument("--json", action="store_true", help="say the outcome as JSON")
    asked = parser.parse_args()
    if asked.workers < 1 or asked.repeats < 1:
        parser.error("--workers and --repeats are numbers above 0")
    if asked.out and not (asked.out.suffix == ".jsonl" and asked.out.parent.is_dir()):
        parser.error(f"--out: '{asked.out}' is no .jsonl file in a directory that exists")
    with Manager() as manager, manager.connect() as connection:
        runs = Runs(connection)
        runs.insert_many(plan(asked.repeats))
        console = Console(stderr=True, highlight=False, soft_wrap=True)  # the output is for what comes of it
        console.print(f"{asked.workers} workers share {manager.url}")
        crew = Crew(asked.workers, manager.url)
        try:
            follow(runs, crew, console)
        finally:
            crew.end()
        if asked.out:
            runs.dump(asked.out)
        if asked.json:
            print(json.dumps({"bytes": len(corpus()), "deaths": crew.deaths, "candidates": summary(runs)}))
        else:
            Console().print(table(runs))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
