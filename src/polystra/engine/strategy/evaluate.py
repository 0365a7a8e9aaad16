"""Enter, or not: one pure decision per market and moment.

What lives here: the gates, the choice of the side, the walk through the book and the limit
price. What must not: state, risk limits beyond the exposure handed in, orders, any clock.

Every refusal has a stable reason, so that a change of reason can be seen and counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from polystra.domain.book import OrderBook
from polystra.domain.market import SIZE_STEP, FeeSchedule, Market, Outcome
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroPrice, MicroShares, floor_to
from polystra.engine.strategy.advisor import Advisor, Opinion, ask_advisor
from polystra.engine.strategy.config import EntryStyle, StrategyConfig
from polystra.engine.strategy.fusion import Fused, Fusion, fuse, market_prior
from polystra.engine.strategy.signal import Signal
from polystra.engine.strategy.signals import book_imbalance, fair_value
from polystra.engine.strategy.sizing import Sizing, edge_of, minimum_refusal, size_entry
from polystra.engine.strategy.view import MarketView

BUDGET_STEP: MicroDollars = 10_000
"""Market buys are priced in whole cents."""

Scalar: TypeAlias = str | int | float | bool | None


class Action(StrEnum):
    """What an evaluation asks for."""

    ENTER = "ENTER"
    SKIP = "SKIP"


class SkipReason(StrEnum):
    """Why nothing is done; the texts are stable."""

    NO_OPINION = "the strategy has no opinion"
    NOT_CALIBRATED = "gate of the calibration is closed"
    NOT_ACCEPTING = "market accepts no orders"
    NOT_OPEN = "window has not opened"
    CLOSE_GUARD = "too close to the end of the window"
    NO_PRICE = "no settlement price"
    STALE_PRICE = "settlement price is stale"
    NO_PRICE_TO_BEAT = "price to beat is unknown"
    NO_VOLATILITY = "volatility is unknown"
    NO_BOOK = "no book"
    BOOK_CROSSED = "book is crossed"
    NO_OFFER = "nothing is offered"
    SPREAD = "spread is too wide"
    CONFIDENCE = "confidence is too low"
    EDGE = "edge is too small"
    SIZE = "size is below the minimum"
    LIQUIDITY = "too little is offered"


ENTER_REASON = "edge"


class Evidence(NamedTuple):
    """What the signals said, and what was made of it."""

    signals: tuple[Signal, ...]
    fused: Fused
    config: StrategyConfig
    opinion: Opinion | None = None
    """Of the user's strategy, which then decides."""

    def told(self) -> dict[str, object]:
        """As it is stored with a decision: every signal with its value, and the confidence in its parts."""
        fused, config = self.fused, self.config
        return {
            **({} if self.opinion is None else {"strategy": self._opinion()}),
            "calibration": config.calibration.digest or None,
            "confidence": {
                "score": fused.confidence,
                "needed": config.min_confidence,
                "inputs": fused.additive_confidence,
                "agreement": fused.agreement if config.fusion is Fusion.BAYESIAN else None,
            },
            "fusion": config.fusion.value,
            "signals": {
                signal.name: {
                    "value": signal.value,
                    "bias": signal.bias,
                    "confidence": signal.confidence,
                    "llr": signal.llr,
                    "weight": config.weights.of(signal.name),
                    "share": config.weights.share(signal.name),
                    **({"reason": signal.reason} if signal.reason else {}),
                }
                for signal in self.signals
            },
        }

    def _opinion(self) -> dict[str, object]:
        assert self.opinion is not None
        return {
            "p_up": self.opinion.p_up,
            "confidence": self.opinion.confidence,
            **({"reason": self.opinion.reason} if self.opinion.reason else {}),
        }

    def variance(self, seconds_left: float) -> float:
        """Of P(Up) for want of data; where unknown, as if the whole step from the market's price were chance."""
        config, p_up = self.config, self.fused.p_up
        found = None
        if config.fusion is Fusion.BAYESIAN and self.opinion is None:
            weights = config.weights
            values = {signal.name: weights.of(signal.name) * (signal.value or 0.0) for signal in self.signals}
            found = config.calibration.variance(values, seconds_left)
        if found is None:
            return (p_up - self.fused.market_prior_p_up) ** 2
        slope = p_up * (1.0 - p_up)
        return found * slope * slope


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A decision with everything that it rests on.

    `price` is the limit (for a market entry the worst acceptable price), on the tick.
    `planned_price` is the average price at which the book was reckoned to be taken.
    `quantity` is step-aligned. `budget` is the dollars of a market entry, 0 for a limit one.
    `edge` is a fraction of the price paid, after fees, of the better side (0 when unknown).
    Where the fair value is unknown `fair_value_up` repeats the market's prior, and 0.5 stands
    for a prior without a book; `inputs` tells those cases by null.
    """

    action: Action
    reason: str
    fair_value_up: float
    fused: Fused
    inputs: tuple[tuple[str, Scalar], ...]
    evidence: Evidence | None = None
    detail: str = ""
    outcome: Outcome | None = None
    edge: float = 0.0
    price: MicroPrice | None = None
    quantity: MicroShares | None = None
    budget: MicroDollars = 0
    planned_price: MicroPrice | None = None

    def inputs_json(self) -> str:
        """The inputs, what each signal said and what the confidence is made of, as a JSON object with sorted keys."""
        evidence = {} if self.evidence is None else self.evidence.told()
        return json.dumps({**dict(self.inputs), **evidence}, sort_keys=True, separators=(",", ":"))


class Walk(NamedTuple):
    """What buying would take from the asks: shares, their dollars rounded up, their fees, the last price."""

    quantity: MicroShares
    cost: MicroDollars
    fee: MicroDollars
    worst: MicroPrice


class _Offer(NamedTuple):
    """The better side to buy: its chance of winning, its book, its edge at the best ask."""

    outcome: Outcome
    q: float
    book: OrderBook
    ask: MicroPrice
    edge: float


def evaluate(view: MarketView, config: StrategyConfig, advisor: Advisor | None = None) -> Evaluation:
    """Return the decision for one market; no exception for any state of the market.

    Raises:
        AdvisorFailed: `advisor`, the user's own strategy, failed.
    """
    prior = market_prior(view.up_book, view.down_book, microprice=config.use_microprice)
    known_prior = 0.5 if prior is None else prior
    readings = (
        fair_value.read(view.fair_value_up, known_prior, view.fair_value_confidence),
        book_imbalance.read(view.up_book, view.down_book, view.market.tick_size),
        view.momentum,
    )
    signals = tuple(config.calibration.weigh(readings, view.seconds_left))
    fused = fuse(known_prior, signals, config.weights, config.fusion)
    closed = _market_gate(view, config)
    opinion = None
    if advisor is not None and closed is None:
        opinion = ask_advisor(advisor, view, fused, signals)
        if opinion is None:
            closed = SkipReason.NO_OPINION
        else:
            fused = fused._replace(p_up=opinion.p_up, confidence=opinion.confidence)
    evidence = Evidence(signals, fused, config, opinion)
    offer = _better_offer(view, fused.p_up)
    gate = closed or _book_gate(view, prior, offer, fused, config)
    if gate is not None or offer is None:
        return _skip(view, prior, evidence, offer, gate or SkipReason.NO_OFFER)
    return _enter(view, prior, evidence, offer)


def edge_price(market: Market, q: float, min_edge_ppm: int) -> MicroPrice:
    """Return the highest price on the grid at which the edge is still wanted (the lowest price when there is none)."""
    tick = market.tick_size
    wanted = max(0, min_edge_ppm) / MICRO
    low, high = 1, market.highest_price // tick
    while low < high:
        middle = (low + high + 1) // 2
        if edge_of(q, middle * tick, market.fees) >= wanted:
            low = middle
        else:
            high = middle - 1
    return low * tick


def walk_asks(book: OrderBook, limit: MicroPrice, quantity: MicroShares, fees: FeeSchedule) -> Walk:
    """Return what buying up to `quantity` at `limit` or cheaper takes from the book now."""
    left, cost, fee, worst = quantity, 0, 0, 0
    for price in sorted(ask for ask in book.asks if ask <= limit):
        if left <= 0:
            break
        taken = min(left, book.asks[price])
        cost += price * taken
        fee += fees.taker_fee(price, taken)
        worst = price
        left -= taken
    return Walk(quantity - left, -(-cost // MICRO), fee, worst)


def _better_offer(view: MarketView, p_up: float) -> _Offer | None:
    best: _Offer | None = None
    sides = ((Outcome.UP, p_up, view.up_book), (Outcome.DOWN, 1.0 - p_up, view.down_book))
    for outcome, q, book in sides:
        ask = book.best_ask
        if ask is None:
            continue
        edge = edge_of(q, ask, view.market.fees)
        if best is None or edge > best.edge:
            best = _Offer(outcome, q, book, ask, edge)
    return best


def _market_gate(view: MarketView, config: StrategyConfig) -> SkipReason | None:
    if config.is_closed:
        return SkipReason.NOT_CALIBRATED
    if not view.market.accepting_orders:
        return SkipReason.NOT_ACCEPTING
    if view.now_ns < view.market.opens_at_s * NS_PER_S:
        return SkipReason.NOT_OPEN
    if view.seconds_left <= max(0.0, config.close_guard_s):
        return SkipReason.CLOSE_GUARD
    if view.price is None or view.price_age_s is None:
        return SkipReason.NO_PRICE
    if view.price_age_s > config.max_price_age_s:
        return SkipReason.STALE_PRICE
    if view.price_to_beat is None:
        return SkipReason.NO_PRICE_TO_BEAT
    if view.sigma is None or view.fair_value_up is None:
        return SkipReason.NO_VOLATILITY
    return None


def _book_gate(
    view: MarketView, prior: float | None, offer: _Offer | None, fused: Fused, config: StrategyConfig
) -> SkipReason | None:
    if prior is None or not (view.up_book.in_sync and view.down_book.in_sync):
        return SkipReason.NO_BOOK
    if view.up_book.is_crossed or view.down_book.is_crossed:
        return SkipReason.BOOK_CROSSED
    if offer is None:
        return SkipReason.NO_OFFER
    if fused.confidence < config.min_confidence:
        return SkipReason.CONFIDENCE
    if offer.edge * MICRO < config.min_edge_ppm or offer.edge <= 0.0:
        return SkipReason.EDGE
    if offer.ask - (offer.book.best_bid or 0) > config.max_spread:
        return SkipReason.SPREAD
    return None


def _enter(view: MarketView, prior: float | None, evidence: Evidence, offer: _Offer) -> Evaluation:
    market, config, fused = view.market, evidence.config, evidence.fused
    limit = edge_price(market, offer.q, config.min_edge_ppm)
    sizing = _size(view, evidence, offer, limit)
    if sizing.refusal:
        return _skip(view, prior, evidence, offer, SkipReason.SIZE, detail=sizing.refusal)
    walk = walk_asks(offer.book, limit, sizing.quantity, market.fees)
    quantity = sizing.quantity
    if config.check_liquidity and walk.quantity < quantity:
        quantity = floor_to(walk.quantity, SIZE_STEP)
        walk = walk_asks(offer.book, limit, quantity, market.fees)
    if config.entry_style is EntryStyle.MARKET:
        budget = floor_to(walk.cost, BUDGET_STEP)
        price = limit
        refusal = minimum_refusal(budget * MICRO // limit, budget, market.minimum_size)
    else:
        budget = 0
        price = market.price_at_or_above(walk.worst)
        refusal = minimum_refusal(quantity, walk.cost, market.minimum_size)
    if refusal:
        return _skip(view, prior, evidence, offer, SkipReason.LIQUIDITY, detail=refusal)
    return Evaluation(
        action=Action.ENTER,
        reason=ENTER_REASON,
        fair_value_up=_fair_value(view, fused),
        fused=fused,
        inputs=_inputs(view, prior, offer),
        evidence=evidence,
        outcome=offer.outcome,
        edge=(offer.q * walk.quantity - walk.cost - walk.fee) / walk.cost,
        price=price,
        quantity=quantity,
        budget=budget,
        planned_price=(walk.cost * MICRO + walk.quantity // 2) // walk.quantity,
    )


def _size(view: MarketView, evidence: Evidence, offer: _Offer, limit: MicroPrice) -> Sizing:
    """Size at the best ask, and again at what this size would cost through the visible book."""
    fees = view.market.fees
    variance = evidence.variance(view.seconds_left)

    def at(price: MicroPrice, cost: float | None) -> Sizing:
        return size_entry(
            offer.q,
            price,
            fees,
            view.market.minimum_size,
            evidence.config.sizing,
            bankroll=view.bankroll,
            exposure_left=view.exposure_left,
            cost=cost,
            variance=variance,
        )

    sizing = at(offer.ask, None)
    walk = walk_asks(offer.book, limit, sizing.quantity, fees)
    if walk.worst <= offer.ask:
        return sizing
    return at(walk.worst, (walk.cost + walk.fee) / walk.quantity)


def _fair_value(view: MarketView, fused: Fused) -> float:
    return fused.market_prior_p_up if view.fair_value_up is None else view.fair_value_up


def _skip(
    view: MarketView,
    prior: float | None,
    evidence: Evidence,
    offer: _Offer | None,
    reason: SkipReason,
    *,
    detail: str = "",
) -> Evaluation:
    return Evaluation(
        action=Action.SKIP,
        reason=reason.value,
        detail=detail,
        fair_value_up=_fair_value(view, evidence.fused),
        fused=evidence.fused,
        inputs=_inputs(view, prior, offer),
        evidence=evidence,
        outcome=None if offer is None else offer.outcome,
        edge=0.0 if offer is None else offer.edge,
    )


def _inputs(view: MarketView, prior: float | None, offer: _Offer | None) -> tuple[tuple[str, Scalar], ...]:
    return (
        ("average_e8", view.average),
        ("bankroll", view.bankroll),
        ("best_edge", None if offer is None else offer.edge),
        ("down_ask", view.down_book.best_ask),
        ("down_bid", view.down_book.best_bid),
        ("exposure_left", view.exposure_left),
        ("fair_value_confidence", view.fair_value_confidence),
        ("fair_value_up", view.fair_value_up),
        ("fee_rate_ppm", view.market.fees.rate_ppm),
        ("market_prior_p_up", prior),
        ("price_age_s", view.price_age_s),
        ("price_e8", view.price),
        ("price_to_beat_e8", view.price_to_beat),
        ("seconds_left", view.seconds_left),
        ("settlement_price_e8", view.settlement_price),
        ("sigma", view.sigma),
        ("up_ask", view.up_book.best_ask),
        ("up_bid", view.up_book.best_bid),
    )
