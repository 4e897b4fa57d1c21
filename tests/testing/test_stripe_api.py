"""The fixture ``stripe_api``, in runs as its users make them: each test's SDK reads that test's namespace alone."""

from __future__ import annotations

import pytest

from testing.suite import Suite

pytest.importorskip("stripe")
pytest.importorskip("starlette")

TESTS = """
    import asyncio, json, subprocess, sys
    import pytest, stripe
    from helpers import log, worker
    from papertiger_shm import Charges

    @pytest.mark.parametrize("number", range(12))
    def test_lists_what_is_in_the_tests_own_stores(number, events, stripe_api):
        assert stripe.Event.list().data == []
        events.insert({"id": f"evt_{number}", "type": "charge.refunded"})
        assert [event.id for event in stripe.Event.list()] == [f"evt_{number}"]
        assert stripe.Event.retrieve(f"evt_{number}").type == "charge.refunded"
        with pytest.raises(stripe.InvalidRequestError):
            stripe.Event.retrieve("evt_other")
        log("address", worker(), stripe_api.url.partition("/namespaces/")[0])

    @pytest.mark.parametrize("number", range(4))
    def test_async(number, events, stripe_api):
        events.insert_many([{"id": f"evt_{number}_{place}", "type": "x"} for place in range(25)])

        async def ids():
            listed = await stripe.Event.list_async(limit=10)
            return [event.id async for event in listed.auto_paging_iter()]

        assert asyncio.run(ids()) == [event["id"] for event in events]

    def test_client(papertiger_store, stripe_api):
        papertiger_store(Charges).insert({"id": "ch_1", "customer": "cus_1"})
        charges = stripe_api.client().v1.charges.list({"customer": "cus_1"})
        assert [type(charge).__name__ for charge in charges] == ["Charge"]
        assert charges.data[0].customer == "cus_1"

    def test_a_connected_account(papertiger, stripe_api):
        Charges(papertiger, stripe_api.namespace + "/acct_1").insert({"id": "ch_1"})
        assert stripe.Charge.list(stripe_account="acct_1").data[0].id == "ch_1"
        assert stripe.Charge.list().data == []
        assert stripe_api.client(stripe_account="acct_1").v1.charges.retrieve("ch_1").id == "ch_1"

    @pytest.mark.parametrize("odd", ["a/b ::", "/v1/events", "100%", "?#&+", "ü", "..", ""])
    def test_whatever_the_namespace_is_called(odd, events, stripe_api):
        events.insert_many([{"id": f"evt_{place}", "type": "x"} for place in range(3)])
        assert len([*stripe.Event.list(limit=1).auto_paging_iter()]) == 3

    def test_a_process_that_the_test_starts(events, stripe_api):
        events.insert({"id": "evt_1", "type": "x"})
        script = (
            "import stripe, sys; stripe.api_base, stripe.api_key = sys.argv[1:];"
            "print([event.id for event in stripe.Event.list()])"
        )
        command = [sys.executable, "-c", script, stripe_api.url, stripe_api.api_key]
        assert subprocess.check_output(command, text=True) == "['evt_1']\\n"

    def test_without_it_all_is_as_before():
        assert stripe.api_base == "https://api.stripe.com"
        assert stripe.api_key is None
        assert stripe.default_http_client is None
"""


@pytest.mark.parametrize("workers", [0, 4])
def test_each_test_reads_its_own(suite: Suite, workers: int) -> None:
    suite.write("test_stripe.py", TESTS)
    result = suite.run("-n", str(workers), "-W", "error")
    result.assert_ended(0, passed=27)
    served_by = {tuple(line.split()[1:]) for line in result.lines("address")}
    assert len(served_by) == max(workers, 1)  # one in each worker, for all its tests


def test_without_the_extra_it_says_what_to_install(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        """
        import sys
        sys.modules["starlette"] = None
        """,
    )
    suite.write("test_stripe.py", "    def test_it(stripe_api): pass\n")
    result = suite.run()
    result.assert_ended(1, errors=1)
    assert "pip install 'papertiger-shm[http]'" in str(result)
