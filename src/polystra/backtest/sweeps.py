"""A grid of settings judged by walking forward: chosen on earlier windows, judged on later ones.

What lives here: the runs of a grid, the splits, the choice, and how far the best of many tries lies above what chance
gives. What must not: settings and their texts, how it is shown (the application), processes (`jobs`).

The recording's windows are cut into folds + 1 stretches. Each combination runs every stretch by itself, with a fresh
account; so what it did in one stretch knows nothing of another. In fold k the combination with the best mean result per
independent window over the stretches before is chosen, windows that close less than the embargo before the next stretch
begins left out, and judged on that stretch alone.

How many tries: of N settings without any edge the best one's t-value is about
sqrt(V) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))) with g Euler's constant, Z the normal quantile and V the variance of the
tries' t-values, 1 without an edge (Bailey and Lopez de Prado, The Deflated Sharpe Ratio, 2014). The tries are counted
as independent, which overstates the bar where they are alike.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev
from typing import Final

from polystra.backtest.recordings.reader import RecordingReader
from polystra.backtest.runs import Job, Part, Progress
from polystra.backtest.scoring import Interval, total
from polystra.backtest.spans import Span, Stretch
from polystra.domain.units import MICRO, MicroDollars

_EULER: Final = 0.5772156649015329
FEWEST_WINDOWS: Final = 20
"""Independent windows below which a choice is not worth the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """What one combination did in one window."""

    slug: str
    opens_at_s: int
    closes_at_s: int
    realised_pnl: MicroDollars
    fills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJob:
    """One combination over one recording; `job.paths_kept` is not used."""

    job: Job
    spans: tuple[Span, ...]


@dataclass(slots=True, kw_only=True)
class Tried:
    """One combination: its results by stretch, in the order of the spans."""

    results: list[list[WindowResult]] = field(default_factory=list)

    def train(self, fold: int, spans: Sequence[Span], embargo_s: int) -> list[WindowResult]:
        """The windows that the choice of a fold may look at."""
        limit_s = spans[fold + 1].from_s - embargo_s
        return [each for part in self.results[: fold + 1] for each in part if each.closes_at_s <= limit_s]

    def test(self, fold: int) -> list[WindowResult]:
        """The windows that a fold is judged on."""
        return self.results[fold + 1]

    @property
    def whole(self) -> list[WindowResult]:
        """All windows of all stretches."""
        return [each for part in self.results for each in part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One step forward: which combination was chosen, by what, and what it did after."""

    train_until_s: int
    test: Span
    chosen: int
    train_mean: float
    """Dollars per independent window."""
    test_windows: tuple[WindowResult, ...]


def run_sweep_job(sweep: SweepJob, progress: Progress | None = None) -> list[list[WindowResult]]:
    """Run one combination over every stretch of one recording, in one reading.

    Raises:
        RecordingError: a file cannot be read any more.
    """
    stretches = [Stretch(span) for span in sweep.spans]
    parts = [Part(sweep.job) for _ in sweep.spans]
    pairs = list(zip(stretches, parts, strict=True))
    reader = RecordingReader(sweep.job.unit.paths)
    number = 0
    for number, recorded in enumerate(reader, start=1):
        for stretch, part in pairs:
            for own in stretch.take(recorded):
                part.driver.feed(own)
        if progress is not None and number % 2_048 == 0:
            progress(number)
    if progress is not None:
        progress(number)
    return [_results(part) for part in parts]


def _results(part: Part) -> list[WindowResult]:
    part.driver.finish()
    return [
        WindowResult(
            slug=each.market.slug,
            opens_at_s=each.market.opens_at_s,
            closes_at_s=each.market.closes_at_s,
            realised_pnl=each.realised_pnl,
            fills=each.fills,
        )
        for each in part.tally.settled
    ]


def walk_forward(tried: Sequence[Tried], spans: Sequence[Span], embargo_s: int) -> list[Fold]:
    """Choose on what came before, judge on what comes next; of equals the first is chosen."""
    folds: list[Fold] = []
    for fold in range(len(spans) - 1):
        means = [mean_per_block(each.train(fold, spans, embargo_s)) for each in tried]
        chosen = max(range(len(tried)), key=lambda number: (means[number], -number))
        folds.append(
            Fold(
                train_until_s=spans[fold + 1].from_s - embargo_s,
                test=spans[fold + 1],
                chosen=chosen,
                train_mean=means[chosen],
                test_windows=tuple(tried[chosen].test(fold)),
            )
        )
    return folds


def by_block(results: Sequence[WindowResult]) -> Mapping[int, list[float]]:
    """Dollars by closing time: windows of several coins that close together are one observation."""
    blocks: dict[int, list[float]] = defaultdict(list)
    for each in results:
        blocks[each.closes_at_s].append(each.realised_pnl / MICRO)
    return blocks


def mean_per_block(results: Sequence[WindowResult]) -> float:
    """Dollars per independent window, 0 without any."""
    sums = [math.fsum(each) for each in by_block(results).values()]
    return fmean(sums) if sums else 0.0


def interval_of(results: Sequence[WindowResult]) -> Interval | None:
    """The sum in dollars with its interval, None without a window."""
    return total(by_block(results)) if results else None


def t_value(results: Sequence[WindowResult]) -> float | None:
    """The mean per independent window over its standard error; None with fewer than three or where none differs."""
    sums = [math.fsum(each) for each in by_block(results).values()]
    if len(sums) < 3:
        return None
    spread = stdev(sums)
    return fmean(sums) / (spread / math.sqrt(len(sums))) if spread > 0 else None


def best_of_chance(tries: int) -> float:
    """The t-value that the best of so many independent tries has on average when none has an edge."""
    if tries < 2:
        return 0.0
    quantile = NormalDist().inv_cdf
    return (1.0 - _EULER) * quantile(1.0 - 1.0 / tries) + _EULER * quantile(1.0 - 1.0 / (tries * math.e))


def deflated(best_t: float, tries: int) -> float:
    """The probability that the best try's mean is above what the best of so many has by chance (normal theory)."""
    return NormalDist().cdf(best_t - best_of_chance(tries))
