"""What an up/down market is worth to the exchange's own traders.

What lives here: the probability of Up on an average of the settlement feed, as floats. What must not:
anybody's mistakes in it (`makers`), money. Shares no code with the daemon's own valuation.
"""

from __future__ import annotations

import math

from polystra.exchange.prices import PricePath


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * (1.0 + math.erf(x * 0.7071067811865476))


def average_so_far(path: PricePath, first_s: int, last_s: int) -> float:
    """Return the mean of the held ticks in [first_s, last_s]."""
    return sum(path.held(second) for second in range(first_s, last_s + 1)) / (last_s - first_s + 1)


def fair_up(
    *, spot: float, strike: float, volatility: float, left_s: float, lookback_s: float, average: float | None
) -> tuple[float, float]:
    """Return P(Up) and its standard deviation over the next second, for a market on an average.

    `volatility` is absolute per square root of a second; `average` is the mean of the averaged
    part so far (None before it begins). The mean of a Brownian path over the last `lookback_s`
    has variance v^2 (t + L/3) before the averaging starts and v^2 r^3 / (3 L^2) inside it.
    """
    if average is None or left_s >= lookback_s:
        mean, variance = spot, volatility**2 * (max(left_s - lookback_s, 0.0) + lookback_s / 3)
        weight = 1.0
    else:
        weight = left_s / lookback_s
        mean = (1 - weight) * average + weight * spot
        variance = volatility**2 * left_s**3 / (3 * lookback_s**2)
    deviation = math.sqrt(variance) + 1e-9 * spot + 1e-12
    z = (mean - strike) / deviation
    density = 0.3989422804 * math.exp(-0.5 * z * z) if abs(z) < 8 else 0.0
    return normal_cdf(z), density * volatility * weight / deviation
