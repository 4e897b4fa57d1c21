"""Two processes of the app for all workers, and for each test a client of each, which see that test's events alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from papertiger_shm import Connection
from papertiger_shm.testing import shared_fixture

SECONDS = 60

Apps = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def stop(apps: Apps) -> None:
    """Where the worker that has started them was killed."""
    for pid in apps["pids"]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@shared_fixture(reap=stop)
def apps(papertiger: Connection) -> Iterator[Apps]:
    """Two processes that have the run's store in common: their addresses, and their ids."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # the path of a socket has to be short
        addresses = [f"{directory}/{name}" for name in ("one", "other")]
        processes = [start(address, papertiger.url) for address in addresses]
        try:
            for address in addresses:
                wait_for_the_app(address)
            yield {"addresses": addresses, "pids": [process.pid for process in processes]}
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(SECONDS)


def start(address: str, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvicorn", "--uds", address, "--log-level", "warning", "app:app"]
    return subprocess.Popen(command, cwd=Path(__file__).parent, env={**os.environ, "PAPERTIGER_URL": url})


def wait_for_the_app(address: str) -> None:
    deadline = time.monotonic() + SECONDS
    with httpx.Client(transport=httpx.HTTPTransport(uds=address), base_url="http://app") as client:
        while True:
            try:
                client.get("/events").raise_for_status()
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the app does not answer"
                time.sleep(0.02)


@pytest.fixture
async def clients(apps: Apps, papertiger_namespace: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.AsyncHTTPTransport(uds=address),
                    base_url="http://app",
                    headers={"x-paper-tiger-namespace": papertiger_namespace},
                    timeout=SECONDS,
                )
            )
            for address in apps["addresses"]
        ]
