"""The balance: accounts, fees, and money on its way between them.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import ByAccount, ByCharge, ByEmail, ByStatus, ByType
from papertiger_shm.store import Store

__all__ = [
    "Accounts",
    "ApplicationFeeRefunds",
    "ApplicationFees",
    "BalanceTransactions",
    "Payouts",
    "Topups",
    "TransferReversals",
    "Transfers",
]


class Accounts(
    ByEmail, ByType, Store, table="paper_tiger_accounts", resource="account", prefix="acct", indexes=("email", "type")
):
    """Connected accounts."""


class ApplicationFees(
    ByAccount,
    ByCharge,
    Store,
    table="paper_tiger_application_fees",
    resource="application_fee",
    prefix="fee",
    indexes=("account", "charge"),
):
    """The platform's share of a charge."""


class ApplicationFeeRefunds(
    Store,
    table="paper_tiger_application_fee_refunds",
    resource="fee_refund",
    prefix="fr",
    plural="application_fee_refunds",
    indexes=("fee",),
):
    """That share, given back."""

    def find_by_fee(self, fee: str) -> list[dict[str, Any]]:
        """Those of this fee."""
        return self.find_by("fee", fee)


class BalanceTransactions(
    ByType,
    Store,
    table="paper_tiger_balance_transactions",
    resource="balance_transaction",
    prefix="txn",
    indexes=("type", "source", "status"),
):
    """Movements of the balance."""

    def find_by_source(self, source: str) -> list[dict[str, Any]]:
        """Those of this source."""
        return self.find_by("source", source)


class Payouts(
    ByStatus, Store, table="paper_tiger_payouts", resource="payout", prefix="po", indexes=("status", "destination")
):
    """Money sent to a bank."""


class Topups(ByStatus, Store, table="paper_tiger_topups", resource="topup", prefix="tu", indexes=("status",)):
    """Money taken from a bank."""


class Transfers(
    Store, table="paper_tiger_transfers", resource="transfer", prefix="tr", indexes=("destination", "transfer_group")
):
    """Money sent to a connected account."""

    def find_by_destination(self, destination: str) -> list[dict[str, Any]]:
        """Those of this destination."""
        return self.find_by("destination", destination)


class TransferReversals(
    Store, table="paper_tiger_transfer_reversals", resource="transfer_reversal", prefix="trr", indexes=("transfer",)
):
    """That money, taken back."""

    def find_by_transfer(self, transfer: str) -> list[dict[str, Any]]:
        """Those of this transfer."""
        return self.find_by("transfer", transfer)
