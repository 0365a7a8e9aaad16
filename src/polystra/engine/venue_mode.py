"""The venue's modes: how one is entered, how often it is tried, how it is left by itself.

What lives here: the state machine of `state.venue_mode` and its probes. What must not: how a mode
is recognised (adapters), which exit fits which mode (exits), whether entries are wished (trader).

    a refusal that shows a mode ──► that mode
    RESTARTING   a cancel is tried until one is answered ──► POST_ONLY for two minutes
    POST_ONLY    its time is over, or an order that takes was taken ──► NORMAL
    DISABLED     a cancel is tried until one is answered ──► NORMAL
    CANCEL_ONLY  one order at a time may be tried; taken, or the named time is over ──► NORMAL
    CLOSED_ONLY  likewise, but only an entry that was taken ends it

A try is the cheapest real call: the cancel that waits longest, else a cancel for the id of the order
whose refusal showed the mode (a cancel of an unknown or ended order is answered and changes nothing).
Tries are 1, 2, 4, ... 30 s apart, with a jitter drawn from the salt seed, and never sooner than the
venue asked for. Source: Polymarket docs, matching engine (425, post-only minutes) and error codes (503).
"""

from __future__ import annotations

import hashlib
from typing import Final

from polystra.domain.facts import VenueModeChanged
from polystra.domain.ids import OrderId
from polystra.domain.orders import Purpose
from polystra.domain.units import NS_PER_S, Nanos
from polystra.domain.venue import VenueMode
from polystra.engine.effects import CancelOrder
from polystra.engine.state import EngineState, OrderTrack, Turn

MODE_TIMER: Final = "mode"
POST_ONLY_S: Final = 120
"""Only post-only orders are taken for so long after a restart (Polymarket docs, matching engine)."""
LONGEST_PAUSE_S: Final = 30
ENTRY_TRY_S: Final = 60
"""An entry is tried only when no order was refused for the mode's sake for so long."""
CLOSED_ONLY_TRY_S: Final = 600
"""An account that may only reduce is seldom freed: it is tried this seldom."""
_NEEDS_CANCEL: Final = (VenueMode.RESTARTING, VenueMode.DISABLED)


class VenueModes:
    """Owns `state.venue_mode`, `venue_mode_until_ns` and `venue_try`."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._since_ns: Nanos = 0
        self._shown_ns: Nanos = 0
        self._shown_by: OrderId | None = None
        self._tries = 0
        self._tried: OrderId | None = None
        self._tried_ns: Nanos = 0

    def begin(self, turn: Turn) -> None:
        """A new run: the mode that the last one saw is not believed, the venue shows it anew."""
        if self._state.venue_mode is not VenueMode.NORMAL:
            self._enter(VenueMode.NORMAL, "the daemon was started anew: the venue shows its mode again", 0, turn)

    # --- what the venue showed --------------------------------------------------------

    def shown(self, mode: VenueMode, turn: Turn, *, by: OrderId, reason: str, retry_after_s: int = 0) -> None:
        """A refusal showed the venue in `mode`; `retry_after_s` is the pause that it named, 0 for none."""
        if mode is VenueMode.NORMAL:
            return
        state = self._state
        self._shown_ns = turn.now_ns
        self._shown_by = by
        state.venue_try = state.venue_try_entry = False
        if mode is not state.venue_mode:
            self._enter(mode, reason, self._expected_end(mode, retry_after_s, turn.now_ns), turn)
            self._next_try(turn, retry_after_s)
        elif retry_after_s:
            if mode not in _NEEDS_CANCEL:
                state.venue_mode_until_ns = turn.now_ns + retry_after_s * NS_PER_S
            self._next_try(turn, retry_after_s)

    def order_taken(self, track: OrderTrack, turn: Turn) -> None:
        """The venue took an order: no proof when it was sent before the mode was last shown."""
        mode = self._state.venue_mode
        if mode is VenueMode.NORMAL or track.sent_ns <= self._shown_ns:
            return
        terms = track.order.terms
        if mode is VenueMode.CLOSED_ONLY and terms.purpose is not Purpose.ENTRY:
            return
        if terms.post_only:
            if mode is VenueMode.RESTARTING:
                self._enter_post_only("the venue takes post-only orders again", turn)
            elif mode in (VenueMode.CANCEL_ONLY, VenueMode.DISABLED):
                self._enter(VenueMode.NORMAL, "an order was taken again", 0, turn)
            return
        self._enter(VenueMode.NORMAL, "an order was taken again", 0, turn)

    def cancel_answered(self, track: OrderTrack, turn: Turn) -> None:
        """The venue carried out or refused one cancel: it takes them, unless this one was sent before it did not."""
        mode = self._state.venue_mode
        tried_ns = self._tried_ns if track.order.order_id == self._tried else 0
        if mode not in _NEEDS_CANCEL or max(track.cancel_asked_ns, tried_ns) <= self._shown_ns:
            return
        if mode is VenueMode.RESTARTING:
            self._enter_post_only("the venue answers cancels again", turn)
        else:
            self._enter(VenueMode.NORMAL, "the venue answers cancels again", 0, turn)

    def due(self, turn: Turn) -> None:
        """The mode's timer: it is over, or the venue is tried once more."""
        state = self._state
        mode = state.venue_mode
        if mode is VenueMode.NORMAL:
            return
        if state.venue_mode_until_ns and turn.now_ns >= state.venue_mode_until_ns:
            words = (
                "its two minutes are over" if mode is VenueMode.POST_ONLY else "the time that the venue named is over"
            )
            self._enter(VenueMode.NORMAL, words, 0, turn)
            return
        if mode in _NEEDS_CANCEL:
            self._try_cancel(turn)
        elif mode is not VenueMode.POST_ONLY:
            state.venue_try = True
            state.venue_try_entry = turn.now_ns - self._shown_ns >= ENTRY_TRY_S * NS_PER_S
            self._touch_all(turn)
        self._next_try(turn)

    # --- inside -----------------------------------------------------------------------

    def _enter(self, mode: VenueMode, reason: str, until_ns: Nanos, turn: Turn) -> None:
        state = self._state
        previous = state.venue_mode
        state.venue_mode = mode
        state.venue_mode_until_ns = until_ns
        state.venue_try = state.venue_try_entry = False
        self._since_ns = turn.now_ns
        self._tries = 0
        turn.facts.append(
            VenueModeChanged(mode=mode, previous=previous, reason=reason, until_ns=until_ns, at_ns=turn.now_ns)
        )
        if previous is VenueMode.RESTARTING:
            turn.timer("reconcile:venue restarted", turn.now_ns)
        if mode.takes_cancels and not previous.takes_cancels:
            self._send_held_cancels(turn)
        self._touch_all(turn)

    def _enter_post_only(self, reason: str, turn: Turn) -> None:
        until_ns = turn.now_ns + POST_ONLY_S * NS_PER_S
        self._enter(VenueMode.POST_ONLY, reason, until_ns, turn)
        turn.timer(MODE_TIMER, until_ns)

    @staticmethod
    def _expected_end(mode: VenueMode, retry_after_s: int, now_ns: Nanos) -> Nanos:
        """A restart and a pause end when a cancel is answered, not by the clock."""
        if mode in _NEEDS_CANCEL:
            return 0
        seconds = retry_after_s or (POST_ONLY_S if mode is VenueMode.POST_ONLY else 0)
        return now_ns + seconds * NS_PER_S if seconds else 0

    def _next_try(self, turn: Turn, at_least_s: int = 0) -> None:
        state = self._state
        if state.venue_mode_until_ns:
            turn.timer(MODE_TIMER, state.venue_mode_until_ns)
            return
        pause_s = min(LONGEST_PAUSE_S, 2 ** min(self._tries, 5))
        if state.venue_mode is VenueMode.CLOSED_ONLY:
            pause_s = CLOSED_ONLY_TRY_S
        self._tries += 1
        pause_ns = max(pause_s, at_least_s) * NS_PER_S + self._jitter_ns(pause_s)
        turn.timer(MODE_TIMER, turn.now_ns + pause_ns)

    def _jitter_ns(self, pause_s: int) -> Nanos:
        """Up to a quarter of the pause more, so that programs that were refused together do not return together."""
        seed = self._state.config.salt_seed + f"mode:{self._since_ns}:{self._tries}".encode()
        share = int.from_bytes(hashlib.sha256(seed).digest()[:4], "big")
        return pause_s * NS_PER_S * share // (4 << 32)

    def _try_cancel(self, turn: Turn) -> None:
        """Send the held cancel that waits longest, else one for the order that showed the mode."""
        held = min(self._held(), key=lambda track: track.cancel_asked_ns, default=None)
        order_id = self._shown_by if held is None else held.order_id
        if order_id is not None:
            self._tried, self._tried_ns = order_id, turn.now_ns
            turn.effects.append(CancelOrder(order_id=order_id))

    def _send_held_cancels(self, turn: Turn) -> None:
        for track in self._held():
            track.cancel_held = False
            track.cancel_asked_ns = turn.now_ns
            turn.effects.append(CancelOrder(order_id=track.order_id))

    def _held(self) -> list[OrderTrack]:
        return [track for track in self._state.live_orders() if track.cancel_held and track.order.order_id is not None]

    def _touch_all(self, turn: Turn) -> None:
        for position in self._state.positions.values():
            if position.shares > 0:
                turn.touch(position.position_id)
