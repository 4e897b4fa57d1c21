"""All resources on one namespace: what a test or an application works with, as attributes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Generic, TypeVar, get_type_hints

from papertiger_shm.connection import Connection
from papertiger_shm.resources import balance, billing, catalogue, delivery, methods, payments
from papertiger_shm.store import Store

__all__ = ["Checkout", "Stores", "kinds"]

Kind = TypeVar("Kind", bound=Store)


class Stores(Generic[Kind]):
    """Stores on one namespace, by name: what a checkout is for asyncio as well as without it."""

    def __init__(self, url: str, stores: dict[str, Kind]) -> None:
        self._url = url
        self._stores = stores

    @property
    def namespace(self) -> str:
        """The namespace a call made now would use."""
        return self._stores["events"].namespace

    def __iter__(self) -> Iterator[Kind]:
        """The stores, by the order of their names."""
        return iter(self._stores.values())

    def __getitem__(self, name: str) -> Kind:
        """The store of this name, as ``checkout["payment_intents"]``; ``KeyError`` where there is none."""
        return self._stores[name]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url} {self.namespace}>"


class Checkout(Stores[Store]):
    """A handle of each resource store, as attributes: ``checkout.payment_intents``.

    ``namespace``: where all of them read and write; None is the namespace that is current at each call.
    """

    accounts: balance.Accounts
    application_fee_refunds: balance.ApplicationFeeRefunds
    application_fees: balance.ApplicationFees
    balance_transactions: balance.BalanceTransactions
    bank_accounts: methods.BankAccounts
    billing_portal_configurations: billing.BillingPortalConfigurations
    billing_portal_sessions: billing.BillingPortalSessions
    cards: methods.Cards
    charges: payments.Charges
    checkout_sessions: payments.CheckoutSessions
    confirmation_tokens: methods.ConfirmationTokens
    coupons: catalogue.Coupons
    credit_notes: billing.CreditNotes
    customer_balance_transactions: billing.CustomerBalanceTransactions
    customers: billing.Customers
    disputes: payments.Disputes
    events: delivery.Events
    invoice_items: billing.InvoiceItems
    invoices: billing.Invoices
    mandates: methods.Mandates
    payment_intents: payments.PaymentIntents
    payment_links: payments.PaymentLinks
    payment_method_configurations: methods.PaymentMethodConfigurations
    payment_method_domains: methods.PaymentMethodDomains
    payment_methods: methods.PaymentMethods
    payouts: balance.Payouts
    plans: catalogue.Plans
    prices: catalogue.Prices
    products: catalogue.Products
    promotion_codes: catalogue.PromotionCodes
    refunds: payments.Refunds
    reviews: payments.Reviews
    setup_attempts: payments.SetupAttempts
    setup_intents: payments.SetupIntents
    sources: methods.Sources
    subscription_items: billing.SubscriptionItems
    subscription_schedules: billing.SubscriptionSchedules
    subscriptions: billing.Subscriptions
    tax_rates: catalogue.TaxRates
    tokens: methods.Tokens
    topups: balance.Topups
    transfer_reversals: balance.TransferReversals
    transfers: balance.Transfers
    webhook_deliveries: delivery.WebhookDeliveries
    webhooks: delivery.Webhooks

    def __init__(self, connection: Connection, namespace: str | None = None) -> None:
        declared = kinds(type(self))  # type: ignore[arg-type]  # mypy takes no class for hashable
        super().__init__(connection.url, {name: kind(connection, namespace) for name, kind in declared.items()})
        self._connection = connection
        for name, store in self._stores.items():
            setattr(self, name, store)

    def clear(self) -> None:
        """Remove everything in the namespace and those below it, other tables' items too, in one request."""
        self._connection.clear_namespace(self.namespace)


@cache
def kinds(checkout: type[Checkout]) -> dict[str, type[Store]]:
    """The stores of a checkout by name; kept, as to resolve so many annotations takes half a millisecond."""
    return get_type_hints(checkout)
