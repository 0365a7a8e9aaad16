import math

import pytest

from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.signals.momentum import read
from tests.unit.engine.strategy.scene import filled_window, settlement

T = 1_800_000_000


def test_without_data_it_says_why():
    for window in (PriceWindow("BTC"), filled_window(T, seconds=50)):
        assert read(window).value is None
        assert read(window).reason == "no price or volatility"


def test_without_the_price_of_then_it_says_so():
    reading = read(filled_window(T), horizon_s=10_000)
    assert (reading.value, reading.reason) == (None, "no price of 10000 s ago")


def test_a_rise_points_up_and_a_fall_down_by_as_much():
    readings = []
    for change in (3.0, -3.0):
        window = filled_window(T)
        base = window.price_at(T - 29)
        assert base is not None
        window.observe(settlement(T + 1, base / 1e8 + change))
        readings.append(read(window))
    up, down = readings
    assert up.bias > 0.0 > down.bias
    assert up.value is not None
    assert up.value == pytest.approx(-(down.value or 0.0), rel=0.05)
    assert 0.0 < up.confidence <= 1.0


def test_the_value_is_the_move_in_standard_deviations():
    window = filled_window(T)
    base, sigma = window.price_at(T - 29), window.sigma
    assert base is not None
    assert sigma is not None
    window.observe(settlement(T + 1, base / 1e8 * (1.0 + sigma * math.sqrt(30))))
    reading = read(window)
    assert reading.value == pytest.approx(1.0, rel=0.1)
    assert reading.bias == pytest.approx(math.tanh(0.5), rel=0.1)
