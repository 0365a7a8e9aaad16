"""Fair value: what a driftless random walk says beyond the market's own price.

What lives here: one signal. What must not: the formula itself (`strategy.fair_value`), its strength (the calibration).

Formula: value = logit P - logit prior, with P = Phi((mean - K) / sqrt(variance)), mean and variance of the average
(or last price) that the market settles on. Source: the digital option of a Brownian motion (Bachelier 1900; Reiner
and Rubinstein 1991), for an average the mean and variance of the integral of a Brownian motion; the rule by which
markets settle is the venue's (Polymarket CLOB docs, resolution of crypto markets). The difference of log-odds is what
a log-odds pool of two forecasters adds to one of them (Satopaa et al. 2014); at strength 1 the market is ignored, at
0 it is believed.
"""

from __future__ import annotations

from typing import Final

from polystra.engine.strategy.signal import Reading, bias_of, logit, unread

NAME: Final = "fair_value"
SHARE: Final = 0.7
"""Of the additive score: it rests on the settlement's own rule."""


def read(fair_value_up: float | None, prior: float, confidence: float) -> Reading:
    """Return the reading; `confidence` is the quality of price and volatility in [0, 1]."""
    if fair_value_up is None:
        return unread(NAME, "no fair value")
    value = logit(fair_value_up) - logit(prior)
    return Reading(NAME, value, bias_of(value), confidence)
