"""Unfilled entries: an entry that has waited too long is cancelled, once.

The time-out is clamped to a third of the window that was left when the entry was made, so
that an entry never outlives the idea behind it. At the window's end every live entry is
cancelled too.
"""

from __future__ import annotations

from polystra.domain.market import Market
from polystra.domain.orders import Purpose
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.gateway import Gateway
from polystra.engine.state import EngineState, OrderTrack, Turn


class Unfilled:
    """Owns the time-out of entries."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway

    def life_ns(self, market: Market, now_ns: Nanos) -> Nanos:
        """How long an entry made now may stay unfilled."""
        left = max(0, market.closes_at_s * NS_PER_S - now_ns)
        timeout = self._state.config.unfilled_timeout_s * NS_PER_S
        return min(timeout, left // 3) if self._state.config.unfilled_cancel else left

    def watch(self, client_order_id: str, market: Market, turn: Turn) -> None:
        """Set the timer of a new entry."""
        turn.timer(f"unfilled:{client_order_id}", turn.now_ns + self.life_ns(market, turn.now_ns))

    def resume(self, track: OrderTrack, turn: Turn) -> None:
        """An entry of the last run: its idea is old, so its time is up soon."""
        turn.timer(f"unfilled:{track.order.terms.client_order_id}", turn.now_ns + 10 * NS_PER_S)

    def due(self, client_order_id: str, turn: Turn) -> None:
        """The time is up: cancel what is left of the entry."""
        for track in self._state.orders.values():
            if track.order.terms.client_order_id == client_order_id:
                self._gateway.cancel(track, turn, "unfilled for too long")

    def window_closed(self, condition_id: str, turn: Turn) -> None:
        """The window is over: no entry may live on."""
        for track in list(self._state.live_orders()):
            terms = track.order.terms
            if terms.condition_id == condition_id and terms.purpose is Purpose.ENTRY:
                self._gateway.cancel(track, turn, "window closed")
