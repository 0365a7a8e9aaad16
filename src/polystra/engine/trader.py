"""The trader: looks at a market when something moved, records the decision, makes the entry.

One entry or position per market at a time, a limited number per window, none after a stop
in the same window. Decisions that traded are always recorded; the others when their reason
changes, at most one a second and market. The one guarded call of the strategy is here: a
bug in it disables the strategy for that market, and exits go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from polystra.domain.events import EntryRequested
from polystra.domain.facts import DecisionRecorded, NoticeKind
from polystra.domain.market import SIZE_STEP, Market, Outcome
from polystra.domain.orders import OrderStatus
from polystra.domain.positions import Position
from polystra.domain.units import (
    MICRO,
    NS_PER_S,
    MicroDollars,
    MicroPrice,
    MicroShares,
    Nanos,
    floor_to,
    format_micros,
)
from polystra.engine.entries import Entries
from polystra.engine.positions.unfilled import Unfilled
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, MarketState, OrderTrack, Turn
from polystra.engine.strategy.advisor import Advisor, AdvisorFailed
from polystra.engine.strategy.evaluate import Action, Evaluation, evaluate
from polystra.engine.strategy.view import observe

MARKETABLE_MINIMUM: Final[MicroDollars] = MICRO
"""The venue refuses a buy that takes for less than a dollar (Polymarket CLOB docs, error codes)."""

_BUGS: Final = (ArithmeticError, LookupError, ValueError, TypeError)
"""What a bug in a strategy shows as."""


class Rule(Protocol):
    """A rule of positions that acts on the strategy's decisions: adds, reverses, tries again."""

    def follow(self, market: MarketState, evaluation: Evaluation, record: Callable[[], int], turn: Turn) -> bool:
        """Act on an evaluation or do nothing; True when it acted. `record` writes the decision down, giving its id."""
        ...


class Trader:
    """Owns entries."""

    def __init__(
        self,
        state: EngineState,
        risk: Risk,
        entries: Entries,
        unfilled: Unfilled,
        rules: Sequence[Rule],
        *,
        advisor: Advisor | None = None,
    ) -> None:
        self._state = state
        self._risk = risk
        self._entries = entries
        self._unfilled = unfilled
        self._rules = rules
        self._advisor = advisor
        self._blocked = ""

    def consider(self, market: MarketState, turn: Turn) -> None:
        """Evaluate a market unless that was done a moment ago or nothing can come of it.

        A best ask below every one that was looked at meanwhile is looked at at once: whoever waits does not get it.
        """
        state = self._state
        if market.frozen or market.strategy_failed or market.resolution is not None or state.advisor_failed:
            return
        by_the_clock = turn.now_ns - market.evaluated_at_ns >= state.config.evaluate_every_ns
        if not by_the_clock and not _is_cheaper(market):
            return
        closes_ns = market.market.closes_at_s * NS_PER_S
        if not market.market.opens_at_s * NS_PER_S <= turn.now_ns < closes_ns:
            return
        if by_the_clock:
            market.evaluated_at_ns = turn.now_ns
            market.cheapest = ()
        market.cheapest = _cheapest(market)
        busy = self._busy(market)
        evaluation = self._evaluate(market, turn)
        if evaluation is None:
            return
        self._unfilled.reviewed(market, evaluation, turn)
        decision = evaluation
        if any(
            rule.follow(market, decision, lambda: self._record(market, decision, turn), turn) for rule in self._rules
        ):
            return
        block = busy or self._block(market, turn)
        if evaluation.action is Action.ENTER and not block:
            self._enter(market, evaluation, turn)
            return
        reason = f"{evaluation.reason}; {block}" if block else evaluation.reason
        self._record_skip(market, evaluation, reason, turn)

    def requested(self, event: EntryRequested, turn: Turn) -> None:
        """A person asks for an entry: what is not done is told in one sentence."""
        _, refusal = self.enter(event, turn)
        if refusal:
            turn.notice(NoticeKind.REQUEST_REFUSED, event.request_id, f"no entry: {refusal}")

    def enter(self, event: EntryRequested, turn: Turn) -> tuple[OrderTrack | None, str]:
        """Make an entry that was asked for: the order that was placed, or why there is none, in one sentence.

        It takes the same road as an entry of the strategy: blocks, limits, one working order a market.
        """
        market = self._state.markets.get(event.condition_id)
        reason = f"request {event.request_id} of {event.source}"
        refusal = (
            f"market {event.condition_id} is not watched; ask for one that is"
            if market is None
            else self._refusal(event, market, reason, turn)
        )
        if market is None or refusal:
            return None, refusal
        position = self._held(market, event.outcome) if event.adds else None
        track = self._entries.place(
            market,
            position or self._entries.open(market, event.outcome, turn),
            turn,
            price=event.price,
            quantity=_shares(event),
            budget=event.budget,
            rule="manual",
            reason=reason,
            rank=MICRO,
        )
        denied = track.order.status is OrderStatus.DENIED
        return (None, track.order.detail) if denied else (track, "")

    def entry_refusal(self, event: EntryRequested, turn: Turn) -> str:
        """Why an entry that was asked for would not be made now, in one sentence; empty when it would."""
        market = self._state.markets.get(event.condition_id)
        if market is None:
            return f"market {event.condition_id} is not watched; ask for one that is"
        return self._refusal(event, market, f"request {event.request_id} of {event.source}", turn)

    # --- inside -----------------------------------------------------------------------

    def _refusal(self, event: EntryRequested, market: MarketState, reason: str, turn: Turn) -> str:
        """Why a requested entry is not made, in words; "" when nothing speaks against it."""
        grid = market.market
        if any(track.order.terms.reason == reason for track in self._state.orders.values()):
            return f"request {event.request_id} was carried out before; a new wish needs a new id"
        if market.frozen or market.resolution is not None:
            return f"{grid.slug} is {f'frozen: {market.frozen}' if market.frozen else 'resolved'}"
        if not grid.opens_at_s * NS_PER_S <= turn.now_ns < grid.closes_at_s * NS_PER_S:
            return f"the window of {grid.slug} is not open now"
        return (
            grid.price_refusal(event.price)
            or _size_refusal(event, grid)
            or self._busy(market, adds=self._held(market, event.outcome) if event.adds else None)
            or self._block(market, turn)
            or self._room_refusal(event, grid)
        )

    def _room_refusal(self, event: EntryRequested, grid: Market) -> str:
        quantity = _shares(event)
        cost = (event.budget or -(-event.price * quantity // MICRO)) + grid.fees.taker_fee(event.price, quantity)
        room = self._risk.room(grid.condition_id, event.outcome)
        if cost <= room:
            return ""
        return f"it may cost {format_micros(cost)} dollars with fees, and cash and limits leave {format_micros(room)}"

    def _held(self, market: MarketState, outcome: Outcome) -> Position | None:
        """The newest position of an outcome that holds shares."""
        token_id = market.market.token(outcome)
        held = [self._state.positions[position_id] for position_id in market.positions]
        return next((p for p in reversed(held) if p.token_id == token_id and p.shares > 0), None)

    def _evaluate(self, market: MarketState, turn: Turn) -> Evaluation | None:
        """The strategy's decision; asked again with less room when the chosen side has less than the market."""
        budget = self._risk.budget(market.condition_id)
        evaluation = self._ask_strategy(market, budget.bankroll, budget.room, turn)
        if evaluation is None or evaluation.action is not Action.ENTER or evaluation.outcome is None:
            return evaluation
        room = self._risk.room(market.condition_id, evaluation.outcome)
        return evaluation if room >= budget.room else self._ask_strategy(market, budget.bankroll, room, turn)

    def opinion(self, market: MarketState, now_ns: Nanos) -> Evaluation | None:
        """What both fusions would say of a market now; nothing is changed or written. None where that fails.

        A strategy of the user's own is not asked: it may remember, and would then decide otherwise for being watched.
        """
        try:
            return self._judge(market, 0, 0, now_ns, None)
        except _BUGS:
            return None

    def _ask_strategy(
        self, market: MarketState, bankroll: MicroDollars, room: MicroDollars, turn: Turn
    ) -> Evaluation | None:
        try:
            return self._judge(market, bankroll, room, turn.now_ns, self._advisor)
        except AdvisorFailed as failure:
            self._state.advisor_failed = f"STRATEGY failed, no entry is made until a restart: {failure}"
            turn.notice(NoticeKind.STRATEGY_FAILED, "strategy", self._state.advisor_failed)
            return None
        except _BUGS as error:
            market.strategy_failed = f"strategy failed: {type(error).__name__}: {error}"
            turn.notice(NoticeKind.STRATEGY_FAILED, market.condition_id, market.strategy_failed)
            return None

    def _judge(
        self,
        market: MarketState,
        bankroll: MicroDollars,
        room: MicroDollars,
        now_ns: Nanos,
        advisor: Advisor | None,
    ) -> Evaluation:
        state = self._state
        grid = market.market
        view = observe(
            grid,
            state.prices[grid.symbol],
            market.books[grid.up_token],
            market.books[grid.down_token],
            now_ns=now_ns,
            bankroll=bankroll,
            exposure_left=room,
            price_to_beat=market.price_to_beat,
            volatility_scale=state.config.strategy.calibration.volatility_scale(grid.symbol),
        )
        return evaluate(view, state.config.strategy, advisor)

    def _busy(self, market: MarketState, *, adds: Position | None = None) -> str:
        """Why a market takes no entry now; `adds` is the position that the entry would add to."""
        for position_id in market.positions:
            position = self._state.positions[position_id]
            if self._state.is_open(position) and position is not adds:
                return "a position is open"
        for track in self._state.orders.of_market(market.condition_id):
            if not track.is_settled:
                terms = track.order.terms
                if adds is not None and terms.purpose.is_exit and terms.position_id == adds.position_id:
                    continue
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
        decision_id = self._record(market, evaluation, turn)
        self._entries.place(
            market,
            self._entries.open(market, outcome, turn),
            turn,
            price=price,
            quantity=quantity,
            budget=evaluation.budget,
            rule="entry",
            reason=f"edge {evaluation.edge:.3f} {_side_words(outcome)}",
            decision_id=decision_id,
            rank=round(evaluation.edge * MICRO),
            planned=evaluation.planned_price,
        )

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


def _is_cheaper(market: MarketState) -> bool:
    """Whether a book offers shares below what was looked at since the last look by the clock."""
    for book, seen in zip(market.books.values(), market.cheapest, strict=False):
        ask = book.best_ask
        if ask is not None and (seen is None or ask < seen):
            return True
    return False


def _cheapest(market: MarketState) -> tuple[MicroPrice | None, ...]:
    asks = [book.best_ask for book in market.books.values()]
    if not market.cheapest:
        return tuple(asks)
    pairs = zip(asks, market.cheapest, strict=True)
    return tuple([seen if ask is None else ask if seen is None else min(ask, seen) for ask, seen in pairs])


def _side_words(outcome: Outcome) -> str:
    return "up" if outcome is Outcome.UP else "down"


def _shares(event: EntryRequested) -> MicroShares:
    """Shares asked for, on the venue's size step; for dollars what they buy at the worst price."""
    return floor_to(event.budget * MICRO // event.price if event.budget else event.quantity, SIZE_STEP)


def _size_refusal(event: EntryRequested, grid: Market) -> str:
    if event.budget:
        if event.budget >= MARKETABLE_MINIMUM:
            return ""
        return f"budget {format_micros(event.budget)} is below 1 dollar, the least for a buy that takes; ask for more"
    if _shares(event) >= grid.minimum_size:
        return ""
    return (
        f"quantity {format_micros(event.quantity)} is below the market's minimum of "
        f"{format_micros(grid.minimum_size)} shares; ask for more"
    )
