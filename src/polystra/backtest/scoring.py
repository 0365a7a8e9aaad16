"""How good a forecaster was: Brier score, log loss, reliability, differences with an interval.

What lives here: pure arithmetic on forecasts and outcomes. What must not: where forecasts come from (`forecasts`),
money. A window is one observation however often it was forecast: its scores are averaged first, and intervals come
from drawing windows with replacement (a bootstrap over blocks, since forecasts inside a window depend on one another).
Windows of several coins that run at the same time are one block: they share most of what moves them.

Brier score: mean of (p - y)^2 (Brier 1950). Log loss: mean of -ln of the probability given to what happened, with p
kept 10^-4 away from 0 and 1, so that one certain error does not decide everything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

FLOOR: Final = 1e-4
DRAWS: Final = 2_000
FEWEST: Final = 20
"""Resampling fewer blocks than this understates how uncertain a mean is."""
_COVERED: Final = 0.95

Score: TypeAlias = Callable[[float, bool], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """P(Up) of several forecasters at one moment of one window, and what happened.

    `block` is what windows that depend on one another share (their closing time). `costs` are dollars for a share of
    Up and one of Down at that moment, fee included; None where the smallest order could not be bought at the best ask.
    """

    window: str
    block: int
    seconds_left: int
    probabilities: Mapping[str, float]
    up: bool
    costs: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the interval that holds it in 95 of 100 resamples; both ends equal it with one block."""

    mean: float
    low: float
    high: float
    blocks: int

    @property
    def differs_from_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of similar probability: how many, their mean, how often Up came."""

    low: float
    high: float
    count: int
    mean: float
    share_up: float


def brier(p: float, up: bool) -> float:
    """Squared error of one forecast."""
    return (p - (1.0 if up else 0.0)) ** 2


def log_loss(p: float, up: bool) -> float:
    """Surprise at one outcome, in nats."""
    kept = min(1.0 - FLOOR, max(FLOOR, p))
    return -math.log(kept if up else 1.0 - kept)


def mean_score(forecasts: Sequence[Forecast], name: str, score: Score, *, seed: int = 1) -> Interval:
    """A forecaster's score where it said something; raises ValueError when it never did."""
    own = [each for each in forecasts if name in each.probabilities]
    return _interval(_by_block(own, lambda each: score(each.probabilities[name], each.up)), seed)


def difference(forecasts: Sequence[Forecast], name: str, other: str, score: Score, *, seed: int = 1) -> Interval:
    """Score of `name` less score of `other` where both said something: below zero, `name` is the better one.

    Raises:
        ValueError: they never did.
    """
    both = [each for each in forecasts if name in each.probabilities and other in each.probabilities]

    def less(each: Forecast) -> float:
        return score(each.probabilities[name], each.up) - score(each.probabilities[other], each.up)

    return _interval(_by_block(both, less), seed)


def verdict(interval: Interval, name: str, other: str) -> str:
    """A difference in words; with fewer than `FEWEST` blocks nothing can be said."""
    if interval.blocks < FEWEST:
        return f"too few windows to tell {name} from {other}"
    if not interval.differs_from_zero:
        return f"{name} and {other} are not distinguishable"
    better, worse = (name, other) if interval.mean < 0 else (other, name)
    return f"{better} is better than {worse}"


def reliability(forecasts: Iterable[Forecast], name: str, bins: int = 10) -> list[Bin]:
    """The reliability diagram: forecasts in bins of equal width, the empty ones left out."""
    kept: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for each in forecasts:
        p = each.probabilities.get(name)
        if p is None:
            continue
        kept[min(bins - 1, int(p * bins))].append((p, each.up))
    return [
        Bin(
            low=place / bins,
            high=(place + 1) / bins,
            count=len(inside),
            mean=math.fsum(p for p, _ in inside) / len(inside),
            share_up=sum(up for _, up in inside) / len(inside),
        )
        for place, inside in sorted(kept.items())
    ]


def total(amounts: Mapping[int, Sequence[float]], *, seed: int = 1) -> Interval:
    """A sum (profits by block), with the interval of the sums of resampled blocks."""
    sums = [math.fsum(each) for each in amounts.values()]
    mean = _interval([[each] for each in sums], seed)
    count = len(sums)
    return Interval(mean.mean * count, mean.low * count, mean.high * count, count)


def _by_block(forecasts: Iterable[Forecast], value: Callable[[Forecast], float]) -> list[list[float]]:
    """Of each block the means of its windows."""
    windows: dict[tuple[int, str], list[float]] = defaultdict(list)
    for each in forecasts:
        windows[each.block, each.window].append(value(each))
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), values in sorted(windows.items()):
        blocks[block].append(math.fsum(values) / len(values))
    return list(blocks.values())


def _interval(blocks: Sequence[Sequence[float]], seed: int) -> Interval:
    """Mean over all windows, percentile interval over resampled blocks."""
    if not blocks:
        raise ValueError("there is no forecast to score")
    sums = [math.fsum(block) for block in blocks]
    sizes = [len(block) for block in blocks]
    mean = math.fsum(sums) / sum(sizes)
    if len(blocks) == 1:
        return Interval(mean, mean, mean, 1)
    chance = Random(f"bootstrap {seed}")
    places = range(len(blocks))
    means: list[float] = []
    for _ in range(DRAWS):
        drawn = chance.choices(places, k=len(blocks))
        means.append(math.fsum(sums[place] for place in drawn) / sum(sizes[place] for place in drawn))
    means.sort()
    cut = int(DRAWS * (1.0 - _COVERED) / 2.0)
    return Interval(mean, means[cut], means[-1 - cut], len(blocks))
