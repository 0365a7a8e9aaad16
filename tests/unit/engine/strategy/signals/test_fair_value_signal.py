import pytest

from polystra.engine.strategy.signal import bias_of, logit
from polystra.engine.strategy.signals.fair_value import read


def test_it_is_the_difference_of_log_odds_to_the_market():
    reading = read(0.7, 0.5, 0.9)
    assert reading.value == pytest.approx(logit(0.7))
    assert reading.bias == pytest.approx(bias_of(logit(0.7)))
    assert reading.confidence == 0.9
    assert read(0.7, 0.7, 0.9).value == 0.0
    assert (read(0.4, 0.6, 1.0).value or 0.0) < 0.0


def test_certainty_stays_finite():
    assert read(1.0, 0.0, 1.0).value == pytest.approx(2 * logit(0.995))


def test_without_a_fair_value_it_says_so():
    assert (read(None, 0.5, 1.0).value, read(None, 0.5, 1.0).reason) == (None, "no fair value")
