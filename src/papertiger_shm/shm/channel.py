"""One client's line to the manager: requests and answers, in lockstep, over a connection that may be lost.

A request is numbered once and keeps its number when it is sent again, so that the manager applies it once. What the
requests mean never enters here.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from ..codec import unpack
from ..errors import AccessDenied, AlreadyExists, InvalidRequest, ManagerUnavailable, PaperTigerError
from . import wire
from .introduction import is_of_our_user, prove_to_manager, set_patience
from .patience import patience
from .rendezvous import Place, is_running, unavailable

__all__ = ["Channel", "listens"]

BUFFER = 256 << 10
AT_ONCE = 64 << 10
"""Bytes of a request that the socket takes in one go: its buffer is empty when a request begins."""

OWNER_SECONDS = 1.0
"""How long an owner is given to restart its manager before a client that may start one does."""

FORGOTTEN = 50.0
"""Seconds after which a manager may not remember a client that it has lost: a little less than it keeps them for."""

DEFAULT_SIZE = "4 GiB"

LEAST_PATIENCE = 0.02
"""Seconds that a single call may take even where the timeout is over: who is there may still answer."""

LONGEST_POLL = 3600.0
"""Seconds; the kernel takes no more than some weeks."""

LOOK_SECONDS = patience(150e-6)
"""How long an answer is looked for before sleeping until it comes."""

SKIPS = 32
"""For how many requests nothing is looked for after it was in vain."""

_length = struct.Struct("!i").unpack_from

_News = TypeVar("_News", bound="tuple[Any, ...]")


class Posted:
    """A request that is on its way, and whose answer nobody has waited for yet."""

    def __init__(self, channel: Channel, verb: int, request: bytes) -> None:
        self.verb = verb
        self.request = request
        self.sent = 0.0
        self.answer: list[Any] | None = None
        self._channel = channel

    def result(self, timeout: float | None = None) -> Any:
        """The manager's answer, waited for. Raises what ``Channel.ask`` does."""
        if self.answer is None:
            self._channel.settle(timeout)
        if self.answer is None:
            raise self._channel.no_answer()
        return _result(self.answer)


class Channel:
    """Thread-safe: one request at a time. ``connected`` is called with what the manager says of itself, each time.

    ``timeout`` bounds every request as a whole: waiting for other threads, for a restart and for the answer.
    """

    def __init__(
        self, place: Place, *, start: bool, timeout: float, connected: Callable[[dict[str, Any]], None]
    ) -> None:
        self._place = place
        self._start = start
        self._timeout = timeout
        self._connected = connected
        self._buffer = memoryview(bytearray(BUFFER))
        self._lock = _new_lock()
        self._link: socket.socket | None = None
        self._client = os.urandom(16)
        self._number = 0
        self._committed = 0
        self._posted: Posted | None = None
        self._skip = 0
        self._closed = False
        self.progress: Callable[[int, int], object] | None = None
        """Called where an answer takes its time, with how far it is and how far it will be."""
        _channels.add(self)

    def open(self) -> None:
        """Connect now, unless we are. Raises ManagerUnavailable, AccessDenied."""
        deadline = time.monotonic() + self._timeout
        self._refuse_reentry()
        try:
            self._acquire(deadline)
            if self._link is None and self._posted is not None:
                self._settle(self._posted, deadline)  # which is to be sent again over whatever line it finds
            elif self._link is None:
                self._connect(deadline)
            self._lock.release()
        except BaseException:
            self._release_if_ours()
            raise

    def ask(self, verb: int, *arguments: Any, timeout: float | None = None) -> Any:
        """The manager's answer. Raises the error that it reports, ManagerUnavailable without an answer in time."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        self._refuse_reentry()
        try:
            if not self._lock.acquire(False):
                self._acquire(deadline)
            if self._posted is not None:
                self._settle(self._posted, deadline)
            self._number += 1
            request = wire.request_frame([self._number, verb, *arguments])
            answer = self._exchange(request, verb, deadline)
            self._lock.release()
        except BaseException:
            self._release_if_ours()
            raise
        return _result(answer)

    def post(self, verb: int, *arguments: Any, timeout: float | None = None) -> Posted:
        """Ask, and leave it to the next request, or to whoever wants to know, to wait for the answer."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        self._refuse_reentry()
        try:
            self._acquire(deadline)
            if self._posted is not None:
                self._settle(self._posted, deadline)
            self._number += 1
            posted = self._posted = Posted(self, verb, wire.request_frame([self._number, verb, *arguments]))
            link = self._link
            if link is None or len(posted.request) > AT_ONCE:
                self._settle(posted, deadline)
            else:
                try:
                    posted.sent = time.monotonic()
                    _send(link, posted.request, max(deadline, posted.sent + LEAST_PATIENCE))
                except OSError:
                    self._hang_up()  # it is sent again when it is waited for
                except BaseException:
                    self._posted = None  # who was interrupted does not expect it to be sent again later
                    self._hang_up()
                    raise
            self._lock.release()
        except BaseException:
            self._release_if_ours()
            raise
        return posted

    def settle(self, timeout: float | None = None) -> None:
        """Wait for the answer to what was posted, if there is anything. Raises ManagerUnavailable."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        self._refuse_reentry()
        try:
            self._acquire(deadline)
            if self._posted is not None:
                self._settle(self._posted, deadline)
            self._lock.release()
        except BaseException:
            self._release_if_ours()
            raise

    def is_idle(self) -> bool:
        """Whether no answer is still to come to what was posted."""
        return self._posted is None

    def is_under_way(self, posted: Posted) -> bool:
        """Whether the answer is still to come: another request has not waited for it, nor has a fork parted us."""
        return self._posted is posted

    def await_answer(self, posted: Posted, seconds: float) -> bool:
        """Wait for the answer for so long, or an hour, without keeping others from asking; False if it has not come.

        True also where the connection was lost: ``posted.result()`` asks again.
        """
        link = self._link
        if link is None or not self.is_under_way(posted):
            return True
        poll = select.poll()
        try:
            poll.register(link, select.POLLIN)
        except ValueError:  # closed meanwhile
            return True
        # Not below 0, as when the time has run out while it was asked: that would be for ever.
        return bool(poll.poll(min(max(seconds, 0.0), LONGEST_POLL) * 1000))

    def tell(self, verb: int, fresh: Callable[[], _News], told: Callable[[_News], None]) -> None:
        """Say something that is not answered, if there is a connection, not in use, that takes it at once.

        Where there is none any more, or a fork has parted us, a manager that listens is found again: who only reads
        is to be taken for a client all the same, and asks nothing that would find it.

        ``fresh`` gives what there is to say, ``told`` takes what went out, which may still get lost. Nobody else says
        anything in between, so that nothing is said twice.
        """
        if self._lock._is_owned():
            return
        try:
            if not self._lock.acquire(False):
                return
            try:
                if self._link is None:
                    self._greet_if_at_once()
                link = self._link
                if link is not None:
                    news = fresh()
                    link.send(wire.request_frame([0, verb, *news]), socket.MSG_DONTWAIT)
                    told(news)
            except BlockingIOError:
                pass  # the manager is stopped, or far behind; it still takes us for a client
            except OSError:
                self._hang_up()
            self._lock.release()
        except BaseException:
            self._release_if_ours()
            raise

    def close(self) -> None:
        """Say goodbye and hang up; a request of another thread is waited for, and so is what was posted."""
        with self._lock:
            if self._posted is not None:
                with contextlib.suppress(ManagerUnavailable):
                    self._settle(self._posted, time.monotonic() + self._timeout)
            self._part()
        _channels.discard(self)

    def cut(self) -> None:
        """As ``close``, and what was posted is not waited for; a thread that does is told that this is closed."""
        with self._lock:
            self._posted = None
            self._part()
        _channels.discard(self)

    def _part(self) -> None:
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(OSError):
                link.send(wire.request_frame([0, wire.BYE]), socket.MSG_DONTWAIT)
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)  # which wakes who waits in ``await_answer``; closing would not
        # It is closed with the last who has it: one who is about to wait would wait for another file of its number.

    # --- one request --------------------------------------------------------------------------------------------

    def _settle(self, posted: Posted, deadline: float) -> None:
        # First of all, since whatever ends the wait ends it for good.
        self._posted = None
        posted.answer = self._exchange(posted.request, posted.verb, deadline, posted.sent)

    def _exchange(self, request: bytes, verb: int, deadline: float, sent: float = 0.0) -> list[Any]:
        """The answer to the newest request. ``sent``: when it was, if it was."""
        try:
            answer = self._try_again_and_again(request, verb, deadline, sent)
        except BaseException:
            # A late answer must never be taken for that of a later request.
            self._hang_up()
            raise
        if verb == wire.COMMIT and answer[1] == wire.OK:
            # Of a request that failed the manager remembers nothing.
            self._committed = self._number
        return answer

    def _try_again_and_again(self, request: bytes, verb: int, deadline: float, sent: float) -> list[Any]:
        """Send and receive, again over a new connection if need be."""
        under_way = sent > 0.0
        anew = False
        while True:
            link = self._link
            if link is None:
                # An answer may be allowed to take longer than the timeout; finding the manager is not.
                link, last = self._connect(min(deadline, time.monotonic() + self._timeout))
                under_way, anew = False, True
                if (
                    sent
                    and verb == wire.COMMIT
                    and not last
                    and (self._committed or sent + FORGOTTEN < time.monotonic())
                ):
                    raise ManagerUnavailable(
                        f"the connection to {self._place.url} was lost and the manager does not know this client any "
                        "more: whether the last write was applied cannot be told; read it back"
                    )
            now = time.monotonic()
            sent = sent or now
            until = max(deadline, now + LEAST_PATIENCE)
            try:
                if not under_way:
                    _send(link, request, until)
                return self._receive(link, self._number, until)
            except BlockingIOError:
                raise self.no_answer() from None
            except (OSError, EOFError, wire.WireError):
                self._hang_up()
                if anew and time.monotonic() >= deadline:  # not before: what was lost earlier is no answer
                    raise self.no_answer() from None

    def _receive(self, link: socket.socket, number: int, deadline: float) -> list[Any]:
        """The usual answer comes whole with one call; all others go the long way."""
        buffer = self._buffer
        count = self._look(link)
        if not count:
            # Also past the deadline: who was stopped meanwhile, as by a Ctrl-Z, has the answer only to fetch.
            _await(link, select.POLLIN, deadline, LEAST_PATIENCE)
            count = link.recv_into(buffer)
        if count >= 4 and _length(buffer)[0] == count - 4:
            answer: list[Any] = unpack(buffer[4:count])
            if answer[0] == number and answer[1] <= wire.ERROR:
                return answer
        return self._receive_slowly(link, number, deadline, count)

    def _look(self, link: socket.socket) -> int:
        """Look for the answer for a little while before going to sleep until it comes; 0 when it has not come.

        Who looks in vain does not try again for a number of requests: the manager is busy with others.
        """
        if self._skip:
            self._skip -= 1
            return 0
        buffer = self._buffer
        until = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < until:
            try:
                return link.recv_into(buffer, 0, socket.MSG_DONTWAIT) or link.recv_into(buffer)
            except BlockingIOError:
                os.sched_yield()
        self._skip = SKIPS
        return 0

    def _receive_slowly(self, link: socket.socket, number: int, deadline: float, count: int) -> list[Any]:
        frames = wire.FrameReader()
        parts: list[bytes] = []
        late = False
        while count:
            frames.feed(self._buffer[:count])
            for body in frames.bodies():
                answer = wire.message_of(body)
                if answer[0] != number:
                    raise wire.WireError(f"an answer to request {answer[0]} came in place of one to {number}")
                if answer[1] <= wire.ERROR:
                    return answer
                if answer[1] == wire.PROGRESS:
                    if self.progress is not None:
                        self.progress(answer[2], answer[3])
                    continue
                parts.append(answer[2])
                if answer[1] == wire.LAST:
                    return wire.message_of(b"".join(parts))
            if late:
                raise BlockingIOError
            late = time.monotonic() >= deadline  # what has come by then is taken, and no more: it might never end
            _await(link, select.POLLIN, deadline)
            count = link.recv_into(self._buffer)
        raise EOFError

    def no_answer(self) -> ManagerUnavailable:
        return ManagerUnavailable(
            f"the manager of {self._place.url} was asked and did not answer in time: a write may or may not have been "
            "applied; see whether the process is stopped or overloaded, or connect with a longer timeout"
        )

    def _is_closed(self) -> InvalidRequest:
        return InvalidRequest(f"the connection to {self._place.url} is closed: connect again")

    def _refuse_reentry(self) -> None:
        """A signal handler or a finalizer that asks in the middle of a request of its own thread."""
        if self._lock._is_owned():
            raise ManagerUnavailable(
                f"the connection to {self._place.url} is busy with a request that this very call has interrupted: use "
                "another connection in signal handlers and finalizers"
            )

    def _release_if_ours(self) -> None:
        """An interruption may come when the lock is taken and before that is known; kept, nobody would ever get it."""
        if self._lock._is_owned():
            self._lock.release()

    def _acquire(self, deadline: float) -> None:
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise ManagerUnavailable(
                f"the connection to {self._place.url} was busy with other threads' requests for the whole timeout: "
                "see whether the manager is stopped, or use a connection for each thread"
            )
        if self._closed:
            self._lock.release()
            raise self._is_closed()

    # --- the connection -----------------------------------------------------------------------------------------

    def _connect(self, deadline: float) -> tuple[socket.socket, int]:
        """Connect, or wait for a manager, or start one; also our last request that the manager knows of.

        Waits only where a manager is expected: one that died and is to be restarted, or one that is being started.
        """
        if self._closed:
            raise self._is_closed()
        began = time.monotonic()
        pause = 0.002
        started = False
        while True:
            why = "nothing listens there"
            absent = False
            try:
                return self._greet(deadline)
            except (AccessDenied, ManagerUnavailable):
                raise
            except (FileNotFoundError, ConnectionRefusedError):
                absent = True
            except (BlockingIOError, TimeoutError):
                why = "it does not respond"
            except (OSError, EOFError, wire.WireError) as error:
                why = f"it broke off: {error}"
            now = time.monotonic()
            if absent and not started and self._see_to_a_manager(now - began):
                started = now >= deadline  # then this is the last chance
                continue
            if now >= deadline or not (self._start or self._place.exists()):
                raise unavailable(self._place, why)
            time.sleep(min(pause, max(0.0, deadline - now)))
            pause = min(pause * 1.5, 0.05)

    def _greet(self, deadline: float) -> tuple[socket.socket, int]:
        key = self._place.key()
        link = _Link(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            set_patience(link, max(deadline - time.monotonic(), LEAST_PATIENCE))
            link.connect(self._place.socket)
            link.settimeout(max(deadline - time.monotonic(), LEAST_PATIENCE))
            if not is_of_our_user(link):
                raise AccessDenied(f"{self._place.socket} is served by another user's process: it is not to be trusted")
            prove_to_manager(link, key)
            link.sendall(wire.request_frame([0, wire.HELLO, wire.PROTOCOL, self._client]))
            link.settimeout(None)
            answer = self._receive(link, 0, max(deadline, time.monotonic() + LEAST_PATIENCE))
            if answer[1] == wire.ERROR:
                wire.raise_error(answer[2], answer[3])
            about: dict[str, Any] = answer[2]
            self._connected(about)
        except BaseException:
            link.close()
            raise
        self._link = link
        if self._closed:  # by a signal handler or a finalizer in our midst, which the lock lets through
            self._part()
            raise self._is_closed()
        return link, about["last"]

    def _greet_if_at_once(self) -> None:
        """Connect if a manager is there and answers right away."""
        if self._closed or self._posted is not None:  # that is to be sent again over whatever line it finds
            return
        with contextlib.suppress(PaperTigerError, OSError, EOFError, wire.WireError):
            self._greet(time.monotonic())

    def _see_to_a_manager(self, waited: float) -> bool:
        """Start a manager on demand, if that is for us to do now; whether one was started, by whomever."""
        card = self._place.card() if self._place.exists() else None
        if card is not None and card.kind == "owned" and waited < OWNER_SECONDS and is_running(card.owner):
            return False
        if not self._start and (card is None or card.kind != "on-demand" or is_running(card.pid)):
            return False
        # Exactly one starts one. Should this lock be lost to a stopping manager's cleaning up, the managers' own lock
        # still lets only one of them live.
        starter = self._place.hold("start", 0)
        if starter is None:
            return False
        try:
            if not listens(self._place):
                from .launch import launch
                from .size import parse_size

                launch(self._place, kind="on-demand", max_size=parse_size(DEFAULT_SIZE) if card is None else card.size)
        except AlreadyExists:
            pass  # by someone who had an older lock file, or an owner
        except BaseException:
            starter.remove()
            self._place.remove_if_empty()
            raise
        finally:
            starter.release()
        return True

    def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _forget_parent(self) -> None:
        """In a forked child: be another client, with a connection of its own when it needs one."""
        self._lock = _new_lock()
        self._buffer = memoryview(bytearray(BUFFER))
        self._client = os.urandom(16)
        self._number = self._committed = 0
        self._posted = None
        self._hang_up()


def _result(answer: list[Any]) -> Any:
    if answer[1] == wire.ERROR:
        wire.raise_error(answer[2], answer[3])
    return answer[2]


def _new_lock() -> Any:
    """One that can say whether this thread has it; it is never taken twice."""
    return threading.RLock()


class _Link(socket.socket):
    """A socket that goes with its connection; who forgets to close one is not to be warned about our socket."""

    # Not a method of Python's, in which a Ctrl-C would be lost. The class's own ``close`` fails where the making of it
    # was refused or interrupted, too.
    __del__ = socket.SocketType.close


# The kernel's own patience (``set_patience``) would begin anew with each piece that is taken or comes, and after each
# signal that a handler of Python's has seen.


def _send(link: socket.socket, request: bytes, deadline: float) -> None:
    """Send all of it. Raises BlockingIOError at the deadline."""
    try:
        taken = link.send(request, socket.MSG_DONTWAIT)
    except BlockingIOError:
        taken = 0
    if taken < len(request):
        _send_slowly(link, memoryview(request)[taken:], deadline)


def _send_slowly(link: socket.socket, rest: memoryview, deadline: float) -> None:
    while rest:
        _await(link, select.POLLOUT, deadline)
        with contextlib.suppress(BlockingIOError):
            rest = rest[link.send(rest, socket.MSG_DONTWAIT) :]


def _await(link: socket.socket, event: int, deadline: float, least: float = 0.0) -> None:
    """Wait until the link is ready for more. Raises BlockingIOError where it is not at the deadline.

    ``least``: for so many seconds it is waited in any case.
    """
    poll = select.poll()
    poll.register(link, event)
    if not poll.poll(max(deadline - time.monotonic(), least) * 1000):
        raise BlockingIOError


def listens(place: Place) -> bool:
    """Whether a manager, one that is busy too, listens at the store's socket just now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        set_patience(probe, 1.0)
        try:
            probe.connect(place.socket)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


# No lock guards it: a signal handler may fork, or connect, in the midst of whatever had taken it. What a fork copies is
# whole, since one call into C changes it. Who closes a channel takes it out: the set itself would learn of its end in a
# callback, in which a Ctrl-C is lost.
_channels: weakref.WeakSet[Channel] = weakref.WeakSet()


def _part_from_parent() -> None:
    for channel in list(_channels):
        channel._forget_parent()


os.register_at_fork(after_in_child=_part_from_parent)
