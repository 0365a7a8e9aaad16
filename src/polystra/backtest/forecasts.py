"""Forecasts of windows from the decisions that the engine took: market, additive, Bayesian, fair value.

What lives here: which decisions stand for a window and what each forecaster said in them. What must not: scores
(`scoring`). A forecast is taken at fixed times before the close, so that a market that was decided on often counts
no more than another; the decision in force then is the last one before, if it is not older than `MOST_AGE_S`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from polystra.backtest.scoring import Forecast
from polystra.domain.facts import DecisionRecorded
from polystra.domain.ids import ConditionId
from polystra.domain.market import Market
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.strategy.fusion import FusionWeights
from polystra.engine.strategy.signal import clamp_probability, logistic, logit

MARKET: Final = "market"
ADDITIVE: Final = "additive"
BAYESIAN: Final = "bayesian"
FAIR_VALUE: Final = "fair value"
FORECASTERS: Final = (MARKET, ADDITIVE, BAYESIAN, FAIR_VALUE)
CHECKPOINTS_S: Final = (240, 180, 120, 60, 30, 10)
"""Seconds before the close; those outside a window are left out."""
MOST_AGE_S: Final = 20


class _Inputs(msgspec.Struct, frozen=True):
    """Of a decision's inputs those that say whether something was known."""

    market_prior_p_up: float | None = None
    fair_value_up: float | None = None


def probabilities(decision: DecisionRecorded, weights: FusionWeights) -> dict[str, float]:
    """What each forecaster said in a decision, from its stored fields; those that knew nothing are left out.

    Without a book there is no market's price, and both fusions are opinions on top of it.
    """
    inputs = msgspec.json.decode(decision.inputs, type=_Inputs)
    found = {} if inputs.fair_value_up is None else {FAIR_VALUE: decision.fair_value_up}
    if inputs.market_prior_p_up is None:
        return found
    prior = decision.market_prior_p_up
    bias = min(1.0 - 1e-12, max(-1.0 + 1e-12, decision.bayesian_bias))
    shift = 2.0 * math.atanh(bias)
    moved = prior + decision.additive_bias * decision.additive_confidence * weights.largest_score
    found[MARKET] = prior
    found[ADDITIVE] = clamp_probability(moved)
    found[BAYESIAN] = clamp_probability(logistic(logit(prior) + shift))
    return found


def forecasts_of(
    decisions: Iterable[DecisionRecorded],
    markets: Mapping[ConditionId, Market],
    payouts: Mapping[ConditionId, int],
    weights: FusionWeights,
) -> list[Forecast]:
    """Forecasts of every market that resolved to Up or Down, by market and checkpoint."""
    by_market: dict[ConditionId, list[DecisionRecorded]] = {}
    for decision in decisions:
        by_market.setdefault(decision.condition_id, []).append(decision)
    found: list[Forecast] = []
    for condition_id, taken in by_market.items():
        market, payout = markets.get(condition_id), payouts.get(condition_id)
        if market is None or payout not in (0, MICRO):
            continue
        taken.sort(key=lambda decision: decision.at_ns)
        for left_s in CHECKPOINTS_S:
            if left_s < market.window_s:
                at_ns = (market.closes_at_s - left_s) * NS_PER_S
                in_force = _in_force(taken, at_ns)
                if in_force is not None:
                    found.append(
                        Forecast(
                            window=market.slug,
                            block=market.closes_at_s,
                            seconds_left=left_s,
                            probabilities=probabilities(in_force, weights),
                            up=payout == MICRO,
                        )
                    )
    return found


def _in_force(decisions: list[DecisionRecorded], at_ns: int) -> DecisionRecorded | None:
    last: DecisionRecorded | None = None
    for decision in decisions:
        if decision.at_ns > at_ns:
            break
        last = decision
    if last is None or at_ns - last.at_ns > MOST_AGE_S * NS_PER_S:
        return None
    return last
