"""One page of a store's list, as a request wants it.

A store's own list has equal values of indexes, and cursors. What it has not is made of it here, by going through such
lists from the cursor until the page is full: a range of ``created``, several types at once, and other conditions.
HTTP never enters this room.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile, islice, takewhile, zip_longest
from typing import Any, Final, TypeAlias

from papertiger_shm import NotFound, Store
from papertiger_shm.http.parameters import Wanted

__all__ = ["page"]

Item: TypeAlias = dict[str, Any]

LONGEST_STEP: Final = 100
SHORT_STEP: Final = 20


def page(store: Store, wanted: Wanted) -> tuple[list[Item], bool]:
    """The items, newest first, and whether there are more in the direction of paging.

    Where the list is more than the store's own, it is read in several steps, each consistent in itself. ``NotFound``
    where the cursor names no item.
    """
    while True:
        try:
            return _page(store, wanted)
        except NotFound:
            cursor = wanted.starting_after or wanted.ending_before
            if cursor is not None and cursor not in store:
                raise
            # Else the item that a step went on from was deleted in between: look again.


def _page(store: Store, wanted: Wanted) -> tuple[list[Item], bool]:
    if len(wanted.alternatives) == 1 and wanted.oldest is wanted.newest is None and not wanted.conditions:
        whole = store.list(wanted.limit, wanted.starting_after, wanted.ending_before, **wanted.alternatives[0])
        return whole.data, whole.has_more
    items = _merged([_Walk(store, wanted, equals) for equals in wanted.alternatives])
    fitting = (item for item in _in_range(items, wanted) if all(fits(item) for fits in wanted.conditions))
    found = [*islice(fitting, wanted.limit + 1)]
    has_more = len(found) > wanted.limit
    del found[wanted.limit :]
    return (found[::-1] if wanted.ending_before is not None else found), has_more


class _Walk:
    """One of the store's own lists from the cursor on, in the direction of paging; ``head`` is where it has come to."""

    def __init__(self, store: Store, wanted: Wanted, equals: dict[str, Any]) -> None:
        self._store = store
        self._way = "starting_after" if wanted.ending_before is None else "ending_before"
        cursor = {self._way: wanted.ending_before or wanted.starting_after}
        skips = wanted.conditions or (wanted.newest if self._way == "starting_after" else wanted.oldest) is not None
        step = LONGEST_STEP if skips else min(wanted.limit + 1, LONGEST_STEP)
        self._items = store.list(step, **cursor, **equals).auto_paging_iter()
        self.head = next(self._items, None)

    def go_on(self) -> None:
        self.head = next(self._items, None)

    def is_before(self, other: _Walk) -> bool:
        """Whether this head comes before that one; both are there."""
        assert self.head is not None
        assert other.head is not None
        here, there = self.head["created"], other.head["created"]
        if here != there:
            return (here > there) is (self._way == "starting_after")
        return self.head["id"] != other.head["id"] and self._was_first(self.head, other.head)

    def _was_first(self, one: Item, other: Item) -> bool:
        """Which of two items of one second comes first, that only the store can tell: which is met from the other?

        They are neighbours, or nearly so. Going on from both at once finds it in as many steps as lie between them.
        """
        for after_one, after_other in zip_longest(self._from(one), self._from(other)):
            if after_one is not None and after_one["id"] == other["id"]:
                return True
            if after_other is not None and after_other["id"] == one["id"]:
                return False
        return True  # one of them has been moved or deleted in between

    def _from(self, item: Item) -> Iterator[Item]:
        onwards = self._store.list(SHORT_STEP, **{self._way: item["id"]}).auto_paging_iter()
        return takewhile(lambda following: following["created"] == item["created"], onwards)


def _merged(walks: list[_Walk]) -> Iterator[Item]:
    """The items of all of them in the store's order, each once."""
    while walks := [walk for walk in walks if walk.head is not None]:
        first = walks[0]
        for other in walks[1:]:
            if other.is_before(first):
                first = other
        item = first.head
        assert item is not None
        yield item
        for walk in walks:
            if walk.head is not None and walk.head["id"] == item["id"]:
                walk.go_on()


def _in_range(items: Iterator[Item], wanted: Wanted) -> Iterator[Item]:
    """Those created within the range. The items come in the order of ``created``, so beyond it none is looked at."""
    oldest, newest = wanted.oldest, wanted.newest

    def too_old(item: Item) -> bool:
        return oldest is not None and item["created"] < oldest

    def too_new(item: Item) -> bool:
        return newest is not None and item["created"] > newest

    not_yet, no_more = (too_new, too_old) if wanted.ending_before is None else (too_old, too_new)
    return takewhile(lambda item: not no_more(item), dropwhile(not_yet, items))
