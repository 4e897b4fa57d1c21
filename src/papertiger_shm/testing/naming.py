"""The names of tests' namespaces, and of a run's store. Pure text; nothing of pytest or of a store enters here."""

from __future__ import annotations

import hashlib

__all__ = ["namespace_of", "store_url"]

MAX_TEST: int = 200
"""Bytes of a namespace that tell the test; a longer name is cut."""


def namespace_of(nodeid: str, *, worker: str, attempt: int, prefix: str) -> str:
    """The namespace of one attempt of one test in one worker: one segment, readable, and no other test's."""
    # A slash would make a child of it, and clearing one test could take another along.
    test = nodeid.replace("/", ".").replace("\0", " ")
    cut = test.encode(errors="backslashreplace")
    if len(cut) > MAX_TEST or not _can_be_told(nodeid, test):
        digest = hashlib.blake2b(nodeid.encode(errors="backslashreplace"), digest_size=6).hexdigest()
        cut = cut[:MAX_TEST] + f"...{digest}".encode()
    name = f"{worker}/{cut.decode(errors='ignore')}"
    return f"{prefix}{name}" if attempt == 1 else f"{prefix}{name}~{attempt}"


def _can_be_told(nodeid: str, test: str) -> bool:
    """Whether no other id is written like this one: in the path dots were slashes, behind it there are none."""
    path, colons, rest = test.partition("::")
    path, suffix = path.removesuffix(".py"), ".py" if path.endswith(".py") else ""
    return path.replace(".", "/") + suffix + colons + rest == nodeid and test.isprintable()


def store_url(run_id: str) -> str:
    """Where the run's own store is."""
    return f"shm://pytest-{run_id}"
