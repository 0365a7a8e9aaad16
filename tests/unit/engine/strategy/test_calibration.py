import pytest

from polystra.engine.strategy.calibration import LARGEST_SHIFT, NO_FILE, UNFITTED, Calibration, Strength
from polystra.engine.strategy.signal import Reading, unread

FITTED = Calibration(
    digest="d",
    edges_s=(30, 60),
    strengths=(
        Strength(name="fair_value", by_bucket=(0.2, 0.5, None), reason="more than 60 s before the close: 3 windows"),
        Strength(name="momentum", by_bucket=(0.0, -0.1, 0.1)),
    ),
    covariances=tuple(((0.04, 0.01), (0.01, 0.09)) for _ in range(3)),
    volatility_scales=(("BTC", 1.2),),
    reason="it was not there when the calibration was made",
)


def reading(name: str, value: float) -> Reading:
    return Reading(name, value, 0.5, 0.9)


def test_before_anything_is_fitted_the_strength_is_unknown_and_says_so():
    (signal,) = UNFITTED.weigh([reading("fair_value", 2.0)], 45.0)
    assert (signal.llr, signal.reason) == (0.0, NO_FILE)
    assert (signal.value, signal.bias, signal.confidence) == (2.0, 0.5, 0.9)
    assert UNFITTED.variance({"fair_value": 2.0}, 45.0) is None
    assert UNFITTED.volatility_scale("BTC") == 1.0


@pytest.mark.parametrize(("seconds", "strength"), [(1, 0.2), (30, 0.2), (30.1, 0.5), (60, 0.5)])
def test_the_strength_is_that_of_the_time_before_the_close(seconds, strength):
    assert FITTED.weigh([reading("fair_value", 0.5)], seconds)[0].llr == pytest.approx(0.5 * strength)


def test_a_stretch_of_time_without_a_fit_is_unknown():
    (signal,) = FITTED.weigh([reading("fair_value", 0.5)], 61.0)
    assert (signal.llr, signal.reason) == (0.0, "more than 60 s before the close: 3 windows")


def test_a_signal_that_the_file_does_not_know_is_unknown():
    (signal,) = FITTED.weigh([reading("book_imbalance", 0.5)], 45.0)
    assert (signal.llr, signal.reason) == (0.0, "it was not there when the calibration was made")


def test_a_signal_without_data_is_missing():
    (signal,) = FITTED.weigh([unread("fair_value", "no fair value")], 45.0)
    assert signal.is_missing
    assert signal.reason == "no fair value"


def test_no_signal_moves_the_odds_beyond_the_cap():
    assert FITTED.weigh([reading("fair_value", -500.0)], 45.0)[0].llr == -LARGEST_SHIFT


def test_uncertain_strengths_make_an_uncertain_sum():
    expected = 4 * 0.04 + 2 * 2 * -1 * 0.01 + 1 * 0.09
    assert FITTED.variance({"fair_value": 2.0, "momentum": -1.0}, 45.0) == pytest.approx(expected)
    assert FITTED.variance({}, 45.0) == 0.0
    assert FITTED.volatility_scale("BTC") == 1.2
    assert FITTED.volatility_scale("ETH") == 1.0
