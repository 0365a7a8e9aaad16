"""How much a signal is worth: strengths that were fitted on recordings, as the engine holds them.

What lives here: the fitted numbers and the step from a reading to evidence. What must not: the fit (the backtest
package), files (the application).

A strength is the change in log-odds per unit of a signal's value on top of the market's own price, one for each
stretch of time before the close. Where none was fitted it is unknown: the log-likelihood ratio is 0 and says so.
A number from taste stands nowhere here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from polystra.engine.strategy.signal import Reading, Signal, missing

LARGEST_SHIFT: Final = 1.0
"""Nothing moves the market's log-odds further than this (23 points at 0.5), one signal or all together."""
NO_FILE: Final = "no calibration: the strength of signals is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """One signal's fitted strengths.

    `by_bucket` has a number for each stretch of time (see `Calibration.edges_s`), None where it is unknown; `reason`
    says why some are.
    """

    name: str
    by_bucket: tuple[float | None, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything fitted. Without content (`UNFITTED`) every strength is unknown.

    `edges_s` are the upper ends, in seconds before the close, of the stretches but the last, which is open. The
    covariances are of the strengths in the order of `strengths`, one matrix for each stretch. `volatility_scales` are
    factors on the measured volatility by symbol.
    """

    digest: str = ""
    """Of the file that it comes from; decisions store it."""
    edges_s: tuple[int, ...] = ()
    strengths: tuple[Strength, ...] = ()
    covariances: tuple[tuple[tuple[float, ...], ...], ...] = ()
    volatility_scales: tuple[tuple[str, float], ...] = ()
    reason: str = NO_FILE
    """Why signals that are not in `strengths` are unknown."""

    def bucket(self, seconds_left: float) -> int:
        """Which stretch of time a moment belongs to."""
        return bisect_left(self.edges_s, seconds_left)

    def volatility_scale(self, symbol: str) -> float:
        """The factor on a symbol's measured volatility; 1 where none was fitted."""
        for known, scale in self.volatility_scales:
            if known == symbol:
                return scale
        return 1.0

    def weigh(self, readings: Sequence[Reading], seconds_left: float) -> list[Signal]:
        """Turn readings into evidence."""
        bucket = bisect_left(self.edges_s, seconds_left)
        known = self.strengths
        if len(known) == len(readings):  # nearly always, and in the same order
            return [self._weigh(reading, each, bucket) for reading, each in zip(readings, known, strict=True)]
        return [self._weigh(reading, None, bucket) for reading in readings]

    def variance(self, values: Mapping[str, float], seconds_left: float) -> float | None:
        """How uncertain the sum of strength x value is for want of data; None where nothing was fitted."""
        if not self.covariances:
            return None
        matrix = self.covariances[self.bucket(seconds_left)]
        told = [(place, values.get(each.name, 0.0)) for place, each in enumerate(self.strengths)]
        total = 0.0
        for row, x in told:
            line = matrix[row]
            if x and line[row]:  # a signal that was left out has no variance, and so no covariance
                total += x * sum([y * line[column] for column, y in told])
        return max(0.0, total)

    def _weigh(self, reading: Reading, guess: Strength | None, bucket: int) -> Signal:
        name, value, bias, confidence, reason = reading
        if value is None:
            return missing(name, reason)
        found = guess if guess is not None and guess.name == name else self._find(name)
        if found is None:
            return Signal(name, bias, confidence, 0.0, value, self.reason)
        strength = found.by_bucket[bucket]
        llr = 0.0 if strength is None else strength * value
        if llr > LARGEST_SHIFT or llr < -LARGEST_SHIFT:
            llr = math.copysign(LARGEST_SHIFT, llr)
        return Signal(name, bias, confidence, llr, value, found.reason)

    def _find(self, name: str) -> Strength | None:
        return next((each for each in self.strengths if each.name == name), None)


UNFITTED: Final = Calibration()
