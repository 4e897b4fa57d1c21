"""Reads of several events: a page, from the newest or from a cursor, and all of a type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

from benchmarks.events import RARE, RARE_COUNT, STRIPE, shipped
from benchmarks.measure import Contender, seconds_each
from benchmarks.peers import PAGE, Peer
from benchmarks.peers.everyone import OURS
from benchmarks.peers.papertiger_on_valkey import PapertigerOnValkey
from benchmarks.peers.private_dict import PrivateDict
from benchmarks.peers.sqlite import SQLite
from benchmarks.peers.valkey_server import Valkey
from benchmarks.plan import Plan
from benchmarks.results import Ratio, Result

__all__ = ["READS", "find", "pages"]

TO_LIST = (
    Ratio(OURS, PrivateDict.name, 1.25),
    Ratio(OURS, SQLite.name, 1.0),
    Ratio(PapertigerOnValkey.name, Valkey.name, 1.3),
)
TO_FIND = (Ratio(OURS, PrivateDict.name, 1.25),)


def pages(plan: Plan) -> Iterator[Result]:
    """A page beside decoding the same events from a private dict, and beside everybody's."""
    for name in (FIRST, MIDDLE):
        yield beside(plan, "list", name, TO_LIST)


def find(plan: Plan) -> Iterator[Result]:
    """All events of a rare type."""
    yield beside(plan, "find", FIND, TO_FIND)


def beside(plan: Plan, operation: str, name: str, targets: Sequence[Ratio]) -> Result:
    def contend(peer: Peer) -> Contender:
        return READS[name](peer, plan, plan.scale.stored)

    return plan.beside(operation, f"{name}, {plan.scale.stored:,}", plan.stock.peers(STRIPE), contend, targets)


def first_page(peer: Peer, plan: Plan, size: int) -> Contender:
    page = peer.lister()
    return calling(page, [None], plan)


def middle_page(peer: Peer, plan: Plan, size: int) -> Contender:
    """From as many cursors as there are contents, so that every size decodes the same."""
    page = peer.lister()
    middle, apart = plan.scale.top - size // 2, len(shipped())
    return calling(page, [STRIPE.make(number)["id"] for number in range(middle, middle + apart)], plan)


def find_rare(peer: Peer, plan: Plan, size: int) -> Contender:
    return calling(peer.finder(), [RARE], plan)


def calling(call: Callable[[Any], object], arguments: Sequence[Any], plan: Plan) -> Contender:
    calls = max(plan.scale.calls // PAGE, len(arguments))
    return lambda number: seconds_each(call, [*islice(cycle(arguments), calls)])


FIRST = f"list(limit={PAGE})"
MIDDLE = f"list(limit={PAGE}) from a cursor in the middle"
FIND = f"find_by_type, {RARE_COUNT} matches"

READS: dict[str, Callable[[Peer, Plan, int], Contender]] = {FIRST: first_page, MIDDLE: middle_page, FIND: find_rare}
