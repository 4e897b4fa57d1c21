"""papertiger-shm: tables that many processes read straight from shared memory while one process writes.

The public names, and nothing else. Each is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazily: ``namespace`` is also the name of the module it lives in, and importing a module later would put the
# module in the place of the class.
from papertiger_shm.namespace import GLOBAL, current_namespace, namespace

if TYPE_CHECKING:
    from papertiger_shm.aio.checkout import AsyncCheckout
    from papertiger_shm.aio.connection import AsyncConnection, async_connect
    from papertiger_shm.aio.store import AsyncStore
    from papertiger_shm.aio.watch import AsyncWatch
    from papertiger_shm.connection import Connection, Transaction, connect, leftovers, remove_leftover, stores
    from papertiger_shm.errors import (
        AccessDenied,
        AlreadyExists,
        Conflict,
        CorruptSegment,
        InvalidItem,
        InvalidRequest,
        ManagerUnavailable,
        NotFound,
        PaperTigerError,
        StoreFull,
        WaitTimeout,
    )
    from papertiger_shm.page import Page
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
    from papertiger_shm.resources.checkout import Checkout
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
    from papertiger_shm.shm.leftovers import Leftover
    from papertiger_shm.shm.manager import Manager
    from papertiger_shm.shm.supervisor import ChildSpec, Supervisor
    from papertiger_shm.store import Change, Store

    __version__: str

__all__ = [
    "GLOBAL",
    "AccessDenied",
    "Accounts",
    "AlreadyExists",
    "ApplicationFeeRefunds",
    "ApplicationFees",
    "AsyncCheckout",
    "AsyncConnection",
    "AsyncStore",
    "AsyncWatch",
    "BalanceTransactions",
    "BankAccounts",
    "BillingPortalConfigurations",
    "BillingPortalSessions",
    "Cards",
    "Change",
    "Charges",
    "Checkout",
    "CheckoutSessions",
    "ChildSpec",
    "ConfirmationTokens",
    "Conflict",
    "Connection",
    "CorruptSegment",
    "Coupons",
    "CreditNotes",
    "CustomerBalanceTransactions",
    "Customers",
    "Disputes",
    "Events",
    "InvalidItem",
    "InvalidRequest",
    "InvoiceItems",
    "Invoices",
    "Leftover",
    "Manager",
    "ManagerUnavailable",
    "Mandates",
    "NotFound",
    "Page",
    "PaperTigerError",
    "PaymentIntents",
    "PaymentLinks",
    "PaymentMethodConfigurations",
    "PaymentMethodDomains",
    "PaymentMethods",
    "Payouts",
    "Plans",
    "Prices",
    "Products",
    "PromotionCodes",
    "Refunds",
    "Reviews",
    "SetupAttempts",
    "SetupIntents",
    "Sources",
    "Store",
    "StoreFull",
    "SubscriptionItems",
    "SubscriptionSchedules",
    "Subscriptions",
    "Supervisor",
    "TaxRates",
    "Tokens",
    "Topups",
    "Transaction",
    "TransferReversals",
    "Transfers",
    "WaitTimeout",
    "WebhookDeliveries",
    "Webhooks",
    "__version__",
    "async_connect",
    "connect",
    "current_namespace",
    "leftovers",
    "namespace",
    "remove_leftover",
    "stores",
]

_HOMES = {
    "aio.checkout": ("AsyncCheckout",),
    "aio.connection": ("AsyncConnection", "async_connect"),
    "aio.store": ("AsyncStore",),
    "aio.watch": ("AsyncWatch",),
    "connection": ("Connection", "Transaction", "connect", "leftovers", "remove_leftover", "stores"),
    "errors": (
        "AccessDenied",
        "AlreadyExists",
        "Conflict",
        "CorruptSegment",
        "InvalidItem",
        "InvalidRequest",
        "ManagerUnavailable",
        "NotFound",
        "PaperTigerError",
        "StoreFull",
        "WaitTimeout",
    ),
    "page": ("Page",),
    "resources.balance": (
        "Accounts",
        "ApplicationFeeRefunds",
        "ApplicationFees",
        "BalanceTransactions",
        "Payouts",
        "Topups",
        "TransferReversals",
        "Transfers",
    ),
    "resources.billing": (
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
    ),
    "resources.catalogue": ("Coupons", "Plans", "Prices", "Products", "PromotionCodes", "TaxRates"),
    "resources.delivery": ("Events", "WebhookDeliveries", "Webhooks"),
    "resources.methods": (
        "BankAccounts",
        "Cards",
        "ConfirmationTokens",
        "Mandates",
        "PaymentMethodConfigurations",
        "PaymentMethodDomains",
        "PaymentMethods",
        "Sources",
        "Tokens",
    ),
    "resources.payments": (
        "Charges",
        "CheckoutSessions",
        "Disputes",
        "PaymentIntents",
        "PaymentLinks",
        "Refunds",
        "Reviews",
        "SetupAttempts",
        "SetupIntents",
    ),
    "resources.checkout": ("Checkout",),
    "shm.leftovers": ("Leftover",),
    "shm.manager": ("Manager",),
    "shm.supervisor": ("ChildSpec", "Supervisor"),
    "store": ("Change", "Store"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("papertiger-shm")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
