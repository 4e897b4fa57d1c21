"""The app under test: receives Stripe's webhooks and keeps the books of its charges. Knows nothing of tests.

As Stripe advises, it believes nothing in a request but the event's id, fetches the event itself, and does nothing
twice, however often an event is delivered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Event = dict[str, Any]


class Database(Protocol):
    def execute(self, statement: str, *parameters: Any) -> list[list[Any]]: ...


TABLES = (
    "CREATE TABLE IF NOT EXISTS delivered (event TEXT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS charges (id TEXT PRIMARY KEY, paid INTEGER, refunded INTEGER, disputed INTEGER)",
)


class Webhooks:
    """A WSGI application. ``retrieve`` fetches an event from Stripe by its id, and raises KeyError for none."""

    def __init__(self, retrieve: Callable[[str], Event], database: Database, secret: str) -> None:
        self.retrieve = retrieve
        self.database = database
        self.secret = secret
        for table in TABLES:
            database.execute(table)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status = self.receive(body, environ.get("HTTP_STRIPE_SIGNATURE", ""))
        start_response(status, [("Content-Type", "text/plain")])
        return [status.encode()]

    def receive(self, body: bytes, signature: str) -> str:
        if not hmac.compare_digest(signature, sign(body, self.secret)):
            return "400 Bad Request"
        try:
            event = self.retrieve(json.loads(body)["id"])
        except KeyError:
            return "404 Not Found"
        if self.database.execute("INSERT OR IGNORE INTO delivered VALUES (?) RETURNING event", event["id"]):
            self.keep_books(event)
        return "200 OK"

    def keep_books(self, event: Event) -> None:
        charge = event["data"]["object"]
        if event["type"] == "charge.succeeded":
            self.database.execute("INSERT INTO charges VALUES (?, ?, 0, 0)", charge["id"], charge["amount"])
        elif event["type"] == "charge.refunded":
            self.database.execute("UPDATE charges SET refunded = refunded + 1 WHERE id = ?", charge["id"])
        elif event["type"] == "charge.dispute.created":
            self.database.execute("UPDATE charges SET disputed = 1 WHERE id = ?", charge["charge"])


def sign(body: bytes, secret: str) -> str:
    """What stands in the ``Stripe-Signature`` header; the real one has a time in it too."""
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
