import math
from dataclasses import replace

import pytest

from polystra.domain.market import ResolutionKind, ResolutionRule
from polystra.domain.units import E8, NS_PER_S
from polystra.engine.strategy.fair_value import normal_cdf
from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.view import observe

from .scene import CLOSES, MARKET, OPENS, average, book, filled_window, settlement, spot


def see(window: PriceWindow, now_s: float, **more):
    market = more.pop("market", MARKET)
    return observe(
        market,
        window,
        book(49, 50),
        book(50, 51),
        now_ns=round(now_s * NS_PER_S),
        bankroll=10**9,
        exposure_left=10**9,
        **more,
    )


def test_an_empty_window_gives_a_view_without_numbers():
    seen = see(PriceWindow("BTC"), OPENS + 10)
    assert (seen.price, seen.sigma, seen.fair_value_up, seen.price_age_s) == (None, None, None, None)
    assert seen.fair_value_confidence == 0.0
    assert seen.momentum.value is None


def test_the_fair_value_comes_from_price_strike_volatility_and_time():
    window = filled_window(OPENS + 300)
    window.observe(average(OPENS, 59_950.0))
    seen = see(window, OPENS + 301)
    assert seen.price_to_beat == 59_950 * E8
    assert seen.sigma is not None
    assert seen.price is not None
    deviation = seen.sigma * seen.price / E8 * math.sqrt(900 - 60 - 301 + 20)
    assert seen.fair_value_up == pytest.approx(normal_cdf((seen.price / E8 - 59_950.0) / deviation))
    assert seen.price_age_s == pytest.approx(1.0)
    assert seen.fair_value_confidence == 1.0
    assert seen.seconds_left == pytest.approx(599)


def test_a_recorded_price_to_beat_goes_before_the_window():
    window = filled_window(OPENS + 300)
    window.observe(average(OPENS, 59_950.0))
    assert see(window, OPENS + 301, price_to_beat=1).price_to_beat == 1


def test_the_closing_average_enters_in_the_last_minute():
    window = filled_window(CLOSES - 60)
    for second in range(CLOSES - 59, CLOSES - 9):
        window.observe(settlement(second, 59_000.0))
    window.observe(settlement(CLOSES - 9, 60_100.0))
    seen = see(window, CLOSES - 8, price_to_beat=60_000 * E8)
    assert seen.average is not None
    assert seen.average < 59_100 * E8
    assert seen.fair_value_up == pytest.approx(0.0, abs=1e-6)


def test_before_the_open_the_opening_average_is_used():
    window = filled_window(OPENS - 60)
    for second in range(OPENS - 59, OPENS - 9):
        window.observe(settlement(second, 60_000.0))
    window.observe(settlement(OPENS - 9, 60_030.0))
    seen = see(window, OPENS - 8)
    assert seen.price_to_beat is None
    assert seen.fair_value_up is not None
    assert seen.fair_value_up > 0.55
    assert see(window, OPENS - 100).fair_value_up == 0.5


def test_a_scale_widens_the_volatility():
    window = filled_window(OPENS + 300)
    narrow, wide = see(window, OPENS + 301), see(window, OPENS + 301, volatility_scale=2.0)
    assert wide.sigma == pytest.approx(2.0 * (narrow.sigma or 0.0))


def test_confidence_falls_with_age_and_quarrel():
    window = filled_window(OPENS + 300)
    fresh, old, ancient = (see(window, OPENS + 300 + age).fair_value_confidence for age in (0, 6, 60))
    assert fresh == 1.0
    assert old == pytest.approx(0.5)
    assert ancient == 0.0
    for second in range(OPENS + 301, OPENS + 320):
        window.observe(spot(second, 60_000.0))
        window.observe(settlement(second, 60_000.0))
    window.observe(spot(OPENS + 320, 65_000.0))
    assert see(window, OPENS + 320).fair_value_confidence == pytest.approx(0.5)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="look-back"):
        see(PriceWindow("BTC"), OPENS, market=replace(MARKET, rule=ResolutionRule(ResolutionKind.AVERAGE, 0)))
