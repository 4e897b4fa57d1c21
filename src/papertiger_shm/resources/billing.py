"""Billing: customers, their subscriptions and invoices.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import Active, ByCustomer, ByEmail, ByInvoice, ByStatus, BySubscription, ByType
from papertiger_shm.store import Store

__all__ = [
    "BillingPortalConfigurations",
    "BillingPortalSessions",
    "CreditNotes",
    "CustomerBalanceTransactions",
    "Customers",
    "InvoiceItems",
    "Invoices",
    "SubscriptionItems",
    "SubscriptionSchedules",
    "Subscriptions",
]


class Customers(
    ByEmail, Store, table="paper_tiger_customers", resource="customer", prefix="cus", indexes=("email", "metadata.plan")
):
    """Customers, indexed by email and by the plan in their metadata."""

    def find_by_plan(self, plan: str) -> list[dict[str, Any]]:
        """Those whose ``metadata["plan"]`` is this one."""
        return self.find_by("metadata.plan", plan)


class CustomerBalanceTransactions(
    ByCustomer,
    ByInvoice,
    ByType,
    Store,
    table="paper_tiger_customer_balance_transactions",
    resource="customer_balance_transaction",
    prefix="cbtxn",
    indexes=("customer", "invoice", "type"),
):
    """Movements of the balance that a customer has with the seller."""


class Subscriptions(
    ByCustomer,
    ByStatus,
    Store,
    table="paper_tiger_subscriptions",
    resource="subscription",
    prefix="sub",
    indexes=("customer", "status"),
):
    """What customers pay for again and again."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those in the stage ``active``: not those on trial, nor those that are past due."""
        return self.find_by("status", "active")


class SubscriptionItems(
    BySubscription,
    Store,
    table="paper_tiger_subscription_items",
    resource="subscription_item",
    prefix="si",
    indexes=("subscription",),
):
    """The prices in a subscription."""


class SubscriptionSchedules(
    ByCustomer,
    ByStatus,
    BySubscription,
    Store,
    table="paper_tiger_subscription_schedules",
    resource="subscription_schedule",
    prefix="sub_sched",
    indexes=("customer", "status", "subscription"),
):
    """Changes of subscriptions that are to come."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those in the stage ``active``: begun, and not yet at their end."""
        return self.find_by("status", "active")


class Invoices(
    ByCustomer,
    ByStatus,
    Store,
    table="paper_tiger_invoices",
    resource="invoice",
    prefix="in",
    indexes=("customer", "status", "subscription", "parent.subscription_details.subscription"),
):
    """Invoices."""

    def find_by_subscription(self, subscription: str) -> list[dict[str, Any]]:
        """Those of the subscription of this id, which Stripe's API has moved below ``parent`` in 2025."""
        found = self.find_by("parent.subscription_details.subscription", subscription)
        earlier = self.find_by("subscription", subscription)
        if earlier:
            ids = {invoice["id"] for invoice in found}
            found += [invoice for invoice in earlier if invoice["id"] not in ids]
            found.sort(key=lambda invoice: invoice["created"], reverse=True)
        return found


class InvoiceItems(
    ByCustomer,
    ByInvoice,
    BySubscription,
    Store,
    table="paper_tiger_invoice_items",
    resource="invoiceitem",
    prefix="ii",
    indexes=("customer", "invoice", "subscription"),
):
    """What is to be on an invoice, or is on one."""


class CreditNotes(
    ByCustomer,
    ByInvoice,
    ByStatus,
    Store,
    table="paper_tiger_credit_notes",
    resource="credit_note",
    prefix="cn",
    indexes=("customer", "invoice", "status"),
):
    """What is taken off an invoice afterwards."""


class BillingPortalConfigurations(
    Active,
    Store,
    table="paper_tiger_billing_portal_configurations",
    resource="billing_portal.configuration",
    prefix="bpc",
    plural="billing_portal_configurations",
    url_path="/v1/billing_portal/configurations",
    indexes=("active", "is_default"),
):
    """What customers may do in the portal."""


class BillingPortalSessions(
    ByCustomer,
    Store,
    table="paper_tiger_billing_portal_sessions",
    resource="billing_portal.session",
    prefix="bps",
    plural="billing_portal_sessions",
    url_path="/v1/billing_portal/sessions",
    indexes=("customer",),
):
    """Visits to the portal."""
