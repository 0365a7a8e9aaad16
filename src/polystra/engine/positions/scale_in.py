"""Scale-in: add to a position that is winning, while the idea behind it still holds.

It adds when all of these hold: the best bid stands at least the trigger above the average price paid
(in our favour; it never averages down), the strategy would enter this very side now (edge after
fees, confidence and time left as for any entry), the position is not being sold, and funds and risk
limits leave room. What it buys is a multiple of the first entry's cost, within the strategy's own
size for now.

One at a time: nothing while any buy of the position is unsettled, orders in doubt and trades not
booked included. Every scale-in that was ever asked for counts towards the limit, also one that was
reported failed: the venue may still fill it later. The order belongs to the position, so its fills
are averaged into it by the ledger, and the exits follow the position's size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from polystra.domain.facts import NoticeKind
from polystra.domain.ids import PositionId
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, MicroDollars, floor_to, format_micros
from polystra.engine.config import ScaleInConfig
from polystra.engine.entries import Entries
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, ExitPhase, MarketState, OrderTrack, Turn
from polystra.engine.strategy.evaluate import BUDGET_STEP, Action, Evaluation
from polystra.engine.strategy.sizing import affordable, minimum_refusal

SCALE_IN_RULE: Final = "scale-in"


class ScaleIn:
    """Owns additions to positions."""

    def __init__(self, state: EngineState, risk: Risk, entries: Entries) -> None:
        self._state = state
        self._risk = risk
        self._entries = entries
        self._told: dict[PositionId, str] = {}

    @property
    def _config(self) -> ScaleInConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.scale_in

    def follow(self, market: MarketState, evaluation: Evaluation, record: Callable[[], int], turn: Turn) -> bool:
        """Add to the position held in a market when everything allows; True when an order was made."""
        if not self._config.enabled or evaluation.outcome is None:
            return False
        token_id = market.market.token(evaluation.outcome)
        position = next((p for p in self._held(market) if p.token_id == token_id), None)
        if position is None or not self._is_ready(position) or not self._has_moved(position, market):
            return False
        refusal = self._risk.entry_block() or self._risk.market_block(market, turn.now_ns)
        if refusal:
            return self._skip(position, refusal, turn)
        room = self._risk.room(market.condition_id, evaluation.outcome)
        wanted = self._first_cost(position) * self._config.multiplier_ppm // MICRO
        if min(wanted, room) < self._config.min_dollars:
            need = max(wanted, self._config.min_dollars)
            return self._skip(position, f"need ${format_micros(need)}, have ${format_micros(min(wanted, room))}", turn)
        if evaluation.action is not Action.ENTER or evaluation.price is None or evaluation.quantity is None:
            return False
        return self._add(position, evaluation, min(wanted, room), record, turn)

    # --- conditions -------------------------------------------------------------------

    def _held(self, market: MarketState) -> list[Position]:
        held = [self._state.positions[position_id] for position_id in market.positions]
        return [position for position in held if position.shares > 0]

    def _is_ready(self, position: Position) -> bool:
        """Every buy of it is settled, the limit is not reached, and no exit works."""
        asked = 0
        for track in self._buys(position):
            if not track.is_settled:
                return False
            asked += track.order.terms.rule == SCALE_IN_RULE
        exits = self._state.exits.get(position.position_id)
        selling = exits is not None and exits.phase is not ExitPhase.GUARDING
        return asked < self._config.max_times and not selling

    def _has_moved(self, position: Position, market: MarketState) -> bool:
        book = market.books[position.token_id]
        if not book.in_sync or book.best_bid is None:
            return False
        gain = book.best_bid - position.average_price
        return gain > 0 and gain * MICRO >= position.average_price * self._config.trigger_ppm

    def _first_cost(self, position: Position) -> MicroDollars:
        """Dollars that buys before any scale-in cost, without fees; a trade that failed cost nothing."""
        added = {t.order.terms.client_order_id for t in self._buys(position) if t.order.terms.rule == SCALE_IN_RULE}
        cost = sum(
            fill.cash
            for fill in self._state.fills.of_position(position.position_id)
            if fill.side is Side.BUY and fill.status != "FAILED" and fill.client_order_id not in added
        )
        return cost or position.bought_cost

    def _buys(self, position: Position) -> list[OrderTrack]:
        return [t for t in self._state.orders_of(position.position_id) if t.order.terms.side is Side.BUY]

    # --- the order --------------------------------------------------------------------

    def _add(
        self,
        position: Position,
        evaluation: Evaluation,
        dollars: MicroDollars,
        record: Callable[[], int],
        turn: Turn,
    ) -> bool:
        market = self._state.markets[position.condition_id]
        price, quantity = evaluation.price or MICRO, evaluation.quantity or 0
        dollars = min(dollars, self._state.config.strategy.sizing.max_trade_size)
        quantity = min(quantity, affordable(price, market.market.fees, dollars))
        budget = min(evaluation.budget, floor_to(dollars, BUDGET_STEP)) if evaluation.budget else 0
        refusal = minimum_refusal(quantity, budget or price * quantity // MICRO, market.market.minimum_size)
        if refusal:
            return self._skip(position, refusal, turn)
        self._told.pop(position.position_id, None)
        words = (
            f"available ${format_micros(self._risk.available())} before adding {format_micros(quantity)} shares "
            f"at up to {format_micros(price)}"
        )
        turn.notice(NoticeKind.SCALE_IN_PLACED, position.position_id, words)
        self._entries.place(
            market,
            position,
            turn,
            price=price,
            quantity=quantity,
            budget=budget,
            rule=SCALE_IN_RULE,
            reason=f"scale-in, edge {evaluation.edge:.3f}",
            decision_id=record(),
            rank=round(evaluation.edge * MICRO),
            planned=evaluation.planned_price,
        )
        return True

    def _skip(self, position: Position, why: str, turn: Turn) -> bool:
        """Say why, once until the reason is another kind; figures alone are no other kind."""
        kind = "".join(letter for letter in why if not letter.isdigit() and letter != ".")
        if self._told.get(position.position_id) != kind:
            self._told = {known: told for known, told in self._told.items() if known in self._state.positions}
            self._told[position.position_id] = kind
            turn.notice(NoticeKind.SCALE_IN_SKIPPED, position.position_id, f"skipped: {why}")
        return False
