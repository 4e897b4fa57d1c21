"""list(): order, paging both ways, filters, and exactly when there is more."""

from __future__ import annotations

from typing import Any

import pytest

from papertiger_shm import InvalidRequest, NotFound, Page


def ids(items: Any) -> list[str]:
    return [item["id"] for item in items]


@pytest.fixture
def ten(things: Any) -> Any:
    """Ten items, "9" the newest; even ones are of type "even", and so on."""
    for n in range(10):
        metadata = {"plan": "gold" if n < 5 else "tin", "seat": n % 3}
        things.insert({"id": str(n), "created": 100 + n, "type": ("even", "odd")[n % 2], "metadata": metadata})
    return things


def test_a_page_has_stripes_fields(ten: Any) -> None:
    page = ten.list(limit=3)
    assert isinstance(page, Page)
    assert page.object == "list"
    assert page.has_more is True
    assert page.url == "/v1/things"
    assert ids(page.data) == ids(page) == ["9", "8", "7"]
    assert page.to_dict() == {"object": "list", "data": page.data, "has_more": True, "url": "/v1/things"}
    assert isinstance(page.data, list)


def test_an_empty_page(things: Any) -> None:
    page = things.list()
    assert page.to_dict() == {"object": "list", "data": [], "has_more": False, "url": "/v1/things"}
    assert list(page.auto_paging_iter()) == []


def test_ten_items_are_listed_unless_said_otherwise(ten: Any) -> None:
    assert len(ten.list().data) == 10
    assert ten.list().has_more is False
    ten.insert({"id": "one more", "created": 0})
    assert len(ten.list().data) == 10
    assert ten.list().has_more is True


@pytest.mark.parametrize("limit", range(1, 13))
def test_whether_there_is_more_is_exact(ten: Any, limit: int) -> None:
    page = ten.list(limit=limit)
    assert (len(page.data), page.has_more) == (min(limit, 10), limit < 10)
    for place, cursor in enumerate("9876543210"):
        after, before = 9 - place, place
        page = ten.list(limit=limit, starting_after=cursor)
        assert ids(page) == list("9876543210")[place + 1 : place + 1 + limit]
        assert page.has_more is (after > limit)
        page = ten.list(limit=limit, ending_before=cursor)
        assert ids(page) == list("9876543210")[max(0, place - limit) : place]
        assert page.has_more is (before > limit)


def test_ending_before_gives_the_items_immediately_before(ten: Any) -> None:
    page = ten.list(limit=3, ending_before="2")
    assert ids(page) == ["5", "4", "3"]
    assert page.has_more is True
    assert ids(ten.list(limit=3, ending_before="7")) == ["9", "8"]
    assert ids(ten.list(limit=3, ending_before="9")) == []


def test_paging_to_both_ends(ten: Any) -> None:
    forwards = ids(ten.list(limit=3).auto_paging_iter())
    assert forwards == list("9876543210")
    assert ids(ten.list(limit=4, starting_after="7").auto_paging_iter()) == list("6543210")
    assert ids(ten.list(limit=3, ending_before="2").auto_paging_iter()) == list("3456789")
    assert ids(ten.list(limit=100).auto_paging_iter()) == forwards


def test_automatic_paging_keeps_the_filter(ten: Any) -> None:
    assert ids(ten.list(limit=2, type="odd").auto_paging_iter()) == list("97531")
    assert ids(ten.list(limit=2, ending_before="1", type="odd").auto_paging_iter()) == list("3579")


def test_automatic_paging_does_not_depend_on_what_becomes_of_the_items(ten: Any) -> None:
    seen = []
    for item in ten.list(limit=3).auto_paging_iter():
        seen.append(item.pop("id"))
    assert seen == list("9876543210")


def test_automatic_paging_keeps_the_namespace_it_began_in(ten: Any) -> None:
    from papertiger_shm import namespace

    walk = ten.list(limit=3).auto_paging_iter()
    next(walk)
    with namespace("elsewhere"):
        assert len(list(walk)) == 9


def test_equal_seconds_are_listed_by_latest_insertion(things: Any) -> None:
    for id in "caebd":
        things.insert({"id": id, "created": 5})
    things.insert({"id": "older", "created": 4})
    things.insert({"id": "newer", "created": 6})
    assert ids(things.list()) == ["newer", *"dbeac", "older"]
    assert ids(things.list(limit=2, starting_after="b")) == ["e", "a"]
    assert ids(things.list(limit=2, ending_before="c")) == ["e", "a"]


def test_negative_and_huge_seconds_have_their_place(things: Any) -> None:
    times = [0, -1, 2**63 - 1, -(2**63), 1, 2**32]
    things.insert_many({"id": str(created), "created": created} for created in times)
    assert ids(things.list()) == [str(created) for created in sorted(times, reverse=True)]


def test_replacing_an_item_keeps_its_place(ten: Any) -> None:
    ten.insert({"id": "4", "created": 104, "type": "odd", "replaced": True})
    assert ids(ten.list()) == list("9876543210")
    assert ids(ten.list(type="odd")) == list("975431")


def test_replacing_an_item_keeps_its_place_among_equal_seconds(things: Any) -> None:
    for id in "abc":
        things.insert({"id": id, "created": 5, "type": "x"})
    for write in (things.insert, things.update, lambda item: things.insert_many([item])):
        write({"id": "b", "created": 5, "type": "x"})
        assert ids(things.list()) == ids(things.find_by("type", "x")) == list("cba")
    things.compare_and_set({"id": "a", "created": 5, "type": "x"}, things.version("a"))
    things.modify("a", lambda item: {**item, "n": 0})
    things.increment("a", "n")
    assert ids(things.list()) == ids(things.find_by("type", "x")) == list("cba")


def test_a_new_created_moves_the_item(ten: Any) -> None:
    ten.update({"id": "4", "created": 500, "type": "even"})
    assert ids(ten.list()) == list("4987653210")
    assert ids(ten.list(type="even")) == list("48620")
    ten.update({"id": "4", "created": 0, "type": "even"})
    assert ids(ten.list()) == list("9876532104")


def test_an_item_deleted_and_inserted_again_is_the_latest(things: Any) -> None:
    for id in "abc":
        things.insert({"id": id, "created": 5})
    things.delete("a")
    things.insert({"id": "a", "created": 5})
    assert ids(things.list()) == list("acb")


def test_a_filter(ten: Any) -> None:
    assert ids(ten.list(type="even")) == list("86420")
    assert ids(ten.list(type="even", limit=2, starting_after="6")) == list("42")
    assert ids(ten.list(type="even", limit=2, ending_before="2")) == list("64")
    assert ten.list(type="neither").data == []


def test_a_dotted_filter(ten: Any) -> None:
    assert ids(ten.list(**{"metadata.plan": "gold"})) == list("43210")


def test_several_filters_must_all_match(ten: Any) -> None:
    both = {"type": "even", "metadata.plan": "gold"}
    assert ids(ten.list(**both)) == list("420")
    assert ids(ten.list(**both, **{"metadata.seat": 1})) == ["4"]
    assert ids(ten.list(**both, limit=1, starting_after="4")) == ["2"]
    assert ids(ten.list(**both, **{"metadata.seat": 5})) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_whether_there_is_more_is_exact_under_a_filter(ten: Any, limit: int) -> None:
    for filters, matching in (({"type": "even"}, "86420"), ({"type": "odd", "metadata.plan": "tin"}, "975")):
        assert ten.list(limit=limit, **filters).has_more is (len(matching) > limit)
        for cursor in "9876543210":
            older = [id for id in matching if id < cursor]
            newer = [id for id in matching if id > cursor]
            page = ten.list(limit=limit, starting_after=cursor, **filters)
            assert (ids(page), page.has_more) == (older[:limit], len(older) > limit)
            page = ten.list(limit=limit, ending_before=cursor, **filters)
            assert (ids(page), page.has_more) == (newer[-limit:], len(newer) > limit)


def test_an_unknown_filter_is_refused(ten: Any) -> None:
    for filters in ({"email": "x"}, {"metadata": {}}, {"metadata.planet": 1}, {"id": "1"}):
        with pytest.raises(InvalidRequest, match=next(iter(filters)).replace(".", r"\.")):
            ten.list(**filters)


@pytest.mark.parametrize("limit", [0, -1, 101, 10**30, None, "10", 1.0, True])
def test_a_limit_outside_1_to_100_is_refused(ten: Any, limit: Any) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        ten.list(limit=limit)


def test_limits_of_1_and_100(things: Any) -> None:
    things.insert_many({"id": str(n)} for n in range(101))
    assert len(things.list(limit=1).data) == 1
    page = things.list(limit=100)
    assert (len(page.data), page.has_more) == (100, True)
    assert things.list(limit=100, starting_after=page.data[0]["id"]).has_more is False


def test_both_cursors_at_once_are_refused(ten: Any) -> None:
    with pytest.raises(InvalidRequest, match="starting_after"):
        ten.list(starting_after="1", ending_before="2")


def test_an_unknown_cursor_is_not_found(ten: Any, others: Any) -> None:
    others.insert({"id": "elsewhere"})
    for cursor in ("evt_unknown", "elsewhere"):
        for asked in ({"starting_after": cursor}, {"ending_before": cursor}):
            with pytest.raises(NotFound, match=cursor):
                ten.list(**asked)
            with pytest.raises(NotFound, match=cursor):
                ten.list(**asked, type="nothing of it")
    with pytest.raises(NotFound):
        others.list(starting_after="5")


def test_an_unknown_cursor_in_an_empty_store_is_not_found(things: Any) -> None:
    with pytest.raises(NotFound):
        things.list(starting_after="a")


def test_a_deleted_cursor_is_not_found(ten: Any) -> None:
    page = ten.list(limit=3)
    ten.delete("7")
    with pytest.raises(NotFound, match="7"):
        ten.list(starting_after="7")
    with pytest.raises(NotFound):
        list(page.auto_paging_iter())
