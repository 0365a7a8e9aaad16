"""Amounts against exact rational arithmetic, over every tick, price and size."""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.adapters.polymarket.signing import limit_amounts, market_amounts
from polystra.domain.market import VENUE_TICKS
from polystra.domain.orders import Side
from polystra.domain.units import MICRO

AMOUNT_DECIMALS = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
LARGEST = 10**13  # ten million dollars or shares

sides = st.sampled_from(Side)
prices = st.sampled_from(VENUE_TICKS).flatmap(
    lambda tick: st.tuples(st.integers(1, MICRO // tick - 1).map(lambda steps: steps * tick), st.just(tick))
)


def exact(micros: int) -> Fraction:
    return Fraction(micros, MICRO)


def floored(value: Fraction, decimals: int) -> Fraction:
    return Fraction(floor(value * 10**decimals), 10**decimals)


@given(sides, prices, st.integers(10_000, LARGEST))
def test_a_limit_is_the_exact_product_at_the_exact_price(side, grid, quantity):
    price, tick = grid
    maker, taker = limit_amounts(side, price, quantity, tick)
    dollars, shares = (maker, taker) if side is Side.BUY else (taker, maker)
    assert exact(shares) == floored(exact(quantity), 2)
    assert exact(dollars) == exact(shares) * exact(price)
    assert exact(dollars) == floored(exact(dollars), AMOUNT_DECIMALS[tick])
    assert exact(dollars) <= exact(quantity) * exact(price)
    assert exact(quantity) - exact(shares) < Fraction(1, 100)


@given(prices, st.integers(10**6, LARGEST))
def test_a_market_buy_spends_at_most_its_budget_and_reaches_no_worse_tick(grid, budget):
    price, tick = grid
    dollars, shares = market_amounts(Side.BUY, price, budget, tick)
    assert exact(dollars) == floored(exact(budget), 2)
    assert exact(shares) == floored(exact(dollars) / exact(price), 4)
    implied = exact(dollars) / exact(shares)
    assert exact(price) <= implied < exact(price) + exact(tick)


@given(prices, st.integers(10**6, LARGEST))
def test_a_market_sell_gives_at_most_its_quantity_and_reaches_no_worse_tick(grid, quantity):
    price, tick = grid
    shares, dollars = market_amounts(Side.SELL, price, quantity, tick)
    assert exact(shares) == floored(exact(quantity), 2)
    assert exact(dollars) == floored(exact(shares) * exact(price), 4)
    implied = exact(dollars) / exact(shares)
    assert exact(price) - exact(tick) < implied <= exact(price)


@given(sides, prices, st.integers(-1_000_000, 2_000_000))
def test_dust_is_either_within_every_bound_or_refused(side, grid, given_amount):
    price, tick = grid
    try:
        amounts = market_amounts(side, price, given_amount, tick)
    except ValueError:
        return
    assert 0 < amounts.maker <= given_amount
    assert amounts.taker > 0
    dollars, shares = amounts if side is Side.BUY else amounts[::-1]
    assert abs(exact(dollars) / exact(shares) - exact(price)) < exact(tick)


@given(sides, st.sampled_from(VENUE_TICKS), st.integers(-100, MICRO + 100), st.integers(10**6, LARGEST))
def test_a_price_is_accepted_exactly_on_the_grid_inside_the_range(side, tick, price, amount):
    valid = price % tick == 0 and tick <= price <= MICRO - tick

    for amounts_for in (limit_amounts, market_amounts):
        with nullcontext() if valid else pytest.raises(ValueError, match=r"^price is "):
            amounts_for(side, price, amount, tick)
