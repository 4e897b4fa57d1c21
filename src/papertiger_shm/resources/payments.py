"""Payments: what is charged, refunded, disputed, and what leads to it.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import (
    Active,
    ByCharge,
    ByCustomer,
    ByPaymentIntent,
    ByPaymentMethod,
    ByStatus,
    BySubscription,
)
from papertiger_shm.store import Store

__all__ = [
    "Charges",
    "CheckoutSessions",
    "Disputes",
    "PaymentIntents",
    "PaymentLinks",
    "Refunds",
    "Reviews",
    "SetupAttempts",
    "SetupIntents",
]


class Charges(
    ByCustomer,
    ByPaymentIntent,
    ByStatus,
    Store,
    table="paper_tiger_charges",
    resource="charge",
    prefix="ch",
    indexes=("customer", "payment_intent", "status"),
):
    """Money taken."""


class PaymentIntents(
    ByCustomer,
    ByStatus,
    Store,
    table="paper_tiger_payment_intents",
    resource="payment_intent",
    prefix="pi",
    indexes=("customer", "status"),
):
    """Payments from their beginning to their end."""


class SetupIntents(
    ByCustomer,
    ByPaymentMethod,
    ByStatus,
    Store,
    table="paper_tiger_setup_intents",
    resource="setup_intent",
    prefix="seti",
    indexes=("customer", "payment_method", "status"),
):
    """Means of payment that are set up for later."""


class SetupAttempts(
    ByPaymentMethod,
    ByStatus,
    Store,
    table="paper_tiger_setup_attempts",
    resource="setup_attempt",
    prefix="setatt",
    indexes=("payment_method", "status", "setup_intent"),
):
    """Tries to set one up."""

    def find_by_setup_intent(self, setup_intent: str) -> list[dict[str, Any]]:
        """Those of this setup intent."""
        return self.find_by("setup_intent", setup_intent)


class Refunds(
    ByCharge,
    ByPaymentIntent,
    ByStatus,
    Store,
    table="paper_tiger_refunds",
    resource="refund",
    prefix="re",
    indexes=("charge", "payment_intent", "status"),
):
    """Money given back."""


class Disputes(
    ByCharge,
    ByPaymentIntent,
    ByStatus,
    Store,
    table="paper_tiger_disputes",
    resource="dispute",
    prefix="dp",
    indexes=("charge", "payment_intent", "status"),
):
    """Charges that a cardholder questions."""


class Reviews(
    ByCharge,
    ByPaymentIntent,
    Store,
    table="paper_tiger_reviews",
    resource="review",
    prefix="prv",
    indexes=("charge", "payment_intent", "open"),
):
    """Payments that somebody is to look at."""


class CheckoutSessions(
    ByCustomer,
    ByPaymentIntent,
    ByStatus,
    BySubscription,
    Store,
    table="paper_tiger_checkout_sessions",
    resource="checkout.session",
    prefix="cs",
    plural="checkout_sessions",
    url_path="/v1/checkout/sessions",
    indexes=("customer", "payment_intent", "status", "subscription"),
):
    """Visits to a checkout page."""


class PaymentLinks(
    Active, Store, table="paper_tiger_payment_links", resource="payment_link", prefix="plink", indexes=("active",)
):
    """Links that lead to a checkout page."""
