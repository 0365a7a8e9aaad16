"""Orders in doubt: what an answer to a look-up means, and when an absence is believed.

What lives here: the search for an order whose fate is unknown. What must not: changes of state (order
life), outcomes of requests (gateway).

A submit whose outcome is unknown leaves an order whose id we hold. It is looked up after 1, 2, 4, ...
30 s among open orders and trades. Absence is believed only when all of this holds:
- complete look-ups, at least three, have not found it, the last one asked `absence_horizon_s` after
  its bytes may last have left (confirmations have come 40 s late);
- a cancel for its id was sent, so that a zombie cannot live;
- the venue answered an order or a cancel that was sent after the doubt began: an engine that hangs
  shows no order either; or the market is over.
The same intent is never signed again. Until then its cash or shares stay reserved.

An exit cannot wait that long while the price falls: while it is found nowhere its same signed bytes are
sent again. The venue takes them once (by their hash) and otherwise answers that it has had them, so that
either way it is known what became of the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from polystra.domain.events import OrderLookedUp
from polystra.domain.facts import DoubtRecorded, NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.order_words import ABSENT
from polystra.domain.orders import OrderEvent, OrderStatus, Side
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.cancels import Cancels
from polystra.engine.effects import SubmitOrder
from polystra.engine.order_life import OrderLife
from polystra.engine.state import EngineState, OrderTrack, Turn

ALERTS_S: Final = (30, 60, 300)
"""A doubt that lasts is told after so many seconds, each once."""
_LEAST_ABSENCES: Final = 3
_CANCEL_AFTER_S: Final = 5
DELAYED_SALE_S: Final = 30
"""So long is a sell waited for that the venue said it matches later: it holds that order, and a second one would sell
other shares of the token as well. Its delays are about three seconds (Polymarket CLOB docs, matching engine), and the
user stream tells the end of one at once; the rest is room for a venue that is slow."""
_LATE_TRADES_S: Final = 2


class DoubtSearch:
    """Owns what is concluded from look-ups."""

    def __init__(self, state: EngineState, life: OrderLife, cancels: Cancels) -> None:
        self._state = state
        self._life = life
        self._cancels = cancels

    def looked_up(self, event: OrderLookedUp, turn: Turn) -> None:
        """Answer to a look-up; its fills have been booked before this is called."""
        track = self._state.track_of(event.order_id)
        if track is None:
            return
        track.missing = event.open_order is None
        if event.open_order is not None:
            track.absences = 0
            self._life.report(event.open_order, turn)
            self._cancels.still_open(track, turn)
            if not track.is_live and not track.is_settled:
                self._life.look_again(track, turn)
        elif track.is_settled:
            return
        elif not event.complete:
            self._life.look_again(track, turn)
        elif self._is_too_old(event, track):
            self._life.look_again(track, turn, after_s=1)
        elif track.acknowledged_ns:
            self._gone(track, turn, found=bool(event.fills))
        else:
            self._absent(track, event.asked_at_ns, turn)

    def check(self, track: OrderTrack, turn: Turn) -> None:
        """The order's timer fired: look it up while anything about it is unknown."""
        if track.is_settled or track.order.order_id is None:
            return
        resting = track.order.status is OrderStatus.OPEN and track.order.terms.time_in_force.may_rest
        if resting and not (track.fate_known or track.cancel_asked_ns or track.missing):
            return
        self._life.look_up(track, turn)

    def restored(self, doubts: Iterable[DoubtRecorded]) -> None:
        """Take the searches of the last run; they go on by `resume`."""
        for doubt in doubts:
            track = self._state.orders.get(doubt.client_order_id)
            if track is None:
                continue
            self._state.doubts[doubt.client_order_id] = doubt
            track.lookups, track.absences = doubt.lookups, doubt.absences
            track.doubt_since_ns = doubt.since_ns
            track.alerts = sum(doubt.at_ns - doubt.since_ns >= after * NS_PER_S for after in ALERTS_S)

    def resume(self, track: OrderTrack, turn: Turn) -> None:
        """An order of the last run: what is not known of it is unknown until the venue says.

        A cancelled order may have traded before its cancel: whether its trades were asked for is not on record.
        """
        if not track.is_live:
            ended_early = track.order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED)
            if ended_early and track.left >= SIZE_STEP and track.order.order_id is not None:
                track.fate_known = False
                self._life.look_up(track, turn)
            return
        unknown = (OrderStatus.SUBMITTED, OrderStatus.IN_DOUBT, OrderStatus.PENDING_CANCEL)
        if track.order.status in unknown:
            track.cancel_asked_ns = 0
            track.unknown_ns = turn.now_ns
            self._life.change(track, OrderEvent.OUTCOME_UNKNOWN, turn, detail="restarted before its outcome was known")
        doubt = self._state.doubts.get(track.order.terms.client_order_id)
        if doubt is not None and doubt.next_lookup_ns > turn.now_ns:
            self._life.look_at(track, turn, doubt.next_lookup_ns)
        else:
            self._life.look_up(track, turn)

    def review(self, turn: Turn) -> None:
        """At the end of each turn: close the searches that are over, tell of those that last."""
        for client_order_id, doubt in list(self._state.doubts.items()):
            track = self._state.orders.get(client_order_id)
            if track is None or track.is_settled or track.order.status is OrderStatus.OPEN:
                del self._state.doubts[client_order_id]
                words = "forgotten" if track is None else f"{track.order.status}: {track.order.detail}"
                turn.facts.append(replace(doubt, next_lookup_ns=0, outcome=words, at_ns=turn.now_ns))
            else:
                self._alert(track, turn)

    # --- inside -----------------------------------------------------------------------

    def _alert(self, track: OrderTrack, turn: Turn) -> None:
        lasts_ns = turn.now_ns - track.doubt_since_ns
        passed = sum(lasts_ns >= after * NS_PER_S for after in ALERTS_S)
        if passed <= track.alerts:
            return
        track.alerts = passed
        terms = track.order.terms
        turn.notice(
            NoticeKind.DOUBT_LASTS,
            terms.client_order_id,
            f"{terms.purpose.lower()} order {track.order_id} is in doubt for {lasts_ns // NS_PER_S} s "
            f"({track.absences} of {track.lookups} look-ups found it nowhere); its cash or shares stay reserved",
        )

    def _gone(self, track: OrderTrack, turn: Turn, *, found: bool) -> None:
        """Not open and known to have lived: it ended. Wait one more look-up when fills may still be missing."""
        if track.accounted + SIZE_STEP <= track.matched and track.absences < 10:
            track.absences += 1
            self._life.look_again(track, turn)
            return
        if self._may_come_late(track, turn):
            self._life.look_again(track, turn)
            return
        doubtful = track.order.status is OrderStatus.OPEN or track.was_duplicate
        if track.is_live and not found and doubtful and track.absences < 1:
            track.absences += 1
            self._life.look_again(track, turn, after_s=_LATE_TRADES_S)
            return
        track.fate_known = True
        track.matched = track.accounted
        self._life.conclude(track, turn)
        turn.touch(track.order.terms.position_id)

    def _may_come_late(self, track: OrderTrack, turn: Turn) -> bool:
        """True for an order that the venue will match later: it may reach the book after it was looked for there.

        A sell is waited for a moment only: the venue's own delays are seconds, and a stop has no time.
        """
        is_buy = track.order.terms.side is Side.BUY
        wait_s = self._state.config.absence_horizon_s if is_buy else DELAYED_SALE_S
        return track.delayed and turn.now_ns - track.left_ns < wait_s * NS_PER_S

    def _absent(self, track: OrderTrack, asked_at_ns: Nanos, turn: Turn) -> None:
        """Found nowhere: send it again, cancel it, or believe it; see the module docstring."""
        track.absences += 1
        horizon_ns = self._state.config.absence_horizon_s * NS_PER_S
        if self._may_be_sent_again(track, turn):
            self._send_again(track, turn)
            return
        if not self._is_healthy_since(track) and not self._market_is_over(track, turn):
            if turn.now_ns - track.order.created_at_ns > _CANCEL_AFTER_S * NS_PER_S:
                self._cancels.send_again(track, turn, "found nowhere yet")
            else:
                self._life.look_again(track, turn)
            return
        if asked_at_ns - track.left_ns < horizon_ns or track.absences < _LEAST_ABSENCES:
            self._life.look_again(track, turn)
            return
        track.fate_known = True
        self._life.change(track, OrderEvent.REJECT, turn, detail=ABSENT)

    def _is_healthy_since(self, track: OrderTrack) -> bool:
        """True when the venue answered something sent after the doubt began, and a cancel of its last send was sent."""
        cancelled = track.cancel_asked_ns > track.left_ns and not track.cancel_held
        return cancelled and self._state.healthy_ns > track.doubt_since_ns

    def _market_is_over(self, track: OrderTrack, turn: Turn) -> bool:
        market = self._state.markets.get(track.order.terms.condition_id)
        if market is None or market.resolution is not None:
            return True
        over_ns = (market.market.closes_at_s + self._state.config.absence_horizon_s) * NS_PER_S
        return turn.now_ns >= over_ns

    def _is_too_old(self, event: OrderLookedUp, track: OrderTrack) -> bool:
        """True when the order may have reached the book only after it was looked for there."""
        if event.asked_at_ns >= track.acknowledged_ns:
            return False
        return track.order.terms.time_in_force.may_rest or not event.fills

    def _may_be_sent_again(self, track: OrderTrack, turn: Turn) -> bool:
        """True for a recent exit in an open market, while the venue takes such orders."""
        terms = track.order.terms
        market = self._state.markets.get(terms.condition_id)
        if market is None or market.resolution is not None or track.signed is None:
            return False
        age_ns = turn.now_ns - track.order.created_at_ns
        is_recent = age_ns < self._state.config.absence_horizon_s * NS_PER_S
        is_open = self._state.earlier_now_ns(turn.now_ns) < market.market.closes_at_s * NS_PER_S
        taken = self._state.venue_takes(purpose=terms.purpose, post_only=terms.post_only)
        return terms.purpose.is_exit and is_recent and is_open and taken

    def _send_again(self, track: OrderTrack, turn: Turn) -> None:
        """The same bytes, at once and then 1, 2, 4, 8, 8 ... seconds apart."""
        pause_s = min(8, 2 ** min(track.sent_again - 1, 3)) if track.sent_again else 0
        due_ns = track.sent_again_ns + pause_s * NS_PER_S
        if track.signed is not None and turn.now_ns >= due_ns:
            track.sent_again += 1
            track.sent_again_ns = turn.now_ns
            turn.effects.append(SubmitOrder(signed=track.signed, purpose=track.order.terms.purpose))
        self._life.look_again(track, turn, after_s=max(1, pause_s))
