"""All peers, in the order of the tables: ourselves, the two limits, then what one would use instead."""

from __future__ import annotations

from benchmarks.peers import Peer
from benchmarks.peers.disk_cache import DiskCache
from benchmarks.peers.json_file import JsonFile
from benchmarks.peers.lightning import Lightning
from benchmarks.peers.manager_dict import ManagerDict
from benchmarks.peers.papertiger import Papertiger
from benchmarks.peers.papertiger_on_valkey import PapertigerOnValkey
from benchmarks.peers.ping_pong import PingPong
from benchmarks.peers.private_dict import PrivateDict
from benchmarks.peers.sqlite import SQLite
from benchmarks.peers.ultra_dict import Ultra
from benchmarks.peers.valkey_server import Valkey

__all__ = ["EVERYONE", "OURS"]

OURS = Papertiger.name

EVERYONE: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (
        Papertiger,
        PrivateDict,
        PingPong,
        Lightning,
        SQLite,
        DiskCache,
        Valkey,
        PapertigerOnValkey,
        ManagerDict,
        Ultra,
        JsonFile,
    )
}
