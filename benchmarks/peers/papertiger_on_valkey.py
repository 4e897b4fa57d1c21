"""papertiger-shm with its data on a Valkey server, as one has it who needs more than one machine."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.papertiger import Papertiger
from benchmarks.peers.valkey_server import Valkey
from papertiger_shm import connect

__all__ = ["PapertigerOnValkey"]


class PapertigerOnValkey(Papertiger):
    name = "papertiger-shm on Valkey"
    about = "the valkey:// backend, on a server of its own with the settings of the peer Valkey"
    packages = Valkey.packages

    def __enter__(self) -> PapertigerOnValkey:
        self._server = Valkey()
        self._server.__enter__()
        self.server_pid = self._server.server_pid
        self._use(connect(f"unix://{self._server.address()}", timeout=60))
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()
        self._server.__exit__(*exception)

    def version(self) -> str:
        return self._server.version()

    @classmethod
    def attached(cls, address: Any) -> PapertigerOnValkey:
        peer = cls()
        peer._use(connect(address))
        return peer
