"""The manager's loop: everything that is ready, in the order it came, as one commit; then the answers.

The loop is the only one that touches the writer, and nothing in it waits for a client. How the process came to be,
and what it leaves behind, never enters here.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..engine import Clear, ClearAcross, ClearBelow, Delete, Memory, Put, Reader, Request, Transform, Writer, verify
from ..errors import InvalidRequest, PaperTigerError
from ..increment import adding
from . import wire
from .admission import Admission
from .patience import patience
from .watchers import Watchers
from .wire import FrameReader, WireError, answer_frames, error_answer, message_of, progress_frame

__all__ = ["Server"]

BUFFER = 256 << 10
"""Bytes taken from a connection at a time."""

GRACE = 60.0
"""Seconds for which a client that vanished may come back and ask for its last answer again."""

STALL = 30.0
"""Seconds after which a client that does not read its answers is dropped."""

BREATH = 0.005
"""Seconds of quiet before lazy work begins: a client in the midst of its work is back sooner than this."""

LOOK_SECONDS = patience(150e-6)
"""How long the loop looks for a client's next request before it goes to sleep."""

TICK = 1.0

FIRST_SECONDS = 5.0
"""How much longer than for another client the first one is waited for: who has had us started may be slow to come."""

PROGRESS_SECONDS = 0.05
"""How often, at most, one who asked for something that takes its time is told how far it is."""


class Peer:
    """One connection."""

    __slots__ = ("client", "frames", "last_progress", "link", "open", "outgoing")

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.open = True
        self.client: bytes | None = None
        self.frames = FrameReader()
        self.outgoing: deque[memoryview] = deque()
        self.last_progress = 0.0


class Server:
    """Serves one segment until told to stop.

    ``idle_seconds``: stop when the last client has been gone for so long; None for never.
    ``about``: what clients are told of this store when they connect.
    """

    def __init__(
        self, writer: Writer, memory: Memory, admission: Admission, about: dict[str, Any], idle_seconds: float | None
    ) -> None:
        self.stopping: str | None = None
        self._writer = writer
        self._memory = memory
        self._reader = Reader(memory)
        self._admission = admission
        self._about = about
        self._idle_seconds = idle_seconds
        self._selector = selectors.DefaultSelector()
        self._selector.register(admission.listener, selectors.EVENT_READ, admission.accept)
        self._selector.register(admission.wake_source, selectors.EVENT_READ, self._admit)
        self._buffer = memoryview(bytearray(BUFFER))
        self._peers: set[Peer] = set()
        self._by_client: dict[bytes, Peer] = {}
        self._lost: dict[bytes, float] = dict.fromkeys(writer.clients(), time.monotonic() + GRACE)
        self._batch: list[tuple[Peer, Request]] = []
        self._watchers: Watchers[Peer] = Watchers()
        self._latest: Peer | None = None
        self._reads = 0
        self._retries = 0
        self._lazy = True
        self._last_company = time.monotonic() + FIRST_SECONDS
        self._next_tick = 0.0
        self._verbs: dict[int, Callable[[Peer, list[Any]], Any]] = {
            wire.HELLO: self._hello,
            wire.READ: self._read,
            wire.COLLECTIONS: lambda peer, message: [list(pair) for pair in self._writer.collections()],
            wire.STATS: lambda peer, message: self._stats(),
            wire.VERIFY: self._verify,
            wire.PING: lambda peer, message: None,
            wire.STOP: lambda peer, message: self.stop("a client asked for it"),
        }

    def watch(self, source: int | socket.socket, call: Callable[[], None]) -> None:
        """Have ``call`` called by the loop whenever ``source`` is readable."""
        self._selector.register(source, selectors.EVENT_READ, call)

    def stop(self, why: str) -> None:
        """End ``run`` when what is at hand is done."""
        self.stopping = why

    def _admit(self) -> None:
        """Take over the connections that have proven themselves."""
        for link in self._admission.admitted():
            peer = Peer(link)
            self._peers.add(peer)
            self._selector.register(peer.link, selectors.EVENT_READ, peer)

    def run(self, each_tick: Callable[[], None]) -> None:
        """Serve until ``stop``; ``each_tick`` is called about once a second."""
        look_until = 0.0
        while self.stopping is None:
            events = self._selector.select(0)
            if not events:
                if time.monotonic() < look_until:
                    os.sched_yield()
                    continue
                events = self._selector.select(BREATH if self._lazy else TICK)
                if not events:
                    self._quiet()
            for key, mask in events:
                peer = key.data
                if type(peer) is not Peer:
                    peer()
                elif mask & selectors.EVENT_READ:
                    self._receive(peer)
                else:
                    self._go_on_sending(peer)
            if self._batch:
                alone = self._is_one_more()
                self._commit()
                look_until = time.monotonic() + LOOK_SECONDS if alone else 0.0
                if alone:
                    os.sched_yield()  # first: on a core shared with the client there is nothing to see before it ran
            if time.monotonic() >= self._next_tick:
                self._tick(each_tick)

    def _is_one_more(self) -> bool:
        """Whether the batch is one more request of the only client at work, whose next one is worth a look.

        Where several are at work the next request is mostly there already, and looking for it an eighth of the CPU time
        of an insert by four processes at once.
        """
        latest, self._latest = self._latest, self._batch[-1][0]
        return len(self._batch) == 1 and latest is self._latest

    def close(self) -> None:
        """Drop everyone."""
        self._admission.close()
        for peer in list(self._peers):
            self._drop(peer)
        self._selector.close()

    # --- in -----------------------------------------------------------------------------------------------------

    def _receive(self, peer: Peer) -> None:
        try:
            count = peer.link.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if not count:
            self._drop(peer)
            return
        frames, data = peer.frames, self._buffer[:count]
        # A client waits for each answer, so that one whole frame is what usually comes.
        if frames.is_one(data) and not peer.outgoing:
            self._take_frame(peer, data[4:])
        else:
            frames.feed(data)
            self._take_frames(peer)

    def _take_frame(self, peer: Peer, body: memoryview) -> None:
        try:
            self._take(peer, message_of(body))
        except WireError:
            self._drop(peer)

    def _take_frames(self, peer: Peer) -> None:
        """Take what the peer asks, unless it does not read what it asked before."""
        try:
            while peer.open and not peer.outgoing:
                body = peer.frames.next()
                if body is None:
                    return
                self._take(peer, message_of(body))
            peer.frames.keep()
        except WireError:
            self._drop(peer)

    def _take(self, peer: Peer, message: list[Any]) -> None:
        number, verb = message[0], message[1]
        if verb == wire.COMMIT and peer.client is not None:
            if not 0 < number < 1 << 63:
                raise WireError(f"no request has number {number}")
            try:
                operations = [_operation(said) for said in message[2]]
            except PaperTigerError as error:
                self._answer(peer, number, error)
                return
            except (TypeError, ValueError, IndexError, KeyError) as error:
                raise WireError(f"not a commit: {error}") from error
            self._batch.append((peer, Request(peer.client, number, operations)))
            return
        if self._batch:
            self._commit()
        if verb == wire.BYE or verb == wire.READS:
            self._hear(peer, message)
        elif verb == wire.AWAIT and peer.client is not None:
            self._await(peer, message)
        elif verb not in self._verbs or (peer.client is None and verb != wire.HELLO):
            raise WireError(f"no verb {verb} here")
        else:
            self._answer(peer, number, self._carry_out(peer, message))

    def _carry_out(self, peer: Peer, message: list[Any]) -> Any:
        try:
            return self._verbs[message[1]](peer, message)
        except PaperTigerError as error:
            return error
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise WireError(f"not a request: {error}") from error

    # --- what is asked ------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, message: list[Any]) -> dict[str, Any]:
        _, _, protocol, client = message
        if protocol != wire.PROTOCOL:
            raise InvalidRequest(
                f"the client speaks protocol {protocol} and the manager {wire.PROTOCOL}: "
                "use one version of papertiger-shm on both sides"
            )
        if type(client) is not bytes or len(client) != 16 or peer.client is not None:
            raise WireError("not a greeting")
        before = self._by_client.get(client)
        if before is not None:
            self._drop(before)  # it has lost that connection and we have not noticed yet
        self._lost.pop(client, None)
        peer.client = client
        self._by_client[client] = peer
        return {**self._about, "last": self._writer.last_request(client)}

    def _read(self, peer: Peer, message: list[Any]) -> Any:
        _, _, collection, method, arguments = message
        if type(collection) is not bytes or not _is_read(method, arguments):
            raise WireError("not a read")
        return getattr(self._reader.collection(collection), method)(*arguments)

    def _await(self, peer: Peer, message: list[Any]) -> None:
        """Answer with what has changed up to which version, when something has."""
        number, _, collection, begins = message if len(message) == 4 else (0, 0, None, None)
        if type(collection) is not bytes or type(begins) is not bool or not 0 < number < 1 << 63:
            raise WireError("not a wait")
        for changed in self._watchers.ask(peer, number, collection, begins=begins):
            self._answer(peer, number, [changed, self._writer.newest_version])

    def _hear(self, peer: Peer, message: list[Any]) -> None:
        if message[1] == wire.READS:
            if len(message) != 4 or not all(type(count) is int and 0 <= count < 1 << 48 for count in message[2:]):
                raise WireError("not a number of reads and one of retries")
            self._reads += message[2]
            self._retries += message[3]
            return
        client = peer.client
        peer.client = None
        if client is not None:
            self._by_client.pop(client, None)
            self._writer.forget(client)
        self._drop(peer)

    def _verify(self, peer: Peer, message: list[Any]) -> dict[str, int]:
        """While nobody else is served; so who asked is told how far it is."""
        told = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told >= PROGRESS_SECONDS and not peer.outgoing:
                told = time.monotonic()
                self._send(peer, [progress_frame(message[0], done, total)])

        return verify(self._memory, tell)

    def _stats(self) -> dict[str, Any]:
        return {
            **self._writer.stats(),
            **self._about,
            "writer_pid": os.getpid(),
            "clients": len(self._by_client),
            "sessions": len(self._writer.clients()),
            "reads": self._reads,
            "reader_retries": self._retries + self._reader.retries,
        }

    def _commit(self) -> None:
        batch = self._batch
        self._batch = []
        outcomes = self._writer.execute([request for _, request in batch])
        for (peer, request), outcome in zip(batch, outcomes):
            self._answer(peer, request.number, outcome)
        if self._watchers:
            self._tell_watchers(batch, outcomes)
        self._lazy = True

    def _tell_watchers(self, batch: list[tuple[Peer, Request]], outcomes: list[Any]) -> None:
        done = [request for (_, request), outcome in zip(batch, outcomes) if not isinstance(outcome, PaperTigerError)]
        operations = [operation for request in done for operation in request.operations]
        newest = self._writer.newest_version
        for watcher, number, changed in self._watchers.tell(operations):
            self._answer(watcher, number, [changed, newest])

    # --- out ----------------------------------------------------------------------------------------------------

    def _answer(self, peer: Peer, number: int, outcome: Any) -> None:
        if isinstance(outcome, PaperTigerError):
            frames = answer_frames(number, error_answer(number, outcome))
        else:
            frames = answer_frames(number, [number, wire.OK, outcome])
        self._send(peer, frames)

    def _send(self, peer: Peer, frames: list[bytes]) -> None:
        if not peer.open:
            return
        if peer.outgoing:
            peer.outgoing.extend(map(memoryview, frames))
            return
        try:
            sent = peer.link.send(frames[0])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._drop(peer)
            return
        if sent < len(frames[0]) or len(frames) > 1:
            peer.outgoing.append(memoryview(frames[0])[sent:])
            peer.outgoing.extend(map(memoryview, frames[1:]))
            peer.last_progress = time.monotonic()
            self._selector.modify(peer.link, selectors.EVENT_WRITE, peer)

    def _go_on_sending(self, peer: Peer) -> None:
        outgoing = peer.outgoing
        try:
            while outgoing:
                sent = peer.link.send(outgoing[0]) if outgoing[0] else 0
                peer.last_progress = time.monotonic()
                if sent < len(outgoing[0]):
                    outgoing[0] = outgoing[0][sent:]
                    return
                outgoing.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(peer)
            return
        self._selector.modify(peer.link, selectors.EVENT_READ, peer)
        peer.frames.feed(memoryview(b""))
        self._take_frames(peer)

    def _drop(self, peer: Peer) -> None:
        if not peer.open:
            return
        peer.open = False
        self._peers.discard(peer)
        self._last_company = time.monotonic()
        self._watchers.forget(peer)
        self._selector.unregister(peer.link)
        peer.link.close()
        if peer.client is not None and self._by_client.get(peer.client) is peer:
            del self._by_client[peer.client]
            self._lost[peer.client] = time.monotonic() + GRACE

    # --- in quiet moments ---------------------------------------------------------------------------------------

    def _quiet(self) -> None:
        """One piece of lazy work at a time, for as long as nobody asks for anything."""
        while self._lazy:
            self._lazy = self._writer.idle()
            if self._selector.select(0):
                return

    def _tick(self, each_tick: Callable[[], None]) -> None:
        now = time.monotonic()
        self._next_tick = now + TICK
        self._admission.sweep()
        for client in [client for client, until in self._lost.items() if until <= now]:
            del self._lost[client]
            self._writer.forget(client)
        for peer in [peer for peer in self._peers if peer.outgoing and now - peer.last_progress > STALL]:
            self._drop(peer)
        if not self._peers and self._idle_seconds is not None and now - self._last_company >= self._idle_seconds:
            self.stop("the last client has gone")
        each_tick()


def _operation(said: list[Any]) -> Any:
    """An operation as the engine takes it. Everything is checked: what comes may be anything."""
    kind = said[0]
    if kind == wire.PUT:
        _, collection, key, created, postings, payload, expect = said
        if (
            type(collection) is bytes
            and type(key) is bytes
            and type(created) is int
            and type(payload) is bytes
            and (expect is None or type(expect) is int)
            and all(type(posting) is bytes for posting in postings)
        ):
            return Put(collection, key, created, postings, payload, expect)
    elif kind == wire.DELETE:
        _, collection, key = said
        if type(collection) is bytes and type(key) is bytes:
            return Delete(collection, key)
    elif kind == wire.CLEAR or kind == wire.CLEAR_BELOW:
        _, name = said
        if type(name) is bytes:
            return Clear(name) if kind == wire.CLEAR else ClearBelow(name)
    elif kind == wire.CLEAR_ACROSS:
        _, name, below = said
        if type(name) is bytes and type(below) is bytes:
            return ClearAcross(name, below)
    elif kind == wire.INCREMENT:
        _, collection, key, field, by, indexes = said
        if type(collection) is bytes and type(key) is bytes and type(field) is str and field:
            if type(by) is not int and type(by) is not float:
                raise InvalidRequest(f"increment was asked to add {by!r} to {field}: add an int or a float")
            if all(type(index) is str for index in indexes):
                return Transform(collection, key, adding(field, by, indexes))
    raise TypeError(f"operation {kind!r}")


def _is_read(method: Any, arguments: list[Any]) -> bool:
    """Whether a collection's reader can be asked this."""
    if method == "count":
        return not arguments
    if method == "page":
        limit, after, before, filters = arguments
        return type(limit) is int and _is_key(after) and _is_key(before) and _are_keys(filters)
    if method in ("get", "entry", "version"):
        return len(arguments) == 1 and type(arguments[0]) is bytes
    return method in ("get_many", "scan", "entries") and len(arguments) == 1 and _are_keys(arguments[0])


def _is_key(said: Any) -> bool:
    return said is None or type(said) is bytes


def _are_keys(said: Any) -> bool:
    return type(said) is list and all(type(key) is bytes for key in said)
