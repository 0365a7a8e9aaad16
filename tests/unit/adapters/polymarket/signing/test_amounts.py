"""Amounts: worked examples of the venue's rules, and the places where the official client differs from them."""

from __future__ import annotations

import pytest
from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder

from polystra.adapters.polymarket.signing import limit_amounts, market_amounts
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, format_micros

BUY, SELL = Side.BUY, Side.SELL
OFFICIAL = OrderBuilder(None)


def official_limit(side: Side, price: int, quantity: int, tick: int) -> tuple[int, int]:
    config = ROUNDING_CONFIG[format_micros(tick)]
    _, maker, taker = OFFICIAL.get_order_amounts(side.value, quantity / MICRO, price / MICRO, config)
    return maker, taker


def official_market(side: Side, price: int, amount: int, tick: int) -> tuple[int, int]:
    config = ROUNDING_CONFIG[format_micros(tick)]
    _, maker, taker = OFFICIAL.get_market_order_amounts(side.value, amount / MICRO, price / MICRO, config)
    return maker, taker


@pytest.mark.parametrize(
    ("side", "price", "quantity", "tick", "amounts"),
    [
        (SELL, 220_000, 19_690_000, 10_000, (19_690_000, 4_331_800)),  # the server's own example: 4.3318, not 4.33
        (BUY, 220_000, 19_690_000, 10_000, (4_331_800, 19_690_000)),
        (BUY, 520_000, 10_000_000, 10_000, (5_200_000, 10_000_000)),
        (BUY, 520_000, 10_009_999, 10_000, (5_200_000, 10_000_000)),  # floored to two decimals
        (BUY, 300_000, 10_010_000, 100_000, (3_003_000, 10_010_000)),
        (BUY, 505_000, 10_010_000, 5_000, (5_055_050, 10_010_000)),
        (BUY, 2_500, 10_010_000, 2_500, (25_025, 10_010_000)),
        (SELL, 973_000, 7_770_000, 1_000, (7_770_000, 7_560_210)),
        (SELL, 999_900, 10_000, 100, (10_000, 9_999)),
    ],
)
def test_limit_amounts_are_the_exact_product(side, price, quantity, tick, amounts):
    assert limit_amounts(side, price, quantity, tick) == amounts


@pytest.mark.parametrize(
    ("side", "worst_price", "given", "tick", "amounts"),
    [
        (BUY, 370_000, 10_000_000, 10_000, (10_000_000, 27_027_000)),
        (BUY, 370_000, 10_009_999, 10_000, (10_000_000, 27_027_000)),  # dollars floored to two decimals
        (BUY, 300_000, 10_000_000, 100_000, (10_000_000, 33_333_300)),  # four decimals on the coarsest tick too
        (BUY, 973_000, 10_000_000, 1_000, (10_000_000, 10_277_400)),  # exact 10.27749..., cut to four
        (BUY, 997_500, 5_000_000, 2_500, (5_000_000, 5_012_500)),
        (BUY, 999_900, 5_000_000, 100, (5_000_000, 5_000_500)),
        (SELL, 370_000, 12_349_999, 10_000, (12_340_000, 4_565_800)),  # shares floored to two decimals
        (SELL, 973_000, 12_340_000, 1_000, (12_340_000, 12_006_800)),  # exact 12.00682, cut to four
        (SELL, 100, 150_990_000, 100, (150_990_000, 15_000)),  # exact 0.015099, cut to four
    ],
)
def test_market_amounts_have_two_decimals_in_and_four_out(side, worst_price, given, tick, amounts):
    assert market_amounts(side, worst_price, given, tick) == amounts


def test_a_market_buy_floors_its_shares_so_that_it_reaches_the_worst_price():
    """Rounded up, 10 / 27.0271 is below 0.37, and an ask of 0.37 would never match."""
    dollars, shares = market_amounts(BUY, 370_000, 10_000_000, 10_000)
    assert dollars * MICRO >= 370_000 * shares
    assert dollars * MICRO < 370_000 * (shares + 100)


def test_a_market_sell_floors_its_dollars_so_that_it_reaches_the_worst_price():
    shares, dollars = market_amounts(SELL, 973_000, 12_340_000, 1_000)
    assert dollars * MICRO <= 973_000 * shares


class TestWhereTheOfficialClientDiffers:
    def test_its_floats_lose_a_hundredth_of_a_share(self):
        """8.2 x 100 is 819.999... in binary: the official floor sells 8.19 shares of 8.2."""
        for quantity, official in ((8_200_000, 8_190_000), (1_150_000, 1_140_000), (4_350_000, 4_340_000)):
            assert official_limit(SELL, 500_000, quantity, 10_000)[0] == official
            assert limit_amounts(SELL, 500_000, quantity, 10_000).maker == quantity

    def test_its_market_price_is_floored_a_whole_tick_too_low(self):
        """0.29 x 100 is 28.999... in binary: the official market sell accepts 0.28 when told 0.29."""
        maker, taker = official_market(SELL, 290_000, 10_000_000, 10_000)
        assert taker * MICRO == maker * 280_000
        maker, taker = market_amounts(SELL, 290_000, 10_000_000, 10_000)
        assert taker * MICRO == maker * 290_000

    def test_its_market_buy_rounds_the_shares_up_past_what_the_price_gives(self):
        """With 0.28 for 0.29 the official market buy demands a better price than the worst one and is killed."""
        dollars, shares = official_market(BUY, 290_000, 10_000_000, 10_000)
        assert dollars * MICRO < 290_000 * shares
        dollars, shares = market_amounts(BUY, 290_000, 10_000_000, 10_000)
        assert dollars * MICRO >= 290_000 * shares

    @pytest.mark.parametrize(("tick", "price"), [(5_000, 335_000), (2_500, 337_500), (1_000, 973_000), (100, 973_100)])
    def test_its_market_orders_on_fine_ticks_have_more_decimals_than_the_server_takes(self, tick, price):
        for side in (BUY, SELL):
            assert official_market(side, price, 12_370_000, tick)[1] % 100
            assert market_amounts(side, price, 12_370_000, tick).taker % 100 == 0


@pytest.mark.parametrize("tick", [0, 1, 20_000, 1_000_000, -10_000])
def test_an_unknown_tick_is_refused(tick):
    for amounts in (limit_amounts, market_amounts):
        with pytest.raises(
            ValueError, match=r"^tick is .*expected one of 0\.1, 0\.01, 0\.005, 0\.0025, 0\.001, 0\.0001: "
        ):
            amounts(BUY, 500_000, 10_000_000, tick)


@pytest.mark.parametrize("price", [-10_000, 0, 5_000, 995_000, 1_000_000])
def test_a_price_outside_the_range_is_refused(price):
    for amounts in (limit_amounts, market_amounts):
        with pytest.raises(ValueError, match=r"^price is .*expected 0\.01 to 0\.99"):
            amounts(SELL, price, 10_000_000, 10_000)


def test_a_price_off_the_grid_is_refused_with_its_neighbours():
    for amounts in (limit_amounts, market_amounts):
        with pytest.raises(
            ValueError, match=r"^price is 0\.525, expected a multiple of the tick 0\.01: use 0\.52 or 0\.53"
        ):
            amounts(BUY, 525_000, 10_000_000, 10_000)


@pytest.mark.parametrize("given", [-10_000, 0, 9_999])
def test_an_amount_that_floors_to_nothing_is_refused(given):
    with pytest.raises(ValueError, match=r"^quantity is .* shares, expected at least 0\.01"):
        limit_amounts(BUY, 500_000, given, 10_000)
    with pytest.raises(ValueError, match=r"^budget is .* dollars, expected at least 0\.01"):
        market_amounts(BUY, 500_000, given, 10_000)
    with pytest.raises(ValueError, match=r"^quantity is .* shares, expected at least 0\.01"):
        market_amounts(SELL, 500_000, given, 10_000)


@pytest.mark.parametrize(
    ("side", "price", "given", "tick"),
    [
        (SELL, 100, 10_000, 100),  # 0.000001 dollars: nothing is left at four decimals
        (SELL, 973_500, 370_000, 100),  # 0.360195 cut to 0.3601: 0.97324 a share, two ticks worse
        (BUY, 999_900, 10_000, 100),  # 0.010001 shares cut to 0.01: a dollar a share
    ],
)
def test_dust_whose_cut_amounts_would_pass_the_worst_price_by_a_tick_is_refused(side, price, given, tick):
    with pytest.raises(ValueError, match=r"too small for a .*use a larger size or a coarser price"):
        market_amounts(side, price, given, tick)
