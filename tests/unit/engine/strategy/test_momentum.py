import math

import pytest

from polystra.engine.strategy.momentum import LARGEST_LLR, STRENGTH, momentum
from polystra.engine.strategy.prices import PriceWindow

from .scene import filled_window, settlement

T = 1_800_000_000


def test_without_data_it_is_missing():
    assert momentum(PriceWindow("BTC")).is_missing
    assert momentum(filled_window(T, seconds=50)).is_missing


def test_without_the_price_of_then_it_is_missing():
    assert momentum(filled_window(T), horizon_s=10_000).is_missing


def test_a_rise_points_up_and_a_fall_down_by_as_much():
    signals = []
    for change in (3.0, -3.0):
        window = filled_window(T)
        base = window.price_at(T - 29)
        assert base is not None
        window.observe(settlement(T + 1, base / 1e8 + change))
        signals.append(momentum(window))
    up, down = signals
    assert up.bias > 0.0 > down.bias
    assert up.llr is not None
    assert up.llr == pytest.approx(-(down.llr or 0.0), rel=0.05)
    assert 0.0 < up.confidence <= 1.0


def test_a_jump_moves_the_odds_no_further_than_the_cap():
    window = filled_window(T)
    window.observe(settlement(T + 1, 63_000.0))
    signal = momentum(window)
    assert signal.llr == LARGEST_LLR
    assert signal.bias == pytest.approx(1.0)


def test_the_odds_move_by_the_strength_per_standard_deviation():
    window = filled_window(T)
    base, sigma = window.price_at(T - 29), window.sigma
    assert base is not None
    assert sigma is not None
    window.observe(settlement(T + 1, base / 1e8 * (1.0 + sigma * math.sqrt(30))))
    signal = momentum(window)
    assert signal.llr == pytest.approx(STRENGTH, rel=0.1)
    assert signal.bias == pytest.approx(math.tanh(0.5), rel=0.1)
