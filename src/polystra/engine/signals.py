"""Signals from outside: what a checked sender asks for becomes an entry or an exit like any other, once.

What lives here: which market and positions are meant, that the same signal is never carried out twice (over restarts
too), the answer in one sentence. What must not: who may send (the shell has checked that), limits of risk, orders.

A signal is answered by one `RequestAnswered`, which is what a restart remembers it by. It is recorded as a trade only
when the venue confirms one: the answer says that an order was made, never that it filled.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import EntryRequested, ExitRequested, SignalAct, SignalReceived
from polystra.domain.facts import RequestAnswered
from polystra.domain.ids import ClientOrderId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, format_micros
from polystra.domain.windows import WINDOW_SECONDS
from polystra.domain.wishes import SIGNALS_KEPT_S
from polystra.engine.positions.exits import Exits
from polystra.engine.state import EngineState, MarketState, Turn
from polystra.engine.trader import Trader

REPEATED: Final = "it was answered before: a new wish needs a new id"
"""How the answer to a signal begins that was carried out, or refused, already."""


class Signals:
    """Owns `SignalReceived`."""

    def __init__(self, state: EngineState, trader: Trader, exits: Exits) -> None:
        self._state = state
        self._trader = trader
        self._exits = exits

    def received(self, event: SignalReceived, turn: Turn) -> None:
        """Carry a signal out, or say in one sentence why not."""
        known = self._state.signals
        if event.request_id in known:
            self._answer(event, (), REPEATED, turn)
            return
        known[event.request_id] = turn.now_ns
        while (oldest := next(iter(known))) and known[oldest] < turn.now_ns - SIGNALS_KEPT_S * NS_PER_S:
            del known[oldest]
        market = self._market(event.market, turn)
        if market is None:
            words = f"market is {event.market}, which is not open here now: name one that `polystra status` lists"
            self._answer(event, (), words, turn)
        elif event.act is SignalAct.CLOSE:
            self._close(event, market, turn)
        else:
            self._buy(event, market, turn)

    # --- inside -----------------------------------------------------------------------

    def _market(self, name: str, turn: Turn) -> MarketState | None:
        """By slug, by condition id, or the one of a symbol and a window that is open now."""
        symbol, _, window = name.partition("/")
        length_s = WINDOW_SECONDS.get(window.lower())
        for market in self._state.markets.values():
            grid = market.market
            if name in (grid.slug, grid.condition_id):
                return market
            is_open = grid.opens_at_s * NS_PER_S <= turn.now_ns < grid.closes_at_s * NS_PER_S
            if is_open and grid.window_s == length_s and grid.symbol == symbol.upper():
                return market
        return None

    def _buy(self, event: SignalReceived, market: MarketState, turn: Turn) -> None:
        if event.outcome is None:
            self._answer(event, (), f"outcome is missing: {event.act} needs up or down", turn)
            return
        held = any(self._is_held(position) for position in self._positions(event, market))
        if event.act is SignalAct.ADD and not held:
            words = f"nothing is held of {event.outcome.lower()} in {market.market.slug}: open first"
            self._answer(event, (), words, turn)
            return
        if event.act is SignalAct.OPEN and held:
            words = f"{event.outcome.lower()} of {market.market.slug} is held already: add to it, or close it first"
            self._answer(event, (), words, turn)
            return
        wish = EntryRequested(
            request_id=event.request_id,
            condition_id=market.market.condition_id,
            outcome=event.outcome,
            price=event.price,
            budget=event.budget,
            source=event.hook,
            adds=event.act is SignalAct.ADD,
        )
        if event.rehearsal:
            refusal = self._trader.entry_refusal(wish, turn)
            would = f"it would have bought for {format_micros(event.budget)} dollars at {format_micros(event.price)}"
            self._answer(event, (), refusal or _rehearsed(would), turn)
            return
        track, refusal = self._trader.enter(wish, turn)
        self._answer(event, () if track is None else (track.order.terms.client_order_id,), refusal, turn)

    def _close(self, event: SignalReceived, market: MarketState, turn: Turn) -> None:
        """What is held, and buys that still work, of the outcome or of the whole market."""
        closing = [
            position
            for position in self._positions(event, market)
            if self._is_held(position) or self._is_bought(position)
        ]
        if not closing:
            self._answer(event, (), f"nothing is held in {market.market.slug}: nothing was sent", turn)
        elif market.frozen or market.resolution is not None:
            self._answer(event, (), f"{market.market.slug} is {market.frozen or 'resolved'}: nothing was sent", turn)
        elif event.rehearsal:
            shares = format_micros(sum(position.shares for position in closing))
            self._answer(event, (), _rehearsed(f"it would have sold {shares} shares"), turn)
        else:
            for position in closing:
                self._exits.requested(
                    ExitRequested(request_id=event.request_id, position_id=position.position_id, source=event.hook),
                    turn,
                )
            self._answer(event, (), "", turn)

    def _positions(self, event: SignalReceived, market: MarketState) -> list[Position]:
        wanted = None if event.outcome is None else market.market.token(event.outcome)
        held = [self._state.positions[position_id] for position_id in market.positions]
        return [position for position in held if wanted in (None, position.token_id)]

    def _is_bought(self, position: Position) -> bool:
        orders = self._state.orders_of(position.position_id)
        return any(track.is_live and track.order.terms.side is Side.BUY for track in orders)

    @staticmethod
    def _is_held(position: Position) -> bool:
        return position.shares >= SIZE_STEP

    @staticmethod
    def _answer(event: SignalReceived, orders: tuple[ClientOrderId, ...], refusal: str, turn: Turn) -> None:
        turn.facts.append(
            RequestAnswered(
                request_id=event.request_id, orders=orders, refusal=refusal, source=event.hook, at_ns=turn.now_ns
            )
        )


def _rehearsed(would: str) -> str:
    return f"the hook is not live: {would}"
