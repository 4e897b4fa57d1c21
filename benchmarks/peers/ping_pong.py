"""A raw AF_UNIX ping-pong: the limit for a single write that another process has to confirm.

A process of its own reads a frame of the same size as the encoded event and answers with eight bytes. Nothing is
stored and nothing is encoded while the clock runs; both sides block in the kernel.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.events import Event
from benchmarks.peers import Peer
from papertiger_shm.codec import encode

__all__ = ["PingPong"]

ANSWER = bytes(8)
LENGTH = 4
LARGEST = 1 << 20

SERVER = f"""
import socket, sys
peer = socket.socket(fileno=int(sys.argv[1]))
buffer = memoryview(bytearray({LARGEST}))
while received := peer.recv_into(buffer):
    size = {LENGTH} + int.from_bytes(buffer[:{LENGTH}], "big")
    while received < size:
        received += peer.recv_into(buffer[received:])
    peer.sendall({ANSWER!r})
"""


class PingPong(Peer):
    name = "AF_UNIX ping-pong"
    about = "a frame of the event's encoded size to another process, 8 bytes back; stores nothing"

    def __enter__(self) -> PingPong:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            descriptor = theirs.fileno()
            self._server = subprocess.Popen([sys.executable, "-c", SERVER, str(descriptor)], pass_fds=[descriptor])
        self.server_pid = self._server.pid
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        self._server.wait()

    def load(self, events: Sequence[Event]) -> None:
        """There is nothing to load."""

    def prepared(self, events: Sequence[Event]) -> Sequence[Any]:
        payloads = [encode(event) for event in events]
        return [len(payload).to_bytes(LENGTH, "big") + payload for payload in payloads]

    def inserter(self) -> Callable[[Any], object]:
        send, receive, size = self._socket.sendall, self._socket.recv, len(ANSWER)

        def ping(frame: bytes) -> bytes:
            send(frame)
            return receive(size)

        return ping
