"""Momentum: does the settlement feed's move of the last half minute say anything?

What lives here: one signal. What must not: its strength (the calibration).

Formula: value = ln(S_t / S_(t-30 s)) / (sigma sqrt(30 s)), the move in units of its own standard deviation. Source:
time-series momentum (Moskowitz, Ooi and Pedersen 2012) on the horizon of practitioners' bots for these markets. The
price itself is in the fair value already: what is left is only whether moves go on (positive strength) or turn back.
"""

from __future__ import annotations

import math
from typing import Final

from polystra.engine.strategy.prices import PriceWindow
from polystra.engine.strategy.signal import Reading, unread

NAME: Final = "momentum"
SHARE: Final = 0.1
HORIZON_S: Final = 30
FULL_CONFIDENCE_SAMPLES: Final = 180


def read(window: PriceWindow, horizon_s: int = HORIZON_S) -> Reading:
    """Return the reading of the move over `horizon_s` seconds."""
    sigma, last = window.sigma, window.settlement_price
    if sigma is None or last is None:
        return unread(NAME, "no price or volatility")
    before = window.price_at(window.settlement_s - horizon_s)
    if before is None:
        return unread(NAME, f"no price of {horizon_s} s ago")
    score = math.log(last / before) / (sigma * math.sqrt(horizon_s))
    return Reading(NAME, score, math.tanh(0.5 * score), min(1.0, window.volatility_samples / FULL_CONFIDENCE_SAMPLES))
