"""All resources on one namespace: what a test or an application works with, as attributes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Generic, TypeVar, get_type_hints

from papertiger_shm.connection import Connection
from papertiger_shm.resources.balance import (
    Accounts,
    ApplicationFeeRefunds,
    ApplicationFees,
    BalanceTransactions,
    Payouts,
    Topups,
    TransferReversals,
    Transfers,
)
from papertiger_shm.resources.billing import (
    BillingPortalConfigurations,
    BillingPortalSessions,
    CreditNotes,
    CustomerBalanceTransactions,
    Customers,
    InvoiceItems,
    Invoices,
    SubscriptionItems,
    Subscriptions,
    SubscriptionSchedules,
)
from papertiger_shm.resources.catalogue import Coupons, Plans, Prices, Products, PromotionCodes, TaxRates
from papertiger_shm.resources.delivery import Events, WebhookDeliveries, Webhooks
from papertiger_shm.resources.methods import (
    BankAccounts,
    Cards,
    ConfirmationTokens,
    Mandates,
    PaymentMethodConfigurations,
    PaymentMethodDomains,
    PaymentMethods,
    Sources,
    Tokens,
)
from papertiger_shm.resources.payments import (
    Charges,
    CheckoutSessions,
    Disputes,
    PaymentIntents,
    PaymentLinks,
    Refunds,
    Reviews,
    SetupAttempts,
    SetupIntents,
)
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

    accounts: Accounts
    application_fee_refunds: ApplicationFeeRefunds
    application_fees: ApplicationFees
    balance_transactions: BalanceTransactions
    bank_accounts: BankAccounts
    billing_portal_configurations: BillingPortalConfigurations
    billing_portal_sessions: BillingPortalSessions
    cards: Cards
    charges: Charges
    checkout_sessions: CheckoutSessions
    confirmation_tokens: ConfirmationTokens
    coupons: Coupons
    credit_notes: CreditNotes
    customer_balance_transactions: CustomerBalanceTransactions
    customers: Customers
    disputes: Disputes
    events: Events
    invoice_items: InvoiceItems
    invoices: Invoices
    mandates: Mandates
    payment_intents: PaymentIntents
    payment_links: PaymentLinks
    payment_method_configurations: PaymentMethodConfigurations
    payment_method_domains: PaymentMethodDomains
    payment_methods: PaymentMethods
    payouts: Payouts
    plans: Plans
    prices: Prices
    products: Products
    promotion_codes: PromotionCodes
    refunds: Refunds
    reviews: Reviews
    setup_attempts: SetupAttempts
    setup_intents: SetupIntents
    sources: Sources
    subscription_items: SubscriptionItems
    subscription_schedules: SubscriptionSchedules
    subscriptions: Subscriptions
    tax_rates: TaxRates
    tokens: Tokens
    topups: Topups
    transfer_reversals: TransferReversals
    transfers: Transfers
    webhook_deliveries: WebhookDeliveries
    webhooks: Webhooks

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
