"""Store classes: what is declared, what is inherited, what handles and repeated handles are."""

from __future__ import annotations

from typing import Any

import pytest

from papertiger_shm import Connection, Customers, Events, InvalidRequest, PaperTigerError, Store


def test_events_are_declared_as_promised() -> None:
    assert Events.table_name == "paper_tiger_events"
    assert Events.resource == "event"
    assert Events.prefix == "evt"
    assert Events.plural == "events"
    assert Events.url_path == "/v1/events"
    assert Events.indexes == ("type",)


def test_customers_have_two_indexes_one_of_them_dotted() -> None:
    assert Customers.table_name == "paper_tiger_customers"
    assert (Customers.resource, Customers.prefix, Customers.plural) == ("customer", "cus", "customers")
    assert Customers.indexes == ("email", "metadata.plan")


def test_what_a_class_leaves_out() -> None:
    class Plain(Store, table="plain_things", resource="thing"):
        pass

    assert Plain.table_name == "plain_things"
    assert Plain.resource == "thing"
    assert Plain.prefix is None
    assert Plain.plural == "things"
    assert Plain.url_path == "/v1/things"
    assert Plain.indexes == ()


def test_what_a_class_may_say() -> None:
    class Cherries(Store, table="c", resource="cherry", plural="cherries", prefix="chy", indexes=["a", "b.c"]):
        pass

    assert (Cherries.prefix, Cherries.plural, Cherries.url_path) == ("chy", "cherries", "/v1/cherries")
    assert Cherries.indexes == ("a", "b.c")

    class Elsewhere(Store, table="c", resource="cherry", url_path="/v2/fruit"):
        pass

    assert (Elsewhere.plural, Elsewhere.url_path) == ("cherrys", "/v2/fruit")


def test_a_subclass_inherits_what_it_does_not_say() -> None:
    class Mine(Events, table="my_events"):
        pass

    assert Mine.table_name == "my_events"
    assert (Mine.resource, Mine.prefix, Mine.url_path, Mine.indexes) == ("event", "evt", "/v1/events", ("type",))
    assert Events.table_name == "paper_tiger_events"


@pytest.mark.parametrize("keywords", [{"table": "t"}, {"resource": "r"}, {}])
def test_table_and_resource_are_required(keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="table|resource"):
        type("Broken", (Store,), {}, **keywords)


@pytest.mark.parametrize(
    "keywords",
    [{"table": ""}, {"table": 1}, {"table": "a\0b"}, {"indexes": "email"}, {"indexes": ("a..b",)}, {"indexes": (1,)}],
)
def test_class_keywords_that_cannot_be_used(keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        type("Broken", (Store,), {}, **{"table": "t", "resource": "r", **keywords})


def test_a_handle_needs_a_declared_table_and_a_connection(connection: Connection) -> None:
    with pytest.raises(InvalidRequest, match="table"):
        Store(connection)
    for nothing in (None, "shm://ci", object()):
        with pytest.raises(InvalidRequest, match="connection"):
            Events(nothing)  # type: ignore[arg-type]


def test_handles_of_one_table_see_the_same(things: Any, connection: Connection) -> None:
    things.insert({"id": "a"})
    assert type(things)(connection).get("a")["id"] == "a"


def test_connections_of_one_store_see_the_same(things: Any, twin: Any) -> None:
    things.insert({"id": "a", "n": 1})
    assert twin.get("a")["n"] == 1
    twin.insert({"id": "a", "n": 2})
    assert things.get("a")["n"] == 2
    assert twin.connection is not things.connection


def test_two_tables_are_two_worlds(things: Any, others: Any) -> None:
    things.insert({"id": "a", "type": "x", "n": 1})
    others.insert({"id": "a", "type": "x", "n": 2})
    assert [item["n"] for item in things.find_by("type", "x")] == [1]
    others.delete("a")
    assert things.count() == 1
    assert others.count() == 0


def test_a_handle_without_a_manager_of_its_own_has_nothing_to_stop(things: Any) -> None:
    with pytest.raises(PaperTigerError):
        things.stop()
    with things as same:
        assert same is things
    assert things.count() == 0
