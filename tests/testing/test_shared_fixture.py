"""Shared fixtures of every kind: set up once in a run, torn down once, last, in the worker that set them up.

One suite has them all, since what is hardest is that they come together: each depends on others, and the workers ask
for them in an order of their own.
"""

from __future__ import annotations

import json
import re

import pytest

from testing.suite import Result, Suite

EVERY_KIND = """
    import pytest
    from helpers import log, setup, teardown, use, worker
    from papertiger_shm.testing import shared_fixture

    @pytest.fixture(scope="session")
    def plain():
        log("setup-plain", worker())
        yield "plain"
        log("teardown-plain", worker())

    @shared_fixture
    def returned():
        setup("returned")
        return {"by": "return"}

    @shared_fixture()
    def yielded(plain, request):
        assert request.scope == "session"
        setup("yielded")
        yield {"by": "yield", "with": plain}
        teardown("yielded")

    @shared_fixture
    def upper(yielded, returned, tmp_path_factory):
        setup("upper")
        folder = tmp_path_factory.mktemp("upper")
        (folder / "file").write_text("there")
        yield {"folder": str(folder), "below": [yielded, returned]}
        teardown("upper")

    @shared_fixture(autouse=True)
    def always():
        setup("always")
        yield "always"
        teardown("always")

    @shared_fixture
    def asked():
        setup("asked")
        yield ["asked"]
        teardown("asked")

    @shared_fixture
    def asker(request):
        setup("asker")
        yield request.getfixturevalue("asked") + ["asker"]
        teardown("asker")

    @shared_fixture(params=["a", "b"], ids=["one", "two"])
    def letter(request):
        setup("letter-" + request.param)
        yield request.param
        teardown("letter-" + request.param)

    @shared_fixture
    def above_letter(letter):
        setup("above-" + letter)
        yield letter * 2
        teardown("above-" + letter)

    @shared_fixture(name="renamed")
    def _another_name():
        setup("renamed")
        yield 1.5
        teardown("renamed")

    @shared_fixture
    def overridden():
        setup("overridden")
        yield "above"
        teardown("overridden")

    @pytest.fixture
    def function_scoped(upper):
        return upper["folder"]
"""

TESTS = """
    import os
    import pytest
    from helpers import setup, teardown, use
    from papertiger_shm.testing import shared_fixture

    pytestmark = pytest.mark.parametrize("number", range(3))

    def test_returned(returned, number):
        assert returned == {"by": "return"}
        use("returned", "always")

    def test_yielded(number, yielded):
        assert yielded == {"by": "yield", "with": "plain"}
        use("yielded", "always")

    def test_upper(number, upper, yielded, returned, function_scoped):
        assert upper["below"] == [yielded, returned]
        assert open(os.path.join(function_scoped, "file")).read() == "there"
        use("upper", "yielded", "always")

    def test_asked_by_name(number, request):
        assert request.getfixturevalue("asked") == ["asked"]
        use("asked")

    def test_asker(number, request):
        assert request.getfixturevalue("asker") == ["asked", "asker"]
        use("asker", "asked")

    def test_letter(letter, number):
        assert letter in ("a", "b")
        use("letter-" + letter)

    def test_above_letter(above_letter, letter, number):
        assert above_letter == letter * 2
        use("above-" + letter, "letter-" + letter)

    def test_renamed(number, renamed):
        assert renamed == 1.5
        use("renamed")

    @pytest.mark.usefixtures("yielded")
    def test_usefixtures(number):
        use("yielded")

    def test_overridden(number, overridden):
        assert overridden == "above"
        use("overridden")

    class TestInside:
        @shared_fixture
        def inside(self, returned):
            setup("inside")
            yield ["inside", returned]
            teardown("inside")

        def test_it(self, inside, number):
            assert inside == ["inside", {"by": "return"}]
            use("inside", "returned")
"""

# Another fixture of the same name that asks for the one it overrides, and one that does not.
BELOW_CONFTEST = """
    from helpers import setup, teardown
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    def overridden(overridden):
        setup("overridden-below")
        yield overridden + "-below"
        teardown("overridden-below")

    @shared_fixture
    def returned():
        setup("returned-below")
        yield "another"
        teardown("returned-below")
"""

BELOW_TESTS = """
    import pytest
    from helpers import use

    @pytest.mark.parametrize("number", range(3))
    def test_below(number, overridden, returned):
        assert overridden == "above-below"
        assert returned == "another"
        use("overridden", "overridden-below", "returned-below")
"""


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_every_kind_once_for_the_run(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", EVERY_KIND)
    suite.write("test_kinds.py", TESTS)
    suite.write("below/conftest.py", BELOW_CONFTEST)
    suite.write("below/test_below.py", BELOW_TESTS)
    result = suite.run("-n", str(workers))
    # Eleven tests with three numbers each, two of them with two letters, and three below.
    result.assert_ended(0, passed=42)
    result.assert_once("yielded", "upper", "always", "asked", "asker", "renamed", "inside", "overridden")
    result.assert_once("letter-a", "letter-b", "above-a", "above-b", "overridden-below", "returned-below")
    assert len(result.setups("returned")) == 1
    assert_before_what_it_stands_on(result)
    # An ordinary fixture is nobody's business but the worker's that needed it, which is one.
    assert len(result.lines("setup-plain")) == len(result.lines("teardown-plain")) == 1
    assert result.where("teardown", "yielded") < result.where("teardown-plain")


def assert_before_what_it_stands_on(result: Result) -> None:
    for upper, lower in [
        ("upper", "yielded"),
        ("asker", "asked"),
        ("above-a", "letter-a"),
        ("above-b", "letter-b"),
        ("overridden-below", "overridden"),
    ]:
        assert result.where("setup", lower) < result.where("setup", upper) or upper == "asker", str(result)
        assert result.where("teardown", upper) < result.where("teardown", lower), str(result)


def test_ids_are_those_given(suite: Suite) -> None:
    suite.write("conftest.py", EVERY_KIND)
    suite.write("test_ids.py", "def test_it(letter): pass")
    result = suite.run("--collect-only", "-q")
    assert "test_it[one]" in result.output
    assert "test_it[two]" in result.output
    assert not result.log


@pytest.mark.parametrize("how", ["directory", "request"])
def test_an_ordinary_fixture_goes_after_what_stands_on_it_whoever_asks_for_it_later(suite: Suite, how: str) -> None:
    """pytest 7.4 gives a session fixture another end with each request for it, the last of which comes first."""
    suite.write(
        "conftest.py",
        f"""
        import pytest
        from helpers import log, setup, teardown
        from papertiger_shm.testing import shared_fixture

        @pytest.fixture(scope="session")
        def directory():
            yield "there"
            log("teardown-directory")

        @shared_fixture
        def server({how}):
            if {how!r} == "request":
                request.getfixturevalue("directory")
            setup("server")
            yield 1
            teardown("server")
        """,
    )
    suite.write(
        "test_order.py",
        """
        import pytest
        from helpers import use

        def test_first(server):
            use("server")

        @pytest.mark.parametrize("number", range(3))
        def test_later(directory, number):
            assert directory == "there"
        """,
    )
    result = suite.run("-p", "no:xdist")
    result.assert_ended(0, passed=4)
    result.assert_once("server")
    assert result.where("teardown", "server") < result.where("teardown-directory"), str(result)


def test_dependents_in_different_workers_are_torn_down_in_order(suite: Suite) -> None:
    """What stands on another is torn down first, also where the two have been set up by two workers."""
    suite.write(
        "conftest.py",
        """
        from helpers import setup, teardown, worker
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def lower():
            setup("lower")
            yield worker()
            teardown("lower")

        @shared_fixture
        def upper(lower):
            setup("upper")
            yield lower
            teardown("upper")
        """,
    )
    suite.write(
        "test_two.py",
        """
        from helpers import use, wait_for

        def test_one(lower):
            use("lower")
            wait_for("use upper")

        def test_other(request):
            wait_for("use lower")
            request.getfixturevalue("upper")
            use("lower", "upper")
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(0, passed=2)
    result.assert_once("lower", "upper")
    assert result.setups("upper") != result.setups("lower")
    assert result.where("teardown", "upper") < result.where("teardown", "lower")


def test_values(suite: Suite) -> None:
    """What an item may hold comes back as it was; what a test does to its value is its own affair."""
    suite.write(
        "conftest.py",
        """
        import datetime
        from helpers import setup, teardown
        from papertiger_shm.testing import shared_fixture

        MOMENT = datetime.datetime(2024, 2, 3, 4, 5, 6, 7, datetime.timezone.utc)

        @shared_fixture
        def everything():
            setup("everything")
            return {
                "none": None, "true": True, "number": 1 << 60, "float": 0.1, "text": "\\u00e9\\0", "bytes": b"\\xff\\0",
                "list": [1, [2, {}]], "tuple": (1, (2, 3)), "moment": MOMENT, "": {"a b": []},
            }

        @shared_fixture
        def nothing():
            setup("nothing")

        @shared_fixture
        def large():
            setup("large")
            return b"0123456789" * 300_000

        @shared_fixture(frozen=True)
        def frozen():
            setup("frozen")
            return {"map": {"a": 1}, "list": [1, [2]], "text": "x"}

        @shared_fixture(serializer="dill")
        def dilled():
            setup("dilled")
            step = 2

            class Counter:
                def __init__(self):
                    self.number = 0

                def add(self):
                    self.number += step
                    return self.number

            return {"set": {1, 2}, 3: Counter(), "function": lambda number: number + step}
        """,
    )
    suite.write(
        "test_values.py",
        """
        import pytest
        from conftest import MOMENT

        pytestmark = pytest.mark.parametrize("number", range(4))

        def test_everything(number, everything):
            assert everything == {
                "none": None, "true": True, "number": 1 << 60, "float": 0.1, "text": "\\u00e9\\0", "bytes": b"\\xff\\0",
                "list": [1, [2, {}]], "tuple": [1, [2, 3]], "moment": MOMENT, "": {"a b": []},
            }
            assert everything["true"] is True
            assert type(everything["bytes"]) is bytes
            everything["list"][1].append(number)
            everything["new"] = number
            del everything["none"]

        def test_nothing(number, nothing):
            assert nothing is None

        def test_large(number, large):
            assert large == b"0123456789" * 300_000

        def test_frozen(number, frozen):
            assert frozen["map"]["a"] == 1
            assert list(frozen["list"])[0] == 1
            assert frozen["list"][1][0] == 2
            for change in (
                lambda: frozen.__setitem__("a", 1),
                lambda: frozen["map"].__setitem__("a", 2),
                lambda: frozen["list"].append(3),
                lambda: frozen["list"][1].append(3),
                lambda: frozen.update(a=1),
                lambda: frozen.pop("text"),
            ):
                with pytest.raises((TypeError, AttributeError)):
                    change()
            assert len(frozen) == 3

        def test_dilled(number, dilled):
            assert dilled["set"] == {1, 2}
            assert dilled["function"](1) == 3
            assert dilled[3].add() == 2
            dilled["set"].add(number)
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers)
        result.assert_ended(0, passed=20)
        for name in ("everything", "nothing", "large", "frozen", "dilled"):
            assert len(result.setups(name)) == 1, str(result)
        suite.forget()


def test_values_asked_for_by_name(suite: Suite) -> None:
    """A test that asks while it runs, and a fixture of its own that does, have a fresh one too, and are counted."""
    suite.write(
        "test_names.py",
        """
        import pytest
        from helpers import setup
        from papertiger_shm.testing import shared_fixture

        pytestmark = pytest.mark.parametrize("number", range(3))

        @shared_fixture
        def value():
            setup("value")
            return {"list": []}

        @pytest.fixture
        def through_another(request):
            return request.getfixturevalue("value")

        def test_by_name(number, request):
            value = request.getfixturevalue("value")
            assert value == {"list": []}
            value["list"].append(number)

        def test_through_another(number, through_another):
            assert through_another == {"list": []}
            through_another["list"].append(number)

        def test_both(number, value, request, through_another):
            assert value == {"list": []}
            value["list"].append(number)
        """,
    )
    for workers in ("0", "2"):
        result = suite.run("-n", workers, "--papertiger-report=report.json")
        result.assert_ended(0, passed=9)
        assert len(result.setups("value")) == 1
        (told,) = json.loads((suite.path / "report.json").read_text())["shared_fixtures"]
        assert told["uses"] == 9
        suite.forget()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_value_that_cannot_be_encoded(suite: Suite, workers: int) -> None:
    suite.write(
        "test_odd.py",
        """
        import pytest
        from helpers import setup, teardown
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def odd():
            setup("odd")
            yield {"fine": 1, "servers": [{"port": 1}, {"handle": object()}]}
            teardown("odd")

        @pytest.mark.parametrize("number", range(4))
        def test_it(odd, number):
            raise AssertionError("never comes here")
        """,
    )
    result = suite.run("-n", str(workers))
    result.assert_ended(1, errors=4)
    assert len(result.setups("odd")) == 1
    # What it had started is not left running.
    assert result.teardowns("odd") == result.setups("odd"), str(result)
    assert re.search(r"servers\W*1\W*handle", result.output), str(result)
    assert re.search("""serializer=["']dill["']""", result.output), str(result)
    assert "shared fixture 'odd'" in result.output


def test_what_is_set_up_is_what_is_needed(suite: Suite) -> None:
    """Nothing is set up that no test asks for, and not before one does."""
    suite.write("conftest.py", EVERY_KIND.replace("(autouse=True)", ""))
    suite.write(
        "test_few.py",
        """
        from helpers import lines, log
        def test_1_without(): assert not lines("setup")
        def test_2_with(returned): log("use returned")
        """,
    )
    result = suite.run()
    result.assert_ended(0, passed=2)
    assert [line.split()[:2] for line in result.log] == [["setup", "returned"], ["use", "returned"]]


def test_only_what_has_been_selected(suite: Suite) -> None:
    """-k and --lf: the second run is a run of its own, with a set-up of its own."""
    suite.configure()
    suite.write("conftest.py", EVERY_KIND)
    suite.write(
        "test_some.py",
        """
        import os, pytest
        from helpers import use

        MENDED = "MENDED" in os.environ

        @pytest.mark.parametrize("number", range(6))
        def test_it(number, yielded):
            use("yielded")
            assert number % 3 or MENDED

        def test_else(renamed):
            use("renamed")
        """,
    )
    result = suite.run("-n2", "-k", "test_it")
    result.assert_ended(1, passed=4, failed=2)
    result.assert_once("yielded")
    assert not result.setups("renamed")
    suite.forget()
    result = suite.run("-n2", "--lf", MENDED="1")
    result.assert_ended(0, passed=2)
    result.assert_once("yielded")


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("@shared_fixture(scope='function')\ndef one(): pass", "scope"),
        ("@shared_fixture\ndef one(narrow): pass", "narrow"),
        ("@shared_fixture\ndef one(several): pass", "several"),
        ("@shared_fixture(serializer='pickle')\ndef one(): pass", "dill"),
        ("@shared_fixture(serializer='dill', frozen=True)\ndef one(): pass", "leave one of them out"),
        ("@shared_fixture(reap=lambda value: None)\ndef one(): pass", "reap"),
    ],
    ids=["scope", "function-scoped", "parametrised", "serializer", "frozen and dill", "reap-not-importable"],
)
def test_refused(suite: Suite, definition: str, said: str) -> None:
    """What could not be kept is refused with what to do instead."""
    text = "import pytest\nfrom papertiger_shm.testing import shared_fixture\n\n"
    text += "@pytest.fixture\ndef narrow(): pass\n\n"
    text += "@pytest.fixture(scope='session', params=[1, 2])\ndef several(request): return request.param\n\n"
    suite.write("test_refused.py", text + definition + "\n\ndef test_it(one): pass\n")
    result = suite.run()
    assert result.status in (1, 2), str(result)
    assert said in result.output, str(result)
    if said == "several":
        assert "shared" in result.output


def test_a_test_twice_in_a_run(suite: Suite) -> None:
    """Duplicates on the command line and a module that is run again change nothing."""
    suite.write("conftest.py", EVERY_KIND)
    suite.write("test_some.py", "from helpers import use\ndef test_it(yielded): use('yielded')\n")
    result = suite.run("-n2", "--keep-duplicates", "test_some.py", "test_some.py")
    assert result.status == 0, str(result)
    result.assert_once("yielded")
