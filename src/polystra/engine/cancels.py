"""Cancels: asked once, held while the venue takes none, sent again only when the venue shows the order open.

What lives here: the sending of cancels by id. What must not: why an order should go, what an answer
means. A cancel is idempotent at the venue: one for an id that is gone or unknown is answered and
changes nothing.
"""

from __future__ import annotations

from polystra.domain.orders import OrderEvent, OrderStatus
from polystra.domain.units import NS_PER_S
from polystra.engine.effects import CancelOrder
from polystra.engine.order_life import LONGEST_PAUSE_S, OrderLife
from polystra.engine.state import EngineState, OrderTrack, Turn


class Cancels:
    """Owns the cancels of our orders."""

    def __init__(self, state: EngineState, life: OrderLife) -> None:
        self._state = state
        self._life = life

    def ask(self, track: OrderTrack, turn: Turn, reason: str) -> None:
        """Cancel a live order, once; repeated only when a look-up still finds it open."""
        if not track.is_live or track.cancel_asked_ns or track.order.status is OrderStatus.NEW:
            return
        self.send(track, turn, reason)

    def send(self, track: OrderTrack, turn: Turn, reason: str) -> None:
        """Send a cancel now, or hold it until the venue takes cancels."""
        track.cancel_asked_ns = turn.now_ns
        track.cancels += 1
        self._life.change(track, OrderEvent.CANCEL_ASKED, turn, detail=reason)
        track.cancel_held = not self._state.venue_mode.takes_cancels
        if not track.cancel_held:
            turn.effects.append(CancelOrder(order_id=track.order_id))
        self._life.look_again(track, turn, after_s=self._state.config.cancel_timeout_s)

    def send_again(self, track: OrderTrack, turn: Turn, reason: str) -> bool:
        """Send it once more, 1, 2, 4, ... 30 s apart; False while it is held or its pause is not over."""
        pause_s = min(LONGEST_PAUSE_S, 2 ** min(track.cancels - 1, 5)) if track.cancels else 0
        if track.cancel_held or turn.now_ns < track.cancel_asked_ns + pause_s * NS_PER_S:
            self._life.look_again(track, turn, after_s=max(1, pause_s))
            return False
        self.send(track, turn, reason)
        return True

    def still_open(self, track: OrderTrack, turn: Turn) -> None:
        """A look-up shows an order open whose cancel was sent."""
        asked = track.cancel_asked_ns or track.order.status is OrderStatus.PENDING_CANCEL
        if asked and track.is_live:
            self.send_again(track, turn, "still open after its cancel")
