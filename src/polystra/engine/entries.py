"""Entries: how an order that buys is made, whichever rule wants it.

What lives here: the position that it belongs to, its terms, how long it may live, its deadline. What
must not: whether it is wanted, limits, what happens when it does not fill.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.ids import PositionId
from polystra.domain.market import Market, Outcome
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.engine.gateway import Gateway
from polystra.engine.state import EngineState, MarketState, OrderTrack, Turn

GTD_MINIMUM_S: Final = 190
"""The venue refuses an expiration closer than 180 s; ten more for latency (Polymarket CLOB docs, order types)."""
GTD_EARLY_S: Final = 60
"""The venue removes a GTD order this long before its expiration."""


class Entries:
    """Makes buys."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway

    def open(self, market: MarketState, outcome: Outcome, turn: Turn) -> Position:
        """A new position, still without shares."""
        grid = market.market
        market.entries += 1
        position = Position(
            position_id=PositionId(f"{grid.slug}:{outcome.lower()}:{market.entries}"),
            condition_id=grid.condition_id,
            token_id=grid.token(outcome),
            opened_at_ns=turn.now_ns,
        )
        self._state.positions[position.position_id] = position
        market.positions.append(position.position_id)
        return position

    def place(
        self,
        market: MarketState,
        position: Position,
        turn: Turn,
        *,
        price: MicroPrice,
        quantity: MicroShares,
        budget: MicroDollars,
        rule: str,
        reason: str,
        decision_id: int | None = None,
        rank: int = 0,
        planned: MicroPrice | None = None,
    ) -> OrderTrack:
        """Place a buy: by dollars with FAK and a worst price when there is a `budget`, else one that may rest.

        It leaves within its deadline or not at all. `planned` is the price that was reckoned with, if not `price`.
        """
        grid = market.market
        time_in_force, expires_at_s = self._time_in_force(budget, grid, turn)
        terms = OrderTerms(
            client_order_id=self._gateway.next_client_order_id(),
            condition_id=grid.condition_id,
            token_id=position.token_id,
            position_id=position.position_id,
            purpose=Purpose.ENTRY,
            side=Side.BUY,
            price=price,
            quantity=quantity,
            budget=budget,
            time_in_force=time_in_force,
            expires_at_s=expires_at_s,
            tick_size=grid.tick_size,
            negative_risk=grid.negative_risk,
            version=grid.version,
            reason=reason,
            rule=rule,
            planned_price=price if planned is None else planned,
        )
        deadline_ns = turn.now_ns + self._state.config.entry_deadline_s * NS_PER_S
        track = self._gateway.place(terms, turn, decision_id=decision_id, deadline_ns=deadline_ns, rank=rank)
        turn.timer(f"unfilled:{terms.client_order_id}", turn.now_ns + self.life_ns(grid, turn.now_ns))
        turn.touch(terms.position_id)
        return track

    def life_ns(self, market: Market, now_ns: Nanos) -> Nanos:
        """How long an entry made now may stay unfilled."""
        left = max(0, market.closes_at_s * NS_PER_S - now_ns)
        timeout = self._state.config.unfilled.timeout_s * NS_PER_S
        return min(timeout, left // 3) if self._state.config.unfilled.cancel else left

    def _time_in_force(self, budget: MicroDollars, grid: Market, turn: Turn) -> tuple[TimeInForce, int]:
        """GTD where the venue allows it, so that an order in doubt dies by itself; FAK for dollars."""
        if budget:
            return TimeInForce.FAK, 0
        now_s = self._state.venue_now_s(turn.now_ns)
        life_s = self.life_ns(grid, turn.now_ns) // NS_PER_S
        expires_at_s = max(now_s + GTD_MINIMUM_S, now_s + GTD_EARLY_S + life_s)
        if expires_at_s - GTD_EARLY_S < grid.closes_at_s:
            return TimeInForce.GTD, expires_at_s
        return TimeInForce.GTC, 0
