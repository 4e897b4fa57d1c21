"""What several resources are looked up by: a finder for each, beside which a store declares the index of that name.

Every finder gives the items of the current namespace, newest first. No store is declared here.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

__all__ = [
    "Active",
    "ByAccount",
    "ByCharge",
    "ByCustomer",
    "ByEmail",
    "ByInvoice",
    "ByPaymentIntent",
    "ByPaymentMethod",
    "ByProduct",
    "ByStatus",
    "BySubscription",
    "ByType",
]

Items: TypeAlias = "list[dict[str, Any]]"


class _Store(Protocol):
    def find_by(self, field: str, value: Any) -> Items: ...


class Active:
    """Whether it can be used is a field."""

    def find_active(self: _Store) -> Items:
        """Those that can be used."""
        return self.find_by("active", True)


class ByAccount:
    """Belongs to a connected account."""

    def find_by_account(self: _Store, account: str) -> Items:
        """Those of the account of this id."""
        return self.find_by("account", account)


class ByCharge:
    """Belongs to a charge."""

    def find_by_charge(self: _Store, charge: str) -> Items:
        """Those of the charge of this id."""
        return self.find_by("charge", charge)


class ByCustomer:
    """Belongs to a customer."""

    def find_by_customer(self: _Store, customer: str) -> Items:
        """Those of the customer of this id."""
        return self.find_by("customer", customer)


class ByEmail:
    """Has an email address."""

    def find_by_email(self: _Store, email: str) -> Items:
        """Those with this address."""
        return self.find_by("email", email)


class ByInvoice:
    """Belongs to an invoice."""

    def find_by_invoice(self: _Store, invoice: str) -> Items:
        """Those of the invoice of this id."""
        return self.find_by("invoice", invoice)


class ByPaymentIntent:
    """Belongs to a payment intent."""

    def find_by_payment_intent(self: _Store, payment_intent: str) -> Items:
        """Those of the payment intent of this id."""
        return self.find_by("payment_intent", payment_intent)


class ByPaymentMethod:
    """Belongs to a payment method."""

    def find_by_payment_method(self: _Store, payment_method: str) -> Items:
        """Those of the payment method of this id."""
        return self.find_by("payment_method", payment_method)


class ByProduct:
    """Belongs to a product."""

    def find_by_product(self: _Store, product: str) -> Items:
        """Those of the product of this id."""
        return self.find_by("product", product)


class ByStatus:
    """Goes through stages."""

    def find_by_status(self: _Store, status: str) -> Items:
        """Those in this stage."""
        return self.find_by("status", status)


class BySubscription:
    """Belongs to a subscription."""

    def find_by_subscription(self: _Store, subscription: str) -> Items:
        """Those of the subscription of this id."""
        return self.find_by("subscription", subscription)


class ByType:
    """Is of one of several types."""

    def find_by_type(self: _Store, type: str) -> Items:
        """Those of this type."""
        return self.find_by("type", type)
