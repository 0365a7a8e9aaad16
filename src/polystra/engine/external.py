"""What was made elsewhere: trades and shares of the same wallet by another tool or the website.

A trade of an order that is not ours is booked once it is confirmed; shares that were there before, or
came without a known trade, are adopted by reconciliation. Bought shares live in a position of their own
whose id says that it is external; a sale takes foreign shares first and ours, newest first, after them.
Nothing here decides whether such a position is protected (see the exits).
"""

from __future__ import annotations

from polystra.domain.facts import NoticeKind
from polystra.domain.fills import FillReport
from polystra.domain.ids import PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import Side
from polystra.domain.positions import EXTERNAL_POSITION, Position
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, format_micros
from polystra.engine.state import EXTERNAL, EngineState, MarketState, Turn


def external_position(
    state: EngineState, market: MarketState, token_id: TokenId, turn: Turn, *, knows_cost: bool = True
) -> Position:
    """The position of a token's foreign shares; it is made at first need and told once."""
    outcome = market.market.outcome_of(token_id)
    position_id = PositionId(f"{EXTERNAL_POSITION}{market.market.slug}:{outcome.lower()}")
    known = state.positions.get(position_id)
    if known is not None:
        return known
    position = Position(
        position_id=position_id, condition_id=market.condition_id, token_id=token_id, opened_at_ns=turn.now_ns
    )
    state.positions[position_id] = position
    market.positions.append(position_id)
    words = "not guarded, only shown and settled (PROTECT_EXTERNAL_POSITIONS is NO)"
    if state.config.balance.protect_external:
        words = "guarded by the exits" if knows_cost else "what they cost is not known, so that no exit is armed"
    turn.notice(NoticeKind.POSITION_ADOPTED, position_id, f"{outcome} shares that were bought elsewhere: {words}")
    return position


def trade_postings(
    state: EngineState, report: FillReport, cash: MicroDollars, fee: MicroDollars, turn: Turn
) -> list[Posting]:
    """The lines of a confirmed trade of an order made elsewhere; the first carries the trade's own source id."""
    key = f"{report.trade_id}:{report.order_id}"
    parts = _buyer(state, report, turn) if report.side is Side.BUY else _sellers(state, report)
    postings = []
    cash_left, sign = cash, 1 if report.side is Side.BUY else -1
    for number, (position_id, quantity) in enumerate(parts):
        is_last = number == len(parts) - 1
        dollars = cash_left if is_last else cash * quantity // report.quantity
        cash_left -= dollars
        charged = fee if number == 0 else 0
        owned = position_id is not None
        postings.append(
            Posting(
                source_id=f"{EXTERNAL}{key}" if number == 0 else f"{EXTERNAL}part-{number}:{key}",
                kind=PostingKind.ADJUSTMENT,
                at_ns=turn.now_ns,
                reason="trade of an order made elsewhere",
                condition_id=report.condition_id,
                token_id=report.token_id,
                position_id=position_id,
                settled_shares=sign * quantity,
                settled_cash=-sign * dollars - charged,
                bought=quantity if owned and sign > 0 else 0,
                bought_cost=dollars if owned and sign > 0 else 0,
                sold=quantity if owned and sign < 0 else 0,
                sold_proceeds=dollars if owned and sign < 0 else 0,
                fee=charged,
                price=report.price,
                evidence=f"trade {report.trade_id} order {report.order_id}",
            )
        )
    return postings


def adjustment_postings(
    state: EngineState, turn: Turn, *, token_id: TokenId, difference: MicroShares, average: MicroPrice, evidence: str
) -> list[Posting]:
    """The lines that make our shares of a token what both the venue and the evidence say.

    More shares than ours are adopted: as dust by the position that is there, else by an external one, whose
    cost is `average` per share where a source knows it (0: unknown). Fewer are taken as a foreign sale would.
    """
    market = state.market_for(token_id)
    if difference > 0:
        parts = _adopter(state, market, token_id, difference, turn, knows_cost=average > 0)
    else:
        parts = _from_holders(state, token_id, -difference)
    postings = []
    for number, (position, quantity) in enumerate(parts):
        cost = average * quantity // MICRO if position is not None and position.external and difference > 0 else 0
        postings.append(
            Posting(
                source_id=f"adjustment:{token_id}:{turn.now_ns}" + (f":{number}" if number else ""),
                kind=PostingKind.ADJUSTMENT,
                at_ns=turn.now_ns,
                reason="venue shares differ from the ledger" if not cost else "shares that were bought elsewhere",
                condition_id=market.condition_id if market else None,
                token_id=token_id,
                position_id=position.position_id if position else None,
                settled_shares=quantity if difference > 0 else -quantity,
                bought=quantity if cost else 0,
                bought_cost=cost,
                evidence=evidence,
            )
        )
    return postings


def _buyer(state: EngineState, report: FillReport, turn: Turn) -> list[tuple[PositionId | None, MicroShares]]:
    market = state.market_for(report.token_id)
    if market is None:
        return [(None, report.quantity)]
    return [(external_position(state, market, report.token_id, turn).position_id, report.quantity)]


def _sellers(state: EngineState, report: FillReport) -> list[tuple[PositionId | None, MicroShares]]:
    parts = _from_holders(state, report.token_id, report.quantity)
    return [(None if position is None else position.position_id, quantity) for position, quantity in parts]


def _from_holders(
    state: EngineState, token_id: TokenId, quantity: MicroShares
) -> list[tuple[Position | None, MicroShares]]:
    parts: list[tuple[Position | None, MicroShares]] = []
    for position in state.positions_in(token_id):
        taken = min(quantity, max(0, position.shares))
        if taken:
            parts.append((position, taken))
            quantity -= taken
    if quantity:
        parts.append((None, quantity))
    return parts


def _adopter(
    state: EngineState,
    market: MarketState | None,
    token_id: TokenId,
    quantity: MicroShares,
    turn: Turn,
    *,
    knows_cost: bool,
) -> list[tuple[Position | None, MicroShares]]:
    """Who gets more shares: whoever is below nothing first; then dust goes to who holds, the rest is foreign."""
    if market is None:
        return [(None, quantity)]
    parts: list[tuple[Position | None, MicroShares]] = []
    for position in state.positions_in(token_id):
        owed = min(quantity, max(0, -position.shares))
        if owed:
            parts.append((position, owed))
            quantity -= owed
    held = [position for position in state.positions_in(token_id) if position.shares > 0]
    if quantity < SIZE_STEP:
        return [*parts, (held[0] if held else None, quantity)] if quantity else parts
    return [*parts, (external_position(state, market, token_id, turn, knows_cost=knows_cost), quantity)]


def order_words(state: EngineState) -> str:
    """The open orders that were made elsewhere, for people: the first three and how many there are."""
    shown = [
        f"{report.side} {format_micros(report.quantity - report.matched)} at {format_micros(report.price)} "
        f"({report.order_id[:12]})"
        for report in list(state.external_orders.values())[:3]
    ]
    return f"{len(state.external_orders)} open order(s) at the venue were not made by this daemon: {', '.join(shown)}"
