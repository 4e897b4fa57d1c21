"""Tests of a shop's catalogue, which takes long to make. The same file before and after."""

from __future__ import annotations

import os

import pytest

PRODUCTS = ("anvil", "bucket", "crowbar", "drum", "easel", "funnel", "gong", "hammock")


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_has_a_price(catalogue, product):
    assert catalogue["prices"][product] > 0


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_has_its_file(catalogue, product):
    assert os.path.getsize(os.path.join(catalogue["directory"], f"{product}.txt")) > 0


def test_a_mistake_of_one_test_is_no_other_test_s(catalogue):
    assert catalogue["currency"] == "usd"
