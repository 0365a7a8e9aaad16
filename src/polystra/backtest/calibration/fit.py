"""Strengths of signals and factors on the volatility, fitted on looks.

What lives here: maximum likelihood, which signals are kept. What must not: which looks are tested on (`splits`
decides that before anything is fitted), files.

Order: first a factor on the measured volatility of each symbol, so that the fair value is as good as it can be alone;
then each signal in turn, kept only when adding it to those kept before lowers the log loss of windows that were not
fitted on (purged walk-forward); then all that are kept together, one regression for each stretch of time, the
market's own log-odds as offset. A window counts once in each stretch, however often it was looked at.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from polystra.backtest.calibration.logistic import LogisticFit, Row, fit_logistic
from polystra.backtest.calibration.looks import Look
from polystra.backtest.calibration.splits import walk_forward
from polystra.backtest.scoring import FEWEST, Forecast, Interval, difference, log_loss
from polystra.engine.strategy.calibration import Calibration, Strength
from polystra.engine.strategy.fair_value import normal_cdf
from polystra.engine.strategy.fusion import Fusion, FusionWeights, fuse
from polystra.engine.strategy.signal import Reading, clamp_probability
from polystra.engine.strategy.signals import book_imbalance, fair_value, momentum

SIGNALS: Final = (fair_value.NAME, book_imbalance.NAME, momentum.NAME)
"""In the order in which they are tried."""
EDGES_S: Final = (30, 60, 120, 300)
"""Upper ends of the stretches of time before the close; the last one is open."""
L2: Final = 3.0
"""The penalty: before any data a strength is believed to be within 0.58 of nothing, two times of three."""
FOLDS: Final = 5
_LOWEST_SCALE: Final = 1.0 / 3.0
_HIGHEST_SCALE: Final = 3.0
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0
_WITH: Final = "with"
_WITHOUT: Final = "without"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFit:
    """A symbol's factor on the measured volatility, with its interval of 95 %; `windows` it rests on."""

    symbol: str
    scale: float
    low: float
    high: float
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFit:
    """One signal: strengths and standard errors by stretch of time, and whether it earned its place.

    `out_of_sample` is the log loss with it less that without it (below zero: better), None where too few windows have
    it beside the market's price.
    """

    name: str
    by_bucket: tuple[float | None, ...]
    standard_errors: tuple[float | None, ...]
    windows: tuple[int, ...]
    kept: bool
    reason: str
    out_of_sample: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Everything fitted; `covariances` are in the order of `signals`."""

    edges_s: tuple[int, ...]
    l2: float
    signals: tuple[SignalFit, ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    scales: tuple[ScaleFit, ...]

    def calibration(self, digest: str = "") -> Calibration:
        """As the engine takes it."""
        return Calibration(
            digest=digest,
            edges_s=self.edges_s,
            strengths=tuple(
                Strength(name=each.name, by_bucket=each.by_bucket, reason=each.reason) for each in self.signals
            ),
            covariances=self.covariances,
            volatility_scales=tuple((each.symbol, each.scale) for each in self.scales),
            reason="the calibration file does not know this signal",
        )


def fit(looks: Sequence[Look], *, l2: float = L2) -> Fit:
    """Fit everything on these looks; what too few windows show is left unknown."""
    scales = fit_scales(looks)
    factors = _factors(scales)
    kept: list[str] = []
    judged: dict[str, tuple[str, Interval | None]] = {}
    for name in SIGNALS:
        judged[name] = _try(looks, name, kept, l2)
        if not judged[name][0]:
            kept.append(name)
    found = [_fit_bucket(_Rows(looks, factors, l2), kept, bucket) for bucket in range(len(EDGES_S) + 1)]
    signals = tuple(_told(looks, name, kept, judged[name], found) for name in SIGNALS)
    return Fit(
        edges_s=EDGES_S,
        l2=l2,
        signals=signals,
        covariances=tuple(_whole(names, fitted) for names, fitted in found),
        scales=scales,
    )


def forecast(look: Look, calibration: Calibration, weights: FusionWeights, fusion: Fusion) -> float | None:
    """P(Up) as the strategy would have told it at a look; None without a market's price."""
    if look.prior is None:
        return None
    signals = calibration.weigh(_readings(look, calibration.volatility_scale(look.symbol)), look.seconds_left)
    return fuse(look.prior, signals, weights, fusion).p_up


def values_of(look: Look, scale: float) -> dict[str, float]:
    """The signals' values at a look that has a market's price; those without data are left out."""
    return {each.name: each.value for each in _readings(look, scale) if each.value is not None}


def bucket_of(seconds_left: float) -> int:
    """Which stretch of time a look belongs to."""
    return Calibration(edges_s=EDGES_S).bucket(seconds_left)


# --- volatility ---------------------------------------------------------------------------


def fit_scales(looks: Sequence[Look]) -> tuple[ScaleFit, ...]:
    """Each symbol's factor on the measured volatility that makes its outcomes most likely; needs `FEWEST` windows."""
    found: list[ScaleFit] = []
    for symbol in sorted({look.symbol for look in looks}):
        own = [look for look in looks if look.symbol == symbol and look.deviations is not None]
        windows = len({look.window for look in own})
        if windows < FEWEST:
            continue
        weights = _weights(own)
        rows = [(look.deviations or 0.0, look.up, weights[look.window]) for look in own]

        def likelihood(log_scale: float, rows: list[tuple[float, bool, float]] = rows) -> float:
            scale = math.exp(log_scale)
            return -math.fsum(weight * log_loss(clamp_probability(normal_cdf(z / scale)), up) for z, up, weight in rows)

        best = _highest(likelihood, math.log(_LOWEST_SCALE), math.log(_HIGHEST_SCALE))
        error = _error(likelihood, best)
        low, high = (math.exp(best + sign * 1.96 * error) for sign in (-1.0, 1.0))
        found.append(ScaleFit(symbol=symbol, scale=math.exp(best), low=low, high=high, windows=windows))
    return tuple(found)


def _highest(value: Callable[[float], float], low: float, high: float) -> float:
    """The place of the maximum of a function with one peak, by golden sections."""
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    left, right = value(inner), value(outer)
    while high - low > 1e-6:
        if left < right:
            low, inner, left = inner, outer, right
            outer = low + _GOLDEN * (high - low)
            right = value(outer)
        else:
            high, outer, right = outer, inner, left
            inner = high - _GOLDEN * (high - low)
            left = value(inner)
    return (low + high) / 2.0


def _error(value: Callable[[float], float], place: float, step: float = 0.05) -> float:
    """Standard error from the curvature at a maximum; 1 (in logarithms) where there is none to speak of."""
    curvature = -(value(place + step) - 2.0 * value(place) + value(place - step)) / (step * step)
    return min(1.0, 1.0 / math.sqrt(curvature)) if curvature > 1.0 else 1.0


# --- signals ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rows:
    """What regressions are run on: looks, the factors on their volatility, the penalty."""

    looks: Sequence[Look]
    factors: Mapping[str, float]
    l2: float


def _try(looks: Sequence[Look], name: str, kept: Sequence[str], l2: float) -> tuple[str, Interval | None]:
    """Why a signal is not kept ("" when it is), and what it adds out of sample."""
    usable = [look for look in looks if look.prior is not None and name in values_of(look, 1.0)]
    blocks = len({look.block for look in usable})
    if blocks < 2 * FEWEST:
        return f"unknown: {blocks} independent windows have it beside a market's price, {2 * FEWEST} are needed", None
    forecasts: list[Forecast] = []
    for train, test in walk_forward(usable, FOLDS):
        opens_s = min(look.block - look.window_s for look in test)
        factors = _factors(fit_scales([look for look in looks if look.block <= opens_s]))
        rows = _Rows(train, factors, l2)
        forecasts += out_of_sample(test, _calibrated(rows, [*kept, name]), _calibrated(rows, kept))
    if not forecasts:
        return "unknown: the windows cannot be split into earlier and later ones", None
    gain = difference(forecasts, _WITH, _WITHOUT, log_loss)
    if gain.mean < 0.0:
        return "", gain
    return f"left out: log loss out of sample {gain.mean:+.5f} ({gain.low:+.5f} to {gain.high:+.5f})", gain


def out_of_sample(looks: Sequence[Look], with_it: Calibration, without_it: Calibration) -> list[Forecast]:
    """What two calibrations say of the same looks."""
    weights = FusionWeights()
    found: list[Forecast] = []
    for look in looks:
        said = {
            name: forecast(look, each, weights, Fusion.BAYESIAN)
            for name, each in ((_WITH, with_it), (_WITHOUT, without_it))
        }
        known = {name: p for name, p in said.items() if p is not None}
        found.append(
            Forecast(
                window=look.window,
                block=look.block,
                seconds_left=look.seconds_left,
                probabilities=known,
                up=look.up,
            )
        )
    return found


def _factors(scales: Iterable[ScaleFit]) -> dict[str, float]:
    return {each.symbol: each.scale for each in scales}


def _calibrated(rows: _Rows, names: Sequence[str]) -> Calibration:
    """A calibration of these signals alone; a stretch of time with few windows is shrunk, not left out."""
    fits = [_fit_bucket(rows, names, bucket, fewest=0)[1] for bucket in range(len(EDGES_S) + 1)]
    strengths = tuple(
        Strength(name=name, by_bucket=tuple(each.beta[place] for each in fits)) for place, name in enumerate(names)
    )
    return Calibration(edges_s=EDGES_S, strengths=strengths, volatility_scales=tuple(rows.factors.items()))


def _fit_bucket(
    rows: _Rows, names: Sequence[str], bucket: int, *, fewest: int = FEWEST
) -> tuple[tuple[str, ...], LogisticFit]:
    """The regression of one stretch of time, over those of `names` that `fewest` windows show."""
    own = [look for look in rows.looks if look.prior is not None and bucket_of(look.seconds_left) == bucket]
    values = [values_of(look, rows.factors.get(look.symbol, 1.0)) for look in own]
    pairs = {(name, look.window) for look, each in zip(own, values, strict=True) for name in each}
    shown = Counter(name for name, _ in pairs)
    fitted = tuple(name for name in names if shown[name] >= fewest)
    weights = _weights(own)
    observed = [
        Row(
            x=[each.get(name, 0.0) for name in fitted],
            offset=math.log(prior / (1.0 - prior)),
            up=look.up,
            weight=weights[look.window],
        )
        for look, each in zip(own, values, strict=True)
        if (prior := look.prior) is not None
    ]
    return fitted, fit_logistic(observed, len(fitted), l2=rows.l2)


def _told(
    looks: Sequence[Look],
    name: str,
    kept: Sequence[str],
    judged: tuple[str, Interval | None],
    found: Sequence[tuple[tuple[str, ...], LogisticFit]],
) -> SignalFit:
    """A signal's numbers: fitted, 0 where it was left out for its loss, None where nothing can be said."""
    reason, gain = judged
    strengths: list[float | None] = []
    errors: list[float | None] = []
    for names, fitted in found:
        place = names.index(name) if name in names else None
        unknown = None if gain is None or name in kept else 0.0
        strengths.append(unknown if place is None else fitted.beta[place])
        errors.append(None if place is None else fitted.standard_error(place))
    seen = Counter(
        bucket
        for bucket, _ in {
            (bucket_of(look.seconds_left), look.window)
            for look in looks
            if look.prior is not None and name in values_of(look, 1.0)
        }
    )
    if name in kept and None in strengths:
        reason = f"where it is unknown fewer than {FEWEST} windows show it"
    return SignalFit(
        name=name,
        by_bucket=tuple(strengths),
        standard_errors=tuple(errors),
        windows=tuple(seen[bucket] for bucket in range(len(EDGES_S) + 1)),
        kept=name in kept,
        reason=reason,
        out_of_sample=gain,
    )


def _whole(names: Sequence[str], fitted: LogisticFit) -> tuple[tuple[float, ...], ...]:
    """The covariance with a line for every signal, 0 for those without a strength."""
    places = {name: place for place, name in enumerate(names)}
    return tuple(
        tuple(
            fitted.covariance[places[one]][places[other]] if one in places and other in places else 0.0
            for other in SIGNALS
        )
        for one in SIGNALS
    )


def _readings(look: Look, scale: float) -> tuple[Reading, ...]:
    prior = 0.5 if look.prior is None else look.prior
    fair = None if look.deviations is None else normal_cdf(look.deviations / scale)
    return (fair_value.read(fair, prior, look.quality), *look.readings)


def _weights(looks: Sequence[Look]) -> dict[str, float]:
    """So that every window counts as one observation."""
    return {window: 1.0 / count for window, count in Counter(look.window for look in looks).items()}
