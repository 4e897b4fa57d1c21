"""Everything a store can be asked, in any order, against plain dictionaries.

Hypothesis chooses what is done on a segment so small that the directory has to grow, freed memory is used again, the
epoch moves and the store runs full.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from papertiger_shm.engine import (
    Clear,
    ClearAcross,
    ClearBelow,
    Delete,
    Memory,
    Operation,
    Put,
    Reader,
    Request,
    Transform,
    Writer,
    verify,
)
from papertiger_shm.errors import (
    AlreadyExists,
    Conflict,
    InvalidItem,
    InvalidRequest,
    NotFound,
    StoreFull,
)

from .machine import new_store, open_writer
from .model import CLIENTS, Appended, Model, Refused, check_collection, check_equal, pack, unpack

NAMES = [b"events\0a", b"events\0a/b", b"events\0ab", b"events\0b", b"customers\0a", b"customers\0a/b"]
KEYS = [b"k%d" % n for n in range(8)]
COLORS = [b"color=%d" % n for n in range(3)]
SIZES = [b"size=%d" % n for n in range(2)]
POSTINGS = COLORS + SIZES

names = st.sampled_from(NAMES)
keys = st.sampled_from(KEYS)
created = st.integers(0, 5) | st.sampled_from([-(2**63), 2**63 - 1, -1])
lost_and_gained = st.sampled_from([(None, None), *((p, None) for p in POSTINGS), *((p, p) for p in POSTINGS)])
lengths = st.sampled_from([0, 0, 1, 7, 8, 30, 200, 900])


class Small(RuleBasedStateMachine):
    """A store, its model, a reader that was there from the start and others that come and go."""

    @initialize(kilobytes=st.sampled_from([64, 96, 256]), checked=st.booleans())
    def open(self, kilobytes: int, checked: bool) -> None:
        self.buffer = new_store(kilobytes << 10)
        self.memory = Memory(self.buffer)
        self.writer = open_writer(self.memory)
        self.reader = Reader(self.memory, checked=checked)
        self.views = {name: self.reader.collection(name) for name in NAMES}
        self.model = Model()
        self.written = 0
        self.full = False

    # --- operations ----------------------------------------------------------------------------------------------

    def draw_put(self, data: st.DataObject) -> Put:
        name, key = data.draw(names), data.draw(keys)
        color, size = data.draw(st.none() | st.sampled_from(COLORS)), data.draw(st.none() | st.sampled_from(SIZES))
        held = self.model.collections.get(name, {}).get(key)
        versions: list[int | None] = [None, None, None, 0, 10**15]
        if held:
            versions += [held.version, held.version]
        self.written += 1
        payload = b"%s %s %d " % (name, key, self.written) + b"p" * data.draw(lengths)
        postings = [posting for posting in (color, size) if posting]
        return Put(name, key, data.draw(created), postings, payload, data.draw(st.sampled_from(versions)))

    def draw_operation(self, data: st.DataObject) -> Operation:
        kind = data.draw(st.sampled_from("ppppppddttcba"))
        if kind == "p":
            return self.draw_put(data)
        if kind == "d":
            return Delete(data.draw(names), data.draw(keys))
        if kind == "c":
            return Clear(data.draw(names))
        if kind == "b":
            return ClearBelow(data.draw(st.sampled_from([b"events\0a/", b"customers\0", b"nothing\0"])))
        if kind == "a":
            return ClearAcross(*data.draw(st.sampled_from([(b"a", b"a/"), (b"a/b", b"a/b/"), (b"nothing", b"no/")])))
        function = data.draw(
            st.builds(lambda at, indexes: Appended(b"+", at, *indexes), st.none() | created, lost_and_gained)
            | st.builds(Refused)
        )
        return Transform(data.draw(names), data.draw(keys), function)

    def execute(self, requests: list[Request]) -> list[Any]:
        outcomes = self.writer.execute(requests)
        assert len(outcomes) == len(requests)
        for request, outcome in zip(requests, outcomes):
            self.model.agree(outcome, request)
            self.full |= isinstance(outcome, StoreFull)
        self.model.learn(self.reader)
        return outcomes

    # --- rules -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), count=st.integers(1, 5))
    def write(self, data: st.DataObject, count: int) -> None:
        requests = []
        numbers = {client: self.model.sessions.get(client, (0, []))[0] for client in CLIENTS}
        for _ in range(count):
            client = data.draw(st.none() | st.sampled_from(CLIENTS))
            number = 0
            if client:
                number = max(numbers[client] + data.draw(st.sampled_from([1, 1, 1, 3, 0, -1])), 1)
                numbers[client] = max(numbers[client], number)
            operations = [self.draw_operation(data) for _ in range(data.draw(st.integers(1, 3)))]
            if client and number == self.model.sessions.get(client, (0, []))[0]:
                operations = operations[:1] * len(self.model.sessions[client][1])
            requests.append(Request(client, number, operations))
        # Within a batch a number that repeats an earlier one must repeat its length too.
        lengths_by_number: dict[tuple[bytes | None, int], int] = {}
        for place, request in enumerate(requests):
            length = lengths_by_number.setdefault((request.client, request.number), len(request.operations))
            if request.client:
                operations = (list(request.operations) * length)[:length]
                requests[place] = request._replace(operations=operations)
        self.execute(requests)

    @rule(name=names, count=st.integers(10, 120), length=lengths, number=st.integers(0, 10**6))
    def write_many(self, name: bytes, count: int, length: int, number: int) -> None:
        """One large request, which needs a larger journal and perhaps a larger directory."""
        puts = [
            Put(name, b"many%d" % (number + n), n, [COLORS[n % 3]], b"%d" % n + b"m" * length) for n in range(count)
        ]
        self.execute([Request(None, 0, puts)])

    @rule(data=st.data())
    def update_again_and_again(self, data: st.DataObject) -> None:
        name, key, length = data.draw(names), data.draw(keys), data.draw(lengths)
        for n in range(20):
            self.execute([Request(None, 0, [Put(name, key, n % 3, [COLORS[n % 3]], b"%d" % n + b"u" * length)])])

    @rule(client=st.sampled_from(CLIENTS), data=st.data())
    def ask_again(self, client: bytes, data: st.DataObject) -> None:
        """The same number gives the same answer and changes nothing; a smaller one is refused."""
        before = self.writer.stats()
        number, answer = self.model.sessions.get(client, (0, []))
        assert self.writer.last_request(client) == number
        if not number:
            return
        operation = self.draw_put(data)
        assert self.writer.execute([Request(client, number, [operation] * len(answer))]) == [answer]
        (stale,) = self.writer.execute([Request(client, number - 1, [operation])])
        assert isinstance(stale, InvalidRequest)
        assert self.writer.stats() == before

    @rule(client=st.sampled_from(CLIENTS))
    def forget(self, client: bytes) -> None:
        self.writer.forget(client)
        self.model.sessions.pop(client, None)
        assert self.writer.last_request(client) == 0

    @rule()
    def idle(self) -> None:
        self.writer.idle()

    @rule()
    def take_over(self) -> None:
        generation = self.writer.stats()["generation"]
        self.writer = open_writer(self.memory)
        assert self.writer.stats()["generation"] == generation + 1

    @precondition(lambda self: self.full)
    @rule()
    def make_room(self) -> None:
        """A full store can always be cleared, and is as good as new then."""
        self.execute([Request(None, 0, [ClearBelow(b"events\0"), ClearBelow(b"customers\0")])])
        assert not self.model.collections
        while self.writer.idle():
            pass
        outcomes = self.execute([Request(None, 0, [Put(NAMES[0], KEYS[0], 1, COLORS[:1], b"room" * 500)])])
        assert outcomes == [[None]]
        self.full = False

    # --- reading -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), fresh=st.booleans())
    def read(self, data: st.DataObject, fresh: bool) -> None:
        name = data.draw(names)
        collection = Reader(self.memory, checked=True).collection(name) if fresh else self.views[name]
        held = self.model.collections.get(name, {})
        key = data.draw(st.sampled_from(KEYS + sorted(held)))
        item = held.get(key)
        assert collection.get(key) == (item and item.payload)
        assert collection.version(key) == (item and item.version)
        assert collection.entry(key) == (item and (item.version, item.payload))
        assert collection.count() == len(held)
        filters = data.draw(st.lists(st.sampled_from(POSTINGS), max_size=2))
        expected = [item for _, item in self.model.items(name, filters)]
        assert collection.scan(filters) == [item.payload for item in expected]
        assert collection.entries(filters) == [(item.version, item.payload) for item in expected]
        limit = data.draw(st.integers(1, 6))
        for after, before in ((None, None), (key, None), (None, key)):
            if item is None and (after or before):
                with pytest.raises(NotFound):
                    collection.page(limit, after, before, filters)
            else:
                assert collection.page(limit, after, before, filters) == self.model.page(
                    name, limit, after, before, filters
                )

    @rule(name=names, limit=st.integers(1, 4), filters=st.lists(st.sampled_from(POSTINGS), max_size=1))
    def page_through(self, name: bytes, limit: int, filters: list[bytes]) -> None:
        """Forwards to the end, then backwards to the start: every item once."""
        items = self.model.items(name, filters)
        key_of = {item.payload: key for key, item in items}
        if len(key_of) != len(items):
            return
        whole = [item.payload for _, item in items]
        seen, more, cursor = list[bytes](), bool(items), None
        while more:
            payloads, more = self.views[name].page(limit, cursor, None, filters)
            seen += payloads
            cursor = key_of[payloads[-1]]
        assert seen == whole
        back, more = whole[-1:], bool(items)
        while more:
            payloads, more = self.views[name].page(limit, None, key_of[back[0]], filters)
            back = payloads + back
        assert back == whole

    @rule()
    def look_at_everything(self) -> None:
        verify(self.memory)
        check_equal(self.model, Reader(self.memory, checked=True), NAMES, KEYS, POSTINGS)

    @invariant()
    def figures(self) -> None:
        if not hasattr(self, "writer"):
            return
        sizes = [(name, len(items)) for name, items in sorted(self.model.collections.items())]
        assert self.writer.collections() == sizes
        stats = self.writer.stats()
        assert stats["items"] == sum(size for _, size in sizes)
        assert stats["collections"] == len(sizes)
        assert stats["bytes_live"] <= stats["bytes_used"] <= stats["bytes_reserved"] <= stats["bytes_max"]

    def teardown(self) -> None:
        if hasattr(self, "writer"):
            self.look_at_everything()
            self.take_over()
            self.look_at_everything()


quick = settings().max_examples <= 100
Small.TestCase.settings = settings(
    max_examples=80 if quick else 600, stateful_step_count=50 if quick else 150, deadline=None
)
TestSmall = Small.TestCase


# --- what chance would seldom come by --------------------------------------------------------------------------------


def store(kilobytes: int = 64) -> tuple[Memory, Any, Reader]:
    memory = Memory(new_store(kilobytes << 10))
    return memory, open_writer(memory), Reader(memory, checked=True)


def put(key: bytes, created: int = 1, *postings: bytes, payload: bytes = b"payload", expect: int | None = None) -> Put:
    return Put(NAMES[0], key, created, postings, payload, expect)


def alone(*operations: Operation) -> list[Request]:
    return [Request(None, 0, operations)]


@pytest.mark.parametrize("length", [0, 10, 100, 1_000, 9_000])
def test_a_store_is_filled_to_the_brim_and_loses_nothing(length: int) -> None:
    memory, writer, reader = store()
    model, n = Model(), 0
    while True:
        request = alone(put(b"k%d" % n, n, COLORS[n % 3], payload=b"x" * length))[0]
        (outcome,) = writer.execute([request])
        model.agree(outcome, request)
        if isinstance(outcome, StoreFull):
            break
        n += 1
    assert n > 2
    # A directory that has to double needs its room in one piece.
    assert writer.stats()["bytes_live"] > 0.55 * writer.stats()["bytes_max"]
    model.learn(reader)
    verify(memory)
    check_collection(model, reader.collection(NAMES[0]), NAMES[0], [], POSTINGS)
    before = writer.stats()
    for too_large in (
        alone(put(b"k0", 0, payload=b"y" * 9_000)),
        alone(Delete(NAMES[0], b"k1"), put(b"n", 1, payload=b"y" * 40_000)),
    ):
        (outcome,) = writer.execute(too_large)
        assert isinstance(outcome, StoreFull)
        check_collection(model, reader.collection(NAMES[0]), NAMES[0], [], POSTINGS)
    assert writer.stats()["items"] == before["items"]
    while n:
        n -= 1
        request = alone(Delete(NAMES[0], b"k%d" % n))[0]
        model.agree(writer.execute([request])[0], request)
    assert writer.collections() == []
    assert writer.execute(alone(put(b"again", payload=b"y" * 9_000))) == [[None]]
    verify(memory)


def test_a_machine_without_memory_is_a_full_store() -> None:
    memory = Memory(new_store(256 << 10))
    granted = memory.words[10] * 8 + 4096

    def reserve(wanted: int) -> int:
        if wanted > granted:
            raise OSError(28, "No space left on device")
        return granted

    writer = Writer(memory, reserve, pack, unpack)
    outcomes = [writer.execute(alone(put(b"k%d" % n, n, payload=b"x" * 200)))[0] for n in range(60)]
    full = [outcome for outcome in outcomes if isinstance(outcome, StoreFull)]
    kept = sum(outcome == [None] for outcome in outcomes)
    assert full
    assert kept
    assert kept == Reader(memory).collection(NAMES[0]).count()
    assert memory.words[9] * 8 <= granted
    verify(memory)
    assert writer.execute(alone(Clear(NAMES[0]))) == [[None]]
    assert writer.execute(alone(put(b"again", payload=b"x" * 200))) == [[None]]


def test_one_bad_request_in_a_batch_fails_alone() -> None:
    memory, writer, reader = store()
    writer.execute(alone(put(b"there")))
    outcomes = writer.execute(
        [
            *alone(put(b"a")),
            *alone(put(b"b"), put(b"there", expect=0)),
            *alone(put(b"there", expect=77)),
            *alone(put(b"gone", expect=77)),
            *alone(Transform(NAMES[0], b"gone", Appended(b"+"))),
            *alone(put(b"late", created=2**63)),
            *alone(put(b"k" * 70_000)),
            *alone(put(b"twice", 1, COLORS[0], b"x" * 70_000)),
            *alone(put(b"c")),
        ]
    )
    assert [type(outcome) for outcome in outcomes[1:6]] == [AlreadyExists, Conflict, Conflict, NotFound, InvalidItem]
    assert all(isinstance(outcome, (InvalidItem, InvalidRequest)) for outcome in outcomes[6:8])
    assert outcomes[0] == outcomes[8] == [None]
    collection = reader.collection(NAMES[0])
    assert collection.get_many([b"a", b"b", b"c", b"late", b"twice"]) == [b"payload", None, b"payload", None, None]
    assert collection.count() == 3
    verify(memory)


def test_what_a_function_raises_leaves_nothing_behind() -> None:
    """An error that is no answer gets out, and takes nothing with it into the next commit."""
    memory, writer, reader = store()
    writer.execute(alone(put(b"there")))

    def broken(_: bytes) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writer.execute([*alone(put(b"a")), *alone(put(b"b"), Transform(NAMES[0], b"there", broken))])
    assert writer.execute(alone(put(b"c"))) == [[None]]
    collection = reader.collection(NAMES[0])
    assert collection.get(b"b") is None, "half of a request must never happen"
    assert collection.count() == len(collection.scan())
    verify(memory)


def test_an_index_value_that_is_gained_again_is_held_once() -> None:
    memory, writer, reader = store()
    gain = Transform(NAMES[0], b"a", Appended(b"+", None, COLORS[1], COLORS[0]))
    assert writer.execute(alone(put(b"a", 1, COLORS[0]), gain, gain)) == [[None, 7, 8]]
    assert reader.collection(NAMES[0]).scan([COLORS[0]]) == [b"payload++"]
    verify(memory)


def test_the_order_is_created_then_insertion_and_a_replaced_item_keeps_its_place() -> None:
    _, writer, reader = store()
    for key, at in ((b"a", 5), (b"b", 5), (b"c", 5), (b"d", 9), (b"e", -(2**63)), (b"f", 2**63 - 1)):
        writer.execute(alone(put(key, at, payload=key)))
    collection = reader.collection(NAMES[0])
    assert b"".join(collection.scan()) == b"fdcbae"
    writer.execute(alone(put(b"a", 5, payload=b"A"), put(b"d", 5, payload=b"D")))
    assert b"".join(collection.scan()) == b"fDcbAe", "d was inserted after a, b and c"
    writer.execute(alone(Delete(NAMES[0], b"a"), put(b"a", 5, payload=b"a")))
    assert b"".join(collection.scan()) == b"faDcbe"


def test_inserts_in_the_middle_of_long_lists() -> None:
    memory, writer, reader = store(256)
    model = Model()
    for n in range(120):
        requests = [
            Request(None, 0, [put(b"k%d" % (n * 37 % 120), n * 53 % 97, COLORS[n % 3], payload=b"%d" % n)]),
            Request(None, 0, [put(b"k%d" % (n * 11 % 120), n * 29 % 97, COLORS[n % 2], expect=0)]),
            Request(None, 0, [Delete(NAMES[0], b"k%d" % (n * 17 % 120))] if n % 3 == 0 else [put(b"k1", n)]),
            Request(None, 0, [put(b"x%d" % n, n), put(b"k1", 1, expect=0), Clear(NAMES[0])]),
        ]
        for request, outcome in zip(requests, writer.execute(requests)):
            model.agree(outcome, request)
        model.learn(reader)
        check_collection(model, reader.collection(NAMES[0]), NAMES[0], [], POSTINGS)
    verify(memory)


@pytest.mark.parametrize(("items", "fields"), [(40, 6), (3, 250)])
def test_reclaiming_items_with_many_index_values_each(items: int, fields: int) -> None:
    """One bounded piece of lazy work is as many words as its items have lists."""
    memory, writer, reader = store(512)
    for n in range(items):
        postings = [b"%d=%d" % (field, n) for field in range(fields)]
        assert writer.execute(alone(put(b"k%d" % n, n, *postings))) == [[None]]
    writer.execute([Request(None, 0, [Put(NAMES[1], b"other", 1, COLORS, b"stays")])])
    writer.execute(alone(Clear(NAMES[0])))
    while writer.idle():
        verify(memory)
    figures = verify(memory)
    assert (figures["records"], figures["posting_lists"], figures["cleared_collections"]) == (1, 3, 0)
    assert reader.collection(NAMES[1]).scan([COLORS[1]]) == [b"stays"]


def test_exactly_once_survives_a_takeover() -> None:
    memory, writer, reader = store()
    grow = Transform(NAMES[0], b"a", Appended(b"+"))
    first = Request(CLIENTS[0], 4, [put(b"a"), grow])
    (answer,) = writer.execute([first])
    for _ in range(3):
        assert writer.execute([first]) == [answer]
        writer = open_writer(memory)
        assert writer.last_request(CLIENTS[0]) == 4
        assert writer.clients() == [CLIENTS[0]]
    second = Request(CLIENTS[0], 5, [grow])
    assert writer.execute([second, second]) == [[8], [8]]
    assert reader.collection(NAMES[0]).get(b"a") == b"payload++"
    assert isinstance(writer.execute([first])[0], InvalidRequest)
    refused = Request(CLIENTS[0], 6, [put(b"a", expect=0)])
    assert isinstance(writer.execute([refused])[0], AlreadyExists)
    assert writer.last_request(CLIENTS[0]) == 5, "what never happened is not remembered"
