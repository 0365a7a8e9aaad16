"""Shutdown: stop entries, cancel what must not stay, wait until outcomes are known, say what is left.

Asked by a signal or an operator, or by the run itself when its number of markets has
settled. In that second case provisional fills and claims are waited for too, so that the
books can be compared. A deadline ends the wait; what is still open is said in words (`left_open`).

`flatten` sells what is held like any other close: exits are withdrawn, their fate learnt, then FAK; shares that
have not arrived on chain, and a venue that takes no orders, are waited for until the deadline. Shares bought
elsewhere are sold only when they are protected, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from polystra.domain.events import StopMode, StopRequested
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_MS, NS_PER_S
from polystra.engine.effects import Finish
from polystra.engine.gateway import Gateway
from polystra.engine.left_open import left_open
from polystra.engine.state import EngineState, ExitPhase, Turn

FLATTEN_RULE: Final = "shutdown"
_SIGNAL_WAIT_S: Final = 15
_FLATTEN_WAIT_S: Final = 45
_COMPLETE_WAIT_S: Final = 180
_ASK_AGAIN_S: Final = 6


class Shutdown:
    """Owns the end of a run."""

    def __init__(self, state: EngineState, gateway: Gateway, close: Callable[[Position, str, Turn], None]) -> None:
        self._state = state
        self._gateway = gateway
        self._close = close
        self._complete = False
        self._asked_ns = 0

    def requested(self, event: StopRequested, turn: Turn) -> None:
        """Begin to stop; asking again changes nothing. A run that has settled its markets waits no longer for money."""
        if self._state.finished or (self._state.stopping is not None and not self._complete):
            return
        self._complete = False
        wait_s = _FLATTEN_WAIT_S if event.mode is StopMode.FLATTEN else _SIGNAL_WAIT_S
        self._begin(event.mode, event.reason, wait_s, turn)

    def review(self, turn: Turn) -> None:
        """At the end of each turn: begin when the run is complete, finish when nothing is unknown."""
        state = self._state
        limit = state.config.markets_limit
        if state.stopping is None and limit and state.settled_markets >= limit:
            self._complete = True
            self._begin(StopMode.CANCEL_ALL, f"{limit} markets settled", _COMPLETE_WAIT_S, turn)
        if state.stopping is None or state.finished:
            return
        if state.stopping is StopMode.FLATTEN:
            self._flatten(turn)
        if not self._waiting(turn) or turn.now_ns >= state.stop_deadline_ns:
            state.finished = True
            turn.effects.append(Finish(reason=state.stop_reason, left_open=left_open(state, turn.now_ns)))

    # --- inside -----------------------------------------------------------------------

    def _begin(self, mode: StopMode, reason: str, wait_s: int, turn: Turn) -> None:
        state = self._state
        state.stopping = mode
        state.stop_reason = reason
        state.stop_deadline_ns = turn.now_ns + wait_s * NS_PER_S
        turn.notice(NoticeKind.SHUTDOWN_STARTED, mode, reason + self._heartbeat_words(mode))
        for track in list(state.live_orders()):
            if mode is not StopMode.KEEP_EXITS or track.order.terms.purpose is Purpose.ENTRY:
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
        if any(state.stopping is StopMode.FLATTEN or self._is_sold(position) for position in self._to_sell(turn)):
            return True
        if not self._complete:
            return False
        pending = any(b.pending_shares or b.claim for b in state.ledger.tokens.values())
        if pending or state.ledger.pending_cash or state.redeeming:
            return True
        return self._awaiting_agreement(turn)

    def _flatten(self, turn: Turn) -> None:
        """Have everything that can be sold sold; what arrives by a late fill as well."""
        for position in self._to_sell(turn):
            if not self._is_sold(position):
                self._close(position, FLATTEN_RULE, turn)
                turn.timer(f"exit:{position.position_id}", turn.now_ns + NS_PER_MS)

    def _is_sold(self, position: Position) -> bool:
        """True while an exit that fired is at work: it is not left half-way."""
        exits = self._state.exits.get(position.position_id)
        return exits is not None and exits.phase is ExitPhase.SELLING

    def _to_sell(self, turn: Turn) -> Iterator[Position]:
        """Positions of ours with shares that the market still takes."""
        for position in self._state.positions.values():
            market = self._state.markets.get(position.condition_id)
            if not self._state.is_open(position) or market is None or market.resolution is not None or market.frozen:
                continue
            if position.external and not self._state.config.balance.protect_external:
                continue
            if turn.now_ns < market.market.closes_at_s * NS_PER_S:
                yield position

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
