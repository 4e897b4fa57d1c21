"""The newest events of all namespaces in one line of time, as many as fit on a page. HTML never enters this room."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from papertiger_shm import Connection, Events, NotFound
from papertiger_shm.ui.places import worker_of

__all__ = ["Happened", "Timeline"]

SHOWN: Final = 100
"""Events on the page."""

MOST_NAMESPACES: Final = 500
"""So many are looked into, by name; each costs a read."""

STEP: Final = 10


class Happened(NamedTuple):
    """One event, where it is, and which worker's that is."""

    worker: str
    namespace: str
    event: dict[str, Any]

    @property
    def created(self) -> int:
        """Seconds since 1970."""
        created: int = self.event["created"]
        return created

    @property
    def type(self) -> str:
        """Its type, also where it is none that Stripe has."""
        return str(self.event.get("type", ""))

    @property
    def family(self) -> str:
        """The part of the type before the first dot."""
        return self.type.partition(".")[0]


class Timeline:
    """The events of one worker, of one type, or all, newest first."""

    def __init__(self, connection: Connection, *, worker: str = "", type: str = "") -> None:
        sizes = {place: count for table, place, count in connection.collections() if table == Events.table_name}
        self.workers = sorted({worker_of(place) for place in sizes})
        """All there are."""
        wanted = sorted(place for place in sizes if not worker or worker_of(place) == worker)
        self.total = sum(sizes[place] for place in wanted)
        """Events of any type in the namespaces that were asked for."""
        self.namespaces = len(wanted)
        self.looked_into = min(len(wanted), MOST_NAMESPACES)
        equals = {"type": type} if type else {}
        lines = (_line(Events(connection, place), equals) for place in wanted[:MOST_NAMESPACES])
        self.shown = [*islice(heapq.merge(*lines, key=lambda happened: -happened.created), SHOWN)]
        self.by_worker = Counter(happened.worker for happened in self.shown)
        self.by_type = Counter(happened.type for happened in self.shown)
        self.by_family = Counter(happened.family for happened in self.shown)


def _line(events: Events, equals: dict[str, Any]) -> Iterator[Happened]:
    """One namespace's, newest first: of most only the first is ever needed."""
    worker, step, cursor, has_more = worker_of(events.namespace), 1, None, True
    while has_more:
        try:
            page = events.list(step, cursor, **equals)
        except NotFound:
            return  # the test has ended meanwhile, or deleted what the walk was at
        for event in page:
            cursor = event["id"]
            yield Happened(worker, events.namespace, event)
        step, has_more = STEP, page.has_more
