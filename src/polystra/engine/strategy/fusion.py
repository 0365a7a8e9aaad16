"""Two ways to make one opinion of several signals and the market's own price.

What lives here: the market's prior, the additive score and the Bayesian posterior; both are
always computed. What must not: thresholds, prices to pay, sizes.

Bayesian: logit p = logit prior + sum of weight x llr, the sum capped, and the cap lowered by
the share of signals without data. The llr come from strengths that were fitted together, so
that signals which overlap do not count twice. Additive: a weighted mean of biases times
confidence, mapped to prior + bias x confidence x cap. That is a rank and a filter: it is not a
probability, and using it for sizing is at the operator's own wish.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from polystra.domain.book import Level, OrderBook
from polystra.domain.units import MICRO
from polystra.engine.strategy.calibration import LARGEST_SHIFT
from polystra.engine.strategy.signal import Signal, clamp, clamp_probability, logistic, logit
from polystra.engine.strategy.signals import book_imbalance, fair_value, momentum


class Fusion(StrEnum):
    """Which of the two opinions is traded on."""

    BAYESIAN = "bayesian"
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """The operator's factors on the signals, and the largest moves away from the market's price.

    A factor of 1 takes a signal as it was fitted (Bayesian) and at its own share (additive), 0 switches it off.
    `largest_shift` is in log-odds (1.0 is 23 points at 0.5), `largest_score` in probability.
    """

    fair_value: float = 1.0
    book_imbalance: float = 1.0
    momentum: float = 1.0
    largest_shift: float = LARGEST_SHIFT
    largest_score: float = 0.15

    def of(self, name: str) -> float:
        """The factor of a signal; a stranger has none."""
        if name == fair_value.NAME:
            return self.fair_value
        if name == book_imbalance.NAME:
            return self.book_imbalance
        return self.momentum if name == momentum.NAME else 0.0

    def share(self, name: str) -> float:
        """What a signal counts in the additive score and in the confidence of both fusions."""
        return self.of(name) * _SHARES.get(name, 0.0)


@lru_cache(maxsize=8)
def _factors(weights: FusionWeights) -> Mapping[str, tuple[float, float]]:
    """Factor and share of every signal, looked up once per configuration."""
    return {name: (weights.of(name), weights.share(name)) for name in _SHARES}


_STRANGER: Final = (0.0, 0.0)
_SHARES: Final = MappingProxyType(
    {
        fair_value.NAME: fair_value.SHARE,
        book_imbalance.NAME: book_imbalance.SHARE,
        momentum.NAME: momentum.SHARE,
    }
)


class Fused(NamedTuple):
    """Both opinions. Biases are signed in [-1, 1] towards Up and relative to the market's price."""

    additive_bias: float
    additive_confidence: float
    bayesian_bias: float
    bayesian_confidence: float
    market_prior_p_up: float
    p_up: float
    confidence: float
    """Of the opinion that `p_up` comes from."""
    agreement: float = 1.0
    """What is left of the signals' log-odds after they cancel one another, as a share of their sizes."""


def fuse(prior: float, signals: Sequence[Signal], weights: FusionWeights, fusion: Fusion) -> Fused:
    """Return the opinions of `signals` on top of the market's price `prior`."""
    prior = clamp_probability(prior)
    total = trusted = known = lean = shift = force = 0.0
    factors = _factors(weights)
    for name, bias, trust, llr, _, _ in signals:
        factor, share = factors.get(name, _STRANGER)
        total += share
        if llr is None:
            continue
        known += share
        trusted += share * trust
        lean += share * trust * bias
        moved = factor * llr
        shift += moved
        force += abs(moved)
    additive_bias = lean / trusted if trusted > 0.0 else 0.0
    quality = clamp(trusted / total, 0.0, 1.0) if total > 0.0 else 0.0
    agreement = min(1.0, abs(shift) / force) if force > 0.0 else 1.0
    cap = weights.largest_shift * (known / total if total > 0.0 else 0.0)
    shift = clamp(shift, -cap, cap)
    bayesian_confidence = quality * agreement
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
        agreement=agreement,
    )


def market_prior(up: OrderBook, down: OrderBook, *, microprice: bool = False) -> float | None:
    """Return the market's own P(Up), clamped to [0.005, 0.995]: the middle of the two books taken as one.

    A bid for Down is an offer of Up. A side that is empty in both books counts as 0 or 1; two
    empty books say nothing. With `microprice` the middle leans to the side with less size.
    """
    if not microprice:
        return _middle(up, down)
    bids = [(price, size) for price, size in (_bid(up), _mirrored(_ask(down))) if size > 0]
    asks = [(price, size) for price, size in (_ask(up), _mirrored(_bid(down))) if size > 0]
    if not bids and not asks:
        return None
    bid, bid_size = max(bids, default=(0, 0))
    ask, ask_size = min(asks, default=(MICRO, 0))
    if bid_size and ask_size:
        return clamp_probability((bid * ask_size + ask * bid_size) / (bid_size + ask_size) / MICRO)
    return clamp_probability((bid + ask) / (2.0 * MICRO))


def _middle(up: OrderBook, down: OrderBook) -> float | None:
    """The plain middle; the strategy asks for it on every look."""
    bid, ask = up.best_bid, up.best_ask
    if down.best_ask is not None and (bid is None or MICRO - down.best_ask > bid):
        bid = MICRO - down.best_ask
    if down.best_bid is not None and (ask is None or MICRO - down.best_bid < ask):
        ask = MICRO - down.best_bid
    if bid is None and ask is None:
        return None
    return clamp_probability(((bid or 0) + (MICRO if ask is None else ask)) / (2.0 * MICRO))


def _bid(book: OrderBook) -> Level:
    return (0, 0) if book.best_bid is None else (book.best_bid, book.bids[book.best_bid])


def _ask(book: OrderBook) -> Level:
    return (MICRO, 0) if book.best_ask is None else (book.best_ask, book.asks[book.best_ask])


def _mirrored(level: Level) -> Level:
    return MICRO - level[0], level[1]
