"""The gates of a decision, each with its value and its limit, for the screen of the operator.

What lives here: the reading of a stored decision in the order in which the strategy judges. What must not: judgement.
The reason that the strategy gave is the truth: the gate that it names has failed, and those that it never reached
are told as such unless their figures stand in the inputs. Limits are those of `config`, where the decision
did not store its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polystra.domain.facts import DecisionRecorded
from polystra.domain.units import MICRO
from polystra.engine.strategy.config import StrategyConfig
from polystra.engine.strategy.evaluate import ENTER_REASON, SkipReason
from polystra.engine.strategy.fusion import Fusion


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition of an entry, in words. `ok` is None when it was not reached or its figure is unknown."""

    name: str
    value: str
    limit: str
    ok: bool | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A gate with the reasons that name it, as far as its figures tell."""

    name: str
    reasons: tuple[SkipReason, ...]
    value: str
    limit: str
    holds: bool | None


def gates_of(decision: DecisionRecorded, config: StrategyConfig) -> tuple[Gate, ...]:
    """The gates in the order in which they are judged.

    What stands against an entry beside the market (a limit, a switch, an open position) is told by the engine after
    a semicolon; it is the last gate.
    """
    told = _inputs(decision)
    judged = (*_market_gates(told, config), *_book_gates(decision, told, config), *_size_gates(decision))
    reason, _, block = decision.reason.partition("; ")
    failed = next((at for at, gate in enumerate(judged) if reason in gate.reasons), None)
    passed = reason == ENTER_REASON
    gates = (
        Gate(name=gate.name, value=gate.value, limit=gate.limit, ok=_verdict(gate.holds, at, failed, passed=passed))
        for at, gate in enumerate(judged)
    )
    return (*gates, Gate(name="limits, switches, what is held", value=block, limit="", ok=not block))


# --- inside ------------------------------------------------------------------------------


def _verdict(holds: bool | None, at: int, failed: int | None, *, passed: bool) -> bool | None:
    if passed or (failed is not None and at < failed):
        return True
    return False if at == failed else holds


def _inputs(decision: DecisionRecorded) -> Mapping[str, Any]:
    try:
        told = json.loads(decision.inputs or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _market_gates(told: Mapping[str, Any], config: StrategyConfig) -> tuple[_Judged, ...]:
    left, age, guard = _figure(told, "seconds_left"), _figure(told, "price_age_s"), config.close_guard_s
    stale = config.max_price_age_s
    open_ = (SkipReason.NOT_ACCEPTING, SkipReason.NOT_OPEN)
    return (
        _Judged("calibration of live", (SkipReason.NOT_CALIBRATED,), "", "", None),
        _Judged("market is open and takes orders", open_, "", "", None),
        _Judged(
            "time to the end of the window",
            (SkipReason.CLOSE_GUARD,),
            _seconds(left),
            f"more than {guard:g} s",
            None if left is None else left > guard,
        ),
        _Judged(
            "age of the settlement price",
            (SkipReason.NO_PRICE, SkipReason.STALE_PRICE),
            _seconds(age, digits=1),
            f"at most {stale:g} s",
            None if age is None else age <= stale,
        ),
        _known("price to beat", SkipReason.NO_PRICE_TO_BEAT, told, "price_to_beat_e8"),
        _known("volatility", SkipReason.NO_VOLATILITY, told, "sigma"),
    )


def _book_gates(decision: DecisionRecorded, told: Mapping[str, Any], config: StrategyConfig) -> tuple[_Judged, ...]:
    edge, spread = _figure(told, "best_edge"), _spread(decision, told)
    confidence, needed = _confidence(decision, told, config)
    least, widest = config.min_edge_ppm / MICRO, config.max_spread / MICRO
    book = (SkipReason.NO_BOOK, SkipReason.BOOK_CROSSED, SkipReason.NO_OFFER)
    return (
        _Judged("both books in order", book, "", "", None),
        _Judged("confidence", (SkipReason.CONFIDENCE,), f"{confidence:.2f}", f"at least {needed:.2f}", None),
        _Judged(
            "edge after fees",
            (SkipReason.EDGE,),
            "" if edge is None else f"{edge:.1%}".replace("%", " %").replace("-", "−"),
            f"at least {least:.1%}".replace("%", " %"),
            None if edge is None else edge >= least and edge > 0,
        ),
        _Judged(
            "spread of the book",
            (SkipReason.SPREAD,),
            "" if spread is None else f"{spread:.3f}",
            f"at most {widest:.3f}",
            None if spread is None else spread <= widest + 0.5 / MICRO,
        ),
    )


def _size_gates(decision: DecisionRecorded) -> tuple[_Judged, ...]:
    size = "" if decision.quantity is None else f"{decision.quantity / MICRO:g} shares"
    return (
        _Judged("size by capital and limits", (SkipReason.SIZE,), size, "the market's minimum", None),
        _Judged("offered in the book", (SkipReason.LIQUIDITY,), size, "the size", None),
    )


def _known(name: str, reason: SkipReason, told: Mapping[str, Any], field: str) -> _Judged:
    known = _figure(told, field) is not None
    return _Judged(name, (reason,), "known" if known else "", "" if known else "must be known", known if told else None)


def _confidence(decision: DecisionRecorded, told: Mapping[str, Any], config: StrategyConfig) -> tuple[float, float]:
    """The score that was judged and what it needed; the stored ones, where the decision has them."""
    bayesian = config.fusion is Fusion.BAYESIAN
    score = decision.bayesian_confidence if bayesian else decision.additive_confidence
    needed = config.min_confidence
    stored = told.get("confidence")
    if not isinstance(stored, dict):
        return score, needed
    own, least = _figure(stored, "score"), _figure(stored, "needed")
    return (score if own is None else own), (needed if least is None else least)


def _spread(decision: DecisionRecorded, told: Mapping[str, Any]) -> float | None:
    """Between best bid and ask of the side looked at, dollars per share; without a bid, the whole ask."""
    if decision.outcome is None:
        return None
    side = decision.outcome.value.lower()
    ask, bid = _figure(told, f"{side}_ask"), _figure(told, f"{side}_bid")
    return None if ask is None else (ask - (bid or 0.0)) / MICRO


def _figure(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _seconds(value: float | None, *, digits: int = 0) -> str:
    return "" if value is None else f"{value:.{digits}f} s"
