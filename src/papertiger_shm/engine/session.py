"""Sessions: which request of each client was applied last, and what it was answered.

Both are part of the same commit as the request's own changes, so that a client that asks again after a crash gets
the first answer. When a session ends is for others to say; the engine has no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .arena import Arena
from .commit import Commit
from .layout import (
    REPLY,
    REPLY_BODY,
    REPLY_BYTES,
    SESSION,
    SESSION_HIGH,
    SESSION_LOW,
    SESSION_NUMBER,
    SESSION_REPLY,
    SESSION_WORDS,
)
from .memory import Memory


class Sessions:
    """The sessions of one segment, as its writer knows them."""

    def __init__(
        self,
        memory: Memory,
        commit: Commit,
        arena: Arena,
        pack: Callable[[Any], bytes],
        unpack: Callable[[bytes], Any],
    ) -> None:
        self._memory = memory
        self._words = memory.words
        self._draft = commit.draft
        self._arena = arena
        self._pack = pack
        self._unpack = unpack
        self._of_client: dict[bytes, int] = {}
        self._opened: dict[bytes, int] = {}

    def adopt(self, session: int) -> None:
        """Learn of a session that the segment already has."""
        words = self._words
        high, low = words[session + SESSION_HIGH], words[session + SESSION_LOW]
        self._of_client[(high << 64 | low).to_bytes(16, "big")] = session

    def clients(self) -> list[bytes]:
        """Every client that has a session."""
        return list(self._of_client)

    def last(self, client: bytes) -> int:
        """The number of the client's last applied request, the open commit included; 0 for none."""
        session = self._find(client)
        return self._draft[session + SESSION_NUMBER] if session else 0

    def answer(self, client: bytes, operations: int) -> list[Any]:
        """What the last request, of so many operations, was answered."""
        reply = self._draft[self._find(client) + SESSION_REPLY]
        if not reply:
            return [None] * operations
        start = (reply + REPLY_BODY) * 8
        answer: list[Any] = self._unpack(self._memory.raw[start : start + self._words[reply + REPLY_BYTES]])
        return answer

    def record(self, client: bytes, number: int, results: list[Any]) -> None:
        """Let the client's last request be this one.

        Raises:
            NoRoom: no memory for the session or the answer.
        """
        session = self._find(client) or self._open(client)
        draft = self._draft
        draft[session + SESSION_NUMBER] = number
        before = draft[session + SESSION_REPLY]
        if before:
            self._arena.free(before)
            draft[session + SESSION_REPLY] = 0
        if results.count(None) != len(results):
            draft[session + SESSION_REPLY] = self._write_reply(self._pack(results))

    def forget(self, client: bytes) -> None:
        """The client will not ask again. Changes nothing for a client without a session."""
        session = self._of_client.pop(client, 0)
        if session:
            reply = self._words[session + SESSION_REPLY]
            if reply:
                self._arena.free(reply)
            self._arena.free(session)

    def settle(self) -> None:
        """The commit was published."""
        if self._opened:
            self._of_client.update(self._opened)
            self._opened.clear()

    def undo(self) -> None:
        """The commit was discarded."""
        self._opened.clear()

    def _find(self, client: bytes) -> int:
        return self._of_client.get(client) or self._opened.get(client, 0)

    def _open(self, client: bytes) -> int:
        session = self._arena.allocate(SESSION, SESSION_WORDS, spare=True)
        number = int.from_bytes(client, "big")
        self._words[session + SESSION_HIGH] = number >> 64
        self._words[session + SESSION_LOW] = number & (1 << 64) - 1
        self._words[session + SESSION_NUMBER] = 0
        self._words[session + SESSION_REPLY] = 0
        self._opened[client] = session
        return session

    def _write_reply(self, content: bytes) -> int:
        reply = self._arena.allocate(REPLY, REPLY_BODY + (len(content) + 7) // 8, spare=True)
        self._words[reply + REPLY_BYTES] = len(content)
        start = (reply + REPLY_BODY) * 8
        self._memory.fresh[start : start + len(content)] = content
        return reply
