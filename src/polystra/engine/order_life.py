"""The life of our orders as the venue tells it: reports, fills, ends; and the schedule of look-ups.

What lives here: every change of an order's state (through the table of `domain.orders`), what a report
or a fill makes of it, when it is asked for again. What must not: sending anything but questions, what
an absence means (doubt), why an order is wanted.

While an order is in doubt each look-up that is scheduled is a fact, so that a restart goes on where
the search was. A look-up sets the timer of the next one, so that an answer that never comes ends nothing.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.events import OrderReport, VenueOrderStatus
from polystra.domain.facts import DoubtRecorded, NoticeKind, OrderChanged
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderEvent, OrderStatus
from polystra.domain.units import NS_PER_S, MicroShares, Nanos
from polystra.engine.effects import LookupOrder
from polystra.engine.state import EngineState, OrderTrack, Turn

LOOKUP_MARGIN_NS: Final = 120 * NS_PER_S
"""Trades are asked for from this long before the order was made (venue clock and paging margin)."""
LONGEST_PAUSE_S: Final = 30
_ENDED: Final = {
    VenueOrderStatus.CANCELED: OrderEvent.CANCEL,
    VenueOrderStatus.INVALID: OrderEvent.CANCEL,
    VenueOrderStatus.UNMATCHED: OrderEvent.CANCEL,
    VenueOrderStatus.EXPIRED: OrderEvent.EXPIRE,
}


class OrderLife:
    """Owns every change of an order's state and the timers of its look-ups."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    # --- what the venue says ----------------------------------------------------------

    def report(self, event: OrderReport, turn: Turn) -> None:
        """State of one order by user stream or REST. Fills come only from trades."""
        track = self._state.track_of(event.order_id)
        if track is None:
            return
        track.matched = max(track.matched, event.matched)
        if track.delayed or not track.acknowledged_ns:
            track.acknowledged_ns = turn.now_ns  # only now it is on the book: older look-ups say nothing
        track.delayed = False
        ended = _ENDED.get(event.status)
        if ended is not None:
            track.fate_known = True
            self.change(track, ended, turn, detail=event.detail or event.status.lower())
        elif event.status is VenueOrderStatus.MATCHED:
            if not track.order.terms.time_in_force.may_rest or event.matched + SIZE_STEP > event.quantity:
                track.fate_known = True
            if track.order.status in (OrderStatus.SUBMITTED, OrderStatus.IN_DOUBT):
                self.change(track, OrderEvent.ACCEPT, turn)
        elif track.order.status is not OrderStatus.OPEN:
            self.change(track, OrderEvent.ACCEPT, turn)
        self.conclude(track, turn)
        if track.fate_known and not track.is_settled:
            self.look_again(track, turn, after_s=2)

    def filled(self, track: OrderTrack, filled: MicroShares, event: OrderEvent, turn: Turn) -> None:
        """The bookkeeper booked (or reversed) a fill: the new cumulative quantity."""
        terms = track.order.terms
        track.matched = max(track.matched, filled + track.failed)
        if track.delayed or not track.acknowledged_ns:
            track.acknowledged_ns = turn.now_ns
        track.delayed = False
        exhausted = not terms.budget and filled + track.failed + SIZE_STEP > terms.quantity
        if exhausted or event is OrderEvent.FILL_FULL:
            track.fate_known = True
        self.change(track, event, turn, filled=filled)
        self.conclude(track, turn)

    def conclude(self, track: OrderTrack, turn: Turn) -> None:
        """End an order that the venue no longer holds and whose matched shares are all booked."""
        if not track.is_live or not track.fate_known or track.accounted + SIZE_STEP <= track.matched:
            return
        if track.order.filled == 0 and track.matched == 0:
            event = OrderEvent.CANCEL
        else:
            event = OrderEvent.FILL_FULL if _is_complete(track) else OrderEvent.CANCEL
        self.change(track, event, turn, filled=track.order.filled)

    def change(
        self, track: OrderTrack, event: OrderEvent, turn: Turn, *, filled: MicroShares | None = None, detail: str = ""
    ) -> None:
        """Move an order by the table; what the table refuses freezes the market, since the venue contradicts us."""
        terms = track.order.terms
        before = track.order.status
        try:
            changed = self._state.move_order(track, event, turn, filled=filled, detail=detail)
        except IllegalTransition as error:
            market = self._state.markets.get(terms.condition_id)
            if market is not None:
                market.frozen = str(error)
                market.may_thaw = True
            turn.notice(NoticeKind.MARKET_FROZEN, terms.condition_id, str(error))
            return
        if track.order.status is OrderStatus.IN_DOUBT:
            self.open_doubt(track, turn)
        if changed:
            turn.facts.append(OrderChanged(order=track.order, event=event, at_ns=turn.now_ns, detail=detail))
            turn.touch(terms.position_id)
            if before is OrderStatus.REJECTED and track.is_live:
                track.fate_known = False
                self.look_up(track, turn)

    # --- the schedule of look-ups -----------------------------------------------------

    def look_up(self, track: OrderTrack, turn: Turn) -> None:
        """Ask the venue for the order's id among open orders and trades."""
        track.lookups += 1
        since = max(0, track.order.created_at_ns - LOOKUP_MARGIN_NS)
        turn.effects.append(
            LookupOrder(order_id=track.order_id, condition_id=track.order.terms.condition_id, since_ns=since)
        )
        self.look_again(track, turn)

    def look_again(self, track: OrderTrack, turn: Turn, after_s: int | None = None) -> None:
        """Ask once more after so many seconds, by default after 1, 2, 4, ... 30."""
        delay = after_s if after_s is not None else min(LONGEST_PAUSE_S, 2 ** min(max(track.lookups - 1, 0), 5))
        self.look_at(track, turn, turn.now_ns + delay * NS_PER_S)

    def look_at(self, track: OrderTrack, turn: Turn, due_ns: Nanos) -> None:
        """Set the order's one timer; a fact while the order is in doubt."""
        client_order_id = track.order.terms.client_order_id
        turn.timer(f"order:{client_order_id}", due_ns)
        if client_order_id in self._state.doubts:
            self._record(track, due_ns, turn)

    def open_doubt(self, track: OrderTrack, turn: Turn) -> None:
        """From now on the search for it is kept on record."""
        if track.order.terms.client_order_id not in self._state.doubts:
            track.doubt_since_ns = turn.now_ns
            track.alerts = 0
            self._record(track, turn.now_ns, turn)

    def _record(self, track: OrderTrack, due_ns: Nanos, turn: Turn) -> None:
        """The newest schedule of a turn stands for those before it."""
        fact = DoubtRecorded(
            client_order_id=track.order.terms.client_order_id,
            since_ns=track.doubt_since_ns,
            lookups=track.lookups,
            absences=track.absences,
            next_lookup_ns=due_ns,
            outcome="",
            at_ns=turn.now_ns,
        )
        known = self._state.doubts.get(fact.client_order_id)
        if known is not None and known in turn.facts:
            turn.facts.remove(known)
        self._state.doubts[fact.client_order_id] = fact
        turn.facts.append(fact)


def _is_complete(track: OrderTrack) -> bool:
    terms = track.order.terms
    if terms.budget:
        spent_cap = terms.price * track.order.filled // 1_000_000
        return spent_cap + SIZE_STEP >= terms.budget
    return track.order.filled + SIZE_STEP > terms.quantity
