"""All resources on one namespace: what a test or an application works with, as attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_type_hints

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

__all__ = ["Checkout"]


class Checkout:
    """A handle of each resource store. With ``namespace`` None each call goes to the namespace that is current then."""

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
        self._connection = connection
        self._stores: dict[str, Store] = {}
        for name, kind in get_type_hints(type(self)).items():
            self._stores[name] = kind(connection, namespace)
        for name, store in self._stores.items():
            setattr(self, name, store)

    @property
    def namespace(self) -> str:
        """The namespace a call made now would use."""
        return self.events.namespace

    def __iter__(self) -> Iterator[Store]:
        """The stores, by the order of their names."""
        return iter(self._stores.values())

    def __getitem__(self, name: str) -> Store:
        """The store of this name, as ``checkout["payment_intents"]``; KeyError where there is none."""
        return self._stores[name]

    def clear(self) -> None:
        """Remove everything in the namespace and those below it, other tables' items too, in one request."""
        self._connection.clear_namespace(self.namespace)

    def __repr__(self) -> str:
        return f"<Checkout {self._connection.url} {self.namespace}>"
