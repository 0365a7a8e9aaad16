"""A forecaster that needs no engine: the plain digital on the settlement feed, or on spot where there is no feed.

What lives here: one estimate of volatility that bears gaps, and the closed form. What must not: the market's price.

P(Up) is the closed form of `engine.strategy.fair_value` with the last price told and the volatility of the last half
hour: the sum of squared log returns over the sum of their seconds, returns taken over `STEP_S` or longer. So it is
there where ticks are seconds or minutes apart and the engine's own estimate, which wants a tick a second, is not.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.engine.strategy.fair_value import checked_lookback, probability_up
from polystra.engine.strategy.prices import LATE_S, PriceWindow

STEP_S: Final = 5
LONGEST_RETURN_S: Final = 600
"""A return over a longer gap is no return of this session."""
HORIZON_S: Final = 1_800
FEWEST_RETURNS: Final = 12
MOST_AGE_S: Final = 30


class _Series:
    """Prices of one symbol from one source."""

    def __init__(self, symbol: str) -> None:
        self.window = PriceWindow(symbol)
        self.told_ns: Nanos = 0
        self._last: tuple[int, float] | None = None
        self._returns: deque[tuple[int, int, float]] = deque()
        """Second, length in seconds, squared log return."""

    def observe(self, tick: PriceTicked, now_ns: Nanos) -> None:
        self.window.observe(
            PriceTicked(symbol=tick.symbol, source=PriceSource.SETTLEMENT, price=tick.price, at_ns=tick.at_ns)
        )
        self.told_ns = now_ns
        second = tick.at_ns // NS_PER_S
        last = self._last
        if last is not None and second - last[0] < STEP_S:
            return
        level = math.log(tick.price)
        self._last = (second, level)
        if last is not None and second - last[0] <= LONGEST_RETURN_S:
            self._returns.append((second, second - last[0], (level - last[1]) ** 2))
            while self._returns[0][0] < second - HORIZON_S:
                self._returns.popleft()

    @property
    def sigma(self) -> float | None:
        """Relative, per square root of a second."""
        if len(self._returns) < FEWEST_RETURNS:
            return None
        return math.sqrt(math.fsum(r for _, _, r in self._returns) / sum(s for _, s, _ in self._returns))


class Digital:
    """Told of every price, asked for P(Up)."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, PriceSource], _Series] = {}
        self._beat: dict[str, PriceE8] = {}
        """The price to beat by slug, once it is known."""
        self._waiting: dict[str, list[Market]] = {}
        self._stand_ins: dict[str, None] = {}

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Symbols that had to be forecast from spot."""
        return tuple(self._stand_ins)

    def listed(self, market: Market) -> None:
        """Learn this market's price to beat when it opens."""
        self._waiting.setdefault(market.symbol, []).append(market)

    def settled(self, market: Market) -> None:
        """Forget a market."""
        self._beat.pop(market.slug, None)

    def observe(self, tick: PriceTicked, now_ns: Nanos) -> None:
        """Take one price; the venue's own averages say nothing new."""
        if tick.price <= 0 or tick.source is PriceSource.AVERAGE:
            return
        key = (tick.symbol, tick.source)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(tick.symbol)
        series.observe(tick, now_ns)
        if tick.source is PriceSource.SETTLEMENT or (tick.symbol, PriceSource.SETTLEMENT) not in self._series:
            self._learn(tick.symbol, series.window)

    def probability_up(self, market: Market, now_ns: Nanos) -> float | None:
        """P(Up) by what was told so far; None where price, volatility or the price to beat is not known."""
        feed = self._series.get((market.symbol, PriceSource.SETTLEMENT))
        series = feed or self._series.get((market.symbol, PriceSource.SPOT))
        if series is None or now_ns - series.told_ns > MOST_AGE_S * NS_PER_S:
            return None
        window, sigma, price = series.window, series.sigma, series.window.settlement_price
        if sigma is None or price is None:
            return None
        lookback = checked_lookback(market.rule)
        beat = self._beat.get(market.slug)
        if beat is None:
            return None
        if feed is None:
            self._stand_ins[market.symbol] = None
        now_s = now_ns / NS_PER_S
        inside = now_s > market.closes_at_s - lookback
        return probability_up(
            market.rule,
            now_s=now_s,
            opens_at_s=market.opens_at_s,
            closes_at_s=market.closes_at_s,
            price=price,
            sigma=sigma * price,
            price_to_beat=beat,
            closing_average=window.running_average(market.closes_at_s, lookback) if inside else None,
        )

    def _learn(self, symbol: str, window: PriceWindow) -> None:
        """Note the price to beat of markets whose opening is past and whose late ticks are in."""
        waiting = self._waiting.get(symbol)
        if not waiting or window.settlement_s < min(market.opens_at_s for market in waiting) + LATE_S:
            return
        for market in [each for each in waiting if each.opens_at_s + LATE_S <= window.settlement_s]:
            waiting.remove(market)
            beat = window.price_to_beat(market.opens_at_s, checked_lookback(market.rule))
            if beat is not None:
                self._beat[market.slug] = beat
