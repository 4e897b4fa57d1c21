"""What is tried with a contender: each attempt writes a suite, runs it, and returns counts read from its journal.

No attempt judges what it counts; that is for ``rows``. What a contender does not offer is ``Cannot``, with the reason.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.shared_fixtures.contenders import FEATURES, WORKERS, XDIST, Contender
from benchmarks.shared_fixtures.suite import Run, Suite

__all__ = [
    "TESTS",
    "Attempt",
    "Cannot",
    "Observation",
    "access",
    "alone",
    "elsewhere",
    "failing",
    "features",
    "life",
    "maker_killed",
    "middle",
    "numbered",
    "parametrised",
    "run_killed",
    "suite_of",
]

Observation = dict[str, Any]
Attempt = Callable[[Contender], Observation]

TESTS = 16
"""Enough for each of the workers to get some, whatever the order."""
ACCESSES = 40
SLOWLY = "0.5"
"""Seconds of a set-up and of a test in a run that is to be killed in the midst of both."""


class Cannot(Exception):
    """The contender has no such thing, or refuses it; the message is the reason."""


def suite(contender: Contender, conftest: str, tests: str) -> AbstractContextManager[Suite]:
    return suite_of(contender.packages, conftest, tests)


@contextmanager
def suite_of(packages: Sequence[str], conftest: str, tests: str) -> Iterator[Suite]:
    """A suite in a directory that goes with it."""
    # Short, since sockets lie below it, and their whole path has to fit into some 100 bytes.
    home = Path(tempfile.mkdtemp(prefix="sf-"))
    try:
        yield Suite(home, conftest, tests, packages)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def numbered(body: str, count: int = TESTS, arguments: str = "resource") -> str:
    """So many tests of the same body. Functions, not parameters, which would change the order of the fixtures."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    functions = (f"def test_{number:02}({arguments}):\n{lines}" for number in range(count))
    return "import os\nimport journal\n\n" + "\n".join(functions)


def by_argument(contender: Contender) -> str:
    return numbered(f"journal.use({contender.value})")


def by_name(contender: Contender) -> str:
    return numbered(
        f"resource = request.getfixturevalue('resource')\njournal.use({contender.value})", arguments="request"
    )


def in_one_test(contender: Contender) -> str:
    """So that most workers never come to the fixture."""
    others = numbered("journal.use(None)", TESTS - 1, "")
    return f"{others}\ndef test_last(resource):\n    journal.use({contender.value})\n"


def runs(run: Run) -> Run:
    """The run, unless it never came to its tests."""
    if run.hung:
        return run
    if not run.outcomes and not run.notes:
        raise Cannot(run.complaint())
    return run


def counted(run: Run) -> Observation:
    """What every attempt wants to know of a run."""
    ends = run.of("ends")
    drops = run.of("torn down")
    return {
        "set up": run.count("set up"),
        "torn down": len(drops),
        "torn down early": sum(any(end["at"] > drop["at"] for end in ends) for drop in drops),
        "reaped": run.count("reaped"),
        "results": len(run.outcomes),
        "passed": run.passed(),
        "status": run.status,
        "seconds": run.seconds,
        "hung": run.hung,
    }


# the life of a fixture


def life(contender: Contender) -> Observation:
    """Set up and torn down, asked for in each of the ways there are."""
    ways = {
        "`return`": (contender.returned, by_argument(contender)),
        "`yield`": (contender.yielded, by_argument(contender)),
        "`getfixturevalue`": (contender.with_tear_down, by_name(contender)),
        "used by one test": (contender.yielded, in_one_test(contender)),
    }
    return {
        name: one_life(contender, conftest, tests) for name, (conftest, tests) in ways.items() if conftest is not None
    }


def one_life(contender: Contender, conftest: str, tests: str) -> Observation:
    with suite(contender, conftest, tests) as written:
        return counted(runs(written.run(contender.workers)))


def maker_killed(contender: Contender) -> Observation:
    """The worker that set up (with a controller that did: any one) kills itself in a test, not in its first."""
    tests = numbered(f"journal.use({contender.value})\njournal.die_as_maker()")
    with suite(contender, contender.reaped or contender.with_tear_down, tests) as written:
        run = runs(written.run(contender.workers))
    if not run.count("killed"):
        raise Cannot("no worker came to kill itself")
    killed = run.of("killed")[0]["pid"]
    return {**counted(run), "maker was a worker": any(note["pid"] == killed for note in run.of("is set up"))}


def failing(contender: Contender) -> Observation:
    with suite(contender, contender.with_tear_down, by_argument(contender)) as written:
        return counted(runs(written.run(contender.workers, JOURNAL_FAIL="1")))


def parametrised(contender: Contender) -> Observation:
    if contender.parametrised is None:
        raise Cannot("has no parameters")
    with suite(contender, contender.parametrised, by_argument(contender)) as written:
        run = runs(written.run(contender.workers))
    return {
        **counted(run),
        "set up by parameter": {name: run.count("set up", param=name) for name in "ab"},
        "torn down by parameter": {name: run.count("torn down", param=name) for name in "ab"},
        "has tear-down": "drop" in contender.parametrised,
    }


def run_killed(contender: Contender) -> Observation:
    """A whole run killed in the midst of its tests, and then the same command again."""
    return {"`-n 4`": killed_and_again(contender, [*contender.workers, "--basetemp={home}/base"])}


def alone(contender: Contender) -> Observation:
    """The same without workers, where temporary directories of several runs lie side by side."""
    if contender.alone is None:
        raise Cannot("is nothing without its workers")
    return {"`-n 0`": killed_and_again(contender, contender.alone)}


def elsewhere(contender: Contender) -> Observation:
    """The same with workers that xdist takes to be on another host, which their temporary directories depend on."""
    if contender.workers != XDIST:
        raise Cannot("has no workers on other hosts")
    spec = f"{WORKERS}*ssh=elsewhere//python={sys.executable}//chdir={{home}}/elsewhere"
    arguments = ["--dist=load", f"--tx={spec}", "--rsyncdir={home}/suite"]
    return {"`--tx ssh=...`": killed_and_again(contender, arguments)}


SSH = """#!/bin/sh
# Stands for the ssh that would run its last argument on another host.
for last; do :; done
exec sh -c "$last"
"""


def killed_and_again(contender: Contender, arguments: Sequence[str]) -> Observation:
    with suite(contender, contender.with_tear_down, by_argument(contender)) as written:
        written.command("ssh", SSH)
        place = [argument.format(home=written.home) for argument in arguments]
        first = written.run(place, kill_after="begins", JOURNAL_STEP=SLOWLY)
        again = runs(written.run(place))
    return {**counted(again), "killed run was set up": first.count("is set up")}


# what tests can share besides


def features(contender: Contender) -> Observation:
    """Each thing that the contender offers, tried by four workers at once: whether it did what its name says."""
    return {name: tried(contender, name) if name in contender.features else None for name in FEATURES}


def tried(contender: Contender, name: str) -> bool:
    body, works = TRIALS[name]
    count = WORKERS if name == "barrier" else TESTS
    with suite(contender, contender.features[name], numbered(body, count, name)) as written:
        run = written.run(contender.workers)
    return run.passed() == count and works(run)


def kept_apart(run: Run) -> bool:
    return [note["count"] for note in run.of("wrote")] == [1] * TESTS


def one_at_a_time(run: Run) -> bool:
    held = [note["what"] for note in run.notes if note["what"] in ("got lock", "frees lock")]
    return held == ["got lock", "frees lock"] * TESTS


def every_number_once(run: Run) -> bool:
    return sorted(note["number"] for note in run.of("counted")) == list(range(TESTS))


def all_there(run: Run) -> bool:
    leaves = run.of("leaves")
    return len(leaves) == WORKERS and all(
        arrival["at"] < departure["at"] for arrival in run.of("arrives") for departure in leaves
    )


def each_value_once(run: Run) -> bool:
    return Counter(note["value"] for note in run.of("got")) == Counter(note["value"] for note in run.of("puts"))


TRIALS: dict[str, tuple[str, Callable[[Run], bool]]] = {
    "isolation": ("journal.note('wrote', count=isolation('the same id everywhere'))", kept_apart),
    "lock": ("with lock:\n    journal.note('got lock')\n    journal.note('frees lock')", one_at_a_time),
    "counter": ("journal.note('counted', number=counter())", every_number_once),
    "barrier": ("journal.note('arrives')\nbarrier(4)\njournal.note('leaves')", all_there),
    "queue": (
        "value = os.environ['PYTEST_CURRENT_TEST']\njournal.note('puts', value=value)\nqueue.put(value)\n"
        "journal.note('got', value=queue.get(timeout=20))",
        each_value_once,
    ),
}


# how long it takes to get at the value


def access(contender: Contender) -> Observation:
    """Seconds of each ``getfixturevalue``: the first of each worker that did not set up itself, and the later ones."""
    tests = numbered("journal.timed_access(request)", ACCESSES, "request")
    with suite(contender, contender.with_tear_down, tests) as written:
        run = runs(written.run(contender.workers, JOURNAL_STEP="0"))
    makers = {note["pid"] for note in run.of("set up")}
    if len(makers) > 1:
        raise Cannot("set up by each worker when asked for by `getfixturevalue`: nothing is shared")
    first: dict[int, float] = {}
    later: list[float] = []
    for note in run.of("access"):
        if note["pid"] in first:
            later.append(note["seconds"])
        else:
            first[note["pid"]] = note["seconds"]
    others = [seconds for pid, seconds in first.items() if pid not in makers]
    if not others or not later:
        raise Cannot(run.complaint())
    return {"first": others, "later": later}


def middle(observations: Sequence[Observation], which: str) -> float:
    return statistics.median(float(seconds) for observation in observations for seconds in observation[which])
