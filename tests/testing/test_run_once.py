"""What is to happen once in a run happens once, and everybody knows what came of it, whoever is killed."""

from __future__ import annotations

import functools
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from papertiger_shm import InvalidItem, InvalidRequest, Manager
from papertiger_shm.testing.run import Run
from papertiger_shm.testing.run.once import Deeds, OnceFailed
from testing.parties import (
    MOMENTS,
    Fatal,
    Worker,
    die,
    interrupt,
    interrupted_at_each_line,
    interrupted_under_way,
    join,
    together,
    until,
)


def claim(run: Run) -> bool:
    return run.once("seed")


def test_the_first_caller_alone(url: str, run: Run) -> None:
    assert sorted(together(url, *[(claim,)] * 4)) == [False, False, False, True]
    assert run.once("seed") is False
    assert run.once("other") is True


def seed(run: Run) -> Any:
    return run.once("seed", lambda: [run.worker, run.counter("runs").add()])


def test_the_function_runs_once(url: str, run: Run) -> None:
    answers = together(url, *[(seed,)] * 4)
    assert answers == [answers[0]] * 4
    assert run.counter("runs").value == 1
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: seed(run), range(4))] == answers


def test_everyone_gets_what_a_store_gives_back_and_afresh(run: Run) -> None:
    values = [run.once("seed", lambda: {"a": (1, 2)}) for _ in range(2)]
    assert values == [{"a": [1, 2]}] * 2
    values[0]["a"].append(3)
    assert run.once("seed", dict) == {"a": [1, 2]}
    assert run.once("nothing", lambda: None) is None
    assert run.once("nothing", lambda: 1) is None


def fail(run: Run) -> Any:
    def failing() -> None:
        run.counter("runs").add()
        raise ZeroDivisionError(f"in {run.worker}, \udcff")

    try:
        return run.once("seed", failing)
    except Exception as error:
        return type(error).__name__, ascii(str(error))


def test_a_failure_is_everybodys(url: str, run: Run) -> None:
    answers = dict(together(url, *[(fail,)] * 4))
    assert set(answers) == {"ZeroDivisionError", "OnceFailed"}
    message = answers["OnceFailed"]
    assert "once 'seed': its function failed in worker gw" in message.replace("\\'", "'")
    assert "raise ZeroDivisionError(f" in message, "the traceback is there"
    assert run.counter("runs").value == 1


def test_a_skip_is_everybodys(run: Run) -> None:
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="no docker"):
            run.once("docker", lambda: pytest.skip("no docker"))
    for kind in (pytest.fail.Exception, OnceFailed):
        with pytest.raises(kind, match="broken"):
            run.once("fail", lambda: pytest.fail("broken"))


def test_whatever_is_said_of_a_failure_or_a_skip(run: Run) -> None:
    """More than an item may hold, and what UTF-8 cannot write."""

    def fail() -> None:
        raise ValueError("much " * (4 << 20))

    with pytest.raises(ValueError, match="much"):
        run.once("fail", fail)
    with pytest.raises(OnceFailed, match="much"):
        run.once("fail", int)
    for reason in ("\udcff docker", "docker " * (4 << 20)):
        for _ in range(2):
            with pytest.raises(pytest.skip.Exception, match="docker"):
                run.once(f"skip {len(reason)}", lambda reason=reason: pytest.skip(reason))  # type: ignore[misc]


def test_what_cannot_be_stored_is_a_failure(run: Run) -> None:
    with pytest.raises(InvalidItem, match=r"value\[0\]"):
        run.once("seed", lambda: [object()])
    with pytest.raises(OnceFailed, match=r"value\[0\]"):
        run.once("seed", lambda: [1])


def seed_and_never_end(run: Run) -> None:
    run.once("seed", signal.pause)


def test_a_killed_runner_is_replaced(url: str, run: Run) -> None:
    with Worker(url, seed_and_never_end) as runner:
        until(lambda: "running" in repr(once(run)))
        with Worker(url, seed, name="gw2") as one, Worker(url, seed, name="gw3") as other:
            os.kill(runner.pid, signal.SIGSTOP)
            assert not one.has_answered_within(0.3), "a stopped one is waited for"
            runner.kill()
            answers = [one.result(), other.result()]
    assert answers[0] == answers[1]
    assert answers[0][1] == 1


def once(run: Run) -> Any:
    from papertiger_shm.testing.run.once import Once

    return Once(run._participant, "seed")


def test_who_has_lost_it_changes_nothing(url: str, run: Run) -> None:
    loser = join(url, "loser")

    def lose() -> str:
        loser._participant.die()  # type: ignore[attr-defined]
        assert run.once("seed", lambda: "winner's") == "winner's"
        return "loser's"

    loser.once("seed", lose)
    assert run.once("seed", int) == "winner's"


def seed_fatally(run: Run, fatal: Fatal) -> Any:
    with fatal.armed():
        return run.once("seed", lambda: "victim's")


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_killed_at_any_commit(url: str, run: Run, number: int, after: bool) -> None:
    with Worker(url, seed_fatally, Fatal(number, after, die)) as victim:
        assert victim.died() == signal.SIGKILL if number <= 2 else victim.result() == "victim's"
    expected = "mine" if (number, after) < (2, True) else "victim's"
    assert run.once("seed", lambda: "mine") == expected
    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(lambda _: run.once("seed", lambda: "late"), range(2))] == [expected] * 2


@pytest.mark.parametrize(("number", "after"), MOMENTS)
def test_interrupted_at_any_commit(run: Run, number: int, after: bool) -> None:
    try:
        assert seed_fatally(run, Fatal(number, after, interrupt)) == "victim's"
        assert number >= 3
    except KeyboardInterrupt:
        assert number <= 2
    assert run.once("seed", lambda: "mine") == ("mine" if (number, after) < (2, True) else "victim's")


def test_interrupted_at_any_line(run: Run) -> None:
    deeds = Deeds(run._participant.connection, "papertiger-run/r1")
    for place in interrupted_at_each_line(lambda: run.once("seed", lambda: 1)):
        deed = deeds.get("seed", None)
        assert deed is None or deed["state"] == "done", place
        deeds.clear()


def test_interrupted_while_the_request_is_on_its_way(
    url: str, run: Run, run_manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_under_way(run_manager, monkeypatch):
        run.once("seed", lambda: "mine")
    with Worker(url, seed) as other:
        assert other.result() == ["gw1", 1]


def test_an_interrupted_function_is_left_to_the_next(url: str, run: Run) -> None:
    for error in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with pytest.raises(error):
            run.once("seed", functools.partial(raising, error))
    with Worker(url, seed) as other:
        assert other.result() == ["gw1", 1]


def raising(error: type[BaseException]) -> None:
    raise error


def test_it_does_not_wait_for_itself(run: Run) -> None:
    with pytest.raises(InvalidRequest, match="its function asks for the same once"):
        run.once("seed", lambda: run.once("seed", int))
    assert run.once("outer", lambda: run.once("inner", lambda: 5)) == 5


def test_one_name_for_one_of_the_two(run: Run) -> None:
    run.once("flag")
    with pytest.raises(InvalidRequest, match="gw0 used this name without a function, and here it is used with one"):
        run.once("flag", int)
    run.once("function", int)
    with pytest.raises(InvalidRequest, match="gw0 used this name with a function, and here it is used without"):
        run.once("function")
    with pytest.raises(InvalidRequest, match="5 cannot be called; pass the function itself"):
        run.once("number", 5)  # type: ignore[call-overload]


def test_waiting_is_told(url: str, run: Run) -> None:
    with Worker(url, slowly) as runner:
        until(lambda: "running" in repr(once(run)))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(seed, run)
            told = run._participant.told  # type: ignore[attr-defined]
            until(lambda: told)
            assert told == ["once seed, which gw1 runs"]
            run.dict("said")["go on"] = True
            assert waiting.result() == runner.result() == "slow"
    other = join(url, "gw9")
    assert other.once("seed", int) == "slow"


def slowly(run: Run) -> Any:
    def function() -> str:
        until(lambda: "go on" in run.dict("said"))
        return "slow"

    return run.once("seed", function)
