"""How a client introduces itself: its half of the HMAC handshake of ``multiprocess.connection``.

The manager's half is that package's own (``admission``). This one is written out, since importing multiprocess loads
dill, logging and ctypes with it: a sixth of what a fresh process took to its first read. It speaks both dialects:
that of Python 3.12, where a challenge names its digest, and the older one, where all is MD5.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
import sys
from typing import Any

from .wire import WireError, frame

__all__ = ["is_of_our_user", "prove_to_manager", "set_patience"]

_CHALLENGE = b"#CHALLENGE#"
_WELCOME = b"#WELCOME#"
_FAILURE = b"#FAILURE#"
_NAMED = b"{sha256}"
_MD5_BYTES = 16
_NONCE_BYTES = 40
_LEAST_NONCE_BYTES = 20
_MAX_MESSAGE = 256


def prove_to_manager(connected: socket.socket, key: bytes) -> None:
    """Show that we have the key, and see that the manager has it. Raises OSError, EOFError, or WireError if not."""
    challenge = _receive(connected)
    if not challenge.startswith(_CHALLENGE) or len(challenge) < len(_CHALLENGE) + _LEAST_NONCE_BYTES:
        raise WireError(f"the handshake failed, {challenge!r} is no challenge")
    connected.sendall(frame(_digest(key, challenge[len(_CHALLENGE) :])))
    if _receive(connected) != _WELCOME:
        raise WireError("the handshake failed, the digest sent was rejected")
    ours = _NAMED + os.urandom(_NONCE_BYTES)
    connected.sendall(frame(_CHALLENGE + ours))
    answer = _receive(connected)
    # Who speaks the older dialect takes the digest's name for a part of what is to be digested.
    expected = _md5(key, ours) if len(answer) == _MD5_BYTES else _digest(key, ours)
    if not hmac.compare_digest(answer, expected):
        connected.sendall(frame(_FAILURE))
        raise WireError("the handshake failed, the digest received was wrong")
    connected.sendall(frame(_WELCOME))


def _digest(key: bytes, message: bytes) -> bytes:
    """The answer to a challenge, in its own dialect."""
    if not message.startswith(_NAMED):
        return _md5(key, message)
    return _NAMED + hmac.digest(key, message, "sha256")


def _md5(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "md5")


def _receive(connected: socket.socket) -> bytes:
    (length,) = struct.unpack("!i", _exactly(connected, 4))
    if not 0 <= length <= _MAX_MESSAGE:
        raise WireError(f"the handshake failed, a message claims {length:,} bytes")
    return _exactly(connected, length)


def _exactly(connected: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connected.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def set_patience(connected: socket.socket, seconds: float) -> None:
    """Let blocking calls give up after ``seconds``.

    In the kernel and not with ``settimeout``, which costs a poll for every call.
    """
    micros = max(1, round(seconds * 1_000_000))
    patience = struct.pack("@ll", micros // 1_000_000, micros % 1_000_000)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)


def is_of_our_user(connected: socket.socket) -> bool:
    """Whether the kernel says that the other end is a process of this user."""
    if sys.platform != "linux":
        return True  # the directory's mode and the key are what there is
    size = struct.calcsize("3i")
    credentials: tuple[Any, ...] = struct.unpack(
        "3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return bool(credentials[1] == os.geteuid())
