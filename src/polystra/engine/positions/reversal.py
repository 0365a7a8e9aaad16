"""Reversal: sell and take the other side when the signal flips.

Two steps that never overlap. First the held side is sold, by the owner of all sells; this asks for
it only when the strategy would enter the other side now and the whole turn-about pays: what the sale
brings against what the shares are worth by the same chance, less its fee, plus the gain expected of
the new side after its fee, must reach the edge asked of any entry. Second, once the old position is
known to be sold (no share, no unsettled order), the other side is entered, if the strategy still
wants it then. Limits, switches and funds hold as for any entry; a number per window is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import ConditionId
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroShares, Nanos
from polystra.engine.config import ReversalConfig
from polystra.engine.entries import Entries
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, ExitPhase, MarketState, Turn
from polystra.engine.strategy.evaluate import Action, Evaluation

REVERSAL_RULE: Final = "reversal"
_WITHIN_NS: Final = 60 * NS_PER_S
"""A sale that takes longer leaves the reversal half done: the other side is then for the strategy alone."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    outcome: Outcome
    until_ns: Nanos


class Reversal:
    """Owns turn-abouts."""

    def __init__(
        self, state: EngineState, risk: Risk, entries: Entries, close: Callable[[Position, str, Turn], None]
    ) -> None:
        self._state = state
        self._risk = risk
        self._entries = entries
        self._close = close
        self._wanted: dict[ConditionId, _Wanted] = {}
        self._begun: dict[ConditionId, int] = {}

    @property
    def _config(self) -> ReversalConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.reversal

    def follow(self, market: MarketState, evaluation: Evaluation, record: Callable[[], int], turn: Turn) -> bool:
        """Begin or finish a reversal in a market; True when it acted."""
        if not self._config.enabled:
            return False
        wanted = self._wanted.get(market.condition_id)
        if wanted is not None:
            return self._finish(wanted, market, evaluation, record, turn)
        outcome = evaluation.outcome
        if evaluation.action is not Action.ENTER or outcome is None or self._count(market) >= self._config.max_times:
            return False
        position = self._against(market, outcome)
        if position is None or not self._is_calm(position) or not self._pays(position, market, evaluation):
            return False
        if self._risk.entry_block() or self._risk.market_block(market, turn.now_ns):
            return False
        self._begun = {known: count for known, count in self._begun.items() if known in self._state.markets}
        self._begun[market.condition_id] = self._count(market) + 1
        self._wanted = {known: each for known, each in self._wanted.items() if known in self._state.markets}
        self._wanted[market.condition_id] = _Wanted(outcome, turn.now_ns + _WITHIN_NS)
        words = f"the signal flipped to {outcome.lower()}, edge {evaluation.edge:.3f}"
        turn.notice(NoticeKind.REVERSAL_STARTED, position.position_id, f"{words}: selling first")
        self._close(position, REVERSAL_RULE, turn)
        turn.touch(position.position_id)
        return True

    # --- the second step --------------------------------------------------------------

    def _finish(
        self, wanted: _Wanted, market: MarketState, evaluation: Evaluation, record: Callable[[], int], turn: Turn
    ) -> bool:
        if turn.now_ns > wanted.until_ns:
            del self._wanted[market.condition_id]
            turn.notice(NoticeKind.REVERSAL_ENDED, market.condition_id, "the other side was not entered in time")
            return False
        price, quantity = evaluation.price, evaluation.quantity
        wants = evaluation.action is Action.ENTER and evaluation.outcome is wanted.outcome
        if not wants or price is None or quantity is None or not self._is_flat(market):
            return False
        if self._risk.entry_block() or self._risk.positions_block() or self._risk.market_block(market, turn.now_ns):
            return False
        del self._wanted[market.condition_id]
        self._entries.place(
            market,
            self._entries.open(market, wanted.outcome, turn),
            turn,
            price=price,
            quantity=quantity,
            budget=evaluation.budget,
            rule=REVERSAL_RULE,
            reason=f"reversal, edge {evaluation.edge:.3f}",
            decision_id=record(),
            rank=round(evaluation.edge * MICRO),
            planned=evaluation.planned_price,
        )
        return True

    def _is_flat(self, market: MarketState) -> bool:
        """No share of the market is held and nothing that may change that is under way."""
        if any(self._state.positions[position_id].shares >= SIZE_STEP for position_id in market.positions):
            return False
        return all(
            track.is_settled or track.order.status is OrderStatus.DENIED
            for track in self._state.orders.of_market(market.condition_id)
        )

    # --- conditions -------------------------------------------------------------------

    def _count(self, market: MarketState) -> int:
        """Reversals of this window, those of the run before included."""
        sent = sum(
            track.order.terms.rule == REVERSAL_RULE and track.order.terms.side is Side.BUY
            for track in self._state.orders.of_market(market.condition_id)
        )
        return max(sent, self._begun.get(market.condition_id, 0))

    def _against(self, market: MarketState, outcome: Outcome) -> Position | None:
        token_id = market.market.token(outcome)
        held = [self._state.positions[position_id] for position_id in market.positions]
        against = [p for p in held if p.shares >= SIZE_STEP]
        return against[0] if len(against) == 1 and against[0].token_id != token_id else None

    def _is_calm(self, position: Position) -> bool:
        """Every buy of it is settled and no exit has fired."""
        exits = self._state.exits.get(position.position_id)
        if exits is not None and exits.phase is not ExitPhase.GUARDING:
            return False
        return all(
            track.is_settled
            for track in self._state.orders_of(position.position_id)
            if track.order.terms.side is Side.BUY
        )

    def _pays(self, position: Position, market: MarketState, evaluation: Evaluation) -> bool:
        """The gain expected of both legs, fees taken off, reaches the edge asked of the new one."""
        book = market.books[position.token_id]
        proceeds = _proceeds(book, position.shares) if book.in_sync else None
        price, quantity = evaluation.price or 0, evaluation.quantity or 0
        if proceeds is None or not price or not quantity:
            return False
        up = round(evaluation.fused.p_up * MICRO)
        chance = up if evaluation.outcome is Outcome.UP else MICRO - up
        fees = market.market.fees
        average = proceeds * MICRO // position.shares
        sale = proceeds - position.shares * (MICRO - chance) // MICRO - fees.taker_fee(average, position.shares)
        cost = price * quantity // MICRO
        gain = quantity * chance // MICRO - cost - fees.taker_fee(price, quantity)
        return (sale + gain) * MICRO >= cost * self._state.config.strategy.min_edge_ppm


def _proceeds(book: OrderBook, shares: MicroShares) -> MicroDollars | None:
    """Dollars that selling so many shares into the bids brings, None when the bids do not hold them."""
    left, total = shares, 0
    for price in sorted(book.bids, reverse=True):
        taken = min(left, book.bids[price])
        total += price * taken // MICRO
        left -= taken
        if left <= 0:
            return total
    return None
