"""Random writes and reads of a store beside the model in plain dicts, until they differ.

Two tables in nested namespaces; every write and every read of a store. The store is given, so that it may be a small
one, which has to use its memory again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from papertiger_shm import (
    Connection,
    NotFound,
    PaperTigerError,
    Store,
    WaitTimeout,
    namespace,
)

from .model import MISSING, Model, Operation, field_of
from .values import alike, values


class TableA(Store, table="model_a", resource="a", indexes=("type",)):
    pass


class TableB(Store, table="model_a_b", resource="b", prefix="b", indexes=("type", "metadata.plan")):
    pass


INDEXES = {"a": TableA.indexes, "b": TableB.indexes}

tables = st.sampled_from("ab")
namespaces = st.sampled_from(["global", "a", "a/b", "a/b/c", "ab"])
ids = st.sampled_from(["1", "2", "3", "4", "5", "\U0001f42f", "long" * 60, "\0"])
times = st.integers(0, 4) | st.sampled_from([-1, 2**40])
looked_up = st.sampled_from([None, True, 0, 1, 1.0, 2.5, float("nan"), "x", "y", b"x", "long" * 100])
few = values | st.just(MISSING)


def item_of(id: str, created: int, type: Any, plan: Any, n: Any, data: Any) -> dict[str, Any]:
    fields = {"id": id, "created": created, "type": type, "metadata": plan, "n": n, "data": data}
    return {name: value for name, value in fields.items() if value is not MISSING}


plans = st.just(MISSING) | st.sampled_from([{}, None, "no dict"]) | looked_up.map(lambda plan: {"plan": plan, "n": 1})
numbers = st.integers(-3, 3) | st.sampled_from([2**63, -(2**63), 0.5, float("inf"), "text", MISSING, MISSING])
data = st.just(MISSING) | values | st.integers(0, 30_000).map(lambda size: b"." * size)
items = st.builds(item_of, ids, times, looked_up | st.just(MISSING), plans, numbers, data)
amounts = st.integers(-3, 3) | st.sampled_from([2**63, -(2**63), 0.5])
fields = st.sampled_from(["n", "n", "metadata.n", "type", "created", "new.n", "metadata.plan"])
filters = {
    "a": st.fixed_dictionaries({}, optional={"type": looked_up}),
    "b": st.fixed_dictionaries({}, optional={"type": looked_up, "metadata.plan": looked_up}),
}

operations = st.one_of(
    st.tuples(st.sampled_from(["insert", "update", "insert_new"]), tables, namespaces, items),
    st.tuples(st.just("insert"), tables, namespaces, items),
    st.tuples(st.just("insert_many"), tables, namespaces, st.lists(items, max_size=6)),
    st.tuples(st.just("compare_and_set"), tables, namespaces, items, st.booleans()),
    st.tuples(st.just("delete"), tables, namespaces, ids),
    st.tuples(st.just("increment"), tables, namespaces, ids, fields, amounts),
    st.tuples(st.just("clear_namespace"), tables, namespaces),
    st.tuples(st.just("clear"), tables),
)


class Abandoned(Exception):
    """A transaction's block ends with this."""


class StoreMachine(RuleBasedStateMachine):
    """One store beside the model."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.stores: dict[str, Store] = {"a": TableA(connection), "b": TableB(connection)}
        self.model = Model()
        self.highest = 0
        for store in self.stores.values():
            store.clear()

    # ---- writes

    @rule(operation=operations)
    def write(self, operation: Operation) -> None:
        operation = self.with_version(operation)
        after = self.model.copy()
        try:
            expected = after.apply(operation)
        except PaperTigerError as error:
            self.check_raises(type(error), lambda: self.call(operation))
        else:
            result = self.call(operation)
            if operation[0] == "increment":
                assert alike(result, expected), (result, expected)
            elif operation[0] == "insert_many":
                assert result == len(operation[3])
            elif operation[0] in {"delete", "clear", "clear_namespace"}:
                assert result is None
            else:
                assert alike(result, operation[3])
            self.becomes(after)

    @rule(batch=st.lists(operations, max_size=5), nested=st.integers(0, 5), abandon=st.booleans())
    def transact(self, batch: list[Operation], nested: int, abandon: bool) -> None:
        batch = [self.with_version(operation) for operation in batch]
        after = self.model.copy()
        expected: list[Any] | type[Exception] = []
        try:
            for operation in batch:
                result = after.apply(operation)
                expected += [result] * (len(operation[3]) if operation[0] == "insert_many" else 1)
        except PaperTigerError as error:
            expected = type(error)
        if abandon:
            expected = Abandoned

        def block() -> list[Any]:
            with self.connection.transaction() as transaction:
                for operation in batch[:nested]:
                    self.call(operation)
                with self.connection.transaction():
                    for operation in batch[nested:]:
                        self.call(operation)
                self.check_counts()
                if abandon:
                    raise Abandoned
            return transaction.results

        if isinstance(expected, type):
            self.check_raises(expected, block)
        else:
            results = block()
            assert alike(results, expected), (results, expected)
            self.becomes(after)

    @rule(table=tables, where=namespaces, id=ids, data=data)
    def modify(self, table: str, where: str, id: str, data: Any) -> None:
        entry = self.model.entries(table, where).get(id)
        store = self.stores[table]
        with namespace(where):
            if entry is None:
                self.check_raises(NotFound, lambda: store.modify(id, dict))
                return
            changed = {**entry.item, "data": None if data is MISSING else data}
            result = store.modify(id, lambda item: {**item, "data": changed["data"]})
        assert alike(result, changed)
        after = self.model.copy()
        after.insert(table, where, changed)
        self.becomes(after)

    @rule(table=tables, where=namespaces, first=st.integers(0, 300), number=st.integers(0, 200), step=st.integers(0, 3))
    def fill(self, table: str, where: str, first: int, number: int, step: int) -> None:
        many = [{"id": f"n{n}", "created": n * step, "type": "many"} for n in range(first, first + number)]
        self.write(("insert_many", table, where, many))

    # ---- reads

    @rule(table=tables, where=namespaces, id=ids)
    def read_one(self, table: str, where: str, id: str) -> None:
        store = self.stores[table]
        entry = self.model.entries(table, where).get(id)
        with namespace(where):
            assert (id in store) is (entry is not None)
            if entry is None:
                assert store.get(id, MISSING) is MISSING
                for read in (store.get, store.version, store.__getitem__):
                    self.check_raises(NotFound, lambda read=read: read(id))  # type: ignore[misc]
            else:
                assert alike(store.get(id), entry.item)
                assert alike(store[id], entry.item)
                assert store.version(id) == entry.version

    @rule(table=tables, where=namespaces, wanted=st.lists(ids, max_size=6))
    def read_several(self, table: str, where: str, wanted: list[str]) -> None:
        entries = self.model.entries(table, where)
        expected = [entries[id].item if id in entries else None for id in wanted]
        with namespace(where):
            assert alike(self.stores[table].get_many(wanted), expected)

    @rule(data=st.data(), table=tables, where=namespaces, limit=st.integers(1, 5) | st.just(100))
    def read_page(self, data: st.DataObject, table: str, where: str, limit: int) -> None:
        equals = data.draw(filters[table])
        cursor = data.draw(ids)
        asked: tuple[str | None, str | None] = data.draw(
            st.sampled_from([(None, None), (cursor, None), (None, cursor)])
        )
        after, before = asked
        store = self.stores[table]

        def read() -> Any:
            with namespace(where):
                return store.list(limit=limit, starting_after=after, ending_before=before, **equals)

        try:
            expected, more = self.model.page(table, where, limit, after, before, equals)
        except NotFound:
            self.check_raises(NotFound, read)
            return
        page = read()
        assert alike(page.data, expected), ([item["id"] for item in page], [item["id"] for item in expected])
        assert page.has_more is more
        rest, _ = self.model.page(table, where, 10**6, after, before, equals)
        walked = [item["id"] for item in page.auto_paging_iter()]
        assert walked == [item["id"] for item in (rest if before is None else reversed(rest))]

    @rule(data=st.data(), table=tables, where=namespaces)
    def find(self, data: st.DataObject, table: str, where: str) -> None:
        field, value = data.draw(st.sampled_from(INDEXES[table])), data.draw(looked_up)
        with namespace(where):
            found = self.stores[table].find_by(field, value)
        assert alike(found, self.model.newest_first(table, where, {field: value}))

    @rule(data=st.data(), table=tables, where=namespaces)
    def wait(self, data: st.DataObject, table: str, where: str) -> None:
        equals = data.draw(filters[table])
        since = data.draw(st.integers(0, 20).map(lambda back: max(0, self.highest - back)) | st.none())
        entries = self.model.entries(table, where)
        matching = [entries[item["id"]] for item in self.model.newest_first(table, where, equals)]
        written = [entry for entry in matching if (entry.version or 0) > (since or 0)]
        written.sort(key=lambda entry: entry.version or 0)
        store = self.stores[table]
        with namespace(where):
            if not written:
                self.check_raises(WaitTimeout, lambda: store.wait_for(0, since=since, **equals))
                return
            assert alike(store.wait_for(0, since=since, **equals), written[0].item)
            changes = store.watch(since=since or 0, **equals)
        assert [next(changes).id for _ in written] == [entry.item["id"] for entry in written]

    @rule(table=tables, where=namespaces)
    def read_all(self, table: str, where: str) -> None:
        expected = self.model.newest_first(table, where, {})
        store = self.stores[table]
        assert alike(store.list_namespace(where), expected)
        assert alike(list(type(store)(self.connection, where)), expected)

    @invariant()
    def check_counts(self) -> None:
        for (table, where), entries in self.model.tables.items():
            with namespace(where):
                assert self.stores[table].count() == len(self.stores[table]) == len(entries), (table, where)

    def teardown(self) -> None:
        for table, where in [*self.model.tables]:
            self.read_all(table, where)
            for field in INDEXES[table]:
                for value in {repr(each): each for each in self.values_of(table, where, field)}.values():
                    found = type(self.stores[table])(self.connection, where).find_by(field, value)
                    assert alike(found, self.model.newest_first(table, where, {field: value})), (field, value)
        self.connection.verify()

    # ---- both sides

    def values_of(self, table: str, where: str, field: str) -> list[Any]:
        found = [field_of(entry.item, field) for entry in self.model.entries(table, where).values()]
        return [value for value in found if value is not MISSING]

    def with_version(self, operation: Operation) -> Operation:
        """A compare_and_set with the version the item has, or with one that it has no more."""
        if operation[0] != "compare_and_set":
            return operation
        name, table, where, item, current = operation
        entry = self.model.entries(table, where).get(item["id"])
        version = (entry.version or 1) if entry is not None else 1
        return name, table, where, item, version if current else version + 10**9

    def call(self, operation: Operation) -> Any:
        name, table, *arguments = operation
        store = self.stores[table]
        if name in {"clear", "clear_namespace"}:
            return getattr(store, name)(*arguments)
        where, *arguments = arguments
        with namespace(where):
            return getattr(store, name)(*arguments)

    def becomes(self, after: Model) -> None:
        """The writes have happened; each item that was written has a version above all there were."""
        self.model = after
        versions = []
        for table, where, id in [*after.unknown()]:
            version = type(self.stores[table])(self.connection, where).version(id)
            assert version > self.highest, (table, where, id)
            after.learn(table, where, id, version)
            versions.append(version)
        assert len(set(versions)) == len(versions)
        self.highest = max([self.highest, *versions])

    def check_raises(self, kind: type[Exception], call: Callable[[], Any]) -> None:
        with pytest.raises(kind) as caught:
            call()
        assert caught.type is kind


def check(connection: Connection, examples: int, steps: int, *, derandomize: bool = False) -> dict[str, Any]:
    """Run so many sequences of so many steps; gives the store's figures afterwards."""
    before = connection.stats()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: StoreMachine(connection),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    after = connection.stats()
    return {"before": before, "after": after}
