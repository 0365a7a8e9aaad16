"""Shutdown: stop entries, cancel what must not stay, wait until outcomes are known, say what is left.

Asked by a signal or an operator, or by the run itself when its number of markets has
settled. In that second case provisional fills and claims are waited for too, so that the
books can be compared. A deadline ends the wait; what is still open is said in words.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import StopMode, StopRequested
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import NS_PER_MS, NS_PER_S, format_micros
from polystra.engine.effects import Finish
from polystra.engine.gateway import Gateway
from polystra.engine.state import EngineState, Turn

_SIGNAL_WAIT_S: Final = 15
_COMPLETE_WAIT_S: Final = 180
_ASK_AGAIN_S: Final = 6


class Shutdown:
    """Owns the end of a run."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway
        self._complete = False
        self._asked_ns = 0

    def requested(self, event: StopRequested, turn: Turn) -> None:
        """Begin to stop; asking again changes nothing."""
        if self._state.stopping is not None:
            return
        self._begin(event.mode, event.reason, _SIGNAL_WAIT_S, turn)

    def review(self, turn: Turn) -> None:
        """At the end of each turn: begin when the run is complete, finish when nothing is unknown."""
        state = self._state
        limit = state.config.markets_limit
        if state.stopping is None and limit and state.settled_markets >= limit:
            self._complete = True
            self._begin(StopMode.CANCEL_ALL, f"{limit} markets settled", _COMPLETE_WAIT_S, turn)
        if state.stopping is None or state.finished:
            return
        if not self._waiting(turn) or turn.now_ns >= state.stop_deadline_ns:
            state.finished = True
            turn.effects.append(Finish(reason=state.stop_reason, left_open=tuple(self._left_open())))

    # --- inside -----------------------------------------------------------------------

    def _begin(self, mode: StopMode, reason: str, wait_s: int, turn: Turn) -> None:
        state = self._state
        state.stopping = mode
        state.stop_reason = reason
        state.stop_deadline_ns = turn.now_ns + wait_s * NS_PER_S
        turn.notice(NoticeKind.SHUTDOWN_STARTED, mode, reason + self._heartbeat_words(mode))
        for track in list(state.live_orders()):
            if mode is StopMode.CANCEL_ALL or track.order.terms.purpose is Purpose.ENTRY:
                self._gateway.cancel(track, turn, "shutting down")
        turn.timer("shutdown", state.stop_deadline_ns)

    def _heartbeat_words(self, mode: StopMode) -> str:
        if not self._state.config.venue_heartbeat or mode is not StopMode.KEEP_EXITS:
            return ""
        exits = sum(1 for track in self._state.live_orders() if track.order.terms.purpose.is_exit)
        return f"; {exits} exit(s) rest, which the venue cancels when the heartbeats end with the daemon"

    def _waiting(self, turn: Turn) -> bool:
        state = self._state
        for track in state.orders.unsettled():
            resting = track.order.status is OrderStatus.OPEN and not track.cancel_asked_ns
            if not (resting and state.stopping is StopMode.KEEP_EXITS):
                return True
        if not self._complete:
            return False
        pending = any(b.pending_shares or b.claim for b in state.ledger.tokens.values())
        if pending or state.ledger.pending_cash or state.redeeming:
            return True
        return self._awaiting_agreement(turn)

    def _awaiting_agreement(self, turn: Turn) -> bool:
        """True until a snapshot asked after the last change of ours is equal to the ledger."""
        state = self._state
        if state.agreed_at_ns > state.last_account_event_ns:
            return False
        if turn.now_ns - self._asked_ns >= _ASK_AGAIN_S * NS_PER_S:
            self._asked_ns = turn.now_ns
            turn.timer("reconcile:final", turn.now_ns + NS_PER_MS)
            turn.timer("shutdown:again", turn.now_ns + _ASK_AGAIN_S * NS_PER_S)
        return True

    def _left_open(self) -> list[str]:
        state = self._state
        left = [
            f"{track.order.status} {track.order.terms.purpose} {track.order.terms.side} "
            f"{format_micros(track.order.remaining)} at {format_micros(track.order.terms.price)} "
            f"({track.order.order_id})"
            for track in state.live_orders()
        ]
        left += [
            f"{format_micros(position.shares)} shares in {position.position_id}: "
            "no stop is armed while the daemon is down"
            for position in state.positions.values()
            if position.shares > 0
        ]
        if state.config.venue_heartbeat and any(track.is_live for track in state.orders.unsettled()):
            left.append(
                "the heartbeats end with the daemon: within 10-15 s the venue cancels every open order of this API "
                "key, those named here included"
            )
        if state.ledger.claims:
            left.append(f"{format_micros(state.ledger.claims)} dollars of winnings not redeemed yet")
        return left
