"""The store of Stripe events. What all stores share never enters this room."""

from __future__ import annotations

from typing import Any

from papertiger_shm.store import Store

__all__ = ["Events"]


class Events(Store, table="paper_tiger_events", resource="event", prefix="evt", indexes=("type",)):
    """Events, indexed by type."""

    def find_by_type(self, type: str) -> list[dict[str, Any]]:
        """All events of this type in the current namespace, newest first."""
        return self.find_by("type", type)
