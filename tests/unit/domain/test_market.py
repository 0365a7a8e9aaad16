from dataclasses import replace

import pytest

from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import VENUE_TICKS, FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule

MARKET = Market(
    condition_id=ConditionId("0xc"),
    slug="btc-updown-15m-1",
    symbol="BTC",
    window_s=900,
    opens_at_s=0,
    closes_at_s=900,
    up_token=TokenId("1"),
    down_token=TokenId("2"),
    tick_size=10_000,
    minimum_size=5_000_000,
    fees=FeeSchedule(70_000),
    rule=ResolutionRule(ResolutionKind.AVERAGE, 60),
)


def test_outcomes_and_tokens_belong_together():
    assert Outcome.UP.other is Outcome.DOWN
    assert Outcome.DOWN.other is Outcome.UP
    for outcome in Outcome:
        assert MARKET.outcome_of(MARKET.token(outcome)) is outcome
    with pytest.raises(KeyError):
        MARKET.outcome_of(TokenId("3"))


@pytest.mark.parametrize("price", [10_000, 500_000, 990_000])
def test_prices_on_the_grid_are_valid(price):
    assert MARKET.price_refusal(price) is None


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (505_000, "not a multiple of the tick size 10000 (micro-dollars); use 500000 or 510000"),
        (0, "outside [10000, 990000]"),
        (1_000_000, "outside [10000, 990000]"),
    ],
)
def test_other_prices_are_refused_with_the_remedy(price, words):
    refusal = MARKET.price_refusal(price)
    assert refusal is not None
    assert words in refusal


@pytest.mark.parametrize("tick", VENUE_TICKS)
def test_rounding_to_the_grid_stays_inside_it(tick):
    market = replace(MARKET, tick_size=tick)
    for price in (-5, 0, 1, 123_456, 500_000, 999_999, 1_000_000, 2_000_000):
        below, above = market.price_at_or_below(price), market.price_at_or_above(price)
        assert market.price_refusal(below) is None
        assert market.price_refusal(above) is None
        if market.lowest_price <= price <= market.highest_price:
            assert below <= price <= above
            assert above - below in (0, tick)


@pytest.mark.parametrize(
    ("dollars", "cents"),
    [(0.05, 0.33), (0.10, 0.63), (0.20, 1.12), (0.30, 1.47), (0.50, 1.75), (0.95, 0.33), (0.99, 0.07)],
)
def test_fee_of_a_share_in_cents(dollars, cents):
    fee = FeeSchedule(70_000).taker_fee(round(dollars * 1_000_000), 1_000_000)
    assert fee / 10_000 == pytest.approx(cents, abs=0.0051)


def test_fees_are_rounded_half_up_to_five_decimals():
    assert FeeSchedule(70_000).taker_fee(500_000, 1_000_000) == 17_500
    assert FeeSchedule(40_000).taker_fee(500_000, 500) == 10  # 5 micro-dollars exactly: half
    assert FeeSchedule(40_000).taker_fee(500_000, 499) == 0
    assert FeeSchedule(0).taker_fee(500_000, 10**9) == 0
    assert FeeSchedule(70_000).taker_fee(500_000, 0) == 0
