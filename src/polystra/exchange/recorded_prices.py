"""A price series that goes with a recorded book.

What lives here: the one guess that a replay needs, because the recordings hold no prices per second.
What must not: reading files (`recording`), the feed itself (`prices`).

Known are the official open, close and winner. In between, the coin stands where the recorded middle
of the book says it would: as many standard deviations of what is left from the open as the middle's
probability implies. The last minute runs to the official close and is made so that the 60-second
averages at both ends decide for the recorded winner: the ordinary resolution then gives the recorded
outcome, whatever the averaging rule. Everything else about this path is invented.

Floats stay inside the probability and the noise; the series is integers of 10^-8 dollars.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

from polystra.domain.units import NS_PER_S, PriceE8
from polystra.exchange.assets import ASSETS
from polystra.exchange.prices import AVERAGE_S
from polystra.exchange.recording import Level, Recording
from polystra.exchange.series import PriceSeries, SeriesSummary, TickSeries
from polystra.matching.book import ONE

BEFORE_S: Final = 240
AFTER_S: Final = 280
"""Shorter than any window, so that no other window fits into the series."""

_YEAR_S: Final = 365 * 24 * 3_600
_JITTER: Final = 0.3
_EXTREME: Final = 0.02
_UNKNOWN_MOVE_PPM: Final = 300


def series_of(recording: Recording) -> PriceSeries:
    """Return a tick per second from BEFORE_S before the window to AFTER_S after it."""
    first_s = recording.opens_at_s - BEFORE_S
    values = _ticks(recording)
    summary = SeriesSummary(
        file=recording.file,
        kind="replay of a recorded book, prices implied by it",
        rows=len(values),
        symbols=(recording.symbol,),
        first_s=first_s,
        last_s=first_s + len(values) - 1,
        gaps=0,
        longest_gap_s=0,
        corrections=0,
        reordered=0,
        interpolated=True,
    )
    return PriceSeries({recording.symbol: TickSeries(range(first_s, first_s + len(values)), values)}, summary)


def _ticks(recording: Recording) -> list[PriceE8]:
    open_price, close_price = _ends(recording)
    rng = random.Random(f"{recording.slug}:implied prices")
    per_second = open_price * ASSETS[recording.symbol].annual_volatility / _YEAR_S**0.5
    jitter = _JITTER * per_second
    ticks = [open_price + round(rng.gauss(0.0, jitter)) for _ in range(BEFORE_S + 1)]
    strike = _average(ticks)
    until_s = recording.closes_at_s - AVERAGE_S
    middles = _middles(recording)
    price = open_price
    for second in range(recording.opens_at_s + 1, until_s + 1):
        chance = min(1 - _EXTREME, max(_EXTREME, next(middles)))
        left_s = until_s - second + AVERAGE_S / 3
        price = open_price + round(per_second * math.sqrt(left_s) * NormalDist().inv_cdf(chance))
        ticks.append(price + round(rng.gauss(0.0, jitter)))
    ticks += _last_minute(price, close_price, strike, rng, jitter, up_won=recording.up_won)
    close = ticks[-1]
    ticks += [close + round(rng.gauss(0.0, jitter)) for _ in range(AFTER_S)]
    return ticks


def _ends(recording: Recording) -> tuple[PriceE8, PriceE8]:
    """Return official open and close; where one is missing, a small move in the winner's direction."""
    start = recording.open_price or recording.close_price or ASSETS[recording.symbol].start_price
    if recording.open_price is not None and recording.close_price is not None:
        return start, recording.close_price
    move = start * _UNKNOWN_MOVE_PPM // 1_000_000
    return start, start + (move if recording.up_won else -move)


def _last_minute(
    price: PriceE8, close: PriceE8, strike: PriceE8, rng: random.Random, jitter: float, *, up_won: bool
) -> list[PriceE8]:
    """Run to the close as slowly as the averages over the last 60 and 30 seconds still name the winner."""
    noise = [round(rng.gauss(0.0, jitter)) for _ in range(AVERAGE_S)]
    for ramp_s in (30, 20, 10, 5):
        ticks = [
            close + noise[step] + (price - close) * max(0, ramp_s - step - 1) // ramp_s for step in range(AVERAGE_S)
        ]
        ticks[-1] = close
        if all((end >= strike) == up_won for end in (_average(ticks), _average(ticks[30:]), close)):
            return ticks
    # A close that is too near the open for any noise: hold it, a hair on the winner's side of the strike.
    hair = max(1, round(jitter))
    held = max(close, strike + hair) if up_won else min(close, strike - hair)
    return [held] * AVERAGE_S


def _average(ticks: list[PriceE8]) -> PriceE8:
    """Return the mean of the last minute, rounded half up."""
    last = ticks[-AVERAGE_S:]
    return (2 * sum(last) + len(last)) // (2 * len(last))


def _middles(recording: Recording) -> Iterator[float]:
    """Yield the recorded middle of Up, second by second from the first after the open; 0.5 before it is known."""
    levels: dict[Level, int] = {}
    instants = [update.at_ns for update in recording.updates]
    done = 0
    middle = 0.5
    for second in range(recording.opens_at_s + 1, recording.closes_at_s + 1):
        upto = bisect_right(instants, second * NS_PER_S)
        for update in recording.updates[done:upto]:
            for level, size in update.levels.items():
                if size:
                    levels[level] = size
                else:
                    levels.pop(level, None)
        if upto > done:
            bid = max((price for is_bid, price in levels if is_bid), default=0)
            ask = min((price for is_bid, price in levels if not is_bid), default=ONE)
            middle = (bid + ask) / (2 * ONE)
        done = upto
        yield middle
