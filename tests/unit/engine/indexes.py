"""What the engine spares itself, done all the same: its indexes and sums worked out anew, its calm exits looked at."""

from __future__ import annotations

from dataclasses import replace

from polystra.domain.fills import FillStatus
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.domain.positions import Position
from polystra.engine.core import Engine
from polystra.engine.positions.calm import is_calm
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, OrderTrack, Turn


def check_indexes(state: EngineState, risk: Risk | None = None) -> None:
    """Every index holds what a search through everything finds, in the same order."""
    orders, fills, positions = list(state.orders.values()), list(state.fills.values()), list(state.positions.values())
    for track in orders:
        assert track.is_live == track.order.is_live
        assert track.is_settled == _is_settled(track)
    assert state.orders.unsettled() == [track for track in orders if not _is_settled(track)]
    for condition_id in state.markets:
        own = [track for track in orders if track.order.terms.condition_id == condition_id]
        assert list(state.orders.of_market(condition_id)) == own
    for position_id in {*state.positions, *(track.order.terms.position_id for track in orders)}:
        own = [track for track in orders if track.order.terms.position_id == position_id]
        assert list(state.orders.of_position(position_id)) == own
        assert list(state.fills.of_position(position_id)) == [f for f in fills if f.position_id == position_id]
    for position in positions:
        assert state.arrived_shares(position.position_id) == _arrived(state, position)
    held = sorted(state.positions.held(), key=lambda each: each.position_id)
    assert held == sorted((p for p in positions if p.shares > 0), key=lambda each: each.position_id)
    if risk is not None:
        _check_exposure(state, risk)


def look_at_calm_exits(engine: Engine) -> None:
    """From now on every look at exits that is left out is made all the same, and must lead to nothing."""
    exits, state, review = engine._exits, engine.state, engine._exits.review

    def checked(position: Position, turn: Turn) -> None:
        market, known = state.markets.get(position.condition_id), state.exits.get(position.position_id)
        calm = False
        if market is not None and market.resolution is None and known is not None:
            calm = is_calm(state, position, market, replace(known), turn.now_ns)
        review(position, turn)
        if calm and market is not None and known is not None:
            before, made = replace(known), Turn(now_ns=turn.now_ns)
            exits._look(position, market, made)
            assert (made.facts, made.effects, made.touched) == ([], [], {}), before.calm
            assert known == before

    exits.review = checked  # type: ignore[method-assign]


def _is_settled(track: OrderTrack) -> bool:
    return not track.order.is_live and track.fate_known and track.accounted + SIZE_STEP > track.matched


def _arrived(state: EngineState, position: Position) -> int:
    arrived = position.adjusted - position.resolved
    for fill in state.fills.values():
        if fill.position_id != position.position_id or fill.status is FillStatus.FAILED:
            continue
        if fill.side is Side.SELL:
            arrived -= fill.quantity
        elif fill.status in (FillStatus.MINED, FillStatus.CONFIRMED):
            arrived += fill.quantity
    return arrived


def _check_exposure(state: EngineState, risk: Risk) -> None:
    """What is at risk by market, symbol and side is what positions and entries say one by one."""
    costs = [
        (p.condition_id, p.token_id, p.bought_cost - p.released_cost, True)
        for p in state.positions.values()
        if p.shares > 0
    ]
    for track in state.orders.values():
        terms = track.order.terms
        if terms.purpose is Purpose.ENTRY and track.order.status is not OrderStatus.DENIED and not _is_settled(track):
            costs.append((terms.condition_id, terms.token_id, risk._may_cost(track), False))
    assert risk.exposure() == sum(cost for _, _, cost, _ in costs)
    for condition_id, market in state.markets.items():
        symbol = market.market.symbol
        assert risk.exposure(condition_id) == sum(cost for each, _, cost, _ in costs if each == condition_id)
        own = {each for each, known in state.markets.items() if known.market.symbol == symbol}
        assert risk.symbol_exposure(symbol) == sum(cost for each, _, cost, _ in costs if each in own)
    for outcome in Outcome:
        tokens = {m.market.token(outcome) for m in state.markets.values()}
        known_tokens = {token for m in state.markets.values() for token in m.books}
        ours = sum(cost for _, token, cost, _ in costs if token in tokens)
        against = sum(cost for _, token, cost, is_held in costs if is_held and token in known_tokens - tokens)
        assert risk.net_exposure(outcome) == ours - against
