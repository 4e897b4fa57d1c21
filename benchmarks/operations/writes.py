"""Writes of one process: one event at a time, thousands at once, the same one again and again, and a number in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.events import BATCH, RECORD, STRIPE, Payload
from benchmarks.measure import Contender, seconds_each
from benchmarks.peers import Peer
from benchmarks.peers.everyone import OURS
from benchmarks.peers.lightning import Lightning
from benchmarks.peers.papertiger_on_valkey import PapertigerOnValkey
from benchmarks.peers.ping_pong import PingPong
from benchmarks.peers.valkey_server import Valkey
from benchmarks.placement import placed, placements
from benchmarks.plan import Plan
from benchmarks.results import Ratio, Result

__all__ = ["change", "insert", "insert_many"]

BARE = ", SET alone"
BESIDE_VALKEY = Ratio(PapertigerOnValkey.name, Valkey.name, 1.3)
TO_INSERT = (Ratio(OURS, PingPong.name, 1.5), Ratio(OURS, Valkey.name + BARE, 1.0), BESIDE_VALKEY)
TO_INSERT_MANY = (Ratio(OURS, Lightning.name, 1.3), BESIDE_VALKEY)
OUR_INSERT = f"{OURS}, insert"
TO_CHANGE = (Ratio(OURS, OUR_INSERT, 1.2),)


def insert(plan: Plan) -> Iterator[Result]:
    """One at a time. A ratio means something only where both sides were placed alike, so each placement has its row."""
    for where, placement in {"as it comes": None, **placements()}.items():
        peers = plan.stock.peers(STRIPE)
        with placed(placement, [peer.server_pid for peer in peers.values() if peer.server_pid is not None]):
            yield inserted(plan, STRIPE, peers, f"insert, {where}", f"1 {where}", TO_INSERT)
    yield inserted(plan, RECORD, plan.stock.peers(RECORD), f"insert, a {RECORD.name}", "1 record", ())


def inserted(
    plan: Plan, payload: Payload, peers: dict[str, Peer], name: str, series: str, targets: tuple[Ratio, ...]
) -> Result:
    def contend(peer: Peer) -> Contender:
        return inserting(plan, peer, peer.inserter(), payload, series)

    valkey = peers.get(Valkey.name)
    references = {}
    if valkey is not None:
        series_of_its_own = f"{series}{BARE}"
        references[valkey.name + BARE] = inserting(plan, valkey, valkey.bare_inserter(), payload, series_of_its_own)
    return plan.beside("insert", name, peers, contend, targets, references)


def insert_many(plan: Plan) -> Iterator[Result]:
    """A thousand in one transaction; the figure is for one event of them."""

    def contend(peer: Peer) -> Contender:
        insert_batch = peer.batch_inserter()

        def one_batch(number: int) -> float:
            return seconds_each(insert_batch, [peer.prepared(plan.fresh(STRIPE, "many", number, BATCH))]) / BATCH

        return one_batch

    peers = plan.stock.peers(STRIPE)
    name = f"insert_many, one event of {BATCH:,}"
    yield plan.beside("insert-many", name, peers, contend, TO_INSERT_MANY)


def change(plan: Plan) -> Iterator[Result]:
    """The newest event again and again: replaced, and a number in it incremented."""
    peers = plan.stock.peers(STRIPE)
    hot = STRIPE.make(plan.scale.top - 1)

    def update(peer: Peer) -> Contender:
        put = peer.inserter()
        (prepared,) = peer.prepared([hot])
        return lambda number: seconds_each(put, [prepared] * plan.scale.writes)

    def increment(peer: Peer) -> Contender:
        add = peer.incrementer()
        return lambda number: seconds_each(add, [hot["id"]] * plan.scale.writes)

    for name, contend in (("update of a hot key", update), ("increment", increment)):
        references = {}
        ours = plan.stock.ours(STRIPE)
        if ours is not None:
            references[OUR_INSERT] = inserting(plan, ours, ours.inserter(), STRIPE, name)
        yield plan.beside("change", name, peers, contend, TO_CHANGE, references)


def inserting(plan: Plan, peer: Peer, put: Callable[[Any], object], payload: Payload, series: str) -> Contender:
    def one_round(number: int) -> float:
        return seconds_each(put, peer.prepared(plan.fresh(payload, series, number, plan.scale.writes)))

    return one_round
