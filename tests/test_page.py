"""Page: the Stripe shape, and going on to the end in either direction."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertiger_shm import InvalidRequest, Page


class Shelf:
    """Items, newest first, given out in pages as a store does; remembers what was fetched."""

    def __init__(self, size: int) -> None:
        self.items = [{"id": f"evt_{number}"} for number in range(size)]
        self.fetched: list[str] = []

    def after(self, place: int, limit: int) -> Page:
        data = [dict(item) for item in self.items[place : place + limit]]
        more = place + limit < len(self.items)
        return Page(data, more, "/v1/events", following=lambda id: self.after(self._place(id) + 1, limit))

    def before(self, place: int, limit: int) -> Page:
        data = [dict(item) for item in self.items[max(0, place - limit) : place]]
        return Page(
            data,
            place > limit,
            "/v1/events",
            following=lambda id: self.before(self._place(id), limit),
            backwards=True,
        )

    def _place(self, id: str) -> int:
        self.fetched.append(id)
        return int(id.removeprefix("evt_"))


def test_the_stripe_shape() -> None:
    page = Page([{"id": "a"}, {"id": "b"}], True, "/v1/events")
    assert page.object == "list"
    assert page.data == list(page) == [{"id": "a"}, {"id": "b"}]
    assert len(page) == 2
    assert page.has_more is True
    assert page.url == "/v1/events"
    assert page.to_dict() == {
        "object": "list",
        "data": [{"id": "a"}, {"id": "b"}],
        "has_more": True,
        "url": "/v1/events",
    }
    assert "/v1/events" in repr(page)


def test_an_empty_page() -> None:
    page = Page([], False, "/v1/events")
    assert (list(page), len(page), bool(page), list(page.auto_paging_iter())) == ([], 0, False, [])


@given(size=st.integers(0, 25), limit=st.integers(1, 10))
def test_forwards_to_the_end(size: int, limit: int) -> None:
    shelf = Shelf(size)
    assert list(shelf.after(0, limit).auto_paging_iter()) == shelf.items
    assert len(shelf.fetched) == max(0, -(-size // limit) - 1), "no page is fetched in vain"


@given(size=st.integers(0, 25), limit=st.integers(1, 10))
def test_backwards_to_the_start(size: int, limit: int) -> None:
    shelf = Shelf(size)
    assert list(shelf.before(size, limit).auto_paging_iter()) == shelf.items[::-1]
    assert len(shelf.fetched) == max(0, -(-size // limit) - 1)


def test_pages_are_fetched_as_they_are_needed() -> None:
    shelf = Shelf(9)
    going = shelf.after(0, 3).auto_paging_iter()
    assert [next(going)["id"] for _ in range(3)] == ["evt_0", "evt_1", "evt_2"]
    assert shelf.fetched == []
    assert next(going)["id"] == "evt_3"
    assert shelf.fetched == ["evt_2"]


def test_items_may_be_changed_on_the_way() -> None:
    shelf = Shelf(5)
    seen: list[Any] = [item.pop("id") for item in shelf.after(0, 2).auto_paging_iter()]
    assert seen == [item["id"] for item in shelf.items]


def test_going_on_twice() -> None:
    page = Shelf(5).after(0, 2)
    assert list(page.auto_paging_iter()) == list(page.auto_paging_iter())


def test_a_page_that_cannot_go_on_says_so() -> None:
    going = Page([{"id": "a"}], True, "/v1/events").auto_paging_iter()
    assert next(going) == {"id": "a"}
    with pytest.raises(InvalidRequest, match=r"auto_paging_iter.*/v1/events.*list\(\)"):
        next(going)
