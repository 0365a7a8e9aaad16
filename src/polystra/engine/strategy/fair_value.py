"""P(Up) of a market that settles on averages of the settlement feed, or on its last price.

What lives here: the closed forms for a driftless random walk. What must not: estimation of
price or volatility, the market's own price, decisions.

The window is [T0, T], the look-back L. K is the feed's average over [T0-L, T0], X its
average over [T-L, T]; Up wins when X >= K. With price S and volatility s (same unit as the
price, per square root of a second):

- before averaging, t <= T-L: mean S, variance s^2 ((T-L-t) + L/3);
- inside, with e seconds averaged to A and r = L-e left: mean (e/L) A + (r/L) S, variance
  s^2 r^3 / (3 L^2);
- before T0 the price to beat is random too: with r0 seconds of its period left, e0 averaged to
  A0, X-K has mean (e0/L)(S - A0) and variance s^2 ((T-L-t) + L/3 + r0^3/(3 L^2) - r0^2/L);
  before its period starts X-K has mean 0 and variance s^2 ((T-T0) - L/3).

A market that settles on the last price is the same with L = 0.
"""

from __future__ import annotations

import math
from typing import Final

from polystra.domain.market import ResolutionKind, ResolutionRule
from polystra.engine.strategy.prices import RunningAverage

_ROOT_HALF: Final = math.sqrt(0.5)


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function at `z`."""
    return 0.5 * math.erfc(-z * _ROOT_HALF)


def probability_up(
    rule: ResolutionRule,
    *,
    now_s: float,
    opens_at_s: int,
    closes_at_s: int,
    price: float,
    sigma: float,
    price_to_beat: float | None,
    closing_average: RunningAverage | None = None,
    opening_average: RunningAverage | None = None,
) -> float | None:
    """Return P(Up) in [0, 1], or None when the price to beat should be known and is not; arguments as `deviations_up`.

    Raises:
        ValueError: the rule is not one that this formula is for, or the window is shorter than its look-back.
    """
    deviations = deviations_up(
        rule,
        now_s=now_s,
        opens_at_s=opens_at_s,
        closes_at_s=closes_at_s,
        price=price,
        sigma=sigma,
        price_to_beat=price_to_beat,
        closing_average=closing_average,
        opening_average=opening_average,
    )
    return None if deviations is None else normal_cdf(deviations)


def deviations_up(
    rule: ResolutionRule,
    *,
    now_s: float,
    opens_at_s: int,
    closes_at_s: int,
    price: float,
    sigma: float,
    price_to_beat: float | None,
    closing_average: RunningAverage | None = None,
    opening_average: RunningAverage | None = None,
) -> float | None:
    """Return by how many standard deviations the settlement is expected above the price to beat; P(Up) = Phi of it.

    It is None when the price to beat should be known and is not, and infinite when nothing is open any more (ties go
    Up).

    Args:
        rule: the market's resolution rule.
        now_s: UTC seconds.
        opens_at_s: start of the window, UTC seconds.
        closes_at_s: end of the window, UTC seconds.
        price: the settlement feed's level now; any unit, the same for all prices.
        sigma: absolute volatility in that unit per square root of a second, not negative.
        price_to_beat: K when it is known.
        closing_average: average so far of the period that ends at `closes_at_s`.
        opening_average: average so far of the period that ends at `opens_at_s`.

    Raises:
        ValueError: the rule is not one that this formula is for, or the window is shorter than its look-back.
    """
    lookback = checked_lookback(rule)
    if closes_at_s - opens_at_s < lookback:
        raise ValueError(f"window of {closes_at_s - opens_at_s} s is shorter than its look-back of {lookback} s")
    if price_to_beat is not None:
        mean, seconds = _closing(lookback, now_s, closes_at_s, price, closing_average)
        return _deviations(mean - price_to_beat, seconds, sigma)
    if now_s >= opens_at_s:
        return None
    mean, seconds = _both_unknown(lookback, opens_at_s, closes_at_s, price, opening_average)
    return _deviations(mean, seconds, sigma)


def checked_lookback(rule: ResolutionRule) -> int:
    """Return the look-back in seconds, 0 for the last price; raises ValueError for a look-back that cannot be."""
    if rule.kind is ResolutionKind.LAST:
        return 0
    if rule.kind is not ResolutionKind.AVERAGE:
        raise ValueError(f"resolution rule {rule.kind!r} has no fair value formula; trade only average-price markets")
    if rule.lookback_s <= 0:
        raise ValueError(f"look-back of {rule.lookback_s} s in a resolution rule; expected a positive number")
    return rule.lookback_s


def _closing(
    lookback: int, now_s: float, closes_at_s: int, price: float, average: RunningAverage | None
) -> tuple[float, float]:
    """Mean of the closing average, and its variance in seconds of the random walk."""
    if average is None or average.elapsed_s == 0:
        return price, max(0.0, closes_at_s - lookback - now_s) + lookback / 3.0
    elapsed = average.elapsed_s
    left = lookback - elapsed
    mean = (elapsed * average.average + left * price) / lookback
    return mean, left**3 / (3.0 * lookback**2)


def _both_unknown(
    lookback: int, opens_at_s: int, closes_at_s: int, price: float, average: RunningAverage | None
) -> tuple[float, float]:
    """Mean and variance (in seconds) of the closing average minus the opening one."""
    if average is None or average.elapsed_s == 0:
        return 0.0, (closes_at_s - opens_at_s) - lookback / 3.0
    elapsed = average.elapsed_s
    left = lookback - elapsed
    to_closing = closes_at_s - lookback - (opens_at_s - left)
    seconds = to_closing + lookback / 3.0 + left**3 / (3.0 * lookback**2) - left**2 / lookback
    return elapsed * (price - average.average) / lookback, seconds


def _deviations(distance: float, seconds: float, sigma: float) -> float:
    """A distance in its standard deviations; nothing is uncertain any more: infinite, 0 counting as above."""
    deviation = sigma * math.sqrt(max(0.0, seconds))
    if deviation <= 0.0:
        return math.inf if distance >= 0.0 else -math.inf
    return distance / deviation
