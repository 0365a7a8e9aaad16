"""What is sent for an order: on the grid, within the venue's caps, never worth more and never worse than asked.

The body that was signed is read back: its two amounts are all that the venue sees of price and size.
They are compared with those of the venue's own Python client where that is right; each way in which
it is known to be wrong is a test with its figure and ours.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder

from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.market import VENUE_TICKS, FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.rounding import buy_limit_down, size_down
from polystra.domain.units import MICRO, NS_PER_S, format_micros
from polystra.engine.validation import Moment, refusal

NOW_S = 1_800_000_000
SIGNER = OrderTermsSigner(
    OrderSigner(
        "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",  # public development key
        signature_type=0,
        funder=None,
        chain_id=137,
        owner="owner",
    )
)
LIMIT_DECIMALS = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
LARGEST = 10**12


class Sent(NamedTuple):
    """The amounts of a body as the venue reads them, in dollars and shares."""

    dollars: Fraction
    shares: Fraction

    @property
    def price(self) -> Fraction:
        return self.dollars / self.shares


def market(tick: int) -> Market:
    return Market(
        condition_id=ConditionId("0xc"),
        slug="btc-updown-15m",
        symbol="BTC",
        window_s=900,
        opens_at_s=NOW_S,
        closes_at_s=NOW_S + 900,
        up_token=TokenId("1"),
        down_token=TokenId("2"),
        tick_size=tick,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(70_000),
        rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
    )


def terms(side: Side, price: int, amount: int, tick: int, kind: TimeInForce) -> OrderTerms:
    """An order by `amount`: dollars for a market buy, else shares."""
    by_dollars = side is Side.BUY and not kind.may_rest
    return OrderTerms(
        client_order_id=ClientOrderId("o1"),
        condition_id=ConditionId("0xc"),
        token_id=TokenId("1"),
        position_id=PositionId("p"),
        purpose=Purpose.ENTRY,
        side=side,
        price=price,
        quantity=0 if by_dollars else amount,
        budget=amount if by_dollars else 0,
        time_in_force=kind,
        expires_at_s=NOW_S + 300 if kind is TimeInForce.GTD else 0,
        tick_size=tick,
    )


def verdict(order: OrderTerms, tick: int) -> str | None:
    """What the validation says when the account has plenty."""
    return refusal(
        order, Moment(venue_now_ns=NOW_S * NS_PER_S, market=market(tick), free_cash=10**15, free_shares=10**15)
    )


def sent(order: OrderTerms) -> Sent:
    """Sign it and read its body."""
    body = json.loads(SIGNER.sign(order, salt=1, timestamp_ms=1).body)["order"]
    assert body["side"] == order.side
    maker, taker = int(body["makerAmount"]), int(body["takerAmount"])
    dollars, shares = (maker, taker) if order.side is Side.BUY else (taker, maker)
    return Sent(Fraction(dollars, MICRO), Fraction(shares, MICRO))


def decimals(value: Fraction) -> int:
    return next(count for count in range(8) if (value * 10**count).denominator == 1)


ORDERS = st.builds(
    terms,
    st.sampled_from(list(Side)),
    st.integers(0, MICRO),
    st.integers(1, LARGEST),
    st.sampled_from(VENUE_TICKS),
    st.sampled_from(list(TimeInForce)),
)


def on_grid(order: OrderTerms, rng_steps: int, cents: int) -> OrderTerms:
    """The same order with a valid price and a size on the venue's steps."""
    tick = order.tick_size
    price = tick * (1 + rng_steps % (MICRO // tick - 1))
    by_dollars = order.budget > 0
    amount = max(cents, 500) * 10_000
    return terms(order.side, price, max(amount, MICRO) if by_dollars else amount, tick, order.time_in_force)


VALID = st.builds(on_grid, ORDERS, st.integers(0, 10**6), st.integers(1, 10**7))


@given(VALID)
@settings(max_examples=150)
def test_what_is_sent_is_on_the_grid_within_the_caps_and_never_more_or_worse_than_asked(order: OrderTerms) -> None:
    tick, worst = Fraction(order.tick_size, MICRO), Fraction(order.price, MICRO)
    words = verdict(order, order.tick_size)
    assume(words is None or "four decimals" not in words)
    assert words is None
    dollars, shares = out = sent(order)
    if order.time_in_force.may_rest:
        assert out.price == worst
        assert shares == Fraction(order.quantity, MICRO)
        assert decimals(shares) <= 2
        assert decimals(dollars) <= LIMIT_DECIMALS[order.tick_size]
        return
    given_amount, wanted = (dollars, shares) if order.side is Side.BUY else (shares, dollars)
    assert given_amount == Fraction(order.budget or order.quantity, MICRO)
    assert decimals(given_amount) <= 2
    assert decimals(wanted) <= 4
    if order.side is Side.BUY:
        assert worst <= out.price < worst + tick, "no level of the grid beyond the worst price can match"
    else:
        assert worst - tick < out.price <= worst


@given(ORDERS)
@settings(max_examples=300)
def test_whatever_the_validation_lets_through_can_be_signed_as_it_is(order: OrderTerms) -> None:
    """And whatever the signer refuses was refused before, in words."""
    words = verdict(order, order.tick_size)
    if words is None:
        dollars, shares = sent(order)
        assert dollars * MICRO <= (order.budget or LARGEST * MICRO)
        assert order.budget or shares * MICRO == order.quantity
        return
    assert words.count("\n") == 0
    assert ": " in words


@given(ORDERS)
@settings(max_examples=100)
def test_a_price_off_the_grid_is_refused_and_never_moved(order: OrderTerms) -> None:
    assume(order.price % order.tick_size)
    assert "price is " in (verdict(order, order.tick_size) or "")
    with pytest.raises(ValueError, match=r"^price is "):
        sent(order)


# --- the venue's own client ----------------------------------------------------------------


def theirs(order: OrderTerms) -> Sent:
    """The amounts that `py-clob-client-v2` would sign."""
    builder: Any = OrderBuilder.__new__(OrderBuilder)
    rounding = ROUNDING_CONFIG[format_micros(order.tick_size)]
    amounts = builder.get_order_amounts if order.time_in_force.may_rest else builder.get_market_order_amounts
    size = (order.budget or order.quantity) / MICRO
    _, maker, taker = amounts(order.side.value, size, order.price / MICRO, rounding)
    dollars, shares = (maker, taker) if order.side is Side.BUY else (taker, maker)
    return Sent(Fraction(dollars, MICRO), Fraction(shares, MICRO))


def is_right(order: OrderTerms, amounts: Sent) -> bool:
    """Judge amounts by the venue's rules and the wish alone, exactly."""
    price, tick = Fraction(order.price, MICRO), Fraction(order.tick_size, MICRO)
    if order.time_in_force.may_rest:
        return amounts.shares * MICRO == order.quantity and amounts.price == price
    given_amount, wanted = amounts if order.side is Side.BUY else amounts[::-1]
    if given_amount * MICRO != (order.budget or order.quantity) or decimals(wanted) > 4:
        return False
    return price <= amounts.price < price + tick if order.side is Side.BUY else price - tick < amounts.price <= price


@given(VALID)
@settings(max_examples=200)
def test_where_the_official_client_is_right_the_amounts_are_the_same(order: OrderTerms) -> None:
    assume(verdict(order, order.tick_size) is None)
    official = theirs(order)
    if is_right(order, official):
        assert sent(order) == official
    assert is_right(order, sent(order))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", [TimeInForce.GTC, TimeInForce.FAK])
def test_the_official_client_is_right_nearly_always_on_the_common_grid(side: Side, kind: TimeInForce) -> None:
    """So that the comparison compares: 99 prices of a cent, sizes of whole shares or dollars."""
    orders = [
        terms(side, cents * 10_000, size * MICRO, 10_000, kind) for cents in range(1, 100) for size in (5, 20, 77)
    ]
    same = sum(theirs(order) == sent(order) for order in orders)
    assert same > len(orders) * 95 // 100


def test_binary_float_loses_a_cent_of_a_share() -> None:
    """8.03 * 100 is 802.9999999999999 in binary: the official client sells 8.02."""
    order = terms(Side.SELL, 500_000, 8_030_000, 10_000, TimeInForce.GTC)
    assert theirs(order).shares == Fraction("8.02")
    assert sent(order) == (Fraction("4.015"), Fraction("8.03"))
    assert size_down(8_030_000) == 8_030_000


@pytest.mark.parametrize(("cents", "moved_to"), [(29, "0.28"), (57, "0.56"), (58, "0.57")])
def test_binary_float_moves_the_worst_price_of_a_market_buy_by_a_tick(cents: int, moved_to: str) -> None:
    """0.29 * 100 is 28.999999999999996: the official buy is limited to 0.28 and misses every ask at 0.29."""
    order = terms(Side.BUY, cents * 10_000, 10 * MICRO, 10_000, TimeInForce.FAK)
    assert theirs(order).price < Fraction(cents, 100)
    assert round(float(theirs(order).price), 2) == float(moved_to)
    assert Fraction(cents, 100) <= sent(order).price < Fraction(cents + 1, 100)


@pytest.mark.parametrize(
    ("tick", "price", "official", "ours"),
    [
        (1_000, 333_000, "30.03003", "30.03"),
        (100, 333_700, "29.967036", "29.967"),
        (2_500, 352_500, "28.368794", "28.3687"),
        (5_000, 335_000, "29.85074", "29.8507"),
    ],
)
def test_fine_ticks_break_the_cap_of_four_decimals(tick: int, price: int, official: str, ours: str) -> None:
    """The official client asks for 5 or 6 decimals on a fine tick; the venue takes 4 on every tick."""
    order = terms(Side.BUY, price, 10 * MICRO, tick, TimeInForce.FOK)
    assert theirs(order).shares == Fraction(official)
    assert decimals(theirs(order).shares) > 4
    assert sent(order).shares == Fraction(ours)
    assert decimals(sent(order).shares) <= 4


@pytest.mark.parametrize(("price", "official", "ours"), [(557_000, "0.56", 550_000), (555_100, "0.56", 550_000)])
def test_a_limit_buy_is_rounded_up_by_the_official_client_and_never_by_us(price: int, official: str, ours: int) -> None:
    """A buy at 0.557 on a grid of cents is sent at 0.56 there; here it is refused, and its rounding is down."""
    order = terms(Side.BUY, price, 10 * MICRO, 10_000, TimeInForce.GTC)
    assert theirs(order).price == Fraction(official)
    words = verdict(order, 10_000)
    assert words is not None
    assert words.endswith("use 0.55 or 0.56")
    assert buy_limit_down(price, 10_000) == ours
