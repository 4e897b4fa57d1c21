"""Page: one screen of a list, in Stripe's shape.

It is handed its items and a way to fetch the next page; it knows no store, and nothing of how pages are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from papertiger_shm.errors import InvalidRequest

__all__ = ["Page"]


class Page:
    """A page of items, newest first.

    ``object``: always ``"list"``; ``data``: list of dict; ``has_more``: whether items follow in the direction of
    paging; ``url``: the path of the list, as ``"/v1/events"``.

    It is what ``Store.list`` gives. ``len(page)``, ``page[0]`` and iteration are those of ``data``; an empty page is
    false.
    """

    object = "list"

    def __init__(
        self,
        data: list[dict[str, Any]],
        has_more: bool,
        url: str,
        *,
        following: Callable[[str], Page] | None = None,
        backwards: bool = False,
    ) -> None:
        """``following`` fetches the page that comes after the item with the given id, in the direction of paging.

        ``backwards``: this direction is towards newer items; the page was asked for with ``ending_before``.
        """
        self.data = data
        self.has_more = has_more
        self.url = url
        self._following = following
        self._backwards = backwards

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.data[place]

    def __bool__(self) -> bool:
        return bool(self.data)

    def __repr__(self) -> str:
        return f"<Page {self.url} {len(self.data)} items, has_more={self.has_more}>"

    def to_dict(self) -> dict[str, Any]:
        """``{"object": "list", "data": [...], "has_more": bool, "url": str}``, as Stripe answers."""
        return {"object": self.object, "data": self.data, "has_more": self.has_more, "url": self.url}

    def auto_paging_iter(self) -> Iterator[dict[str, Any]]:
        """Every item of this page and of those that follow it, fetched as they are needed.

        A page that was asked for with ``ending_before`` goes towards newer items, and each page is gone through
        from its end, as in Stripe's own library: the items come oldest first. Each page is what the store holds
        when it is fetched; ``NotFound`` if the item it goes on from has been deleted by then. For one consistent
        view iterate over the store itself.
        """
        page = self
        while page.data:
            backwards = page._backwards
            # Taken before the items are handed out: the caller may change them.
            cursor = page.data[0 if backwards else -1]["id"]
            yield from reversed(page.data) if backwards else page.data
            if not page.has_more:
                return
            if page._following is None:
                raise InvalidRequest(
                    f"auto_paging_iter: the page of {page.url} has no way to fetch the next one; "
                    "iterate over a page that a store's list() returned"
                )
            page = page._following(cursor)
