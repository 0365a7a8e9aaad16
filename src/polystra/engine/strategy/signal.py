"""What one signal says about one market at one moment, and what that is worth.

What lives here: the value types that every signal passes on, and the log-odds arithmetic that
signals and fusion share. What must not: any market data, weights or decisions.

A signal reads (`Reading`): a number from its formula, with a bias and the quality of its inputs. The calibration
turns the number into evidence (`Signal`): its log-likelihood ratio, whose strength was fitted on recordings. Both
are made several times per look: named tuples, which cost a third of frozen dataclasses.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

LOWEST_PROBABILITY: Final = 0.005
HIGHEST_PROBABILITY: Final = 0.995
"""Probabilities are clamped into this range before they meet a logarithm: no input is ever that sure."""


class Reading(NamedTuple):
    """A signal's own number (see its file), None without data and then with the reason.

    `bias` is signed in [-1, 1] towards Up, `confidence` in [0, 1] is the quality of the inputs (not the size of
    the move).
    """

    name: str
    value: float | None
    bias: float
    confidence: float
    reason: str = ""


class Signal(NamedTuple):
    """Evidence towards Up or Down, relative to what the market's price already says.

    `llr` is ln P(value|Up)/P(value|Down). A signal without data has `llr` None: it moves nothing and lowers the
    fused confidence. One whose strength is not known has `llr` 0 and says why in `reason`.
    """

    name: str
    bias: float
    confidence: float
    llr: float | None
    value: float | None = None
    reason: str = ""

    @property
    def is_missing(self) -> bool:
        """True when the signal had no data."""
        return self.llr is None


def unread(name: str, reason: str) -> Reading:
    """Return the reading of a signal without data."""
    return Reading(name, None, 0.0, 0.0, reason)


def missing(name: str, reason: str = "") -> Signal:
    """Return the signal `name` without data."""
    return Signal(name, 0.0, 0.0, None, None, reason)


def clamp(value: float, low: float, high: float) -> float:
    """Return `value` moved into [low, high]."""
    return low if value < low else min(value, high)


def clamp_probability(p: float) -> float:
    """Return `p` moved into [0.005, 0.995]."""
    if p < LOWEST_PROBABILITY:
        return LOWEST_PROBABILITY
    return min(p, HIGHEST_PROBABILITY)


def logit(p: float) -> float:
    """Return ln(p / (1 - p)) of a clamped probability."""
    q = clamp_probability(p)
    return math.log(q / (1.0 - q))


def logistic(x: float) -> float:
    """Return 1 / (1 + e^-x), the inverse of `logit`."""
    return 0.5 * (1.0 + math.tanh(0.5 * x))


def bias_of(llr: float) -> float:
    """Return evidence as a bias: what the log-likelihood ratio makes of an even prior, in [-1, 1]."""
    return math.tanh(0.5 * llr)
