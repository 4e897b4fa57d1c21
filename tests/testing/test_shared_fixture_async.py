"""Shared fixtures that are coroutines or async generators, for plain tests and for those of pytest-asyncio and anyio.

Nothing of pytest-asyncio or anyio is needed to have one; where they are there, they keep their hands off it.
"""

from __future__ import annotations

import pytest

from testing.suite import Suite

FIXTURES = """
    import asyncio
    from helpers import log, setup, teardown
    from papertiger_shm.testing import shared_fixture

    @shared_fixture
    async def returned():
        await asyncio.sleep(0)
        setup("returned")
        return ["returned"]

    @shared_fixture()
    async def yielded(returned):
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        setup("yielded")
        yield {"port": server.sockets[0].getsockname()[1], "below": returned}
        # A server can only be closed by the loop that it lives on.
        assert asyncio.get_running_loop() is loop
        server.close()
        await server.wait_closed()
        teardown("yielded")

    @shared_fixture
    def plain(yielded):
        setup("plain")
        yield [yielded["port"]]
        teardown("plain")

    @shared_fixture
    async def broken():
        setup("broken")
        await asyncio.sleep(0)
        raise ConnectionRefusedError("the database said no")
"""

SYNC_TESTS = """
    import pytest
    from helpers import use

    @pytest.mark.parametrize("number", range(3))
    def test_sync(number, yielded, plain):
        assert plain == [yielded["port"]]
        assert yielded["below"] == ["returned"]
        use("yielded", "plain")

    @pytest.mark.parametrize("number", range(2))
    def test_broken(number, broken): pass
"""

ASYNCIO_TESTS = """
    import asyncio
    import pytest
    import pytest_asyncio
    from helpers import use

    @pytest_asyncio.fixture
    async def their_own(yielded):
        await asyncio.sleep(0)
        return yielded["port"]

    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", range(3))
    async def test_asyncio(number, yielded, plain, their_own, events):
        await asyncio.sleep(0)
        assert plain == [their_own]
        events.insert({"id": "evt_1"})
        assert events.count() == 1
        use("yielded", "plain")
"""

ANYIO_TESTS = """
    import anyio
    import pytest
    from helpers import use

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture
    async def their_own(yielded):
        await anyio.sleep(0)
        return yielded["port"]

    @pytest.mark.anyio
    @pytest.mark.parametrize("number", range(3))
    async def test_anyio(number, yielded, plain, their_own, events):
        await anyio.sleep(0)
        assert plain == [their_own]
        events.insert({"id": "evt_1"})
        assert events.count() == 1
        use("yielded", "plain")

    @pytest.mark.anyio
    async def test_broken(broken): pass
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_plain_tests(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", FIXTURES)
    suite.write("test_sync.py", SYNC_TESTS)
    # Neither helper is needed.
    result = suite.run("-n", str(workers))
    result.assert_ended(1, passed=3, errors=2)
    result.assert_once("yielded", "plain")
    assert len(result.setups("returned")) == len(result.setups("broken")) == 1
    assert result.output.count("the database said no") >= 2


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(suite: Suite, mode: str) -> None:
    suite.write("conftest.py", FIXTURES)
    suite.write("test_sync.py", SYNC_TESTS)
    suite.write("test_asyncio.py", ASYNCIO_TESTS)
    suite.configure(plugin="asyncio", asyncio_mode=mode, asyncio_default_fixture_loop_scope="function")
    result = suite.run("-n", "0" if mode == "strict" else "2")
    result.assert_ended(1, passed=6, errors=2)
    result.assert_once("yielded", "plain")
    assert len(result.setups("returned")) == len(result.setups("broken")) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_anyio(suite: Suite, workers: int) -> None:
    suite.write("conftest.py", FIXTURES)
    suite.write("test_sync.py", SYNC_TESTS)
    suite.write("test_anyio.py", ANYIO_TESTS)
    suite.configure(plugin="anyio")
    result = suite.run("-n", str(workers))
    result.assert_ended(1, passed=6, errors=3)
    result.assert_once("yielded", "plain")
    assert len(result.setups("returned")) == len(result.setups("broken")) == 1
