"""The app's tests, which all use the same ids and need not care: run them with ``pytest -n 4``."""

from __future__ import annotations

import pytest

CHARGE = "ch_the_same_everywhere"


def charges(database):
    return database.execute("SELECT id, paid, refunded, disputed FROM charges")


@pytest.mark.parametrize("amount", [100, 250, 999, 120_000])
def test_a_charge_is_written_down(happened, deliver, database, amount):
    assert deliver(happened("charge.succeeded", id=CHARGE, amount=amount)) == "200 OK"
    assert charges(database) == [[CHARGE, amount, 0, 0]]


@pytest.mark.parametrize("deliveries", [1, 2, 5])
def test_an_event_counts_once_however_often_it_is_delivered(happened, deliver, database, deliveries):
    deliver(happened("charge.succeeded", id=CHARGE, amount=100))
    refund = happened("charge.refunded", id=CHARGE)
    assert {deliver(refund) for _ in range(deliveries)} == {"200 OK"}
    assert charges(database) == [[CHARGE, 100, 1, 0]]


def test_a_dispute_marks_its_charge(happened, deliver, database):
    deliver(happened("charge.succeeded", id=CHARGE, amount=100))
    deliver(happened("charge.dispute.created", charge=CHARGE))
    assert charges(database) == [[CHARGE, 100, 0, 1]]


@pytest.mark.parametrize("kind", ["customer.created", "invoice.paid", "payment_intent.succeeded"])
def test_other_events_are_accepted_and_change_nothing(happened, deliver, database, kind):
    assert deliver(happened(kind)) == "200 OK"
    assert charges(database) == []


def test_a_forged_signature_is_refused(happened, deliver, database):
    assert deliver(happened("charge.succeeded", id=CHARGE), secret="whsec_guessed") == "400 Bad Request"
    assert charges(database) == []


def test_an_event_that_stripe_does_not_know_is_not_believed(happened, deliver, events, database):
    event = happened("charge.succeeded", id=CHARGE)
    events.delete(event["id"])
    assert deliver(event) == "404 Not Found"
    assert charges(database) == []


def test_what_is_believed_is_what_stripe_says_not_what_was_delivered(happened, deliver, database):
    event = happened("charge.succeeded", id=CHARGE, amount=100)
    event["data"]["object"]["amount"] = 1_000_000
    deliver(event)
    assert charges(database) == [[CHARGE, 100, 0, 0]]


@pytest.mark.parametrize("number", range(8))
def test_every_test_begins_with_no_events_and_an_empty_database(events, database, number):
    assert events.count() == 0
    assert database.execute("SELECT count(*) FROM sqlite_master") == [[0]]
    events.insert({"id": "evt_left_behind"})
    database.execute("CREATE TABLE left_behind (id)")
