"""However the tests are handed out to workers, and whoever has the plugin: once for the run.

--dist of every kind, --maxprocesses, one worker, no xdist at all, and a plugin that only the workers have.
"""

from __future__ import annotations

import pytest

from papertiger_shm import Events, Manager
from testing.suite import Suite

FIXTURES = """
    from helpers import setup, teardown
    from papertiger_shm.testing import shared_fixture

    @shared_fixture(autouse=True)
    def always():
        setup("always")
        yield 1
        teardown("always")

    @shared_fixture
    def server(always):
        setup("server")
        yield {"by": 1}
        teardown("server")

    @shared_fixture(params=[1, 2])
    def letter(request):
        setup(f"letter-{request.param}")
        yield request.param
        teardown(f"letter-{request.param}")
"""

# Two modules and two classes, for the ways of handing out that look at them.
TESTS = """
    import pytest
    from helpers import use

    class TestOne:
        @pytest.mark.parametrize("number", range(3))
        def test_it(self, server, number): use("server", "always")

        @pytest.mark.xdist_group("a")
        def test_letter(self, letter): use(f"letter-{letter}", "always")

    class TestOther:
        @pytest.mark.parametrize("number", range(3))
        def test_it(self, events, server, number):
            assert events.count() == 0
            events.insert({"id": "evt_1"})
            use("server", "always")

        @pytest.mark.xdist_group("b")
        def test_letter(self, letter): use(f"letter-{letter}", "always")

    def test_alone(): use("always")
"""


def write(suite: Suite) -> None:
    suite.write("conftest.py", FIXTURES)
    suite.write("test_one.py", TESTS)
    suite.write("test_two.py", TESTS)


@pytest.mark.parametrize(
    "arguments",
    [
        "-n2 --dist=load",
        "-n2 --dist=loadscope",
        "-n2 --dist=loadfile",
        "-n2 --dist=loadgroup",
        "-n2 --dist=worksteal",
        "-n4 --maxprocesses=2",
        "-d --tx=2*popen",
        "-n1",
        "-n0",
        "-p no:xdist",
        # As many times as there are workers, each test; still one run.
        "-n2 --dist=each",
    ],
)
def test_once_for_the_run(suite: Suite, arguments: str) -> None:
    write(suite)
    result = suite.run(*arguments.split())
    result.assert_ended(0, passed=44 if "each" in arguments else 22)
    result.assert_once("always", "server", "letter-1", "letter-2")
    assert result.where("teardown", "server") < result.where("teardown", "always")
    if "maxprocesses" in arguments:
        assert {line.split()[2] for line in result.lines("use")} <= {"gw0", "gw1"}


def test_more_workers_than_tests(suite: Suite) -> None:
    """Workers that never run a test hold up nobody."""
    suite.write("conftest.py", FIXTURES)
    suite.write("test_one.py", "from helpers import use\ndef test_it(server): use('server', 'always')\n")
    result = suite.run("-n4")
    result.assert_ended(0, passed=1)
    result.assert_once("server", "always")


def test_the_plugin_is_in_the_workers_only(suite: Suite) -> None:
    """No controller to own the store: the first worker who needs it starts it, and it goes some time after the last."""
    write(suite)
    with (suite.path / "conftest.py").open("a") as conftest:
        conftest.write(
            "\nimport os\n"
            'if "PYTEST_XDIST_WORKER" in os.environ:\n'
            '    pytest_plugins = ["papertiger_shm.testing.plugin"]\n'
        )
    result = suite.run("-n2", "-p", "xdist.plugin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PAPERTIGER_IDLE_SECONDS="0.5")
    result.assert_ended(0, passed=22)
    result.assert_once("always", "server", "letter-1", "letter-2")
    assert result.where("teardown", "server") < result.where("teardown", "always")


def test_a_store_that_is_there_already(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """--papertiger-url: the run takes part in a store that it neither starts nor stops, and leaves nothing in it."""
    write(suite)
    suite.write(
        "test_url.py",
        """
        def test_url(papertiger, events, papertiger_run):
            assert papertiger.url == papertiger_run.url == "shm://there"
            events.insert({"id": "evt_1"})
        """,
    )
    monkeypatch.setenv("PAPERTIGER_DIR", str(suite.directory))
    with Manager(name="there") as manager, manager.connect() as connection:
        mine = Events(connection)
        mine.insert({"id": "evt_mine"})
        for arguments, url in [(["--papertiger-url=shm://there"], None), ([], "shm://there")]:
            result = suite.start("-n2", *arguments, PAPERTIGER_URL=url).end()
            result.assert_ended(0, passed=23)
            result.assert_once("always", "server", "letter-1", "letter-2")
            suite.forget()
            assert connection.stats()["items"] == 1
            assert mine.count() == 1
    suite.assert_nothing_left()
