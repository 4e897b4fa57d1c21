"""What is said between a client and its manager: frames, and the messages in them.

A frame is what ``multiprocess.connection`` sends (a big-endian length of four bytes, then the body), so that its
handshake and these messages share one stream. A body is msgpack and never anything that runs code when it is read.
No socket enters this room: bytes in, messages out.

    request     [number, verb, ...]      number grows with each request of a client
    answer      [number, status, ...]

An answer too long for a frame comes as several: PART [number, PART, bytes], and the last as [number, LAST, bytes];
the bytes put together are the body of the answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from .. import errors
from ..codec import pack, unpack
from ..errors import InvalidRequest, ManagerUnavailable, PaperTigerError

__all__ = [
    "FrameReader",
    "WireError",
    "answer_frames",
    "error_answer",
    "frame",
    "progress_frame",
    "raise_error",
    "request_frame",
]

PROTOCOL = 4
"""Raised when a message changes its shape; client and manager must agree."""

MAX_FRAME = 64 << 20
"""Bytes of the longest body that either side takes."""

MAX_ANSWER = 1 << 30
"""Bytes of the longest answer, in however many frames."""

PART_BYTES = 16 << 20

HELLO, COMMIT, READ, COLLECTIONS, STATS, VERIFY, PING, STOP, BYE, READS, AWAIT = range(11)
"""Verbs. BYE and READS are not answered, AWAIT not before something changes."""

OK, ERROR, PART, LAST, PROGRESS = range(5)
"""Statuses. PROGRESS comes before an answer that takes its time, with how far it is and how far it will be."""

PUT, DELETE, CLEAR, CLEAR_BELOW, CLEAR_ACROSS, INCREMENT = range(6)
"""Operations in a COMMIT, each a list that begins with one of these."""

_LENGTH = struct.Struct("!i")
_pack_length = _LENGTH.pack
_unpack_length = _LENGTH.unpack_from


class WireError(Exception):
    """The other side sent what no peer of this protocol sends."""


def frame(body: bytes) -> bytes:
    """The body with its length in front."""
    return _pack_length(len(body)) + body


def request_frame(message: list[Any]) -> bytes:
    """A request as it goes out. Raises InvalidRequest for one that is too long, before any of it is sent."""
    body = pack(message)
    if len(body) > MAX_FRAME:
        raise InvalidRequest(
            f"a request of {len(body):,} bytes was made and {MAX_FRAME:,} is the most: write in smaller batches"
        )
    return _pack_length(len(body)) + body


def answer_frames(number: int, message: list[Any]) -> list[bytes]:
    """An answer as it goes out, in as many frames as it takes."""
    body = pack(message)
    if len(body) <= MAX_FRAME:
        return [_pack_length(len(body)) + body]
    if len(body) > MAX_ANSWER:
        too_long = InvalidRequest(
            f"the answer has {len(body):,} bytes and {MAX_ANSWER:,} is the most: read page by page instead"
        )
        return [frame(pack(error_answer(number, too_long)))]
    starts = range(0, len(body), PART_BYTES)
    return [
        frame(pack([number, LAST if start == starts[-1] else PART, body[start : start + PART_BYTES]]))
        for start in starts
    ]


def progress_frame(number: int, done: int, total: int) -> bytes:
    """How far the answer to a request is, as it goes out before it."""
    return frame(pack([number, PROGRESS, done, total]))


def error_answer(number: int, error: PaperTigerError) -> list[Any]:
    """The message that carries an error."""
    return [number, ERROR, type(error).__name__, str(error)]


def raise_error(name: str, text: str) -> None:
    """Raise the error that the manager reports, as the class that it is."""
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if kind is None:
        raise ManagerUnavailable(f"the manager reports an error that this version does not know, {name}: {text}")
    raise kind(text)


def message_of(body: Any) -> list[Any]:
    """The message in a frame: a list that starts with two whole numbers. Raises WireError."""
    try:
        message = unpack(body)
    except ValueError as error:
        raise WireError(str(error)) from error
    if type(message) is not list or len(message) < 2 or type(message[0]) is not int or type(message[1]) is not int:
        raise WireError("a message is a list that starts with its number and its verb")
    return message


class FrameReader:
    """Takes bytes as they come and gives back whole bodies.

    A body is valid until the next ``feed``; whatever is not taken by then is kept.
    """

    __slots__ = ("_at", "_data", "_kept")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._data = memoryview(b"")
        self._at = 0

    def is_one(self, data: memoryview) -> bool:
        """Whether ``data`` is one frame and no more, with nothing kept that it belongs to."""
        return not self._kept and len(data) >= 4 and _unpack_length(data)[0] == len(data) - 4

    def feed(self, data: memoryview) -> None:
        """Go on with ``data``; a view of the caller's buffer, which is copied only where it ends in mid-frame."""
        if self._kept:
            self._kept += data
            if _is_complete(self._kept):
                self._data = memoryview(self._kept)
                self._kept = bytearray()
        else:
            self._data = data
        self._at = 0

    def bodies(self) -> Iterator[memoryview]:
        """Every whole body that has come, each once. Raises WireError for a length that nobody may send."""
        while (body := self.next()) is not None:
            yield body

    def next(self) -> memoryview | None:
        """The next whole body, or None; then what is left is kept for the next ``feed``."""
        data, at = self._data, self._at
        left = len(data) - at
        if left >= 4:
            length: int = _unpack_length(data, at)[0]
            if not 0 <= length <= MAX_FRAME:
                raise WireError(f"a frame claims {length:,} bytes, and {MAX_FRAME:,} is the most")
            if left >= 4 + length:
                self._at = end = at + 4 + length
                return data[at + 4 : end]
        self.keep()
        return None

    def keep(self) -> None:
        """Copy what has not been taken, since the buffer below is about to be used again."""
        if self._at < len(self._data):
            self._kept += self._data[self._at :]
        self._data = memoryview(b"")
        self._at = 0


def _is_complete(kept: bytearray) -> bool:
    if len(kept) < 4:
        return False
    length: int = _unpack_length(kept)[0]
    return not 0 <= length <= MAX_FRAME or len(kept) >= 4 + length
