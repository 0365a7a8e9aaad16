"""The order gateway: from a wish to a signed intent, and from the answers to our requests to the order's state.

What lives here: making intents, taking submit and cancel outcomes. What must not: why an order is
wanted (trader, exits), shares and cash (bookkeeper), what an absence means (doubt), the venue's modes.

A definite no ends an order, unless an earlier send of the same bytes may have arrived; an unknown
outcome leaves it in doubt. The kind of a no stays on the track for whoever wanted the order: one that
asks for a new plan (grid, crossed book, lagging balance) also has the book read anew, with its tick size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from polystra.domain.events import (
    CancelAccepted,
    CancelRefused,
    CancelUnknown,
    IdMismatch,
    OrderLookedUp,
    OrderReport,
    OrderSigned,
    RefusalClass,
    SigningFailed,
    SubmitAccepted,
    SubmitRefused,
    SubmitUnknown,
    VenueOrderStatus,
)
from polystra.domain.facts import DoubtRecorded, IntentDenied, IntentRecorded, NoticeKind
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.order_words import accepted_as
from polystra.domain.orders import Order, OrderEvent, OrderTerms, SignedOrder
from polystra.domain.rounding import replanned
from polystra.domain.units import NS_PER_MS, MicroShares, Nanos
from polystra.engine.cancels import Cancels
from polystra.engine.doubt import DoubtSearch
from polystra.engine.effects import CancelOrder, ReadBook, SignIntent, SubmitOrder
from polystra.engine.order_life import OrderLife
from polystra.engine.state import EngineState, OrderTrack, Turn
from polystra.engine.validation import moment_of, refusal
from polystra.engine.venue_mode import VenueModes

_SALT_BITS: Final = 53
_EXIT_UNANSWERED_S: Final = 5
"""An exit whose POST is not answered after so many seconds is looked up."""


class Gateway:
    """Owns every change of an order's state."""

    def __init__(self, state: EngineState, modes: VenueModes) -> None:
        self._state = state
        self._modes = modes
        self._life = OrderLife(state)
        self._cancels = Cancels(state, self._life)
        self._search = DoubtSearch(state, self._life, self._cancels)

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
            self._life.look_again(track, turn, after_s=_EXIT_UNANSWERED_S)
        self._state.last_account_event_ns = turn.now_ns

    def signing_failed(self, event: SigningFailed, turn: Turn) -> None:
        """The terms cannot be a valid order: denied, nothing was sent."""
        self._deny(self._state.orders[event.client_order_id], event.reason, turn)

    def cancel(self, track: OrderTrack, turn: Turn, reason: str) -> None:
        """Ask for the cancel of a live order, once; repeated only when a look-up still finds it open."""
        self._cancels.ask(track, turn, reason)

    # --- back: outcomes of our requests -----------------------------------------------

    def submit_accepted(self, event: SubmitAccepted, turn: Turn) -> None:
        """The venue has the order; what it matched at once comes as fills."""
        track = self._known(event.order_id, "submit accepted", turn)
        if track is None:
            return
        terms = track.order.terms
        shares = event.taking if terms.side == "BUY" else event.making
        track.matched = max(track.matched, shares)
        track.delayed = event.status is VenueOrderStatus.DELAYED and not track.acknowledged_ns
        track.acknowledged_ns = track.acknowledged_ns or turn.now_ns
        self._answered(track.sent_ns)
        self._modes.order_taken(track, turn)
        self._life.change(track, OrderEvent.ACCEPT, turn, detail=accepted_as(event.status))
        if event.status is VenueOrderStatus.UNMATCHED or not terms.time_in_force.may_rest:
            self._life.look_again(track, turn, after_s=3)

    def submit_refused(self, event: SubmitRefused, turn: Turn) -> None:
        """A definite no: nothing changed at the venue. Not so when an earlier send of it may have arrived."""
        track = self._known(event.order_id, "submit refused", turn)
        if track is None:
            return
        track.refused = event.kind
        if event.killed:
            self._answered(track.sent_ns)
        self._mode_shown(event, turn)
        if not event.killed and (track.acknowledged_ns or track.sent_again):
            self._outcome_unknown(track, turn, event.message)
        else:
            if not track.acknowledged_ns:
                track.fate_known = True
            self._life.change(
                track, OrderEvent.CANCEL if event.killed else OrderEvent.REJECT, turn, detail=event.message
            )
            if not track.is_settled:
                self._life.look_up(track, turn)
        if event.kind is RefusalClass.REPLAN:
            self._replan(track, turn)

    def submit_unknown(self, event: SubmitUnknown, turn: Turn) -> None:
        """It may or may not have arrived: in doubt until the venue answers for its id."""
        track = self._known(event.order_id, "submit unknown", turn)
        if track is None:
            return
        track.unknown_ns = turn.now_ns
        self._mode_shown(event, turn)
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
        track.delayed = False
        self._cancel_answered(track, turn)
        self._life.change(track, OrderEvent.CANCEL, turn, detail="canceled")
        if not track.is_settled:
            self._life.look_up(track, turn)

    def cancel_failed(self, event: CancelRefused | CancelUnknown, turn: Turn) -> None:
        """Refused: it is terminal or never arrived. Unknown: ask. Either way, look it up before asking again."""
        track = self._known(event.order_id, "cancel failed", turn)
        if track is None:
            return
        if isinstance(event, CancelRefused):
            self._cancel_answered(track, turn)
        elif event.mode is not None:
            track.cancel_held = track.is_live and not event.mode.takes_cancels
            self._mode_shown(event, turn)
        kind = OrderEvent.CANCEL_REFUSED if isinstance(event, CancelRefused) else OrderEvent.OUTCOME_UNKNOWN
        self._life.change(track, kind, turn, detail=event.message)
        if not track.is_settled:
            self._life.look_up(track, turn)

    def take_over(self, terms: OrderTerms, report: OrderReport, turn: Turn) -> None:
        """An open order that was made elsewhere becomes ours, under the venue's id; its bytes are not known."""
        state = self._state
        order = Order(terms=terms, order_id=report.order_id, created_at_ns=turn.now_ns, updated_at_ns=turn.now_ns)
        track = OrderTrack(order=order)
        state.orders[terms.client_order_id] = track
        state.by_order_id[report.order_id] = terms.client_order_id
        state.move_order(track, OrderEvent.SUBMIT, turn)
        unknown = SignedOrder(
            client_order_id=terms.client_order_id,
            order_id=report.order_id,
            body=b"",
            salt=0,
            timestamp_ms=0,
            quantity=report.quantity,
        )
        turn.facts.append(IntentRecorded(order=track.order, signed=unknown, decision_id=None, at_ns=turn.now_ns))
        state.last_account_event_ns = turn.now_ns
        self._life.report(report, turn)

    # --- back: what a person says of an order in doubt --------------------------------

    def seen_rejected(self, track: OrderTrack, words: str, turn: Turn) -> None:
        """It never came to life: it ends refused and is not sent again; a cancel for its id makes sure of it."""
        ours = track.order_id
        turn.effects[:] = [e for e in turn.effects if not (isinstance(e, SubmitOrder) and e.signed.order_id == ours)]
        turn.effects.append(CancelOrder(order_id=track.order_id))
        track.fate_known = True
        self._life.change(track, OrderEvent.REJECT, turn, detail=words)

    def seen_accepted(self, track: OrderTrack, words: str, turn: Turn) -> None:
        """It did live: absence from now on means that it has ended."""
        track.acknowledged_ns = turn.now_ns
        track.absences = 0
        self._life.change(track, OrderEvent.ACCEPT, turn, detail=words)
        self._life.look_again(track, turn, after_s=1)

    # --- back: what the venue says of our orders --------------------------------------

    def report(self, event: OrderReport, turn: Turn) -> None:
        """State of one order by user stream or REST. Fills come only from trades."""
        self._life.report(event, turn)

    def filled(self, track: OrderTrack, filled: MicroShares, event: OrderEvent, turn: Turn) -> None:
        """The bookkeeper booked (or reversed) a fill: the new cumulative quantity."""
        self._life.filled(track, filled, event, turn)

    def presume_gone(self, track: OrderTrack, turn: Turn) -> None:
        """It may have been cancelled without a word: looked up until the venue shows it, or tells its end."""
        track.missing = True
        self._life.look_up(track, turn)
        self._life.look_again(track, turn)

    def look_up(self, track: OrderTrack, turn: Turn) -> None:
        """Ask the venue for the order's id among open orders and trades."""
        self._life.look_up(track, turn)

    def looked_up(self, event: OrderLookedUp, turn: Turn) -> None:
        """Answer to a look-up; its fills have been booked before this is called."""
        self._search.looked_up(event, turn)

    def check(self, client_order_id: str, turn: Turn) -> None:
        """A timer of an order fired."""
        track = self._state.orders.get(ClientOrderId(client_order_id))
        if track is not None:
            self._search.check(track, turn)

    def restored(self, doubts: Iterable[DoubtRecorded]) -> None:
        """Take the searches of the last run, once its orders are there."""
        self._search.restored(doubts)

    def resume(self, track: OrderTrack, turn: Turn) -> None:
        """Go on with an order of the last run that may still live."""
        self._search.resume(track, turn)

    def review_doubts(self, turn: Turn) -> None:
        """At the end of each turn: close the searches that are over, tell of those that last."""
        self._search.review(turn)

    # --- inside -----------------------------------------------------------------------

    def _deny(self, track: OrderTrack, reason: str, turn: Turn) -> None:
        """Nothing was signed or sent: the order is over before it began."""
        track.fate_known = True
        self._state.move_order(track, OrderEvent.DENY, turn, detail=reason)
        turn.facts.append(IntentDenied(terms=track.order.terms, reason=reason, at_ns=turn.now_ns))
        turn.touch(track.order.terms.position_id)

    def _outcome_unknown(self, track: OrderTrack, turn: Turn, detail: str) -> None:
        self._life.change(track, OrderEvent.OUTCOME_UNKNOWN, turn, detail=detail)
        if track.is_live:
            self._life.open_doubt(track, turn)
            self._life.look_up(track, turn)

    def _mode_shown(self, event: SubmitRefused | SubmitUnknown | CancelUnknown, turn: Turn) -> None:
        """An answer may show the state of the venue, whatever it says of the order."""
        if event.mode is not None:
            self._modes.shown(
                event.mode, turn, by=event.order_id, reason=event.message, retry_after_s=event.retry_after_s
            )

    def _cancel_answered(self, track: OrderTrack, turn: Turn) -> None:
        track.cancel_held = False
        self._answered(track.cancel_asked_ns)
        self._modes.cancel_answered(track, turn)

    def _answered(self, sent_ns: Nanos) -> None:
        """The venue answered what was sent at `sent_ns` as a working venue does."""
        self._state.healthy_ns = max(self._state.healthy_ns, sent_ns)

    def _replan(self, track: OrderTrack, turn: Turn) -> None:
        """The figures were wrong: fetch fresh ones; the owner of the wish is reviewed in this turn."""
        terms = track.order.terms
        turn.effects.append(ReadBook(token_id=terms.token_id))
        turn.touch(terms.position_id)

    def _known(self, order_id: OrderId, what: str, turn: Turn) -> OrderTrack | None:
        track = self._state.track_of(order_id)
        if track is None:
            turn.notice(NoticeKind.ORDER_STRANGE, order_id, f"{what} for an order that is not ours")
        else:
            self._state.last_account_event_ns = turn.now_ns
        return track


def _with_id(order: Order, order_id: OrderId, quantity: MicroShares) -> Order:
    """The order with its venue id and the quantity that was really signed."""
    return replace(order, order_id=order_id, terms=replace(order.terms, quantity=quantity))
