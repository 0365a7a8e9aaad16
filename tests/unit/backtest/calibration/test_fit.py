from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from polystra.backtest.calibration.fit import EDGES_S, fit, fit_scales, forecast
from polystra.backtest.calibration.gate import judge
from polystra.backtest.calibration.splits import split_by_time
from polystra.backtest.scoring import FEWEST
from polystra.engine.strategy.calibration import UNFITTED
from polystra.engine.strategy.fusion import Fusion, FusionWeights

from .made_looks import made

WEIGHTS = FusionWeights()


def signals(looks):
    return {each.name: each for each in fit(looks).signals}


def test_a_signal_that_knows_something_is_kept_with_its_strength():
    found = signals(made(450, edge=0.8))["fair_value"]
    assert found.kept
    assert found.out_of_sample is not None
    assert found.out_of_sample.high < 0.0
    known = [strength for strength in found.by_bucket if strength is not None]
    assert known
    assert all(0.4 < strength < 1.1 for strength in known)


def test_noise_is_left_out_or_nearly_nothing():
    for name, found in signals(made(200, edge=0.0, seed=3)).items():
        assert all(abs(strength or 0.0) < 0.3 for strength in found.by_bucket), name
        if not found.kept:
            assert found.reason.startswith("left out: log loss out of sample +")
            assert all(strength in {0.0, None} for strength in found.by_bucket)


def test_few_windows_leave_it_unknown():
    found = signals(made(2 * FEWEST - 1, edge=1.0))
    for each in found.values():
        assert each.by_bucket == (None,) * (len(EDGES_S) + 1)
        assert each.reason.startswith(f"unknown: {2 * FEWEST - 1} independent windows")
        assert each.out_of_sample is None


def test_without_a_market_price_nothing_is_known_of_signals_and_the_volatility_still_is():
    looks = [replace(look, prior=None) for look in made(100, edge=1.0)]
    found = fit(looks)
    assert all(strength is None for each in found.signals for strength in each.by_bucket)
    assert [scale.symbol for scale in found.scales] == ["BTC"]


def test_a_stretch_of_time_that_nobody_recorded_is_unknown():
    found = signals([look for look in made(150, edge=0.9) if look.seconds_left > 30])["fair_value"]
    assert found.by_bucket[0] is None
    assert found.by_bucket[1] is not None
    assert found.windows == (0, 150, 150, 150, 0)


@pytest.mark.parametrize("true", [0.7, 1.0, 1.6])
def test_the_volatility_is_scaled_to_what_makes_the_outcomes_most_likely(true):
    (found,) = fit_scales(made(500, edge=1.0, scale=true))
    assert found.low < true < found.high
    assert found.scale == pytest.approx(true, rel=0.35)


def test_no_forecast_without_a_market_price_and_none_but_its_own_without_a_fit():
    look = made(1, edge=1.0)[0]
    assert forecast(replace(look, prior=None), UNFITTED, WEIGHTS, Fusion.BAYESIAN) is None
    assert forecast(look, UNFITTED, WEIGHTS, Fusion.BAYESIAN) == pytest.approx(look.prior)


# --- the fit cannot see what it is tested on ----------------------------------------------


def test_changing_the_outcomes_of_the_tested_windows_changes_nothing_that_is_fitted():
    looks = made(150, edge=0.5)
    train, test = split_by_time(looks, 0.3)
    tested = {look.window for look in test}
    turned = [replace(look, up=not look.up) if look.window in tested else look for look in looks]
    before, after = fit(train), fit(split_by_time(turned, 0.3)[0])
    assert msgspec.json.encode(after) == msgspec.json.encode(before)
    gates = [
        judge(part, before.calibration(), WEIGHTS, Fusion.BAYESIAN) for part in (test, split_by_time(turned, 0.3)[1])
    ]
    assert gates[0] != gates[1]


def test_changing_one_outcome_that_was_fitted_on_is_noticed():
    """The comparison above can fail."""
    looks = made(150, edge=0.5)
    train, _ = split_by_time(looks, 0.3)
    first = train[0].window
    turned = [replace(look, up=not look.up) if look.window == first else look for look in train]
    assert msgspec.json.encode(fit(turned)) != msgspec.json.encode(fit(train))


def test_the_fit_is_the_same_every_time_and_in_any_order_of_its_windows():
    looks = made(120, edge=0.5)
    assert msgspec.json.encode(fit(looks)) == msgspec.json.encode(fit(list(looks)))


# --- the gate -----------------------------------------------------------------------------


def test_the_gate_opens_for_what_knows_more_than_the_market():
    train, test = split_by_time(made(500, edge=1.0), 0.5)
    gate = judge(test, fit(train).calibration(), WEIGHTS, Fusion.BAYESIAN)
    assert gate.passed
    assert gate.log_loss is not None
    assert gate.log_loss.high < 0.0
    assert gate.brier is not None
    assert gate.brier.high < 0.0


def test_the_gate_stays_closed_for_noise_and_says_by_how_much():
    train, test = split_by_time(made(200, edge=0.0), 0.5)
    gate = judge(test, fit(train).calibration(), WEIGHTS, Fusion.ADDITIVE)
    assert not gate.passed
    assert gate.words.startswith("not better than the market's own price: log loss less the market's ")


def test_the_gate_stays_closed_for_the_market_itself():
    gate = judge(made(100, edge=0.5), UNFITTED, WEIGHTS, Fusion.BAYESIAN)
    assert not gate.passed


def test_the_gate_stays_closed_for_few_windows_or_none_to_compare():
    few = judge(made(FEWEST - 1, edge=1.0), fit(made(120, edge=1.0)).calibration(), WEIGHTS, Fusion.BAYESIAN)
    assert few.words == f"only {FEWEST - 1} independent windows were tested, {FEWEST} are needed"
    assert not few.passed
    none = judge([replace(look, prior=None) for look in made(50, edge=1.0)], UNFITTED, WEIGHTS, Fusion.BAYESIAN)
    assert (none.passed, none.words) == (False, "no tested window has a market's price to compare with")
