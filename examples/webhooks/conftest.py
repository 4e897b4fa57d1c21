"""What the tests stand on: one database server for all workers, a database for each, and events for each test."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from app import Event, Webhooks, sign
from database import Database, Server, start, stop

from papertiger_shm import Events, NotFound
from papertiger_shm.testing import Run, shared_fixture

SECRET = "whsec_example"


# ``stop`` twice: the usual way at the end, and by ``reap`` where the worker that started the server was killed.
@shared_fixture(reap=stop)
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start(tmp_path_factory.mktemp("databases"))
    yield server
    stop(server)


@pytest.fixture
def database(database_server: Server, papertiger_run: Run) -> Database:
    """This worker's database, empty. Made for each test, so that a new server, if it comes to that, is noticed."""
    database = Database(database_server, papertiger_run.worker)
    database.clear()
    return database


@pytest.fixture
def stripe(events: Events) -> Callable[[str], Event]:
    """Stripe, as the app sees it: a call that fetches an event by its id."""

    def retrieve(event_id: str) -> Event:
        try:
            return events[event_id]
        except NotFound:
            raise KeyError(event_id) from None

    return retrieve


@pytest.fixture
def happened(events: Events) -> Callable[..., Event]:
    """Lets something happen at Stripe: one of the shipped events, with what is asked for in its object."""

    def happen(kind: str, **changes: Any) -> Event:
        event = shipped()[kind]
        charge = event["data"]["object"] | changes
        # Always the same id, in every test and worker: what isolates them is not the luck of the draw.
        return events.insert({**event, "id": f"evt_{kind}", "data": {"object": charge}})

    return happen


@cache
def shipped() -> dict[str, Event]:
    lines = (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_text(encoding="utf-8").splitlines()
    return {event["type"]: event for event in map(json.loads, lines)}


@pytest.fixture
def deliver(stripe: Callable[[str], Event], database: Database) -> Callable[..., str]:
    """Delivers an event as Stripe does, and returns the status of the app's answer."""
    app = Webhooks(stripe, database, SECRET)

    def post(event: Event, secret: str = SECRET) -> str:
        body = json.dumps(event).encode()
        answers: list[str] = []
        environ = {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_STRIPE_SIGNATURE": sign(body, secret),
            "wsgi.input": io.BytesIO(body),
        }
        app(environ, lambda status, headers, exc_info=None: answers.append(status))  # type: ignore[arg-type]
        return answers[0]

    return post
