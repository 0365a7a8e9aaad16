"""Looks made up with a known truth: a market's price, a fair value that knows more or nothing, and noise."""

from __future__ import annotations

from random import Random

from polystra.backtest.calibration.looks import Look
from polystra.engine.strategy.fair_value import normal_cdf
from polystra.engine.strategy.signal import Reading, clamp_probability, logistic, logit

FIRST_S = 1_800_000_000


def made(windows: int, *, edge: float, seed: int = 1, scale: float = 1.0, window_s: int = 300) -> list[Look]:
    """`edge` is how much of the fair value's step away from the market is true; `scale` of the true volatility."""
    chance = Random(f"{seed}:{edge}")
    looks: list[Look] = []
    for number in range(windows):
        closes_s = FIRST_S + (number + 1) * 300
        deviations = chance.gauss(0.0, 0.7)
        fair = clamp_probability(normal_cdf(deviations / scale))
        prior = clamp_probability(logistic(logit(fair) + chance.gauss(0.0, 0.8)))
        true = logistic(logit(prior) + edge * (logit(fair) - logit(prior)))
        up = chance.random() < true
        imbalance, move = chance.uniform(-1.0, 1.0), chance.gauss(0.0, 1.0)
        looks += [
            Look(
                window=f"btc-updown-{number:05d}",
                symbol="BTC",
                window_s=window_s,
                block=closes_s,
                seconds_left=left_s,
                prior=prior,
                deviations=deviations,
                quality=1.0,
                readings=(
                    Reading("book_imbalance", imbalance, imbalance, 1.0),
                    Reading("momentum", move, 0.5 * move, 1.0),
                ),
                up=up,
            )
            for left_s in (240, 90, 45, 20)
        ]
    return looks
