"""The node that holds a store: the one server there is, or in a cluster the one that its keys' slot is on.

All keys of a store have one hash tag, so that it lies on one node and is asked through the client of that. Who asks
again, and for how long, is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import valkey
from valkey.cluster import ValkeyCluster
from valkey.connection import parse_url
from valkey.crc import key_slot
from valkey.exceptions import (
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ResponseError,
    SlotNotCoveredError,
    ValkeyClusterException,
    ValkeyError,
)

from ..errors import InvalidRequest
from .address import Address

__all__ = ["ClusterNode", "SingleNode"]

T = TypeVar("T")


class SingleNode:
    """A server that is on its own, or the primary of its replicas."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.client: Any = valkey.Valkey.from_url(
            address.server, socket_timeout=timeout, socket_connect_timeout=timeout
        )

    def look_again(self, error: Exception) -> None:
        """After ``error``: there is no other node."""

    def hang_up(self) -> None:
        """Close the connections that nobody uses just now."""
        self.client.connection_pool.disconnect(inuse_connections=False)


class ClusterNode:
    """The node of a cluster that has a key's slot, wherever that moves."""

    def __init__(self, address: Address, key: bytes, timeout: float) -> None:
        parse_url(address.server)  # what it does not say in a way to be understood is to be told at once
        self._address = address
        self._slot = key_slot(key)
        self._timeout = timeout
        self._cluster: ValkeyCluster | None = None

    @property
    def client(self) -> Any:
        """For the node that has the slot, as far as is known."""
        if self._cluster is None:
            patience = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
            self._cluster = self._asked(lambda: ValkeyCluster.from_url(self._address.server, **patience))
        try:
            node = self._cluster.nodes_manager.get_node_from_slot(self._slot)
        except SlotNotCoveredError as error:
            raise ClusterDownError(str(error)) from None  # which it says itself where its nodes have noticed
        return self._cluster.get_valkey_connection(node)

    def look_again(self, error: Exception) -> None:
        """Find the node after ``error``: where that says, or by asking all that are known."""
        if self._cluster is None:
            return
        if isinstance(error, MovedError):
            self._cluster.nodes_manager.update_moved_exception(error)
        else:
            self._asked(self._cluster.nodes_manager.initialize)

    def _asked(self, ask: Callable[[], T]) -> T:
        """The client library has one exception for whatever kept it from the nodes; this raises what it was."""
        try:
            return ask()
        except ValkeyClusterException as error:
            cause = error.__cause__
            if isinstance(cause, ValkeyError):
                raise cause from None
            if cause is not None and isinstance(cause.__context__, NoPermissionError):
                raise cause.__context__ from None
            if cause is not None and isinstance(cause.__context__, ResponseError):
                raise InvalidRequest(
                    f"the server of {self._address.shown} is not a node of a cluster: leave out cluster=true"
                ) from None
            raise InvalidRequest(f"connect: {self._address.shown} cannot be used: {error}") from None

    def hang_up(self) -> None:
        """Close the connections to every node that nobody uses just now."""
        for node in [] if self._cluster is None else self._cluster.get_nodes():
            if node.valkey_connection is not None:
                node.valkey_connection.connection_pool.disconnect(inuse_connections=False)
