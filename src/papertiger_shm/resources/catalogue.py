"""The catalogue: what is sold, at which price, and what is taken off or put on.

Declarations, and nothing else enters this room.
"""

from __future__ import annotations

from typing import Any

from papertiger_shm.resources.finders import Active, ByCustomer, ByProduct, ByType
from papertiger_shm.store import Store

__all__ = ["Coupons", "Plans", "Prices", "Products", "PromotionCodes", "TaxRates"]


class Products(Active, Store, table="paper_tiger_products", resource="product", prefix="prod", indexes=("active",)):
    """What is sold."""


class Prices(
    Active,
    ByProduct,
    ByType,
    Store,
    table="paper_tiger_prices",
    resource="price",
    prefix="price",
    indexes=("active", "product", "type", "currency", "lookup_key"),
):
    """What it costs."""

    def find_by_lookup_key(self, lookup_key: str) -> list[dict[str, Any]]:
        """Those of this lookup key."""
        return self.find_by("lookup_key", lookup_key)


class Plans(
    Active, ByProduct, Store, table="paper_tiger_plans", resource="plan", prefix="plan", indexes=("active", "product")
):
    """Prices of the older kind."""


class Coupons(Store, table="paper_tiger_coupons", resource="coupon", indexes=("valid",)):
    """Discounts; their ids have no prefix."""

    def find_active(self) -> list[dict[str, Any]]:
        """Those that can be used."""
        return self.find_by("valid", True)


class PromotionCodes(
    Active,
    ByCustomer,
    Store,
    table="paper_tiger_promotion_codes",
    resource="promotion_code",
    prefix="promo",
    indexes=("active", "customer", "code"),
):
    """What customers type to have a discount."""

    def find_by_code(self, code: str) -> list[dict[str, Any]]:
        """Those of this code."""
        return self.find_by("code", code)


class TaxRates(
    Active, Store, table="paper_tiger_tax_rates", resource="tax_rate", prefix="txr", indexes=("active", "inclusive")
):
    """Taxes."""
