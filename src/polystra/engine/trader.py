"""The trader: looks at a market when something moved, records the decision, makes the entry.

One entry or position per market at a time, a limited number per window, none after a stop
in the same window. Decisions that traded are always recorded; the others when their reason
changes, at most one a second and market. The one guarded call of the strategy is here: a
bug in it disables the strategy for that market, and exits go on.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.facts import DecisionRecorded, NoticeKind
from polystra.domain.ids import PositionId
from polystra.domain.market import Market, Outcome
from polystra.domain.orders import OrderStatus, OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars
from polystra.engine.gateway import Gateway
from polystra.engine.positions.unfilled import Unfilled
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, MarketState, Turn
from polystra.engine.strategy.evaluate import Action, Evaluation, evaluate
from polystra.engine.strategy.view import observe

GTD_MINIMUM_S: Final = 190
"""The venue refuses an expiration closer than 180 s; ten more for latency (Polymarket CLOB docs, order types)."""
GTD_EARLY_S: Final = 60
"""The venue removes a GTD order this long before its expiration."""


class Trader:
    """Owns entries."""

    def __init__(self, state: EngineState, gateway: Gateway, risk: Risk, unfilled: Unfilled) -> None:
        self._state = state
        self._gateway = gateway
        self._risk = risk
        self._unfilled = unfilled
        self._blocked = ""

    def consider(self, market: MarketState, turn: Turn) -> None:
        """Evaluate a market unless that was done a moment ago or nothing can come of it."""
        state = self._state
        if market.frozen or market.strategy_failed or market.resolution is not None:
            return
        if turn.now_ns - market.evaluated_at_ns < state.config.evaluate_every_ns:
            return
        closes_ns = market.market.closes_at_s * NS_PER_S
        if not market.market.opens_at_s * NS_PER_S <= turn.now_ns < closes_ns:
            return
        market.evaluated_at_ns = turn.now_ns
        busy = self._busy(market)
        evaluation = self._evaluate(market, turn)
        if evaluation is None:
            return
        block = busy or self._block(market, turn)
        if evaluation.action is Action.ENTER and not block:
            self._enter(market, evaluation, turn)
            return
        reason = f"{evaluation.reason}; {block}" if block else evaluation.reason
        self._record_skip(market, evaluation, reason, turn)

    # --- inside -----------------------------------------------------------------------

    def _evaluate(self, market: MarketState, turn: Turn) -> Evaluation | None:
        """The strategy's decision; asked again with less room when the chosen side has less than the market."""
        budget = self._risk.budget(market.condition_id)
        evaluation = self._ask_strategy(market, budget.bankroll, budget.room, turn)
        if evaluation is None or evaluation.action is not Action.ENTER or evaluation.outcome is None:
            return evaluation
        room = self._risk.room(market.condition_id, evaluation.outcome)
        return evaluation if room >= budget.room else self._ask_strategy(market, budget.bankroll, room, turn)

    def _ask_strategy(
        self, market: MarketState, bankroll: MicroDollars, room: MicroDollars, turn: Turn
    ) -> Evaluation | None:
        state = self._state
        grid = market.market
        try:
            view = observe(
                grid,
                state.prices[grid.symbol],
                market.books[grid.up_token],
                market.books[grid.down_token],
                now_ns=turn.now_ns,
                bankroll=bankroll,
                exposure_left=room,
                price_to_beat=market.price_to_beat,
                volatility_scale=state.config.strategy.volatility_scale,
            )
            return evaluate(view, state.config.strategy)
        except (ArithmeticError, LookupError, ValueError, TypeError) as error:
            market.strategy_failed = f"strategy failed: {type(error).__name__}: {error}"
            turn.notice(NoticeKind.STRATEGY_FAILED, market.condition_id, market.strategy_failed)
            return None

    def _busy(self, market: MarketState) -> str:
        for position_id in market.positions:
            if self._state.positions[position_id].shares > 0:
                return "a position is open"
        for track in self._state.orders.values():
            terms = track.order.terms
            if terms.condition_id == market.condition_id and not track.is_settled:
                denied = track.order.status is OrderStatus.DENIED
                if not denied:
                    return "an order is working"
        return ""

    def _block(self, market: MarketState, turn: Turn) -> str:
        block = self._risk.entry_block() or ""
        if block != self._blocked:
            kind = NoticeKind.ENTRIES_BLOCKED if block else NoticeKind.ENTRIES_ALLOWED
            turn.notice(kind, "entries", block or "all conditions hold")
            self._blocked = block
        if block:
            return block
        if market.stopped_out:
            return "stopped out in this window"
        if market.entries >= self._state.config.risk.max_entries_per_market:
            return f"{market.entries} entries in this window already"
        return self._risk.positions_block() or self._risk.market_block(market, turn.now_ns)

    def _enter(self, market: MarketState, evaluation: Evaluation, turn: Turn) -> None:
        outcome, price, quantity = evaluation.outcome, evaluation.price, evaluation.quantity
        if outcome is None or price is None or quantity is None:
            return
        grid = market.market
        market.entries += 1
        position_id = PositionId(f"{grid.slug}:{outcome.lower()}:{market.entries}")
        decision_id = self._record(market, evaluation, turn)
        token_id = grid.token(outcome)
        self._state.positions[position_id] = Position(
            position_id=position_id, condition_id=grid.condition_id, token_id=token_id, opened_at_ns=turn.now_ns
        )
        market.positions.append(position_id)
        time_in_force, expires_at_s = self._life(evaluation.budget, grid, turn)
        terms = OrderTerms(
            client_order_id=self._gateway.next_client_order_id(),
            condition_id=grid.condition_id,
            token_id=token_id,
            position_id=position_id,
            purpose=Purpose.ENTRY,
            side=Side.BUY,
            price=price,
            quantity=quantity,
            budget=evaluation.budget,
            time_in_force=time_in_force,
            expires_at_s=expires_at_s,
            tick_size=grid.tick_size,
            negative_risk=grid.negative_risk,
            version=grid.version,
            reason=f"edge {evaluation.edge:.3f} {_side_words(outcome)}",
        )
        self._gateway.place(terms, turn, decision_id=decision_id)
        self._unfilled.watch(terms.client_order_id, grid, turn)
        turn.touch(position_id)

    def _life(self, budget: int, grid: Market, turn: Turn) -> tuple[TimeInForce, int]:
        """GTD where the venue allows it, so that an order in doubt dies by itself; FAK for dollars."""
        if budget:
            return TimeInForce.FAK, 0
        now_s = self._state.venue_now_s(turn.now_ns)
        life_s = self._unfilled.life_ns(grid, turn.now_ns) // NS_PER_S
        expires_at_s = max(now_s + GTD_MINIMUM_S, now_s + GTD_EARLY_S + life_s)
        if expires_at_s - GTD_EARLY_S < grid.closes_at_s:
            return TimeInForce.GTD, expires_at_s
        return TimeInForce.GTC, 0

    def _record_skip(self, market: MarketState, evaluation: Evaluation, reason: str, turn: Turn) -> None:
        if reason == market.last_reason or turn.now_ns - market.decided_at_ns < NS_PER_S:
            return
        self._record(market, evaluation, turn, reason)

    def _record(self, market: MarketState, evaluation: Evaluation, turn: Turn, reason: str = "") -> int:
        state = self._state
        decision_id = state.next_decision_id
        state.next_decision_id += 1
        skipped = bool(reason)
        market.last_reason = reason
        market.decided_at_ns = turn.now_ns
        fused = evaluation.fused
        turn.facts.append(
            DecisionRecorded(
                decision_id=decision_id,
                condition_id=market.condition_id,
                symbol=market.market.symbol,
                at_ns=turn.now_ns,
                action=Action.SKIP if skipped else Action.ENTER,
                reason=reason or evaluation.reason,
                outcome=evaluation.outcome,
                fair_value_up=evaluation.fair_value_up,
                market_prior_p_up=fused.market_prior_p_up,
                additive_bias=fused.additive_bias,
                additive_confidence=fused.additive_confidence,
                bayesian_bias=fused.bayesian_bias,
                bayesian_confidence=fused.bayesian_confidence,
                p_up=fused.p_up,
                edge=evaluation.edge,
                price=evaluation.price,
                quantity=evaluation.quantity,
                inputs=evaluation.inputs_json(),
            )
        )
        return decision_id


def _side_words(outcome: Outcome) -> str:
    return "up" if outcome is Outcome.UP else "down"
