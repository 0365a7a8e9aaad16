"""What the strategy sees of one market at one moment.

What lives here: the gathering of prices, volatility, fair value and books into one value.
What must not: thresholds, sizes, decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, PriceE8
from polystra.engine.strategy.fair_value import checked_lookback, deviations_up, normal_cdf
from polystra.engine.strategy.prices import PriceWindow, RunningAverage
from polystra.engine.strategy.signal import Reading
from polystra.engine.strategy.signals import momentum

FULL_CONFIDENCE_SAMPLES: Final = 180
FRESH_S: Final = 2.0
STALE_S: Final = 10.0
"""Age of the settlement feed at which the inputs are worth nothing; up to `FRESH_S` it takes nothing away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """One market now. Prices of the symbol are 10^-8 dollars; `sigma` is relative, per square root of a second.

    `bankroll` and `exposure_left` are micro-dollars that the account and the risk limits allow.
    """

    market: Market
    now_ns: Nanos
    up_book: OrderBook
    down_book: OrderBook
    price_to_beat: PriceE8 | None
    settlement_price: PriceE8 | None
    price: PriceE8 | None
    """Where the settlement feed is going (spot with the basis taken out)."""
    price_age_s: float | None
    sigma: float | None
    average: float | None
    """Average so far inside the closing period."""
    deviations_up: float | None
    """By how many standard deviations the settlement is expected above the price to beat."""
    fair_value_up: float | None
    fair_value_confidence: float
    momentum: Reading
    bankroll: MicroDollars
    exposure_left: MicroDollars

    @property
    def seconds_left(self) -> float:
        """Seconds until the window closes."""
        return self.market.closes_at_s - self.now_ns / NS_PER_S


def observe(
    market: Market,
    window: PriceWindow,
    up_book: OrderBook,
    down_book: OrderBook,
    *,
    now_ns: Nanos,
    bankroll: MicroDollars,
    exposure_left: MicroDollars,
    price_to_beat: PriceE8 | None = None,
    volatility_scale: float = 1.0,
) -> MarketView:
    """Return the view of `market` at `now_ns`.

    `price_to_beat` is what the engine already recorded for the market; without it the window is asked.

    Raises:
        ValueError: the market's resolution rule has no fair value formula.
    """
    lookback = checked_lookback(market.rule)
    known = price_to_beat if price_to_beat is not None else window.price_to_beat(market.opens_at_s, lookback)
    price, sigma = window.predicted_price, window.sigma
    if sigma is not None:
        sigma *= volatility_scale
    now_s = now_ns / NS_PER_S
    closing = _average_until(window, market.closes_at_s, lookback, now_s)
    opening = _average_until(window, market.opens_at_s, lookback, now_s) if known is None else None
    deviations = None
    if price is not None and sigma is not None:
        deviations = deviations_up(
            market.rule,
            now_s=now_s,
            opens_at_s=market.opens_at_s,
            closes_at_s=market.closes_at_s,
            price=price,
            sigma=sigma * price,
            price_to_beat=known,
            closing_average=closing,
            opening_average=opening,
        )
    age = None if price is None else now_s - window.settlement_at_ns / NS_PER_S
    return MarketView(
        market=market,
        now_ns=now_ns,
        up_book=up_book,
        down_book=down_book,
        price_to_beat=known,
        settlement_price=window.settlement_price,
        price=price,
        price_age_s=age,
        sigma=sigma,
        average=closing.average if closing is not None and closing.elapsed_s > 0 else None,
        deviations_up=deviations,
        fair_value_up=None if deviations is None else normal_cdf(deviations),
        fair_value_confidence=_confidence(window, age),
        momentum=momentum.read(window),
        bankroll=bankroll,
        exposure_left=exposure_left,
    )


def _average_until(window: PriceWindow, end_s: int, lookback: int, now_s: float) -> RunningAverage | None:
    """The average so far of the period that ends at `end_s`, None before it has begun."""
    return window.running_average(end_s, lookback) if now_s > end_s - lookback else None


def _confidence(window: PriceWindow, age_s: float | None) -> float:
    """Quality of the inputs in [0, 1]: enough returns, a fresh feed, and no quarrel between feed and spot."""
    if age_s is None:
        return 0.0
    samples = min(1.0, window.volatility_samples / FULL_CONFIDENCE_SAMPLES)
    freshness = 1.0 - min(1.0, max(0.0, (age_s - FRESH_S) / (STALE_S - FRESH_S)))
    return (0.5 + 0.5 * samples) * freshness * (1.0 if window.feeds_agree else 0.5)
