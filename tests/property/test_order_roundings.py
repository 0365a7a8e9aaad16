"""The named roundings of an order's figures go to the safe side, on every tick and for any figure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.market import SIZE_STEP, VENUE_TICKS
from polystra.domain.orders import OrderTerms, Purpose, Side
from polystra.domain.rounding import (
    buy_limit_down,
    dollars_down,
    dollars_wanted_down,
    keeps_worst_price,
    limit_on_grid,
    replanned,
    sell_limit_up,
    shares_wanted_down,
    size_down,
)
from polystra.domain.units import MICRO

TICKS = st.sampled_from(VENUE_TICKS)
PRICES = st.integers(0, MICRO)
AMOUNTS = st.integers(0, 10**13)


@given(PRICES, TICKS)
def test_a_buy_limit_never_rises_and_a_sell_limit_never_falls(price: int, tick: int) -> None:
    bid, ask = buy_limit_down(price, tick), sell_limit_up(price, tick)
    assert bid <= price <= ask
    assert bid % tick == 0
    assert ask % tick == 0
    if tick <= price <= MICRO - tick:
        assert price - tick < bid <= MICRO - tick
        assert tick <= ask < price + tick
    assert limit_on_grid(Side.BUY, bid, tick) == bid
    assert limit_on_grid(Side.SELL, ask, tick) == ask


@given(st.integers(0, 99_999), TICKS)
def test_a_price_beyond_the_range_stays_invalid(distance: int, tick: int) -> None:
    if distance < tick:
        assert buy_limit_down(distance, tick) == 0
        assert sell_limit_up(MICRO - distance, tick) == MICRO


@given(AMOUNTS)
def test_sizes_and_dollars_never_grow(amount: int) -> None:
    assert size_down(amount) <= amount < size_down(amount) + SIZE_STEP
    assert dollars_down(amount) <= amount < dollars_down(amount) + 10_000


@given(AMOUNTS, st.integers(1, MICRO - 1))
def test_what_a_market_order_wants_has_four_decimals_and_is_never_too_much(given: int, price: int) -> None:
    shares, dollars = shares_wanted_down(given, price), dollars_wanted_down(given, price)
    assert shares % 100 == dollars % 100 == 0
    assert shares * price <= given * MICRO < (shares + 100) * price + MICRO * price
    assert dollars * MICRO <= given * price < (dollars + 101) * MICRO


@given(st.sampled_from(list(Side)), st.integers(1, 9_999), TICKS, st.integers(1, 10**11), st.integers(1, 10**11))
def test_amounts_that_keep_the_worst_price_imply_none_beyond_the_next_tick(
    side: Side, steps: int, tick: int, dollars: int, shares: int
) -> None:
    worst = min(steps * tick, MICRO - tick)
    if not keeps_worst_price(side, worst, dollars, shares, tick):
        return
    if side is Side.BUY:
        assert worst * shares <= dollars * MICRO < (worst + tick) * shares
    else:
        assert (worst - tick) * shares < dollars * MICRO <= worst * shares


@given(st.sampled_from(list(Side)), TICKS, TICKS, st.integers(1, 9_999))
def test_a_plan_moves_to_the_grid_in_force_and_never_against_us(side: Side, old: int, new: int, steps: int) -> None:
    price = min(steps * old, MICRO - old)
    terms = OrderTerms(
        client_order_id=ClientOrderId("o1"),
        condition_id=ConditionId("0xc"),
        token_id=TokenId("1"),
        position_id=PositionId("p"),
        purpose=Purpose.ENTRY,
        side=side,
        price=price,
        quantity=5 * MICRO,
        tick_size=old,
    )
    after = replanned(terms, new)
    assert after.tick_size == new
    assert after.price % new == 0
    assert after.price <= price if side is Side.BUY else after.price >= price
    if price % new == 0 and new <= price <= MICRO - new:
        assert after.price == price
