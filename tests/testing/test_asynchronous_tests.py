"""Stores for asyncio in tests of pytest-asyncio and of anyio, with and without workers, as docs/testing.md has them."""

from __future__ import annotations

import pytest

from testing.suite import Suite

ASYNCIO = """
    import asyncio
    import pytest
    import pytest_asyncio
    from papertiger_shm import Events, async_connect

    @pytest_asyncio.fixture
    async def connection(papertiger):
        async with async_connect(papertiger.url) as connection:
            yield connection

    @pytest.fixture
    def refunds(connection, papertiger_namespace):
        return Events(connection, papertiger_namespace)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("number", range(8))
    async def test_its_own(number, refunds, events):
        assert refunds.count() == 0
        waiting = asyncio.ensure_future(refunds.wait_for(30, type="refund"))
        await refunds.insert({"id": f"evt_{number}", "type": "refund"})
        assert (await waiting)["id"] == f"evt_{number}"
        assert [*events] == [*refunds]

    @pytest.mark.asyncio
    async def test_left_waiting(refunds):
        asyncio.ensure_future(refunds.wait_for(None, type="never"))
        asyncio.ensure_future(refunds.watch().__anext__())
        await asyncio.sleep(0)

    @pytest.mark.asyncio
    async def test_what_does_not_come_in_time(refunds):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(refunds.wait_for(None, type="never"), 0.01)
        await refunds.insert({"type": "x"})
"""

ANYIO = """
    import anyio
    import pytest
    from papertiger_shm import Events, InvalidRequest, async_connect

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="module")
    async def connection(papertiger):
        async with async_connect(papertiger.url) as connection:
            yield connection

    @pytest.fixture
    def refunds(connection, papertiger_namespace):
        return Events(connection, papertiger_namespace)

    pytestmark = pytest.mark.anyio

    @pytest.mark.parametrize("number", range(8))
    async def test_its_own(number, refunds, events):
        assert refunds.count() == 0

        async def wait():
            assert (await refunds.wait_for(30, type="refund"))["id"] == f"evt_{number}"

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await refunds.insert({"id": f"evt_{number}", "type": "refund"})
        assert [*events] == [*refunds]

    async def test_cancel_scopes(refunds):
        changes = refunds.watch()
        for _ in range(20):
            with anyio.move_on_after(0.001):
                await refunds.wait_for(None, type="never")
            with anyio.move_on_after(0.001):
                await changes.__anext__()
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(refunds.insert, {"id": f"evt_{number}"})
                tasks.start_soon(changes.__anext__)
            await anyio.sleep(0)
            tasks.cancel_scope.cancel()
        await refunds.insert({"id": "last"})
        written = {event["id"] for event in refunds}
        seen = set()
        with anyio.fail_after(30):
            while "last" not in seen:
                seen.add((await changes.__anext__()).id)
        assert seen <= written
        await changes.aclose()

    async def test_a_transaction_in_a_scope_that_is_cancelled(refunds):
        with anyio.move_on_after(0.01):
            async with refunds.transaction():
                await refunds.insert({"id": "evt_1"})
                await anyio.sleep(30)
        async with refunds.transaction():
            await refunds.insert({"id": "evt_2"})
        assert [event["id"] for event in refunds] == ["evt_2"]
"""

TRIO = """
    import pytest
    from papertiger_shm import InvalidRequest, async_connect

    @pytest.mark.anyio
    async def test_it_says_so(papertiger, anyio_backend_name):
        if anyio_backend_name == "trio":
            with pytest.raises(InvalidRequest, match="asyncio"):
                await async_connect(papertiger.url)
"""


@pytest.mark.parametrize("workers", [0, 4])
def test_pytest_asyncio(suite: Suite, workers: int) -> None:
    suite.write("test_asyncio.py", ASYNCIO)
    suite.configure(plugin="asyncio", asyncio_mode="strict", asyncio_default_fixture_loop_scope="function")
    # Older ones of pytest-asyncio do not know the option.
    result = suite.run("-n", str(workers), "-W", "error", "-W", "ignore::pytest.PytestConfigWarning")
    result.assert_ended(0, passed=10)


@pytest.mark.parametrize("workers", [0, 4])
def test_anyio(suite: Suite, workers: int) -> None:
    suite.write("test_anyio.py", ANYIO)
    suite.configure(plugin="anyio")
    suite.run("-n", str(workers), "-W", "error").assert_ended(0, passed=10)


def test_trio(suite: Suite) -> None:
    pytest.importorskip("trio")
    suite.write("test_trio.py", TRIO)
    suite.configure(plugin="anyio")
    suite.run("-W", "error").assert_ended(0, passed=2)
