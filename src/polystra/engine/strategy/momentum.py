"""Momentum: does the settlement feed's move of the last half minute say anything?

What lives here: one signal. What must not: fusion, weights, thresholds.

Its strength is a guess and not calibrated: nothing shows that a half-minute move predicts
the rest of the window once the price itself is in the fair value. It is kept small, capped,
and has a low weight by default; set its weight to 0 to be rid of it.
"""

from __future__ import annotations

import math
from typing import Final

from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.signal import Signal, clamp, missing

NAME: Final = "momentum"
HORIZON_S: Final = 30
STRENGTH: Final = 0.10
"""Log-likelihood ratio per standard deviation of the move (uncalibrated)."""
LARGEST_LLR: Final = 0.25
FULL_CONFIDENCE_SAMPLES: Final = 180


def momentum(window: PriceWindow, horizon_s: int = HORIZON_S) -> Signal:
    """Return the signal of the move over `horizon_s` seconds, in units of its own standard deviation."""
    sigma, last = window.sigma, window.settlement_price
    if sigma is None or last is None:
        return missing(NAME)
    before = window.price_at(window.settlement_s - horizon_s)
    if before is None:
        return missing(NAME)
    score = math.log(last / before) / (sigma * math.sqrt(horizon_s))
    llr = clamp(STRENGTH * score, -LARGEST_LLR, LARGEST_LLR)
    confidence = min(1.0, window.volatility_samples / FULL_CONFIDENCE_SAMPLES)
    return Signal(NAME, math.tanh(0.5 * score), confidence, llr)
