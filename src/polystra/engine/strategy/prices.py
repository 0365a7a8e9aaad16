"""The last minutes of one symbol's prices, and the averages that markets settle on.

What lives here: what the strategy remembers of the settlement feed, of its 60-second
average and of the leading spot price. What must not: markets, books, decisions, clocks.

A market settles on the mean of the settlement feed's ticks at the seconds T-59 .. T, with a
missing second taken from the one before (Polymarket CLOB docs, resolution of crypto
markets). Memory is bounded: ticks for a few minutes, one average per five-minute boundary
for a little more than a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.engine.strategy.volatility import RealisedVolatility, VolatilityRules, rules_for

AVERAGE_S: Final = 60
"""Seconds of the venue's own average ticks."""
KEEP_S: Final = 330
BOUNDARY_S: Final = 300
"""Every window opens and closes on a multiple of five minutes."""
BOUNDARIES_KEPT: Final = 300
LATE_S: Final = 30
"""A boundary's average is fixed when the feed is this far beyond it; later ticks no longer change it."""
MINIMUM_COVERAGE: Final = (55, 60)
"""An average of our own needs this share of its seconds."""

SPOT_KEPT_S: Final = 15
SPOT_MAX_LAG_S: Final = 3
BASIS_HALF_LIFE_S: Final = 60.0
BASIS_MINIMUM_SAMPLES: Final = 10
MAXIMUM_LEAD_PPM: Final = 3_000
"""A spot price further than this from the settlement feed (basis removed) is not believed."""


@dataclass(frozen=True, slots=True)
class RunningAverage:
    """Mean of the first `elapsed_s` seconds of an averaging period; `covered_s` of them had a tick of their own.

    `average` is in units of 10^-8 dollars; it is meaningless while `elapsed_s` is 0.
    """

    elapsed_s: int
    covered_s: int
    average: float


class PriceWindow:
    """Prices of one symbol; mutable, fed by `observe` in the order of arrival."""

    __slots__ = (
        "_averages",
        "_basis",
        "_basis_decay",
        "_basis_samples",
        "_oldest_s",
        "_own_averages",
        "_spot",
        "_ticks",
        "_volatility",
        "settlement_at_ns",
        "settlement_price",
        "settlement_s",
        "spot_at_ns",
        "spot_price",
        "symbol",
    )

    def __init__(self, symbol: str, rules: VolatilityRules | None = None) -> None:
        self.symbol = symbol
        self.settlement_price: PriceE8 | None = None
        self.settlement_at_ns: Nanos = 0
        self.settlement_s = 0
        self.spot_price: PriceE8 | None = None
        self.spot_at_ns: Nanos = 0
        self._volatility = RealisedVolatility(rules or rules_for(symbol))
        self._ticks: dict[int, PriceE8] = {}
        self._oldest_s = 0
        self._spot: dict[int, PriceE8] = {}
        self._averages: dict[int, PriceE8] = {}
        self._own_averages: dict[tuple[int, int], PriceE8] = {}
        self._basis = 0.0
        self._basis_samples = 0
        self._basis_decay = 0.5 ** (1.0 / BASIS_HALF_LIFE_S)

    # --- taking prices ---------------------------------------------------------------

    def observe(self, tick: PriceTicked) -> None:
        """Take one tick of any source; a price that is not positive is ignored."""
        if tick.price <= 0:
            return
        if tick.source is PriceSource.SETTLEMENT:
            self._observe_settlement(tick.at_ns, tick.price)
        elif tick.source is PriceSource.SPOT:
            self._observe_spot(tick.at_ns, tick.price)
        elif tick.at_ns % (BOUNDARY_S * NS_PER_S) == 0:
            self._averages[tick.at_ns // NS_PER_S] = tick.price
            _forget_oldest(self._averages)

    def _observe_settlement(self, at_ns: Nanos, price: PriceE8) -> None:
        second = at_ns // NS_PER_S
        if not self._ticks:
            self._oldest_s = second
        if second < self.settlement_s - KEEP_S:
            return
        self._ticks[second] = price
        self._oldest_s = min(self._oldest_s, second)
        if at_ns < self.settlement_at_ns:
            return
        self.settlement_price = price
        self.settlement_at_ns = at_ns
        if second == self.settlement_s:
            return
        self.settlement_s = second
        self._volatility.observe(second, price)
        self._learn_basis(second, price)
        self._fix_boundary(second)
        self._forget_before(second - KEEP_S)

    def _observe_spot(self, at_ns: Nanos, price: PriceE8) -> None:
        if at_ns < self.spot_at_ns:
            return
        second = at_ns // NS_PER_S
        if second != self.spot_at_ns // NS_PER_S:
            self._spot = {s: p for s, p in self._spot.items() if s > second - SPOT_KEPT_S}
        self._spot[second] = price
        self.spot_price = price
        self.spot_at_ns = at_ns

    def _learn_basis(self, second: int, settlement: PriceE8) -> None:
        spot = self._spot.get(second) or self._spot.get(second - 1)
        if spot is None:
            return
        self._basis_samples += 1
        weight = max(1.0 - self._basis_decay, 1.0 / self._basis_samples)
        self._basis += weight * (settlement - spot - self._basis)

    def _fix_boundary(self, second: int) -> None:
        boundary = (second - LATE_S) // BOUNDARY_S * BOUNDARY_S
        key = (boundary, AVERAGE_S)
        if key not in self._own_averages:
            own = self._own_average(boundary, AVERAGE_S)
            if own is not None:
                self._own_averages[key] = own
                _forget_oldest(self._own_averages)

    def _forget_before(self, second: int) -> None:
        if second - self._oldest_s > KEEP_S:
            self._ticks = {s: p for s, p in self._ticks.items() if s >= second}
            self._oldest_s = max(self._oldest_s, second)
        while self._oldest_s < second:
            self._ticks.pop(self._oldest_s, None)
            self._oldest_s += 1

    # --- answers ---------------------------------------------------------------------

    @property
    def sigma(self) -> float | None:
        """Relative volatility of the settlement feed per square root of a second, None before a minute of data."""
        return self._volatility.sigma

    @property
    def volatility_samples(self) -> int:
        """How many returns the volatility rests on."""
        return self._volatility.samples

    @property
    def tick_count(self) -> int:
        """Settlement ticks in memory (bounded)."""
        return len(self._ticks)

    @property
    def basis(self) -> float | None:
        """Settlement feed minus spot in 10^-8 dollars, slowly averaged; None before ten pairs were seen."""
        return self._basis if self._basis_samples >= BASIS_MINIMUM_SAMPLES else None

    @property
    def lead_ppm(self) -> float | None:
        """How far spot, basis removed, is above the settlement feed in millionths; None when spot is no guide."""
        settlement, spot, basis = self.settlement_price, self.spot_price, self.basis
        if settlement is None or spot is None or basis is None:
            return None
        if self.spot_at_ns < self.settlement_at_ns - SPOT_MAX_LAG_S * NS_PER_S:
            return None
        return (spot + basis - settlement) / settlement * 1e6

    @property
    def feeds_agree(self) -> bool:
        """False when spot contradicts the settlement feed by more than any plausible lead."""
        lead = self.lead_ppm
        return lead is None or abs(lead) <= MAXIMUM_LEAD_PPM

    @property
    def predicted_price(self) -> PriceE8 | None:
        """Where the settlement feed is going in the next second or two: spot plus basis, else its last tick."""
        settlement = self.settlement_price
        lead = self.lead_ppm
        if settlement is None or lead is None or abs(lead) > MAXIMUM_LEAD_PPM:
            return settlement
        return settlement + round(settlement * lead / 1e6)

    def price_at(self, second: int) -> PriceE8 | None:
        """The settlement price in force at `second`: its tick or the last one before it."""
        ticks = self._ticks
        for earlier in range(min(second, self.settlement_s), self._oldest_s - 1, -1):
            price = ticks.get(earlier)
            if price is not None:
                return price
        return None

    def running_average(self, end_s: int, lookback_s: int = AVERAGE_S) -> RunningAverage | None:
        """Average so far of the period that ends at `end_s`, up to the feed's last tick; None without its ticks.

        Seconds at the very start that no tick, not even an earlier one, can fill are left out of the mean.
        """
        if self.settlement_price is None:
            return None
        start = end_s - lookback_s
        elapsed = min(lookback_s, self.settlement_s - start)
        if elapsed <= 0:
            return RunningAverage(0, 0, 0.0)
        total, covered, seconds = self._sum(start, start + elapsed)
        if seconds == 0:
            return None
        return RunningAverage(elapsed, covered, total / seconds)

    def price_to_beat(self, boundary_s: int, lookback_s: int = AVERAGE_S) -> PriceE8 | None:
        """The average at a window's boundary: the venue's own tick, else ours, else None.

        Ours needs the feed to have reached the boundary and 55 of every 60 seconds; it is
        rounded half up to 10^-8 dollars. Without a look-back it is the last price at the boundary, once the feed has
        reached it.
        """
        if lookback_s == 0:
            return self.price_at(boundary_s) if self.settlement_s >= boundary_s else None
        if lookback_s == AVERAGE_S:
            told = self._averages.get(boundary_s)
            if told is not None:
                return told
        kept = self._own_averages.get((boundary_s, lookback_s))
        return kept if kept is not None else self._own_average(boundary_s, lookback_s)

    def _own_average(self, boundary_s: int, lookback_s: int) -> PriceE8 | None:
        if not self._oldest_s < boundary_s <= self.settlement_s:
            return None
        total, covered, seconds = self._sum(boundary_s - lookback_s, boundary_s)
        needed, of = MINIMUM_COVERAGE
        if seconds == 0 or covered * of < needed * lookback_s:
            return None
        return (2 * total + seconds) // (2 * seconds)

    def _sum(self, after_s: int, until_s: int) -> tuple[int, int, int]:
        """Sum of the prices in force at the seconds in (after, until], ticks among them, seconds with a price."""
        ticks = self._ticks
        last = None if after_s + 1 in ticks else self.price_at(after_s)
        total = covered = seconds = 0
        for second in range(after_s + 1, until_s + 1):
            price = ticks.get(second)
            if price is not None:
                last = price
                covered += 1
            if last is not None:
                total += last
                seconds += 1
        return total, covered, seconds


def _forget_oldest(averages: dict[int, PriceE8] | dict[tuple[int, int], PriceE8]) -> None:
    while len(averages) > BOUNDARIES_KEPT:
        del averages[min(averages)]  # type: ignore[arg-type]
