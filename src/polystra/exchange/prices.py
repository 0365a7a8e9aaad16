"""Simulated prices: the settlement feed at one tick per second, and the spot that leads it.

What lives here: the seeded generator, the path that a market resolves on (from a recording or
from the generator), its 60-second average, and the spot derived from it. What must not: sockets,
markets, anything that knows who listens.

Definitions. `feed(s)` is the settlement feed's tick of second `s` (None in a hole of a
recording), `held(s)` the last tick at or before `s`, and the average at T is the mean of
`held(T-59) ... held(T)` in integers, rounded half up to 10^-8 dollars. Before the first tick of a
run that tick is carried back. The spot at an instant is the line between the ticks around
`instant + SPOT_LEAD_S`: what the feed will show that much later, plus a little seeded noise.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final, Protocol

from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.exchange.assets import Asset
from polystra.exchange.series import SymbolSeries

AVERAGE_S: Final = 60
"""Ticks in the settlement average (Polymarket CLOB docs, 60-second look-back)."""

SPOT_LEAD_NS: Final = 1_300_000_000
"""How far the spot runs ahead of the settlement feed."""

HISTORY_S: Final = 1_200
"""Seconds of the path that stay readable behind its newest second."""

_YEAR_S: Final = 365 * 24 * 3_600
_WARM_UP_S: Final = 180
_CARRY_AHEAD_S: Final = 900
_NOISE_PPM: Final = 6
_VARIANCE_S: Final = 240


class TickSource(Protocol):
    """Where a path takes its ticks from, second by second in ascending order."""

    def next_tick(self, second: int) -> PriceE8 | None:
        """Return the feed's tick of `second`, None in a hole."""
        ...

    def underlying(self, second: int) -> PriceE8 | None:
        """Return where the market itself stood at `second`, also in a hole of the feed; None if unknown."""
        ...


class CommonFactor:
    """The part of all coins' moves that they share: one standard normal draw per second."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed}:common-factor")
        self._first: int | None = None
        self._draws: list[float] = []

    def draw(self, second: int) -> float:
        """Return the draw of `second`; callers must not lag HISTORY_S behind the newest."""
        if self._first is None:
            self._first = second
        while self._first + len(self._draws) <= second:
            self._draws.append(self._rng.gauss(0.0, 1.0))
        value = self._draws[second - self._first]
        if len(self._draws) > 2 * HISTORY_S:
            del self._draws[:HISTORY_S]
            self._first += HISTORY_S
        return value


class GeneratedTicks:
    """A seeded price: clustering volatility, shared moves, rare jumps; no holes.

    The volatility is the coin's long-run one times the exponential of two mean-reverting
    processes (minutes and hours); about once in two hours the price jumps by several normal
    minutes' moves, spread over a few seconds.
    """

    SHARED = 0.75
    JUMPS_PER_SECOND = 1 / 7_200

    def __init__(self, asset: Asset, *, seed: int, factor: CommonFactor) -> None:
        self._rng = random.Random(f"{seed}:{asset.symbol}:ticks")
        self._factor = factor
        self._price = asset.start_price
        self._sigma = asset.annual_volatility / _YEAR_S**0.5
        self._fast = self._rng.gauss(0.0, 0.35)
        self._slow = self._rng.gauss(0.0, 0.25)
        self._jump = 0.0

    def next_tick(self, second: int) -> PriceE8 | None:
        """Return the price of `second`; must be called for every second once, in order."""
        rng = self._rng
        self._fast += -self._fast / 300 + rng.gauss(0.0, 0.35 * (2 / 300) ** 0.5)
        self._slow += -self._slow / 10_000 + rng.gauss(0.0, 0.25 * (2 / 10_000) ** 0.5)
        sigma = self._sigma * math.exp(self._fast + self._slow - 0.09)
        own = (1 - self.SHARED**2) ** 0.5
        move = sigma * (self.SHARED * self._factor.draw(second) + own * rng.gauss(0.0, 1.0))
        if rng.random() < self.JUMPS_PER_SECOND:
            self._jump += rng.gauss(0.0, 4.0) * sigma * 60**0.5
        move += self._jump * 0.5
        self._jump *= 0.5
        self._price = max(1, self._price + round(self._price * move))
        return self._price

    def underlying(self, second: int) -> PriceE8 | None:
        """The generator has no holes, so the feed's tick says it all."""
        del second
        return None


class RecordedTicks:
    """Ticks of a recording; inside its holes the market is assumed to move in a line."""

    def __init__(self, series: SymbolSeries) -> None:
        self._series = series

    def next_tick(self, second: int) -> PriceE8 | None:
        """Return the recorded tick of `second`."""
        return self._series.tick(second)

    def underlying(self, second: int) -> PriceE8 | None:
        """Return the line between the ticks around `second`; None when one is missing or too far away."""
        left, right = self._series.at_or_before(second), self._series.at_or_after(second)
        if left is None or right is None or right - left > _CARRY_AHEAD_S:
            return None
        first, last = self._series.tick(left), self._series.tick(right)
        if first is None or last is None:
            return None
        return first if left == right else first + (last - first) * (second - left) // (right - left)

    def price_before(self, second: int) -> PriceE8 | None:
        """Return what holds before `second`: a tick not long ago, else the next one, carried back."""
        earlier, later = self._series.at_or_before(second), self._series.at_or_after(second)
        if earlier is not None and second - earlier <= _CARRY_AHEAD_S:
            return self._series.tick(earlier)
        return None if later is None else self._series.tick(later)


@dataclass(slots=True)
class _Second:
    tick: PriceE8 | None
    held: PriceE8
    underlying: PriceE8
    average: PriceE8
    variance: float


class PricePath:
    """One coin's prices, extended second by second; see the module docstring for the definitions.

    Readable from HISTORY_S before the newest second on; older seconds raise KeyError.
    """

    def __init__(self, asset: Asset, source: TickSource, *, start_s: int, first_price: PriceE8 | None = None) -> None:
        self.asset = asset
        self.start_s = start_s
        self._source = source
        self._first = start_s - _WARM_UP_S
        self._next = self._first
        self._seconds: list[_Second] = []
        self._window: list[PriceE8] = []
        self._sum = 0
        self._variance = (asset.annual_volatility**2) / _YEAR_S
        self._carried_back = first_price
        self._extend_to(start_s)

    @classmethod
    def generated(cls, asset: Asset, *, seed: int, factor: CommonFactor, start_s: int) -> PricePath:
        """A path of the seeded generator."""
        return cls(asset, GeneratedTicks(asset, seed=seed, factor=factor), start_s=start_s)

    @classmethod
    def recorded(cls, asset: Asset, series: SymbolSeries, *, start_s: int) -> PricePath:
        """A path of a recording; where nothing precedes its first tick, that tick is carried back."""
        source = RecordedTicks(series)
        return cls(asset, source, start_s=start_s, first_price=source.price_before(start_s - _WARM_UP_S))

    def feed(self, second: int) -> PriceE8 | None:
        """Return the settlement feed's tick of `second`, None in a hole."""
        return self._at(second).tick

    def held(self, second: int) -> PriceE8:
        """Return the last tick at or before `second`."""
        return self._at(second).held

    def average(self, second: int) -> PriceE8:
        """Return the 60-second average at `second`."""
        return self._at(second).average

    def volatility(self, second: int) -> float:
        """Return the realised volatility at `second`: relative, per square root of a second (for probabilities)."""
        return math.sqrt(self._at(second).variance)

    def silence_s(self, second: int) -> int:
        """Return how many seconds before `second` the feed's last tick is."""
        silent = 0
        while second - silent >= self._first and self._at(second - silent).tick is None:
            silent += 1
        return silent

    def longest_hole_s(self, first: int, last: int) -> int:
        """Return the longest stretch without a tick that touches [first, last]."""
        longest = current = self.silence_s(first - 1) if first - 1 >= self._first else 0
        for second in range(first, last + 1):
            current = 0 if self._at(second).tick is not None else current + 1
            longest = max(longest, current)
        return longest

    def spot(self, at_ns: Nanos) -> PriceE8:
        """Return the noiseless spot price at an instant (the feed's line, SPOT_LEAD_NS ahead)."""
        second, part = divmod(at_ns + SPOT_LEAD_NS, NS_PER_S)
        left, right = self._at(second).underlying, self._at(second + 1).underlying
        return left + (right - left) * part // NS_PER_S

    def _at(self, second: int) -> _Second:
        if second >= self._next:
            self._extend_to(second)
        index = second - self._first
        if index < 0:
            raise KeyError(f"second {second} of {self.asset.symbol} is no longer kept")
        return self._seconds[index]

    def _extend_to(self, second: int) -> None:
        while self._next <= second:
            self._append(self._next)
            self._next += 1
        if len(self._seconds) > 2 * HISTORY_S:
            drop = len(self._seconds) - HISTORY_S
            del self._seconds[:drop]
            self._first += drop

    def _append(self, second: int) -> None:
        tick = self._source.next_tick(second)
        if tick is not None:
            held = tick
        elif self._seconds:
            held = self._seconds[-1].held
        elif self._carried_back is not None:
            held = self._carried_back
        else:
            held = self.asset.start_price
        underlying = tick if tick is not None else self._source.underlying(second)
        if not self._seconds:
            self._window = [held] * AVERAGE_S
            self._sum = held * AVERAGE_S
        slot = second % AVERAGE_S
        self._sum += held - self._window[slot]
        self._window[slot] = held
        average = (2 * self._sum + AVERAGE_S) // (2 * AVERAGE_S)
        underlying = held if underlying is None else underlying
        if self._seconds:
            change = underlying / self._seconds[-1].underlying - 1
            self._variance += (change * change - self._variance) / _VARIANCE_S
        self._seconds.append(_Second(tick, held, underlying, average, self._variance))


class SpotStream:
    """The noisy spot prints of one coin, asked for in ascending order."""

    def __init__(self, path: PricePath, *, seed: int) -> None:
        self._path = path
        self._rng = random.Random(f"{seed}:{path.asset.symbol}:spot")
        self._step = 10 ** (8 - path.asset.spot_decimals)

    def print_at(self, at_ns: Nanos) -> tuple[PriceE8, int]:
        """Return price (10^-8 dollars, on the spot venue's grid) and size (10^-8 coins) of a trade."""
        price = self._path.spot(at_ns)
        noisy = price + price * round(self._rng.gauss(0.0, 10 * _NOISE_PPM)) // 10_000_000
        dollars = int(self._rng.expovariate(1 / 800)) + 10
        size = max(1_000, dollars * 10**16 // price)
        return max(self._step, (noisy + self._step // 2) // self._step * self._step), size - size % 1_000
