"""Recorded prices as the built-in exchange plays them: one tick per second, with real holes.

What lives here: the recorded series in memory, the interpolation of bars, the account of what
was in the file and the choice of a start. What must not: reading files (`series_file`), the
simulated feed (`prices`).

A tick series answers for exactly the seconds that were recorded. A bar series answers for every
second of a bar, on a seeded path that starts at the open, ends at the close, touches high and
low and never leaves them. Prices are integers of 10^-8 dollars, times UTC seconds.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from polystra.domain.errors import ConfigError
from polystra.domain.units import PriceE8
from polystra.exchange.schedule import close_of, next_open

MAX_HOLE_S: Final = 15
"""A run of ticks with no hole longer than this counts as near-gapless."""

LATE_START_S: Final = 30
"""How late the first tick of a run may come after the first window's open (it is then carried back)."""


class SymbolSeries(Protocol):
    """The recorded prices of one coin."""

    @property
    def first_s(self) -> int:
        """Second of the first tick."""
        ...

    @property
    def last_s(self) -> int:
        """Second of the last tick."""
        ...

    def tick(self, second: int) -> PriceE8 | None:
        """Return the price recorded for `second`, None in a hole."""
        ...

    def at_or_before(self, second: int) -> int | None:
        """Return the last second with a tick at or before `second`."""
        ...

    def at_or_after(self, second: int) -> int | None:
        """Return the first second with a tick at or after `second`."""
        ...

    def runs(self, max_hole_s: int) -> list[tuple[int, int]]:
        """Return the stretches (first, last second) without a hole longer than `max_hole_s`."""
        ...


class TickSeries:
    """Ticks as recorded; `seconds` must be strictly increasing."""

    def __init__(self, seconds: Sequence[int], values: Sequence[PriceE8]) -> None:
        self._seconds = list(seconds)
        self._values = list(values)

    @property
    def first_s(self) -> int:
        """Second of the first tick."""
        return self._seconds[0]

    @property
    def last_s(self) -> int:
        """Second of the last tick."""
        return self._seconds[-1]

    def tick(self, second: int) -> PriceE8 | None:
        """Return the price recorded for `second`, None in a hole."""
        index = bisect_left(self._seconds, second)
        if index < len(self._seconds) and self._seconds[index] == second:
            return self._values[index]
        return None

    def at_or_before(self, second: int) -> int | None:
        """Return the last second with a tick at or before `second`."""
        index = bisect_right(self._seconds, second)
        return self._seconds[index - 1] if index else None

    def at_or_after(self, second: int) -> int | None:
        """Return the first second with a tick at or after `second`."""
        index = bisect_left(self._seconds, second)
        return self._seconds[index] if index < len(self._seconds) else None

    def runs(self, max_hole_s: int) -> list[tuple[int, int]]:
        """Return the stretches without a hole longer than `max_hole_s`."""
        return _runs(((second, second) for second in self._seconds), max_hole_s)


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low and close of the `step` seconds from `start_s`."""

    start_s: int
    open: PriceE8
    high: PriceE8
    low: PriceE8
    close: PriceE8


class BarSeries:
    """Bars, each played as a seeded path of one price per second."""

    def __init__(self, symbol: str, bars: Sequence[Bar], step: int, seed: int) -> None:
        self._symbol = symbol
        self._bars = list(bars)
        self._starts = [bar.start_s for bar in self._bars]
        self._step = step
        self._seed = seed
        self._paths: dict[int, list[PriceE8]] = {}

    @property
    def first_s(self) -> int:
        """First second of the first bar."""
        return self._starts[0]

    @property
    def last_s(self) -> int:
        """Last second of the last bar."""
        return self._starts[-1] + self._step - 1

    def tick(self, second: int) -> PriceE8 | None:
        """Return the interpolated price of `second`, None where a bar is missing."""
        index = bisect_right(self._starts, second) - 1
        if index < 0 or second - self._starts[index] >= self._step:
            return None
        path = self._paths.get(index)
        if path is None:
            while len(self._paths) >= 4:
                del self._paths[next(iter(self._paths))]
            bar = self._bars[index]
            path = bar_path(bar, self._step, random.Random(f"{self._seed}:{self._symbol}:{bar.start_s}"))
            self._paths[index] = path
        return path[second - self._starts[index]]

    def at_or_before(self, second: int) -> int | None:
        """Return the last second covered by a bar at or before `second`."""
        index = bisect_right(self._starts, second) - 1
        return min(second, self._starts[index] + self._step - 1) if index >= 0 else None

    def at_or_after(self, second: int) -> int | None:
        """Return the first second covered by a bar at or after `second`."""
        index = bisect_right(self._starts, second) - 1
        if index >= 0 and second - self._starts[index] < self._step:
            return second
        return self._starts[index + 1] if index + 1 < len(self._starts) else None

    def runs(self, max_hole_s: int) -> list[tuple[int, int]]:
        """Return the stretches without a hole longer than `max_hole_s`."""
        return _runs(((start, start + self._step - 1) for start in self._starts), max_hole_s)


def _runs(covered: Iterator[tuple[int, int]], max_hole_s: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    first, last = next(covered)
    for start, end in covered:
        if start - last > max_hole_s:
            runs.append((first, last))
            first = start
        last = end
    runs.append((first, last))
    return runs


def bar_path(bar: Bar, steps: int, rng: random.Random) -> list[PriceE8]:
    """Return `steps` prices that open, touch high and low, and close as the bar says.

    High and low come in random order at random seconds; between these fixed points the path is a
    random bridge whose noise is a share of the bar's range, held inside [low, high].
    """
    if steps < 4:
        return [*[bar.open, bar.high, bar.low][: steps - 1], bar.close]
    extremes = [bar.high, bar.low]
    rng.shuffle(extremes)
    moments = sorted(rng.sample(range(1, steps - 1), 2))
    anchors = [(0, bar.open), (moments[0], extremes[0]), (moments[1], extremes[1]), (steps - 1, bar.close)]
    noise = (bar.high - bar.low) / (2 * steps**0.5)
    path = [bar.open]
    for (left, left_price), (right, right_price) in pairwise(anchors):
        price = float(left_price)
        for moment in range(left + 1, right):
            price += (right_price - price) / (right - moment + 1) + rng.gauss(0.0, noise)
            price = min(max(price, float(bar.low)), float(bar.high))
            path.append(min(max(round(price), bar.low), bar.high))
        path.append(right_price)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSummary:
    """What a price file held and what was done with it; the caller logs it."""

    file: str
    kind: str
    rows: int
    symbols: tuple[str, ...]
    first_s: int
    last_s: int
    gaps: int
    """Holes between neighbouring rows (over one second, or over one bar); prices are carried forward there."""
    longest_gap_s: int
    corrections: int
    """Rows replaced by a later row for the same second."""
    reordered: int
    """Rows that stood before an earlier one and were sorted."""
    interpolated: bool
    """True when seconds inside bars are seeded noise between the recorded prices."""

    def sentence(self) -> str:
        """Say in one line what was read and what was done with the holes."""
        made = "; seconds inside bars are seeded interpolation" if self.interpolated else ""
        gaps = f"{self.gaps} gaps, longest {self.longest_gap_s} s, carried forward" if self.gaps else "no gaps"
        return (
            f"{self.file}: {self.rows} rows ({self.kind}) of {', '.join(self.symbols)}; {gaps}; "
            f"{self.corrections} corrections, {self.reordered} rows sorted{made}"
        )


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """A price file in memory."""

    by_symbol: Mapping[str, SymbolSeries]
    summary: SeriesSummary

    def best_start(self, symbols: Sequence[str], window: str, windows: int = 6) -> int:
        """Return the open (UTC second) of the window with which a run should start.

        The stretches in which all `symbols` are near-gapless (no hole over MAX_HOLE_S) are compared
        by how many whole windows they hold; the earliest that holds `windows` wins, else the earliest
        of those that hold most. A symbol may come up to LATE_START_S after the open: its first tick
        is then carried back. So sparse minutes before a good stretch are skipped.

        Raises:
            ConfigError: no stretch holds a single window.
        """
        best, most = 0, 0
        for first, last in self._common_runs(symbols):
            start = next_open(window, first - LATE_START_S)
            count, end = 0, start
            while count < windows and close_of(window, end) <= last:
                end = close_of(window, end)
                count += 1
            if count > most:
                best, most = start, count
            if count == windows:
                break
        if most == 0:
            raise ConfigError(
                f"--prices {self.summary.file}: no stretch without a hole over {MAX_HOLE_S} s holds a whole {window} "
                f"window for {', '.join(symbols)}; choose a shorter window (WINDOWS) or another file"
            )
        return best

    def _common_runs(self, symbols: Sequence[str]) -> list[tuple[int, int]]:
        common: list[tuple[int, int]] | None = None
        for symbol in symbols:
            runs = self.by_symbol[symbol].runs(MAX_HOLE_S)
            common = runs if common is None else _intersect(common, runs)
        return common or []


def _intersect(left: Sequence[tuple[int, int]], right: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            found.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found
