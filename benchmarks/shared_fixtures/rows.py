"""The rows of the table: what is attempted for each, and how what was counted is put into a few words.

A verdict reads observations and nothing else. Where the same attempt ended in different ways, it tells the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.shared_fixtures import attempts
from benchmarks.shared_fixtures.attempts import TESTS, Attempt, Observation

__all__ = ["ROWS", "Cell", "Row"]


@dataclass(frozen=True)
class Cell:
    text: str
    good: bool | None = None
    """Whether it is what one would want; None where there is nothing to want."""


Verdict = Callable[[Sequence[Observation]], Cell]


@dataclass(frozen=True)
class Row:
    title: str
    attempts: Sequence[Attempt]
    """Their observations are one, with all their counts."""
    verdict: Verdict


YES = Cell("yes", True)


def times(numbers: Iterable[int]) -> str:
    """ "never", "once", "4 times", or "1 to 4 times" where it differed."""
    least, most = min(found := sorted(numbers)), max(found)
    if least == most:
        return {0: "never", 1: "once"}.get(most, f"{most} times")
    return f"{least} to {most} times"


def of(observations: Sequence[Observation], way: str, what: str) -> list[int]:
    return [observation[way][what] for observation in observations if way in observation]


def ways_of(observations: Sequence[Observation]) -> list[str]:
    return list(dict.fromkeys(way for observation in observations for way in observation))


def hung(observations: Sequence[Observation]) -> str:
    return ", hung" if any(observation.get("hung") for observation in observations) else ""


def by_way(found: dict[str, str]) -> Cell:
    """What is wanted is "once" in every way; the ways where it is not are told."""
    others = [f"{way} {how_often}" for way, how_often in found.items() if how_often != "once"]
    if not others:
        return YES
    return Cell("; ".join([*others, "else once"] if len(others) < len(found) else others), False)


def set_up_once(observations: Sequence[Observation]) -> Cell:
    return by_way({way: times(of(observations, way, "set up")) for way in ways_of(observations)})


def torn_down_once(observations: Sequence[Observation]) -> Cell:
    ways = [way for way in ways_of(observations) if way != "`return`"]
    if "`yield`" not in ways:
        return Cell("never: has no tear-down", False)
    return by_way({way: torn_down(observations, way) for way in ways})


def torn_down(observations: Sequence[Observation], way: str) -> str:
    early = max(of(observations, way, "torn down early"))
    text = times(of(observations, way, "torn down"))
    return f"{text}, {early} of them early" if early else text


def after_a_kill(observations: Sequence[Observation]) -> Cell:
    """Good where everything that was set up was also cleared away, and every test has a result."""
    cleared = min(run["torn down"] + run["reaped"] - run["set up"] for run in observations) >= 0
    results = min(run["results"] for run in observations)
    if cleared:
        way = "torn down, reaped behind the dead one" if any(run["reaped"] for run in observations) else "torn down"
    else:
        set_up, gone = (times(run[what] for run in observations) for what in ("set up", "torn down"))
        way = f"set up {set_up}, torn down {gone}"
    kept = f"{results} of {TESTS} tests have a result"
    return Cell(f"{way}; {kept}{hung(observations)}", cleared and results == TESTS and not hung(observations))


def failing_once(observations: Sequence[Observation]) -> Cell:
    runs = times(run["set up"] for run in observations)
    wrong = max(run["passed"] for run in observations)
    missing = TESTS - min(run["results"] for run in observations)
    text = runs if not wrong else f"{runs}, and {wrong} of {TESTS} tests pass without it"
    if missing:
        text += f", {missing} of {TESTS} tests have no result"
    return Cell(text + hung(observations), runs == "once" and not wrong and not missing and not hung(observations))


def by_parameter(observations: Sequence[Observation]) -> Cell:
    set_up, gone = (
        [times(run[f"{what} by parameter"][name] for run in observations) for name in "ab"]
        for what in ("set up", "torn down")
    )
    passed = min(run["passed"] for run in observations)
    trouble = "" if passed == 2 * TESTS else f"; {passed} of {2 * TESTS} tests pass"
    if {*set_up, *gone} == {"once"} and not trouble and not hung(observations):
        return YES
    return Cell(f"set up {both(set_up)}; torn down {both(gone)}{trouble}{hung(observations)}", False)


def both(found: Sequence[str]) -> str:
    return found[0] if found[0] == found[1] else f"{found[0]} for the one, {found[1]} for the other"


def afresh(observations: Sequence[Observation]) -> Cell:
    stale = []
    for way in ways_of(observations):
        if min(of(observations, way, "set up")) == 0:
            stale.append(f"{way}: old one used, {max(of(observations, way, 'passed'))} of {TESTS} tests pass")
    return Cell("; ".join(stale), False) if stale else YES


def offers(observations: Sequence[Observation]) -> Cell:
    works = {name: all(run[name] for run in observations) for name in observations[0]}
    said = [name for name, good in works.items() if good]
    broken = [f"{name} did not work" for name, good in works.items() if not good and observations[0][name] is not None]
    return Cell(", ".join([*said, *broken]) or "none", all(works.values()))


def microseconds(observations: Sequence[Observation]) -> Cell:
    first, later = (attempts.middle(observations, which) * 1e6 for which in ("first", "later"))
    return Cell(f"{first:,.0f} / {later:,.0f} us")


ROWS = (
    Row("set up once", (attempts.life,), set_up_once),
    Row("torn down once, after the last test", (attempts.life,), torn_down_once),
    Row("the worker that set up is killed", (attempts.maker_killed,), after_a_kill),
    Row("a failing set-up runs", (attempts.failing,), failing_once),
    Row("two parameters: each set up and torn down once", (attempts.parametrised,), by_parameter),
    Row("set up again after a run that was killed", (attempts.run_killed, attempts.alone, attempts.elsewhere), afresh),
    Row("besides: isolation, lock, counter, barrier, queue", (attempts.features,), offers),
    Row("first / later access", (attempts.access,), microseconds),
)
