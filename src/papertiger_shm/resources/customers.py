"""The store of Stripe customers, and an example of a store with two indexes, one below another field."""

from __future__ import annotations

from typing import Any

from papertiger_shm.store import Store

__all__ = ["Customers"]


class Customers(
    Store,
    table="paper_tiger_customers",
    resource="customer",
    prefix="cus",
    indexes=("email", "metadata.plan"),
):
    """Customers, indexed by email and by the plan in their metadata."""

    def find_by_email(self, email: str) -> list[dict[str, Any]]:
        """All customers with this email in the current namespace, newest first."""
        return self.find_by("email", email)

    def find_by_plan(self, plan: str) -> list[dict[str, Any]]:
        """All customers whose ``metadata["plan"]`` is this one in the current namespace, newest first."""
        return self.find_by("metadata.plan", plan)
