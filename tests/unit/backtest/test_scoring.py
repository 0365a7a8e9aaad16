"""Scores of forecasters: worked figures, windows as observations, honest words."""

from __future__ import annotations

import math
from random import Random

import pytest

from polystra.backtest.scoring import (
    Forecast,
    brier,
    difference,
    log_loss,
    mean_score,
    reliability,
    total,
    verdict,
)


def forecast(window: int, up: bool, left: int = 60, **probabilities: float) -> Forecast:
    return Forecast(window=f"w{window}", block=window // 2, seconds_left=left, probabilities=probabilities, up=up)


def test_worked_scores():
    assert brier(0.8, True) == pytest.approx(0.04)
    assert brier(0.8, False) == pytest.approx(0.64)
    assert log_loss(0.8, True) == pytest.approx(-math.log(0.8))
    assert log_loss(1.0, False) == pytest.approx(-math.log(1e-4))


def test_a_window_is_one_observation_however_often_it_was_forecast():
    often = [forecast(0, True, left, a=0.9) for left in (240, 180, 120, 60)]
    once = [forecast(2, False, a=0.9)]
    assert mean_score(often + once, "a", brier).mean == pytest.approx((0.01 + 0.81) / 2)
    assert mean_score(often + once, "a", brier).blocks == 2


def test_the_same_forecasts_are_not_distinguishable():
    same = [forecast(n, bool(n % 2), a=0.6, b=0.6) for n in range(50)]
    interval = difference(same, "a", "b", brier)
    assert (interval.mean, interval.low, interval.high) == (0.0, 0.0, 0.0)
    assert verdict(interval, "a", "b") == "a and b are not distinguishable"


def test_a_forecaster_that_knows_is_better_and_chance_is_not():
    chance = Random(5)
    seen = []
    for n in range(300):
        p = chance.random()
        noise = min(0.99, max(0.01, p + chance.uniform(-0.01, 0.01)))
        seen.append(forecast(n, chance.random() < p, knows=p, guesses=0.5, almost=noise))
    assert verdict(difference(seen, "knows", "guesses", brier), "knows", "guesses") == "knows is better than guesses"
    assert verdict(difference(seen, "guesses", "knows", brier), "guesses", "knows") == "knows is better than guesses"
    assert "not distinguishable" in verdict(difference(seen, "knows", "almost", brier), "knows", "almost")


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for run in range(60):
        chance = Random(f"run {run}")
        seen = [forecast(2 * n, chance.random() < 0.5, a=0.5 if n % 2 else 0.7) for n in range(80)]
        interval = mean_score(seen, "a", brier, seed=run)
        covered += interval.low <= (0.25 + 0.5 * (0.09 + 0.49)) / 2 <= interval.high
    assert 50 <= covered <= 60


def test_one_block_proves_nothing():
    seen = [forecast(0, True, a=0.9, b=0.1), forecast(1, True, a=0.9, b=0.1)]
    assert verdict(difference(seen, "a", "b", brier), "a", "b") == "too few windows to tell a from b"


def test_reliability_counts_what_came():
    seen = [forecast(n, n < 3, a=0.72) for n in range(4)] + [forecast(9, True, a=1.0)]
    bins = reliability(seen, "a")
    assert [(b.low, b.count, b.share_up) for b in bins] == [(0.7, 4, 0.75), (0.9, 1, 1.0)]
    assert bins[0].mean == pytest.approx(0.72)


def test_profits_are_summed_and_resampled_by_block():
    interval = total({1: [1.0, 2.0], 2: [-1.0], 3: [4.0]})
    assert interval.mean == pytest.approx(6.0)
    assert interval.low < 6.0 < interval.high


def test_nothing_to_score_is_said():
    with pytest.raises(ValueError, match="no forecast"):
        mean_score([], "a", brier)
