"""Unfilled entries: an entry that has waited too long is cancelled, once, and perhaps tried at market.

The time-out is clamped to a third of the window that was left when the entry was made, so that an
entry never outlives the idea behind it. Earlier it goes when the outcome's chance (the strategy's,
or the market's own asks) has fallen too far below the price bid: a fill would then be bad news. At
the window's end every live entry is cancelled too.

An entry that timed out on the winning side (others bid well above it by now) is tried once more at
market: only after its own fate and fills are known, if the edge test passes again at the price that
is there now, for what was left of it, with FAK and a worst price. Each order is asked to be cancelled
once; the gateway repeats that only while its outcome is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from polystra.domain.facts import NoticeKind
from polystra.domain.ids import ClientOrderId, ConditionId
from polystra.domain.market import Outcome
from polystra.domain.orders import Purpose
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, floor_to, format_micros
from polystra.engine.config import UnfilledConfig
from polystra.engine.entries import Entries
from polystra.engine.gateway import Gateway
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, ExitPhase, MarketState, OrderTrack, Turn
from polystra.engine.strategy.evaluate import BUDGET_STEP, Action, Evaluation
from polystra.engine.strategy.sizing import minimum_refusal

RETRY_RULE: Final = "retry-at-market"
_STRATEGYS: Final = ("entry", "scale-in", "reversal", RETRY_RULE)
"""Rules whose entries rest on the strategy's view; what a person asked for is not judged by it."""
_RETRY_WITHIN_NS: Final = 60 * NS_PER_S
"""An entry whose fate was in doubt for longer is not tried again."""


@dataclass(frozen=True, slots=True)
class _Retry:
    track: OrderTrack
    until_ns: int


class Unfilled:
    """Owns entries that do not fill."""

    def __init__(self, state: EngineState, gateway: Gateway, risk: Risk, entries: Entries) -> None:
        self._state = state
        self._gateway = gateway
        self._risk = risk
        self._entries = entries
        self._retries: dict[ConditionId, _Retry] = {}

    @property
    def _config(self) -> UnfilledConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.unfilled

    # --- cancelling -------------------------------------------------------------------

    def resume(self, track: OrderTrack, turn: Turn) -> None:
        """An entry of the last run: its idea is old, so its time is up soon."""
        turn.timer(f"unfilled:{track.order.terms.client_order_id}", turn.now_ns + 10 * NS_PER_S)

    def due(self, client_order_id: str, turn: Turn) -> None:
        """The time is up: cancel what is left of the entry."""
        track = self._state.orders.get(ClientOrderId(client_order_id))
        if track is None or not track.is_live:
            return
        terms = track.order.terms
        may_retry = self._config.retry and terms.rule in _STRATEGYS and terms.rule != RETRY_RULE
        if may_retry and not track.cancel_asked_ns and self._is_winning(track):
            self._retries = {known: each for known, each in self._retries.items() if known in self._state.markets}
            self._retries[terms.condition_id] = _Retry(track, turn.now_ns + _RETRY_WITHIN_NS)
        self._gateway.cancel(track, turn, "unfilled for too long")

    def reviewed(self, market: MarketState, evaluation: Evaluation, turn: Turn) -> None:
        """A market was evaluated: cancel entries that the market has turned against."""
        if not self._config.cancel or not self._config.cancel_threshold_ppm:
            return
        for track in self._state.orders.of_market(market.condition_id):
            terms = track.order.terms
            if not track.is_live or terms.rule not in _STRATEGYS:
                continue
            worth = self._worth(track, market, evaluation)
            if worth is not None and worth * MICRO <= terms.price * (MICRO - self._config.cancel_threshold_ppm):
                words = f"worth {format_micros(worth)}, too far below the {format_micros(terms.price)} bid"
                self._gateway.cancel(track, turn, words)

    def window_closed(self, condition_id: str, turn: Turn) -> None:
        """The window is over: no entry may live on."""
        for track in self._state.orders.of_market(ConditionId(condition_id)):
            if track.is_live and track.order.terms.purpose is Purpose.ENTRY:
                self._gateway.cancel(track, turn, "window closed")

    # --- trying again -----------------------------------------------------------------

    def follow(self, market: MarketState, evaluation: Evaluation, record: Callable[[], int], turn: Turn) -> bool:
        """Try a timed-out entry of this market at market, once its fate is known; True when an order was made."""
        retry = self._retries.get(market.condition_id)
        if retry is None or not retry.track.is_settled:
            return False
        del self._retries[market.condition_id]
        terms = retry.track.order.terms
        refusal = self._refusal(retry, market, evaluation, turn)
        budget = 0 if refusal else self._budget(retry.track, evaluation)
        position = self._state.positions[terms.position_id]
        if not refusal:
            shares = budget * MICRO // (evaluation.price or MICRO) + position.shares
            refusal = minimum_refusal(shares, budget, market.market.minimum_size)
        if refusal or evaluation.price is None or evaluation.quantity is None:
            turn.notice(NoticeKind.RETRY_SKIPPED, terms.client_order_id, f"not tried at market: {refusal}")
            return False
        self._entries.place(
            market,
            position,
            turn,
            price=evaluation.price,
            quantity=budget * MICRO // evaluation.price,
            budget=budget,
            rule=RETRY_RULE,
            reason=f"{terms.client_order_id} did not fill, edge {evaluation.edge:.3f} at market",
            decision_id=record(),
            rank=round(evaluation.edge * MICRO),
            planned=evaluation.planned_price,
        )
        return True

    # --- inside -----------------------------------------------------------------------

    def _is_winning(self, track: OrderTrack) -> bool:
        """Others bid above our price by more than the threshold: a fill would stand at that gain."""
        terms = track.order.terms
        book = self._state.book(terms.token_id)
        if book is None or not book.in_sync or book.best_bid is None:
            return False
        return (book.best_bid - terms.price) * MICRO > terms.price * self._config.retry_min_pnl_ppm

    @staticmethod
    def _worth(track: OrderTrack, market: MarketState, evaluation: Evaluation) -> int | None:
        """What a share of the outcome is worth now: the lower of its chance and its best ask; None without a book."""
        book = market.books[track.order.terms.token_id]
        if not book.in_sync or book.best_bid is None or book.best_ask is None:
            return None
        up = round(evaluation.fused.p_up * MICRO)
        is_up = market.market.outcome_of(track.order.terms.token_id) is Outcome.UP
        return min(up if is_up else MICRO - up, book.best_ask)

    def _refusal(self, retry: _Retry, market: MarketState, evaluation: Evaluation, turn: Turn) -> str:
        terms = retry.track.order.terms
        exits = self._state.exits.get(terms.position_id)
        if turn.now_ns > retry.until_ns:
            return "its fate was known too late"
        if exits is not None and exits.phase is not ExitPhase.GUARDING:
            return "the position is being sold"
        if evaluation.action is not Action.ENTER:
            return evaluation.reason
        if evaluation.outcome is None or market.market.token(evaluation.outcome) != terms.token_id:
            return "the edge is on the other side now"
        return self._risk.entry_block() or self._risk.market_block(market, turn.now_ns)

    @staticmethod
    def _budget(track: OrderTrack, evaluation: Evaluation) -> MicroDollars:
        """Dollars of what was left, within what a fresh entry would spend, in whole cents."""
        price, quantity = evaluation.price or 0, evaluation.quantity or 0
        left = track.order.terms.price * track.order.remaining // MICRO
        return floor_to(min(left, evaluation.budget or price * quantity // MICRO), BUDGET_STEP)
