"""Two ways to make one opinion of several signals and the market's own price.

What lives here: the market's prior, the additive score and the Bayesian posterior; both are
always computed. What must not: thresholds, prices to pay, sizes.

Bayesian: logit p = logit prior + sum of weight x llr, the sum capped. Weights below 1 admit
that signals overlap and that the market may know better. Additive: a weighted mean of biases
times confidence, mapped to prior + bias x confidence x cap. That is a rank and a filter: it
is not a probability, and using it for sizing is at the operator's own wish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from polystra.domain.book import Level, OrderBook
from polystra.domain.units import MICRO
from polystra.engine.strategy.signal import Signal, bias_of, clamp, clamp_probability, logistic, logit, missing

FAIR_VALUE: Final = "fair_value"


class Fusion(StrEnum):
    """Which of the two opinions is traded on."""

    BAYESIAN = "bayesian"
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Weights of the signals in [0, 1), and the largest moves away from the market's price.

    `largest_shift` is in log-odds (1.0 is 23 points at 0.5), `largest_score` in probability.
    """

    fair_value: float = 0.7
    momentum: float = 0.1
    largest_shift: float = 1.0
    largest_score: float = 0.15

    def of(self, name: str) -> float:
        """The weight of a signal; a stranger has none."""
        if name == FAIR_VALUE:
            return self.fair_value
        return self.momentum if name == "momentum" else 0.0


@dataclass(frozen=True, slots=True)
class Fused:
    """Both opinions. Biases are signed in [-1, 1] towards Up and relative to the market's price."""

    additive_bias: float
    additive_confidence: float
    bayesian_bias: float
    bayesian_confidence: float
    market_prior_p_up: float
    p_up: float
    confidence: float
    """Of the opinion that `p_up` comes from."""


def fair_value_signal(fair_value_up: float | None, prior: float, confidence: float) -> Signal:
    """Return what the fair value says beyond the market's price: the difference of their log-odds."""
    if fair_value_up is None:
        return missing(FAIR_VALUE)
    llr = logit(fair_value_up) - logit(prior)
    return Signal(FAIR_VALUE, bias_of(llr), confidence, llr)


def fuse(prior: float, signals: Sequence[Signal], weights: FusionWeights, fusion: Fusion) -> Fused:
    """Return the opinions of `signals` on top of the market's price `prior`."""
    prior = clamp_probability(prior)
    total = trusted = lean = shift = force = 0.0
    for signal in signals:
        weight = weights.of(signal.name)
        total += weight
        if signal.llr is None:
            continue
        trusted += weight * signal.confidence
        lean += weight * signal.confidence * signal.bias
        shift += weight * signal.llr
        force += weight * abs(signal.llr)
    additive_bias = lean / trusted if trusted > 0.0 else 0.0
    quality = clamp(trusted / total, 0.0, 1.0) if total > 0.0 else 0.0
    agreement = abs(shift) / force if force > 0.0 else 1.0
    shift = clamp(shift, -weights.largest_shift, weights.largest_shift)
    bayesian_confidence = quality * min(1.0, agreement)
    if fusion is Fusion.BAYESIAN:
        p_up, confidence = logistic(logit(prior) + shift), bayesian_confidence
    else:
        p_up, confidence = prior + additive_bias * quality * weights.largest_score, quality
    return Fused(
        additive_bias=clamp(additive_bias, -1.0, 1.0),
        additive_confidence=quality,
        bayesian_bias=math.tanh(0.5 * shift),
        bayesian_confidence=bayesian_confidence,
        market_prior_p_up=prior,
        p_up=clamp_probability(p_up),
        confidence=confidence,
    )


def market_prior(up: OrderBook, down: OrderBook, *, microprice: bool = False) -> float | None:
    """Return the market's own P(Up), clamped to [0.005, 0.995]: the middle of the two books taken as one.

    A bid for Down is an offer of Up. A side that is empty in both books counts as 0 or 1; two
    empty books say nothing. With `microprice` the middle leans to the side with less size.
    """
    bids = [(price, size) for price, size in (_bid(up), _mirrored(_ask(down))) if size > 0]
    asks = [(price, size) for price, size in (_ask(up), _mirrored(_bid(down))) if size > 0]
    if not bids and not asks:
        return None
    bid, bid_size = max(bids, default=(0, 0))
    ask, ask_size = min(asks, default=(MICRO, 0))
    if microprice and bid_size and ask_size:
        return clamp_probability((bid * ask_size + ask * bid_size) / (bid_size + ask_size) / MICRO)
    return clamp_probability((bid + ask) / (2.0 * MICRO))


def _bid(book: OrderBook) -> Level:
    return (0, 0) if book.best_bid is None else (book.best_bid, book.bids[book.best_bid])


def _ask(book: OrderBook) -> Level:
    return (MICRO, 0) if book.best_ask is None else (book.best_ask, book.asks[book.best_ask])


def _mirrored(level: Level) -> Level:
    return MICRO - level[0], level[1]
