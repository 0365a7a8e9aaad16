"""The venue's dead man's switch: when it is armed, and what a gap in the heartbeats makes us doubt.

What lives here: the arming after the first complete snapshot, the doubt of resting orders, the block on
entries. What must not: the beats (an adapter's), any guess at what the venue cancelled.

After a gap resting orders are presumed gone: each is looked up by its id and the account is read. Their
states change only by those answers. The block ends with a complete snapshot asked for after the beats
were accepted again; one asked for earlier may show orders that were cancelled since.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import AccountSnapshot, HeartbeatState, HeartbeatTold
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import OrderStatus
from polystra.domain.units import NS_PER_S, Nanos
from polystra.domain.venue import HEARTBEAT_GAP_NS
from polystra.engine.effects import MeasureClock, StartHeartbeat
from polystra.engine.gateway import Gateway
from polystra.engine.positions.reconcile import Reconciler
from polystra.engine.standing import Standing
from polystra.engine.state import EngineState, Turn

HEARTBEAT_BLOCK: Final = "heartbeat"
CONSEQUENCE: Final = (
    "if this daemon dies, stops or hangs, the venue cancels every open order of this API key within 10-15 s, "
    "resting exits included, whatever ON_SHUTDOWN says; there is no disarm"
)
_SUBJECT: Final = "heartbeat"


class HeartbeatWatch:
    """Owns what the engine makes of the heartbeats."""

    def __init__(self, state: EngineState, gateway: Gateway, reconciler: Reconciler, standing: Standing) -> None:
        self._state = state
        self._gateway = gateway
        self._reconciler = reconciler
        self._standing = standing
        self._is_armed = False
        self._resumed_ns: Nanos | None = None
        """When beats were accepted again after a gap, None while they are not or nothing is in doubt."""

    def snapshot(self, event: AccountSnapshot, turn: Turn) -> None:
        """Arm the switch at the first complete snapshot; later ones end the doubt of a gap."""
        if not self._state.config.venue_heartbeat or not event.complete:
            return
        if not self._is_armed:
            self._is_armed = True
            words = f"{len(event.open_orders)} open order(s) of this API key now; {CONSEQUENCE}"
            turn.notice(NoticeKind.HEARTBEAT_ARMED, _SUBJECT, words)
            turn.effects.append(StartHeartbeat())
        elif self._resumed_ns is not None and event.asked_at_ns >= self._resumed_ns:
            self._resumed_ns = None
            self._state.blocks.pop(HEARTBEAT_BLOCK, None)

    def told(self, event: HeartbeatTold, turn: Turn) -> None:
        """The heartbeats changed."""
        match event.state:
            case HeartbeatState.FAILING:
                words = f"two heartbeats in a row were not accepted: {event.reason}"
                turn.notice(NoticeKind.HEARTBEAT_FAILED, _SUBJECT, words)
                turn.effects.append(MeasureClock())
            case HeartbeatState.CONTESTED:
                self._standing.heartbeats(event.reason, turn)
                turn.notice(NoticeKind.HEARTBEAT_FAILED, _SUBJECT, event.reason)
            case HeartbeatState.SILENT:
                words = f"no heartbeat has been accepted for {_seconds(event)}: resting orders may be gone"
                self._resumed_ns = None
                self._state.blocks[HEARTBEAT_BLOCK] = words
                turn.notice(NoticeKind.HEARTBEAT_FAILED, _SUBJECT, f"{words}; {event.reason}")
            case HeartbeatState.FOLLOWED:
                self._standing.heartbeats("", turn)
            case HeartbeatState.BEATING:
                self._beating(event, turn)

    # --- inside -----------------------------------------------------------------------

    def _beating(self, event: HeartbeatTold, turn: Turn) -> None:
        """The first beat of a run ends a gap too: that since the last run's."""
        is_first = event.gap_ns == 0
        if not is_first:
            self._standing.heartbeats("", turn)
            words = f"heartbeats are accepted again after {_seconds(event)}"
            turn.notice(NoticeKind.HEARTBEAT_RECOVERED, _SUBJECT, words)
        elif not any(track.order.status is OrderStatus.OPEN for track in self._state.live_orders()):
            return
        if not is_first and event.gap_ns <= HEARTBEAT_GAP_NS:
            return
        count = self._doubt_resting_orders(turn)
        self._resumed_ns = turn.now_ns
        cause = "the last run's heartbeats ended" if is_first else f"no heartbeat was accepted for {_seconds(event)}"
        self._state.blocks[HEARTBEAT_BLOCK] = f"{cause}: {count} resting order(s) are looked up"
        self._reconciler.ask("heartbeat gap", turn)

    def _doubt_resting_orders(self, turn: Turn) -> int:
        count = 0
        for track in list(self._state.live_orders()):
            if track.order.status is OrderStatus.OPEN:
                self._gateway.presume_gone(track, turn)
                count += 1
        return count


def _seconds(event: HeartbeatTold) -> str:
    return f"{event.gap_ns / NS_PER_S:.1f} s"
