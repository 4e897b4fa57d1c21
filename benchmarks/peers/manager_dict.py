"""``multiprocessing.Manager().dict()``: what Python's own documentation offers for a dict that processes share.

Values are the encoded bytes, with the same codec as everybody's, so that nothing is pickled but bytes.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event
from benchmarks.peers import Peer
from papertiger_shm.codec import decode, encode

__all__ = ["ManagerDict"]


class ManagerDict(Peer):
    name = "Manager.dict"
    about = "multiprocessing.Manager().dict() of encoded bytes; batches by update()"

    def __enter__(self) -> ManagerDict:
        self._manager = multiprocessing.get_context("spawn").Manager()
        self._dict: Any = self._manager.dict()
        self.server_pid = self._manager._process.pid  # type: ignore[attr-defined]
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.shutdown()

    def address(self) -> list[bytes]:
        return [bytes(multiprocessing.current_process().authkey), pickle.dumps(self._dict)]

    @classmethod
    def attached(cls, address: Any) -> ManagerDict:
        peer = cls()
        authkey, proxy = address
        multiprocessing.current_process().authkey = authkey
        peer._dict = pickle.loads(proxy)
        return peer

    def getter(self) -> Callable[[str], Event]:
        shared = self._dict
        return lambda id: decode(shared[id])

    def seeker(self) -> Callable[[str], Event | None]:
        get = self._dict.get

        def seek(id: str) -> Event | None:
            payload = get(id)
            return None if payload is None else decode(payload)

        return seek

    def membership(self) -> Callable[[str], bool]:
        shared = self._dict
        return lambda id: id in shared

    def counter(self) -> Callable[[object], int]:
        shared = self._dict
        return lambda _: len(shared)

    def inserter(self) -> Callable[[Any], object]:
        shared = self._dict

        def insert(event: Event) -> None:
            shared[event["id"]] = encode(event)

        return insert

    def batch_inserter(self) -> Callable[[Sequence[Any]], object]:
        update = self._dict.update
        return lambda events: update({event["id"]: encode(event) for event in events})
