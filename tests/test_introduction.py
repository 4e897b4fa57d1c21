"""The client's half of the handshake, against multiprocess's own and against both of its dialects."""

from __future__ import annotations

import hmac
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from multiprocess.connection import Connection, answer_challenge, deliver_challenge

from papertiger_shm.shm.introduction import prove_to_manager, set_patience
from papertiger_shm.shm.wire import WireError

KEY = b"k" * 32

Other = Callable[[Connection, bytes], None]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        set_patience(ours, 20)
        set_patience(theirs, 20)
        yield ours, theirs


def against(ends: tuple[socket.socket, socket.socket], other: Other, key: bytes = KEY) -> list[Exception]:
    """Prove ourselves to ``other``, which runs in a thread; gives what went wrong there."""
    ours, theirs = ends
    troubles: list[Exception] = []

    def be_the_other() -> None:
        try:
            with Connection(os.dup(theirs.fileno())) as talk:
                other(talk, KEY)
        except Exception as trouble:
            troubles.append(trouble)
        finally:
            theirs.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=be_the_other)
    thread.start()
    try:
        prove_to_manager(ours, key)
    finally:
        ours.close()
        thread.join()
    return troubles


def as_multiprocess_here(talk: Connection, key: bytes) -> None:
    deliver_challenge(talk, key)
    answer_challenge(talk, key)


def as_before_python_3_12(talk: Connection, key: bytes) -> None:
    challenge = os.urandom(20)
    talk.send_bytes(b"#CHALLENGE#" + challenge)
    assert talk.recv_bytes(256) == hmac.digest(key, challenge, "md5")
    talk.send_bytes(b"#WELCOME#")
    challenge = talk.recv_bytes(256)[len(b"#CHALLENGE#") :]
    talk.send_bytes(hmac.digest(key, challenge, "md5"))
    assert talk.recv_bytes(256) == b"#WELCOME#"


def as_since_python_3_12(talk: Connection, key: bytes) -> None:
    challenge = b"{sha256}" + os.urandom(40)
    talk.send_bytes(b"#CHALLENGE#" + challenge)
    assert talk.recv_bytes(256) == b"{sha256}" + hmac.digest(key, challenge, "sha256")
    talk.send_bytes(b"#WELCOME#")
    challenge = talk.recv_bytes(256)[len(b"#CHALLENGE#") :]
    assert challenge.startswith(b"{sha256}")
    assert len(challenge) >= 28
    talk.send_bytes(b"{sha256}" + hmac.digest(key, challenge, "sha256"))
    assert talk.recv_bytes(256) == b"#WELCOME#"


DIALECTS = [as_multiprocess_here, as_before_python_3_12, as_since_python_3_12]


@pytest.mark.parametrize("other", DIALECTS)
def test_both_dialects_are_spoken(ends: Any, other: Other) -> None:
    assert not against(ends, other)


@pytest.mark.parametrize("other", DIALECTS)
def test_a_wrong_key_proves_nothing(ends: Any, other: Other) -> None:
    with pytest.raises((WireError, EOFError)):
        against(ends, other, b"x" * 32)


@pytest.mark.parametrize("answer", [b"", bytes(16), b"{sha256}" + bytes(32), b"{md5}" + bytes(16)])
def test_an_impostor_is_found_out(ends: Any, answer: bytes) -> None:
    def welcome_anybody(talk: Connection, key: bytes) -> None:
        talk.send_bytes(b"#CHALLENGE#" + os.urandom(20))
        talk.recv_bytes(256)
        talk.send_bytes(b"#WELCOME#")
        talk.recv_bytes(256)
        talk.send_bytes(answer)
        assert talk.recv_bytes(256) == b"#FAILURE#"

    with pytest.raises(WireError, match="received"):
        against(ends, welcome_anybody)


@pytest.mark.parametrize("said", [b"hello", b"#CHALLENGE#", b"#CHALLENGE#short", b""])
def test_what_is_no_challenge_is_not_answered(ends: Any, said: bytes) -> None:
    with pytest.raises(WireError, match="no challenge"):
        against(ends, lambda talk, key: talk.send_bytes(said))


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\x00\x00\x01\x01", b"\x7f\xff\xff\xff"])
def test_a_message_of_no_sensible_length_is_not_waited_for(ends: Any, sent: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(sent)
    with pytest.raises(WireError, match="claims"):
        prove_to_manager(ours, KEY)


def test_who_hangs_up_is_no_manager(ends: Any) -> None:
    ours, theirs = ends
    theirs.sendall(b"\0\0")
    theirs.close()
    with pytest.raises(EOFError):
        prove_to_manager(ours, KEY)
