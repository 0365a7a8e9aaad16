"""The order gateway: from a wish to a signed intent, and from the venue's words to the order's state.

What lives here: making intents, taking submit and cancel outcomes, order reports, look-ups of
orders in doubt. What must not: why an order is wanted (trader, exits), shares and cash
(bookkeeper).

In doubt. A submit whose outcome is unknown leaves an order whose id we hold. It is looked up
after 1, 2, 4, ... 30 s among open orders and trades. It is given up only when complete
look-ups have not found it for `absence_horizon_s` (confirmations have come 40 s late), after
a cancel for its id was sent so that a zombie cannot live. The same intent is never signed
again. Until then its cash or shares stay reserved.

An exit cannot wait that long while the price falls: while it is found nowhere its same signed
bytes are sent again. The venue takes them once (by their hash) and otherwise answers that it has
had them, so that either way it is known what became of the order.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.events import (
    CancelAccepted,
    CancelRefused,
    CancelUnknown,
    IdMismatch,
    OrderLookedUp,
    OrderReport,
    OrderSigned,
    SigningFailed,
    SubmitAccepted,
    SubmitRefused,
    SubmitUnknown,
    VenueOrderStatus,
)
from polystra.domain.facts import IntentDenied, IntentRecorded, NoticeKind, OrderChanged
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import Order, OrderEvent, OrderStatus, OrderTerms
from polystra.domain.rounding import replanned
from polystra.domain.units import NS_PER_MS, NS_PER_S, MicroShares, Nanos
from polystra.engine.effects import CancelOrder, LookupOrder, SignIntent, SubmitOrder
from polystra.engine.state import EngineState, OrderTrack, Turn
from polystra.engine.validation import moment_of, refusal
from polystra.engine.venue_mode import VenueModes

_SALT_BITS: Final = 53
_ENDED: Final = {
    VenueOrderStatus.CANCELED: OrderEvent.CANCEL,
    VenueOrderStatus.INVALID: OrderEvent.CANCEL,
    VenueOrderStatus.UNMATCHED: OrderEvent.CANCEL,
    VenueOrderStatus.EXPIRED: OrderEvent.EXPIRE,
}
_EXIT_UNANSWERED_S: Final = 5
"""An exit whose POST is not answered after so many seconds is looked up."""
LOOKUP_MARGIN_NS: Final = 120 * NS_PER_S
"""Trades are asked for from this long before the order was made (venue clock and paging margin)."""


class Gateway:
    """Owns every change of an order's state."""

    def __init__(self, state: EngineState, modes: VenueModes) -> None:
        self._state = state
        self._modes = modes

    # --- out --------------------------------------------------------------------------

    def next_client_order_id(self) -> ClientOrderId:
        """A new intent's id; unique over restarts because the number is restored."""
        number = self._state.next_order_number
        self._state.next_order_number += 1
        return ClientOrderId(f"{self._state.config.order_prefix}{number:06d}")

    def place(
        self, terms: OrderTerms, turn: Turn, *, decision_id: int | None = None, deadline_ns: Nanos = 0, rank: int = 0
    ) -> OrderTrack:
        """Make an intent and ask for its signature; it is sent after the commit. A wrong order is denied unsigned.

        It must leave before `deadline_ns` (0: no deadline); of two entries the higher `rank` leaves first.
        """
        state = self._state
        market = state.markets.get(terms.condition_id)
        if market is not None:
            terms = replanned(terms, market.market.tick_size)
        words = refusal(terms, moment_of(state, terms, turn.now_ns))
        track = OrderTrack(
            order=Order(terms=terms, created_at_ns=turn.now_ns, updated_at_ns=turn.now_ns),
            decision_id=decision_id,
            deadline_ns=deadline_ns,
            rank=rank,
        )
        state.orders[terms.client_order_id] = track
        if words is not None:
            self._deny(track, words, turn)
            return track
        state.venue_try = state.venue_try_entry = False
        timestamp_ms = max((turn.now_ns + state.venue_offset_ns) // NS_PER_MS, state.last_timestamp_ms + 1)
        state.last_timestamp_ms = timestamp_ms
        digest = hashlib.sha256(state.config.salt_seed + terms.client_order_id.encode()).digest()
        salt = int.from_bytes(digest[:8], "big") >> (64 - _SALT_BITS)
        turn.effects.append(SignIntent(terms=terms, salt=salt, timestamp_ms=timestamp_ms))
        return track

    def signed(self, event: OrderSigned, turn: Turn) -> None:
        """The bytes are there: record the intent with its id, release it after the commit."""
        signed = event.signed
        track = self._state.orders[signed.client_order_id]
        track.signed = signed
        track.order = _with_id(track.order, signed.order_id, signed.quantity)
        self._state.by_order_id[signed.order_id] = signed.client_order_id
        self._state.move_order(track, OrderEvent.SUBMIT, turn)
        turn.facts.append(
            IntentRecorded(order=track.order, signed=signed, decision_id=track.decision_id, at_ns=turn.now_ns)
        )
        turn.effects.append(
            SubmitOrder(
                signed=signed, purpose=track.order.terms.purpose, deadline_ns=track.deadline_ns, rank=track.rank
            )
        )
        if track.order.terms.purpose.is_exit:
            self._look_again(track, turn, after_s=_EXIT_UNANSWERED_S)
        self._state.last_account_event_ns = turn.now_ns

    def signing_failed(self, event: SigningFailed, turn: Turn) -> None:
        """The terms cannot be a valid order: denied, nothing was sent."""
        self._deny(self._state.orders[event.client_order_id], event.reason, turn)

    def cancel(self, track: OrderTrack, turn: Turn, reason: str) -> None:
        """Ask for the cancel of a live order, once; repeated only when a look-up still finds it open."""
        if not track.is_live or track.cancel_asked_ns:
            return
        if track.order.status is OrderStatus.NEW:
            return
        self._send_cancel(track, turn, reason)

    # --- back: outcomes of our requests -----------------------------------------------

    def submit_accepted(self, event: SubmitAccepted, turn: Turn) -> None:
        """The venue has the order; what it matched at once comes as fills."""
        track = self._known(event.order_id, "submit accepted", turn)
        if track is None:
            return
        terms = track.order.terms
        shares = event.taking if terms.side == "BUY" else event.making
        track.matched = max(track.matched, shares)
        track.acknowledged_ns = track.acknowledged_ns or turn.now_ns
        self._modes.order_taken(track, turn)
        self._change(track, OrderEvent.ACCEPT, turn, detail=f"venue: {event.status.lower()}")
        if event.status is VenueOrderStatus.UNMATCHED or not terms.time_in_force.may_rest:
            self._look_again(track, turn, after_s=3)

    def submit_refused(self, event: SubmitRefused, turn: Turn) -> None:
        """A definite no: nothing changed at the venue. Not so when an earlier send of it may have arrived."""
        track = self._known(event.order_id, "submit refused", turn)
        if track is None:
            return
        if event.mode is not None:
            self._modes.shown(
                event.mode, turn, by=event.order_id, reason=event.message, retry_after_s=event.retry_after_s
            )
        if not event.killed and (track.acknowledged_ns or track.sent_again):
            self._outcome_unknown(track, turn, event.message)
        else:
            if not track.acknowledged_ns:
                track.fate_known = True
            self._change(track, OrderEvent.CANCEL if event.killed else OrderEvent.REJECT, turn, detail=event.message)
            if not track.is_settled:
                self.look_up(track, turn)
        if event.stop_trading:
            self._state.blocks["venue"] = f"the venue refused an order for good: {event.message}"
            turn.notice(NoticeKind.TRADING_HALTED, event.order_id, self._state.blocks["venue"])

    def submit_unknown(self, event: SubmitUnknown, turn: Turn) -> None:
        """It may or may not have arrived: in doubt until the venue answers for its id."""
        track = self._known(event.order_id, "submit unknown", turn)
        if track is None:
            return
        if event.is_known and not track.acknowledged_ns:
            track.acknowledged_ns = turn.now_ns
            track.was_duplicate = True
            track.absences = 0
        self._outcome_unknown(track, turn, event.message)

    def id_mismatch(self, event: IdMismatch, turn: Turn) -> None:
        """The venue's id is not ours: our hash is wrong, so nothing may be sent any more."""
        self._state.blocks["order-id"] = (
            f"the venue answered with order id {event.received[:80]} where ours is {event.expected}; "
            "stop the daemon and report this"
        )
        turn.notice(NoticeKind.TRADING_HALTED, event.expected, self._state.blocks["order-id"])
        self.submit_unknown(SubmitUnknown(order_id=event.expected, message="order id mismatch"), turn)

    def cancel_accepted(self, event: CancelAccepted, turn: Turn) -> None:
        """What was left is off the book; what was matched before must still be learnt."""
        track = self._known(event.order_id, "cancel accepted", turn)
        if track is None:
            return
        track.acknowledged_ns = track.acknowledged_ns or turn.now_ns
        track.cancel_held = False
        self._modes.cancel_answered(track, turn)
        self._change(track, OrderEvent.CANCEL, turn, detail="canceled")
        if not track.is_settled:
            self.look_up(track, turn)

    def cancel_failed(self, event: CancelRefused | CancelUnknown, turn: Turn) -> None:
        """Refused: it is terminal or never arrived. Unknown: ask. Either way, look it up before asking again."""
        track = self._known(event.order_id, "cancel failed", turn)
        if track is None:
            return
        if isinstance(event, CancelRefused):
            track.cancel_held = False
            self._modes.cancel_answered(track, turn)
        elif event.mode is not None:
            track.cancel_held = track.is_live and not event.mode.takes_cancels
            self._modes.shown(
                event.mode, turn, by=event.order_id, reason=event.message, retry_after_s=event.retry_after_s
            )
        kind = OrderEvent.CANCEL_REFUSED if isinstance(event, CancelRefused) else OrderEvent.OUTCOME_UNKNOWN
        self._change(track, kind, turn, detail=event.message)
        if not track.is_settled:
            self.look_up(track, turn)

    # --- back: what the venue says of our orders --------------------------------------

    def report(self, event: OrderReport, turn: Turn) -> None:
        """State of one order by user stream or REST. Fills come only from trades."""
        track = self._state.track_of(event.order_id)
        if track is None:
            return
        track.matched = max(track.matched, event.matched)
        track.acknowledged_ns = track.acknowledged_ns or turn.now_ns
        ended = _ENDED.get(event.status)
        if ended is not None:
            track.fate_known = True
            self._change(track, ended, turn, detail=event.detail or event.status.lower())
        elif event.status is VenueOrderStatus.MATCHED:
            if not track.order.terms.time_in_force.may_rest or event.matched + SIZE_STEP > event.quantity:
                track.fate_known = True
            if track.order.status in (OrderStatus.SUBMITTED, OrderStatus.IN_DOUBT):
                self._change(track, OrderEvent.ACCEPT, turn)
        elif track.order.status is not OrderStatus.OPEN:
            self._change(track, OrderEvent.ACCEPT, turn)
        self.conclude(track, turn)
        if track.fate_known and not track.is_settled:
            self._look_again(track, turn, after_s=2)

    def looked_up(self, event: OrderLookedUp, turn: Turn) -> None:
        """Answer to a look-up; its fills have been booked before this is called."""
        track = self._state.track_of(event.order_id)
        if track is None:
            return
        track.missing = event.open_order is None
        if event.open_order is not None:
            track.absences = 0
            self.report(event.open_order, turn)
            self._cancel_again(track, turn)
            if not track.is_live and not track.is_settled:
                self._look_again(track, turn)
        elif track.is_settled:
            return
        elif not event.complete:
            self._look_again(track, turn)
        elif self._is_too_old(event, track):
            self._look_again(track, turn, after_s=1)
        elif track.acknowledged_ns:
            self._gone(track, turn, found=bool(event.fills))
        else:
            self._absent(track, turn)

    def doubt(self, track: OrderTrack, turn: Turn, why: str) -> None:
        """Nothing is known of a request of ours any more (a restart): the venue must say."""
        track.cancel_asked_ns = 0
        self._change(track, OrderEvent.OUTCOME_UNKNOWN, turn, detail=why)

    def check(self, client_order_id: str, turn: Turn) -> None:
        """A timer of an order fired: look it up while anything about it is unknown."""
        track = self._state.orders.get(ClientOrderId(client_order_id))
        if track is None or track.is_settled or track.order.order_id is None:
            return
        resting = track.order.status is OrderStatus.OPEN and track.order.terms.time_in_force.may_rest
        if resting and not (track.fate_known or track.cancel_asked_ns or track.missing):
            return
        self.look_up(track, turn)

    def look_up(self, track: OrderTrack, turn: Turn) -> None:
        """Ask the venue for the order's id among open orders and trades."""
        track.lookups += 1
        since = max(0, track.order.created_at_ns - LOOKUP_MARGIN_NS)
        turn.effects.append(
            LookupOrder(order_id=track.order_id, condition_id=track.order.terms.condition_id, since_ns=since)
        )

    def conclude(self, track: OrderTrack, turn: Turn) -> None:
        """End an order that the venue no longer holds and whose matched shares are all booked."""
        if not track.is_live or not track.fate_known or track.accounted + SIZE_STEP <= track.matched:
            return
        if track.order.filled == 0 and track.matched == 0:
            event = OrderEvent.CANCEL
        else:
            event = OrderEvent.FILL_FULL if _is_complete(track) else OrderEvent.CANCEL
        self._change(track, event, turn, filled=track.order.filled)

    def filled(self, track: OrderTrack, filled: MicroShares, event: OrderEvent, turn: Turn) -> None:
        """The bookkeeper booked (or reversed) a fill: the new cumulative quantity."""
        terms = track.order.terms
        track.matched = max(track.matched, filled + track.failed)
        track.acknowledged_ns = track.acknowledged_ns or turn.now_ns
        exhausted = not terms.budget and filled + track.failed + SIZE_STEP > terms.quantity
        if exhausted or event is OrderEvent.FILL_FULL:
            track.fate_known = True
        self._change(track, event, turn, filled=filled)
        self.conclude(track, turn)

    # --- inside -----------------------------------------------------------------------

    def _deny(self, track: OrderTrack, reason: str, turn: Turn) -> None:
        """Nothing was signed or sent: the order is over before it began."""
        track.fate_known = True
        self._state.move_order(track, OrderEvent.DENY, turn, detail=reason)
        turn.facts.append(IntentDenied(terms=track.order.terms, reason=reason, at_ns=turn.now_ns))
        turn.touch(track.order.terms.position_id)

    def _outcome_unknown(self, track: OrderTrack, turn: Turn, detail: str) -> None:
        self._change(track, OrderEvent.OUTCOME_UNKNOWN, turn, detail=detail)
        if track.is_live:
            self.look_up(track, turn)

    def _gone(self, track: OrderTrack, turn: Turn, *, found: bool) -> None:
        """Not open and known to have lived: it ended. Wait one more look-up when fills may still be missing."""
        if track.accounted + SIZE_STEP <= track.matched and track.absences < 10:
            track.absences += 1
            self._look_again(track, turn)
            return
        doubtful = track.order.status is OrderStatus.OPEN or track.was_duplicate
        if track.is_live and not found and doubtful and track.absences < 1:
            track.absences += 1
            self._look_again(track, turn, after_s=2)
            return
        track.fate_known = True
        track.matched = track.accounted
        self.conclude(track, turn)
        turn.touch(track.order.terms.position_id)

    def _absent(self, track: OrderTrack, turn: Turn) -> None:
        """Found nowhere. Given up only after the horizon, and after a cancel for its id was sent."""
        track.absences += 1
        if track.first_absent_ns == 0:
            track.first_absent_ns = turn.now_ns
        age = turn.now_ns - track.order.created_at_ns
        if age < self._state.config.absence_horizon_s * NS_PER_S or track.absences < 3:
            if self._may_be_sent_again(track, turn):
                self._send_again(track, turn)
                return
            if age > 5 * NS_PER_S and not track.cancel_asked_ns:
                self._send_cancel(track, turn, "found nowhere yet")
            self._look_again(track, turn)
            return
        track.fate_known = True
        self._change(track, OrderEvent.REJECT, turn, detail="found neither among open orders nor among trades")

    def _is_too_old(self, event: OrderLookedUp, track: OrderTrack) -> bool:
        """True when the order may have reached the book only after it was looked for there."""
        if event.asked_at_ns >= track.acknowledged_ns:
            return False
        return track.order.terms.time_in_force.may_rest or not event.fills

    def _may_be_sent_again(self, track: OrderTrack, turn: Turn) -> bool:
        """True for a recent exit in an open market."""
        market = self._state.markets.get(track.order.terms.condition_id)
        if market is None or market.resolution is not None or track.signed is None:
            return False
        age_ns = turn.now_ns - track.order.created_at_ns
        is_recent = age_ns < self._state.config.absence_horizon_s * NS_PER_S
        is_open = turn.now_ns < market.market.closes_at_s * NS_PER_S
        return track.order.terms.purpose.is_exit and is_recent and is_open

    def _send_again(self, track: OrderTrack, turn: Turn) -> None:
        """The same bytes, at once and then 1, 2, 4, 8, 8 ... seconds apart."""
        pause_s = min(8, 2 ** min(track.sent_again - 1, 3)) if track.sent_again else 0
        due_ns = track.sent_again_ns + pause_s * NS_PER_S
        if track.signed is not None and turn.now_ns >= due_ns:
            track.sent_again += 1
            track.sent_again_ns = turn.now_ns
            turn.effects.append(SubmitOrder(signed=track.signed, purpose=track.order.terms.purpose))
        self._look_again(track, turn, after_s=max(1, pause_s))

    def _send_cancel(self, track: OrderTrack, turn: Turn, reason: str) -> None:
        track.cancel_asked_ns = turn.now_ns
        track.cancels += 1
        self._change(track, OrderEvent.CANCEL_ASKED, turn, detail=reason)
        track.cancel_held = not self._state.venue_mode.takes_cancels
        if not track.cancel_held:
            turn.effects.append(CancelOrder(order_id=track.order_id))
        self._look_again(track, turn, after_s=self._state.config.cancel_timeout_s)

    def _cancel_again(self, track: OrderTrack, turn: Turn) -> None:
        """Open although its cancel was sent: a cancel is idempotent, so it is sent again, 1, 2, 4, ... 30 s apart."""
        asked = track.cancel_asked_ns or track.order.status is OrderStatus.PENDING_CANCEL
        if not asked or not track.is_live:
            return
        if track.cancel_held:
            self._look_again(track, turn)
            return
        pause_s = min(30, 2 ** min(track.cancels - 1, 5)) if track.cancels else 0
        if turn.now_ns >= track.cancel_asked_ns + pause_s * NS_PER_S:
            self._send_cancel(track, turn, "still open after its cancel")
        else:
            self._look_again(track, turn, after_s=pause_s)

    def _look_again(self, track: OrderTrack, turn: Turn, after_s: int | None = None) -> None:
        delay = after_s if after_s is not None else min(30, 2 ** min(track.lookups, 5))
        turn.timer(f"order:{track.order.terms.client_order_id}", turn.now_ns + delay * NS_PER_S)

    def _known(self, order_id: OrderId, what: str, turn: Turn) -> OrderTrack | None:
        track = self._state.track_of(order_id)
        if track is None:
            turn.notice(NoticeKind.ORDER_STRANGE, order_id, f"{what} for an order that is not ours")
        else:
            self._state.last_account_event_ns = turn.now_ns
        return track

    def _change(
        self, track: OrderTrack, event: OrderEvent, turn: Turn, *, filled: MicroShares | None = None, detail: str = ""
    ) -> None:
        terms = track.order.terms
        before = track.order.status
        try:
            changed = self._state.move_order(track, event, turn, filled=filled, detail=detail)
        except IllegalTransition as error:
            market = self._state.markets.get(terms.condition_id)
            if market is not None:
                market.frozen = str(error)
            turn.notice(NoticeKind.MARKET_FROZEN, terms.condition_id, str(error))
            return
        if changed:
            turn.facts.append(OrderChanged(order=track.order, event=event, at_ns=turn.now_ns, detail=detail))
            turn.touch(terms.position_id)
            if before is OrderStatus.REJECTED and track.is_live:
                track.fate_known = False
                self.look_up(track, turn)


def _with_id(order: Order, order_id: OrderId, quantity: MicroShares) -> Order:
    """The order with its venue id and the quantity that was really signed."""
    return replace(order, order_id=order_id, terms=replace(order.terms, quantity=quantity))


def _is_complete(track: OrderTrack) -> bool:
    terms = track.order.terms
    if terms.budget:
        spent_cap = terms.price * track.order.filled // 1_000_000
        return spent_cap + SIZE_STEP >= terms.budget
    return track.order.filled + SIZE_STEP > terms.quantity
