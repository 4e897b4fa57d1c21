"""A namespace for each test: its name, when it is set, who sees it, when it is cleared, and what a failing test tells.

Every test of these suites writes the same ids and counts them, so a namespace that two of them share shows at once.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from papertiger_shm import Events, Manager, connect
from papertiger_shm.testing.naming import namespace_of
from testing.suite import Suite, failure_reports

CONFTEST = """
    import os
    import pytest
    from helpers import log

    def here():
        return os.environ.get("PAPERTIGER_URL"), os.environ.get("PAPERTIGER_NAMESPACE")

    def fill(events):
        assert events.count() == 0
        events.insert_many({"id": f"evt_{n}", "object": "event", "type": "a.b", "created": n} for n in range(20))
        assert events.count() == 20

    # Named so that pytest would set it up before a fixture of any sensible name.
    @pytest.fixture(autouse=True)
    def _00_early():
        url, namespace = here()
        assert url and namespace
        from papertiger_shm import Events, connect
        with connect() as connection:
            fill(Events(connection))
        yield namespace
        assert here() == (url, namespace)
        with connect() as connection:
            assert Events(connection).count() >= 20

    @pytest.fixture(scope="session", autouse=True)
    def _00_session():
        log("session", *here())
        yield

    @pytest.fixture(scope="module", autouse=True)
    def _00_module():
        log("module", *here())
        yield

    @pytest.fixture
    def another(_00_early):
        return _00_early
"""

TESTS = """
    import os
    import subprocess
    import sys
    import pytest
    from helpers import log, worker
    from papertiger_shm import Customers, Events, connect, current_namespace

    # Seconds are spent on starting an interpreter, so only one of these tests does.
    CHILD = '''
    from papertiger_shm import Events, connect
    with connect() as connection:
        events = Events(connection)
        print(events.namespace, events.count())
        events.insert({"id": "evt_child"})
    '''

    def test_child(papertiger_namespace, events, another):
        assert another == papertiger_namespace == events.namespace
        answer = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
        assert answer.stdout.split() == [papertiger_namespace, "20"], answer
        assert events.get("evt_child")["id"] == "evt_child"
        assert events.count() == 21
        log("ran", papertiger_namespace)

    @pytest.mark.parametrize("currency", ["usd", "a/b ::", "a.b ::", "e" * 300, ""])
    @pytest.mark.parametrize("number", range(3))
    def test_refund(number, currency, events, papertiger_namespace):
        assert events.count() == 20
        assert os.environ["PAPERTIGER_NAMESPACE"] == papertiger_namespace
        log("ran", papertiger_namespace)

    class TestInside:
        def test_refund(self, papertiger_namespace, papertiger):
            assert Events(papertiger).count() == 20
            log("ran", papertiger_namespace)

    def test_store(papertiger_store, papertiger_namespace):
        customers = papertiger_store(Customers)
        assert customers.namespace == papertiger_namespace
        customers.insert({"id": "cus_1", "email": "a@b"})
        assert customers.find_by_email("a@b")[0]["id"] == "cus_1"
        log("ran", papertiger_namespace)

    def test_nothing_asked_for():
        with connect() as connection:
            assert Events(connection).count() == 20
        log("ran", os.environ["PAPERTIGER_NAMESPACE"])
"""

AFTERWARDS = """
    # Runs in a worker of its own at the end of each module: what was there before has gone.
    def test_cleared(papertiger):
        from papertiger_shm import Events
        from helpers import lines
        for line in lines("ran"):
            namespace = line.split(" ", 1)[1]
            if not namespace.endswith("test_cleared"):
                assert Events(papertiger, namespace).count() == 0
"""


def test_no_two_ids_have_the_same() -> None:
    ids = ["".join(some) for length in range(1, 8) for some in product("a/.:", repeat=length)]
    ids += [f"t.py::t[{odd}]" for odd in ("\0", " ", "\n", "?", "\ud800", r"\ud800", "a" * 300, "a" * 301)]
    names = {namespace_of(id, worker="gw0", attempt=1, prefix="") for id in ids}
    assert len(names) == len(ids)
    assert {name.count("/") for name in names} == {1}


@pytest.mark.parametrize("workers", [0, 2])
def test_each_test_has_its_own(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_pay.py", TESTS)
    suite.write("deep/er/test_more.py", TESTS)
    suite.write("test_twice.py", "    def test_it(events): assert events.count() == 20\n" + TESTS)
    result = suite.run("-n", str(workers))
    result.assert_ended(0, passed=58)
    namespaces = [line.split(" ", 1)[1] for line in result.lines("ran")]
    assert len(namespaces) == 57
    assert len(set(namespaces)) == 57
    who = r"gw[01]" if workers else "main"
    assert all(re.match(who + "/", namespace) for namespace in namespaces), namespaces
    ends = {namespace.partition("/")[2] for namespace in namespaces}
    assert "test_pay.py::test_child" in ends
    assert "test_pay.py::test_refund[0-usd]" in ends or "test_pay.py::test_refund[usd-0]" in ends, ends
    # Wider fixtures are set up for their first test, in whose namespace they are.
    for line in result.lines("session") + result.lines("module"):
        _, url, namespace = line.split(" ", 2)
        assert url.startswith("shm://pytest-"), line
        assert re.match(who + "/", namespace), line


def test_it_is_cleared_after_the_test(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write("test_a.py", TESTS)
    suite.write("test_b.py", AFTERWARDS)
    result = suite.run("-n0")
    result.assert_ended(0, passed=20)


def test_each_attempt_has_its_own(suite: Suite) -> None:
    suite.write("conftest.py", CONFTEST)
    suite.write(
        "test_again.py",
        """
        import pytest
        from helpers import first, log

        @pytest.mark.parametrize("number", range(2))
        def test_it(events, papertiger_namespace, number):
            log("ran", papertiger_namespace)
            assert events.count() == 20
            assert not first(f"{number}-1")
            assert not first(f"{number}-2")
        """,
    )
    suite.configure(plugin="rerunfailures")
    result = suite.run("-n2", "--reruns=3")
    result.assert_ended(0, passed=2, rerun=4)
    for number in range(2):
        ran = [line.split()[1] for line in result.lines("ran") if f"test_it[{number}]" in line]
        assert [re.sub("^gw./", "", name) for name in ran] == [
            f"test_again.py::test_it[{number}]{attempt}" for attempt in ("", "~2", "~3")
        ], str(result)


FAILING = """
    import pytest
    from papertiger_shm import Customers

    def test_fine(events):
        events.insert({"id": "evt_fine"})

    def test_bad(events, papertiger_store):
        for n in range(5):
            events.insert({"id": f"evt_{n}", "object": "event", "type": "charge.failed", "created": n})
        for n in range(7):
            events.insert({"id": f"evt_r{n}", "object": "event", "type": "charge.refunded", "created": 100 + n})
        papertiger_store(Customers).insert({"id": "cus_1"})
        assert events.count() == 0
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failing_test_tells_what_it_had(suite: Suite, workers: int) -> None:
    suite.write("test_pay.py", FAILING)
    result = suite.run("-n", str(workers))
    result.assert_ended(1, passed=1, failed=1)
    (report,) = failure_reports(result.output).values()
    title = re.search(r"^-+ (papertiger.*?) -+$", report, re.MULTILINE)
    assert title, report
    section = report[title.start() :]
    assert re.search(r"(gw\d|main)/test_pay\.py::test_bad", section), section
    assert re.search(r"paper_tiger_events\W+12\b|\b12\W+paper_tiger_events", section), section
    assert re.search(r"paper_tiger_customers\W+1\b|\b1\W+paper_tiger_customers", section), section
    assert "charge.failed" in section
    assert "charge.refunded" in section
    assert "evt_4" in section
    assert "evt_r6" in section
    assert "evt_fine" not in section


@pytest.mark.parametrize(("keep", "kept"), [("failed", ["test_bad"]), ("all", ["test_bad", "test_fine"]), ("none", [])])
def test_what_is_kept_after_the_run(suite: Suite, monkeypatch: pytest.MonkeyPatch, keep: str, kept: list[str]) -> None:
    suite.write("test_pay.py", FAILING)
    running = suite.start("-n2", f"--papertiger-keep={keep}", "--papertiger-run=mine")
    result = running.end()
    result.assert_ended(1, passed=1, failed=1)
    if not kept:
        suite.assert_nothing_left(result)
        return
    # How to look at it is told to whoever asked for it.
    assert "shm://pytest-mine" in result.output, str(result)
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    with connect("shm://pytest-mine") as connection:
        there = {
            namespace.rpartition("::")[2]: count
            for table, namespace, count in connection.collections()
            if table == Events.table_name
        }
    assert there == {name: count for name, count in {"test_bad": 12, "test_fine": 1}.items() if name in kept}
    stopped = suite.command("stop", "shm://pytest-mine")
    assert stopped.returncode == 0, stopped
    suite.assert_nothing_left(result)


CRASHING = """
    from helpers import die

    def test_fine(events):
        events.insert({"id": "evt_fine"})

    def test_bad(events):
        events.insert_many([{"id": "evt_1"}, {"id": "evt_2"}])
        die()
"""


def test_what_a_killed_test_had_is_kept(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It failed, as far as anybody can tell, and its data is the only thing there is to look at."""
    suite.write("test_pay.py", CRASHING)
    result = suite.start("-n2", "--papertiger-keep=failed", "--papertiger-run=mine").end()
    result.assert_ended(1, passed=1, failed=1)
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    with connect("shm://pytest-mine") as connection:
        there = [row for row in connection.collections() if row[0] == Events.table_name]
        connection.stop_manager()
    ((_, namespace, count),) = there
    assert namespace.endswith("/test_pay.py::test_bad")
    assert count == 2
    suite.assert_nothing_left(result)


def test_what_a_killed_test_had_is_not_left_in_a_store_that_stays(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write("test_pay.py", CRASHING)
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    with Manager(name="there") as manager, manager.connect() as connection:
        result = suite.start("-n2", "--papertiger-url=shm://there").end()
        result.assert_ended(1, passed=1, failed=1)
        assert connection.collections() == [], str(result)
    suite.assert_nothing_left(result)
