"""Means of payment: cards, bank accounts, and what stands for them.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import (
    Active,
    ByAccount,
    ByCustomer,
    ByPaymentIntent,
    ByPaymentMethod,
    ByStatus,
    ByType,
)
from papertiger_shm.store import Store

__all__ = [
    "BankAccounts",
    "Cards",
    "ConfirmationTokens",
    "Mandates",
    "PaymentMethodConfigurations",
    "PaymentMethodDomains",
    "PaymentMethods",
    "Sources",
    "Tokens",
]


class PaymentMethods(
    ByCustomer,
    ByType,
    Store,
    table="paper_tiger_payment_methods",
    resource="payment_method",
    prefix="pm",
    indexes=("customer", "type"),
):
    """Means of payment."""


class PaymentMethodConfigurations(
    Active,
    Store,
    table="paper_tiger_payment_method_configurations",
    resource="payment_method_configuration",
    prefix="pmc",
    indexes=("active",),
):
    """Which means of payment are offered."""


class PaymentMethodDomains(
    Store,
    table="paper_tiger_payment_method_domains",
    resource="payment_method_domain",
    prefix="pmd",
    indexes=("domain_name", "enabled"),
):
    """Web domains on which wallets may be offered."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those on which they are offered at present."""
        return self.find_by("enabled", True)

    def find_by_domain_name(self, domain_name: str) -> list[dict[str, Any]]:
        """Those of this domain name."""
        return self.find_by("domain_name", domain_name)


class Cards(
    ByCustomer, Store, table="paper_tiger_cards", resource="card", prefix="card", indexes=("customer", "fingerprint")
):
    """Cards of customers."""

    def find_by_fingerprint(self, fingerprint: str) -> list[dict[str, Any]]:
        """Those of this fingerprint."""
        return self.find_by("fingerprint", fingerprint)


class BankAccounts(
    ByAccount,
    ByCustomer,
    ByStatus,
    Store,
    table="paper_tiger_bank_accounts",
    resource="bank_account",
    prefix="ba",
    indexes=("account", "customer", "status"),
):
    """Bank accounts of customers and of connected accounts."""


class Sources(
    ByCustomer,
    ByStatus,
    ByType,
    Store,
    table="paper_tiger_sources",
    resource="source",
    prefix="src",
    indexes=("customer", "status", "type"),
):
    """Means of payment of the older kind."""


class Tokens(ByType, Store, table="paper_tiger_tokens", resource="token", prefix="tok", indexes=("type", "used")):
    """Stand once for a card or a bank account."""


class ConfirmationTokens(
    ByPaymentIntent,
    Store,
    table="paper_tiger_confirmation_tokens",
    resource="confirmation_token",
    prefix="ctoken",
    indexes=("payment_intent",),
):
    """Stand once for what a customer has confirmed."""


class Mandates(
    ByPaymentMethod,
    ByStatus,
    Store,
    table="paper_tiger_mandates",
    resource="mandate",
    prefix="mandate",
    indexes=("payment_method", "status"),
):
    """Permissions to debit."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those that can be used."""
        return self.find_by("status", "active")
