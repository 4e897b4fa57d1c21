"""Events, and where they are delivered.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import ByStatus, ByType
from papertiger_shm.store import Store

__all__ = ["Events", "WebhookDeliveries", "Webhooks"]


class Events(ByType, Store, table="paper_tiger_events", resource="event", prefix="evt", indexes=("type",)):
    """What happened, by type."""


class Webhooks(
    ByStatus,
    Store,
    table="paper_tiger_webhooks",
    resource="webhook_endpoint",
    prefix="we",
    plural="webhooks",
    url_path="/v1/webhook_endpoints",
    indexes=("status", "url"),
):
    """Addresses that are told of events."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those that are told at present."""
        return self.find_by("status", "enabled")


class WebhookDeliveries(
    ByStatus,
    Store,
    table="paper_tiger_webhook_deliveries",
    resource="webhook_delivery",
    prefix="whd",
    plural="webhook_deliveries",
    indexes=("status", "event", "webhook_endpoint"),
):
    """Tries to tell them."""

    def find_by_event(self, event: str) -> list[dict[str, Any]]:
        """Those of this event."""
        return self.find_by("event", event)
