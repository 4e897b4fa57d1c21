"""Watchers: who is told what, and when, without any process."""

from __future__ import annotations

import pytest

from papertiger_shm.engine import Clear, ClearAcross, ClearBelow, Delete, Operation, Put
from papertiger_shm.shm.watchers import MOST_KEYS, ChangedKeys, Watchers

ONE = b"things\0one"


def put(key: bytes, collection: bytes = ONE) -> Operation:
    return Put(collection, key, 0, (), b"")


def asked(
    watchers: Watchers[str], peer: str, number: int, collection: bytes = ONE, *, begins: bool = False
) -> list[ChangedKeys]:
    return list(watchers.ask(peer, number, collection, begins=begins))


def test_who_begins_is_told_to_look_at_once_and_then_waits() -> None:
    watchers: Watchers[str] = Watchers()
    assert asked(watchers, "p", 1) == [None]
    assert asked(watchers, "p", 2) == []
    assert watchers.tell([put(b"a"), put(b"b"), put(b"a")]) == [("p", 2, [b"a", b"b"])]
    assert watchers.tell([put(b"c")]) == []
    assert asked(watchers, "p", 3) == [[b"c"]]
    assert asked(watchers, "p", 4) == []


def test_who_begins_anew_is_told_to_look_though_nothing_changed() -> None:
    watchers: Watchers[str] = Watchers()
    asked(watchers, "p", 1, begins=True)
    assert asked(watchers, "p", 2, begins=True) == [None]
    assert asked(watchers, "p", 3) == []


def test_other_collections_are_nobody_s_business() -> None:
    watchers: Watchers[str] = Watchers()
    asked(watchers, "p", 1)
    asked(watchers, "p", 2)
    assert watchers.tell([put(b"a", b"things\0two"), Clear(b"things\0two"), Delete(b"others\0one", b"a")]) == []
    assert watchers.tell([Delete(ONE, b"a")]) == [("p", 2, [b"a"])]


@pytest.mark.parametrize(
    ("clear", "is_told"),
    [
        (Clear(ONE), True),
        (ClearBelow(b"things\0"), True),
        (ClearBelow(b"things\0one/"), False),
        (ClearAcross(b"one", b"one/"), True),
        (ClearAcross(b"o", b"o/"), False),
    ],
)
def test_who_is_cleared_is_to_look_at_everything(clear: Operation, is_told: bool) -> None:
    watchers: Watchers[str] = Watchers()
    asked(watchers, "p", 1)
    asked(watchers, "p", 2)
    assert watchers.tell([put(b"a"), clear]) == [("p", 2, None if is_told else [b"a"])]


def test_more_than_one_likes_to_read_is_everything() -> None:
    watchers: Watchers[str] = Watchers()
    asked(watchers, "p", 1)
    watchers.tell([put(b"%d" % number) for number in range(MOST_KEYS)])
    assert asked(watchers, "p", 2) == [[b"%d" % number for number in range(MOST_KEYS)]]
    watchers.tell([put(b"%d" % number) for number in range(MOST_KEYS + 1)])
    assert asked(watchers, "p", 3) == [None]


def test_one_line_watches_one_collection() -> None:
    watchers: Watchers[str] = Watchers()
    asked(watchers, "p", 1)
    asked(watchers, "p", 2)
    assert asked(watchers, "p", 3, b"things\0two") == [None]
    assert watchers.tell([put(b"a")]) == []
    assert watchers
    watchers.forget("p")
    watchers.forget("p")
    assert not watchers
