"""Orders and cancels that a person, a tool or an outside signal asks for, one by one.

What lives here: finding the position that such an order belongs to, the limits of risk on a buy,
which orders a cancel is about. What must not: the venue's rules for an order (`validation`, through
the gateway), the daemon's own entries (`trader`) and exits (`exits`).

Every request is answered by one `RequestAnswered`, which names its orders or says in words why
there is none. A buy obeys the limits of risk; a sell only shrinks what is held. A request id makes
one order, however often it is told, over restarts too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from polystra.domain.events import CancelRequested, CancelScope, OrderReport, OrderRequested, RepairRequested
from polystra.domain.facts import NoticeKind, RequestAnswered
from polystra.domain.ids import ClientOrderId, OrderId, PositionId
from polystra.domain.orders import OrderStatus, OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.rounding import shares_wanted_down, size_down
from polystra.domain.units import MicroShares, format_micros, notional_ceil
from polystra.engine.config import ExitMode
from polystra.engine.gateway import Gateway
from polystra.engine.request_shape import Request
from polystra.engine.risk import Risk
from polystra.engine.state import EngineState, ExitPhase, MarketState, OrderTrack, Turn
from polystra.engine.validation import gtd_expiration_s

REQUEST_RULE: Final = "manual"
"""The rule of an order that was asked for from outside."""


class OrderRequests:
    """Owns `OrderRequested` and `CancelRequested`."""

    def __init__(self, state: EngineState, gateway: Gateway, risk: Risk) -> None:
        self._state = state
        self._gateway = gateway
        self._risk = risk

    def order(self, event: OrderRequested, turn: Turn) -> None:
        """Place the order, or say in one sentence why not."""
        known = self._state.requests.get(event.request_id)
        if known is not None:
            _answer(event, (known,), "", turn)
            return
        market = self._state.market_for(event.token_id)
        if market is None:
            _answer(
                event, (), f"token_id is {event.token_id}, of no market that is watched: read the market again", turn
            )
            return
        refused = (
            self._buy_refusal(event, market, turn) if event.side is Side.BUY else self._sell_refusal(event, market)
        )
        if refused:
            _answer(event, (), refused, turn)
            return
        held = self._open_position(market, event) if event.side is Side.BUY else self._to_sell(market, event)
        position = held or self._open(market, event, turn)
        terms = self._terms(event, market, position.position_id, turn)
        self._state.requests[event.request_id] = terms.client_order_id
        track = self._gateway.place(terms, turn)
        turn.touch(position.position_id)
        denied = track.order.status is OrderStatus.DENIED
        if denied and held is None:
            self._forget(market, position)
        _answer(event, (terms.client_order_id,), track.order.detail if denied else "", turn)

    def cancel(self, event: CancelRequested, turn: Turn) -> None:
        """Ask for the cancel of every live order that is meant; the others are named in the answer."""
        found: dict[ClientOrderId, OrderTrack] = {}
        problems: list[str] = []
        match event.scope:
            case CancelScope.ORDERS:
                for name in event.orders:
                    track = self._named(name)
                    if track is None:
                        problems.append(f"order {name} is not known here: name it by our id or the venue's")
                    elif not track.is_live:
                        problems.append(f"order {name} is over already ({track.order.status.lower()})")
                        found[track.order.terms.client_order_id] = track
                    else:
                        found[track.order.terms.client_order_id] = track
            case CancelScope.MARKET | CancelScope.ALL:
                wanted = event.condition_id if event.scope is CancelScope.MARKET else None
                for track in self._state.live_orders():
                    if wanted in (None, track.order.terms.condition_id):
                        found[track.order.terms.client_order_id] = track
        for track in found.values():
            self._cancel(track, event.source, turn)
        _answer(event, tuple(found), "; ".join(problems), turn)

    def adopt(self, report: OrderReport, request: RepairRequested, turn: Turn) -> str:
        """Take an open order that was made elsewhere as ours; returns why not, empty when it is done.

        It keeps the venue's id and gets one of ours. Its bytes are not known here, so it is never sent again.
        """
        market = self._state.market_for(report.token_id)
        if market is None:
            return f"order {report.order_id} is in a market that is not watched here: cancel it where it was made"
        if market.frozen or market.resolution is not None:
            return f"the market of order {report.order_id} is {market.frozen or 'resolved'}"
        if report.matched or report.order_id in self._state.strangers:
            return (
                f"order {report.order_id} has traded already, and that is booked as made elsewhere: let it run or end"
            )
        event = OrderRequested(
            request_id=request.request_id,
            token_id=report.token_id,
            side=report.side,
            price=report.price,
            quantity=report.quantity,
            source=request.source,
        )
        if report.side is Side.SELL and (refused := self._sell_refusal(event, market)):
            return refused
        held = self._open_position(market, event) if report.side is Side.BUY else self._to_sell(market, event)
        if report.side is Side.SELL and (held is None or self._sellable(held) < report.quantity):
            return (
                f"order {report.order_id} sells {format_micros(report.quantity)} shares that no one position has free"
            )
        position = held or self._open(market, event, turn)
        terms = replace(self._terms(event, market, position.position_id, turn), reason=f"adopted by {request.source}")
        self._state.requests[request.request_id] = terms.client_order_id
        self._gateway.take_over(terms, report, turn)
        turn.touch(position.position_id)
        return ""

    @staticmethod
    def refuse(event: Request, words: str, turn: Turn) -> None:
        """Nothing is made of this request."""
        if isinstance(event, OrderRequested | CancelRequested):
            _answer(event, (), words, turn)
        else:
            turn.notice(NoticeKind.REQUEST_REFUSED, event.request_id, words)

    # --- inside -----------------------------------------------------------------------

    def _named(self, name: str) -> OrderTrack | None:
        return self._state.orders.get(ClientOrderId(name)) or self._state.track_of(OrderId(name))

    def _cancel(self, track: OrderTrack, source: str, turn: Turn) -> None:
        """A take-profit that somebody took back is watched from then on, or it would be placed again at once."""
        exits = self._state.exits.get(track.order.terms.position_id)
        resting = track.order.terms.purpose is Purpose.TAKE_PROFIT and track.is_live
        if resting and exits is not None and exits.mode is ExitMode.LIMIT_ORDERS:
            exits.mode = ExitMode.MONITOR
            words = f"its take-profit was taken back by {source}: watched instead"
            turn.notice(NoticeKind.EXIT_SKIPPED, track.order.terms.position_id, words)
        self._gateway.cancel(track, turn, f"asked for by {source}")

    def _buy_refusal(self, event: OrderRequested, market: MarketState, turn: Turn) -> str:
        block = (
            self._risk.entry_block()
            or market.frozen
            or self._risk.market_block(market, turn.now_ns, takes=not event.post_only)
        )
        if block:
            return f"no entry may leave now: {block}"
        position = self._open_position(market, event)
        if position is None and (full := self._risk.positions_block()):
            return f"no further position may be opened: {full}"
        exits = None if position is None else self._state.exits.get(position.position_id)
        if position is not None and exits is not None and exits.phase is ExitPhase.SELLING:
            return f"position {position.position_id} is being sold: add to it once it is closed or kept"
        cost = event.budget or notional_ceil(event.price, event.quantity)
        room = self._risk.room(market.condition_id, market.market.outcome_of(event.token_id))
        if cost > room:
            return (
                f"the buy costs {format_micros(cost)} dollars, but the limits of risk and the free cash leave "
                f"{format_micros(room)}: buy less or raise the limit"
            )
        return ""

    def _sell_refusal(self, event: OrderRequested, market: MarketState) -> str:
        position = self._to_sell(market, event)
        if position is None:
            return f"quantity is {format_micros(event.quantity)} shares, but none of token {event.token_id} is held"
        waiting = (OrderStatus.NEW, OrderStatus.SUBMITTED)
        unanswered = (
            track.order.terms.side is Side.SELL and track.order.status in waiting
            for track in self._state.orders_of(position.position_id)
        )
        if any(unanswered):
            return (
                f"another sell of position {position.position_id} waits for the venue's answer: ask again in a moment"
            )
        return ""

    def _open_position(self, market: MarketState, event: OrderRequested) -> Position | None:
        """The position of this outcome that a buy adds to: one with shares, or with an entry under way."""
        for position_id in market.positions:
            position = self._state.positions[position_id]
            if position.token_id != event.token_id:
                continue
            if position.shares > 0 or any(not track.is_settled for track in self._state.orders_of(position_id)):
                return position
        return None

    def _open(self, market: MarketState, event: OrderRequested, turn: Turn) -> Position:
        grid = market.market
        market.entries += 1
        position = Position(
            position_id=PositionId(f"{grid.slug}:{grid.outcome_of(event.token_id).lower()}:{market.entries}"),
            condition_id=grid.condition_id,
            token_id=event.token_id,
            opened_at_ns=turn.now_ns,
        )
        self._state.positions[position.position_id] = position
        market.positions.append(position.position_id)
        return position

    def _forget(self, market: MarketState, position: Position) -> None:
        """Nothing was sent for it: a wrong order does not use up one of the market's entries."""
        market.entries -= 1
        market.positions.remove(position.position_id)
        del self._state.positions[position.position_id]

    def _to_sell(self, market: MarketState, event: OrderRequested) -> Position | None:
        """The position of this token with the most shares that can be sold."""
        held = [self._state.positions[position_id] for position_id in market.positions]
        held = [position for position in held if position.token_id == event.token_id and position.shares > 0]
        return max(held, key=self._sellable, default=None)

    def _sellable(self, position: Position) -> MicroShares:
        state = self._state
        return state.arrived_shares(position.position_id) - state.promised_shares(position.position_id)

    def _terms(self, event: OrderRequested, market: MarketState, position_id: PositionId, turn: Turn) -> OrderTerms:
        grid = market.market
        expires_at_s = event.expires_at_s
        if event.time_in_force is TimeInForce.GTD and not expires_at_s:
            # One second more: the second that has begun must not count against the life that was asked for.
            expires_at_s = gtd_expiration_s(self._state.venue_now_s(turn.now_ns), event.life_s) + 1
        quantity = event.quantity
        if event.budget and event.price > 0:
            quantity = size_down(shares_wanted_down(event.budget, event.price))
        return OrderTerms(
            client_order_id=self._gateway.next_client_order_id(),
            condition_id=grid.condition_id,
            token_id=event.token_id,
            position_id=position_id,
            purpose=Purpose.ENTRY if event.side is Side.BUY else Purpose.CLOSE,
            side=event.side,
            price=event.price,
            quantity=quantity,
            budget=event.budget,
            time_in_force=event.time_in_force,
            post_only=event.post_only,
            expires_at_s=expires_at_s,
            tick_size=grid.tick_size,
            negative_risk=grid.negative_risk,
            version=grid.version,
            reason=f"asked for by {event.source}",
            rule=REQUEST_RULE,
            planned_price=event.price,
            request_id=event.request_id,
        )


def _answer(
    event: OrderRequested | CancelRequested, orders: tuple[ClientOrderId, ...], refusal: str, turn: Turn
) -> None:
    turn.facts.append(
        RequestAnswered(
            request_id=event.request_id, orders=orders, refusal=refusal, source=event.source, at_ns=turn.now_ns
        )
    )
