"""Killing the writer process at a moment of the test's choosing, and seeing the next one answer."""

from __future__ import annotations

import os
import signal
import time

from papertiger_shm import Connection

from .waiting import eventually


def kill_writer(connection: Connection) -> float:
    """SIGKILL; seconds until the next manager answers.

    The process id is the one that the writer itself tells: the owner learns of a new one a moment later.
    """
    pid = connection.stats()["writer_pid"]
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: connection.stats()["writer_pid"] != pid, "a next manager")
    return time.monotonic() - begun


def kill_writer_at(connection: Connection, commits: int) -> float:
    """As ``kill_writer``, as soon as the store has seen so many commits."""
    eventually(lambda: connection.stats()["commits"] >= commits, f"{commits} commits")
    return kill_writer(connection)
