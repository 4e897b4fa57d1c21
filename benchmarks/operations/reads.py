"""Reads of one thing: an event that is there, one that is not, whether it is, and how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.events import RECORD, STRIPE, Payload, random_ids
from benchmarks.measure import Contender, seconds_each
from benchmarks.peers import Peer
from benchmarks.peers.disk_cache import DiskCache
from benchmarks.peers.everyone import OURS
from benchmarks.peers.lightning import Lightning
from benchmarks.peers.manager_dict import ManagerDict
from benchmarks.peers.papertiger_on_valkey import PapertigerOnValkey
from benchmarks.peers.private_dict import PrivateDict
from benchmarks.peers.sqlite import SQLite
from benchmarks.peers.valkey_server import Valkey
from benchmarks.plan import Plan
from benchmarks.results import Ratio, Result

__all__ = ["count", "get", "look"]

TO_GET = (
    Ratio(OURS, PrivateDict.name, 1.12),
    Ratio(OURS, Lightning.name, 0.85),
    Ratio(OURS, ManagerDict.name, 1 / 9),
    Ratio(OURS, Valkey.name, 1 / 15),
    Ratio(OURS, SQLite.name, 1 / 2),
    Ratio(OURS, DiskCache.name, 1 / 2),
    Ratio(PapertigerOnValkey.name, Valkey.name, 1.3),
)
LIGHTNING_GET = f"{Lightning.name}, get of one that is there"
TO_LOOK = (Ratio(OURS, LIGHTNING_GET, 0.8),)


def get(plan: Plan) -> Iterator[Result]:
    """An event that is there, in random order; and of the small record, where decoding does not hide the rest."""
    for payload, targets in ((STRIPE, TO_GET), (RECORD, ())):

        def contend(peer: Peer, payload: Payload = payload) -> Contender:
            return reading(plan, peer.getter(), payload)

        peers = plan.stock.peers(payload)
        yield plan.beside("get", f"get, a {payload.name} of {plan.scale.stored:,}", peers, contend, targets)


def look(plan: Plan) -> Iterator[Result]:
    """What is not there, and whether something is."""
    peers = plan.stock.peers(STRIPE)

    def missing(peer: Peer) -> Contender:
        seek = peer.seeker()
        return lambda number: seconds_each(seek, absent(plan, number))

    def contains(peer: Peer) -> Contender:
        return reading(plan, peer.membership(), STRIPE)

    for name, contend in (("get of what is not there", missing), ("id in store", contains)):
        yield plan.beside("look", name, peers, contend, TO_LOOK, lightning(plan))


def count(plan: Plan) -> Iterator[Result]:
    """How many there are."""

    def contend(peer: Peer) -> Contender:
        counter = peer.counter()
        return lambda number: seconds_each(counter, range(plan.scale.calls))

    peers = plan.stock.peers(STRIPE)
    yield plan.beside("count", "count()", peers, contend, TO_LOOK, lightning(plan))


def lightning(plan: Plan) -> dict[str, Contender]:
    """What a look is held against: lmdb's get, in the same rounds."""
    peer = plan.stock.peers(STRIPE, names=(Lightning.name,)).get(Lightning.name)
    return {} if peer is None else {LIGHTNING_GET: reading(plan, peer.getter(), STRIPE)}


def reading(plan: Plan, call: Callable[[str], Any], payload: Payload) -> Contender:
    scale = plan.scale
    return lambda number: seconds_each(call, random_ids(payload, scale.calls, scale.stored, scale.top, seed=number))


def absent(plan: Plan, number: int) -> list[str]:
    """Ids as long as those that are there."""
    ids = random_ids(STRIPE, plan.scale.calls, plan.scale.stored, plan.scale.top, seed=number)
    return [f"evt_x{id[5:]}" for id in ids]
