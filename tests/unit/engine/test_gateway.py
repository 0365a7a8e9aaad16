from __future__ import annotations

from itertools import pairwise

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import IntentDenied, IntentRecorded, Notice, NoticeKind, OrderChanged, SwitchChanged
from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderEvent, OrderStatus
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.state import OrderTrack, Turn
from tests.unit.engine.desk import CONDITION, Desk, enter

S = OrderStatus


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def status(track: OrderTrack) -> OrderStatus:
    return track.order.status


def lookups_answered_absent(desk: Desk, track: OrderTrack, seconds: int, *, cancels: bool = True) -> list[int]:
    """Answer every look-up with "found nowhere" for so long; return the ages in seconds at which it was asked.

    A cancel is answered with "not found" unless `cancels` says that nothing answers them.
    """
    ages = []
    answered = 0
    for _ in range(seconds):
        while track.order_id in desk.lookups():
            desk.effects[:] = [e for e in desk.effects if not isinstance(e, fx.LookupOrder)]
            ages.append((desk.now_ns - track.order.created_at_ns) // NS_PER_S)
            desk.answer(track)
        if cancels and len(desk.cancels()) > answered:
            answered = len(desk.cancels())
            desk.cancel_refused(track)
        desk.advance(1)
    return ages


# --- out --------------------------------------------------------------------------------


def test_an_intent_is_signed_recorded_and_submitted_in_one_turn(desk):
    track = desk.enter()
    [intent] = desk.found(IntentRecorded)
    [submit] = desk.asked(fx.SubmitOrder)
    assert intent.order.order_id == intent.signed.order_id == submit.signed.order_id == track.order_id
    assert intent.order.status is S.SUBMITTED
    assert submit.signed.body == intent.signed.body
    assert intent.decision_id == desk.state.next_decision_id - 1
    assert len(desk.signer.asked) == 1


def test_the_salt_and_the_timestamp_differ_from_intent_to_intent(desk):
    first, second = desk.enter().signed, desk.enter().signed
    assert first is not None
    assert second is not None
    assert first.salt != second.salt
    assert first.timestamp_ms < second.timestamp_ms
    assert 0 <= first.salt < 2**53


def test_terms_that_cannot_be_signed_are_denied_and_nothing_is_sent(desk):
    desk.signer.refusal = "price is finer than the tick"
    track = desk.enter()
    assert status(track) is S.DENIED
    assert [fact.reason for fact in desk.found(IntentDenied)] == ["price is finer than the tick"]
    assert not desk.asked(fx.SubmitOrder)
    assert track.is_settled


def test_an_accepted_order_is_open(desk):
    track = desk.enter()
    desk.accept(track)
    assert status(track) is S.OPEN
    assert not desk.lookups()


def test_a_refused_order_is_over_and_moves_no_money(desk):
    before = desk.state.ledger.cash
    track = desk.enter()
    desk.refuse(track)
    assert status(track) is S.REJECTED
    assert track.is_settled
    assert desk.state.ledger.cash == before
    assert desk.position().shares == 0
    assert not desk.lookups()


def test_a_refusal_that_a_person_must_see_halts_entries(desk):
    track = desk.enter()
    desk.step(ev.SubmitRefused(order_id=track.order_id, message="address banned", stop_trading=True))
    assert "banned" in (desk.engine._risk.entry_block() or "")


def test_a_refusal_for_good_is_told_once_however_often_an_exit_meets_it(desk):
    desk.hold()
    for cents in (20, 19, 18):
        desk.book(cents, cents + 2).advance(10)
        track = desk.last_order()
        words = f"the allowance is not enough for {track.order_id}"
        desk.step(ev.SubmitRefused(order_id=track.order_id, message=words, stop_trading=True))
    assert len({order.terms.client_order_id for order in desk.sent()}) > 2
    assert len(desk.found(SwitchChanged)) == 1


@pytest.mark.parametrize("reply_first", [True, False])
def test_a_killed_order_ends_cancelled_in_either_order_of_its_two_announcements(desk, reply_first):
    track = desk.enter(enter(budget=5))
    words = [lambda: desk.refuse(track, killed=True), lambda: desk.report(track, "CANCELED")]
    for word in words if reply_first else reversed(words):
        word()
    assert status(track) is S.CANCELED
    assert track.is_settled


def test_a_killed_order_that_was_seen_to_trade_is_looked_up(desk):
    track = desk.enter(enter(budget=5))
    desk.fill(track, 4)
    desk.refuse(track, killed=True)
    assert not track.is_settled
    assert desk.lookups() == [track.order_id]
    desk.answer(track)
    assert track.is_settled
    assert track.order.filled == 4_000_000


def test_outcomes_for_strangers_are_noticed_and_change_nothing(desk):
    desk.step(ev.SubmitAccepted(order_id=OrderId("0xstranger"), status=ev.VenueOrderStatus.LIVE))
    desk.step(ev.CancelAccepted(order_id=OrderId("0xstranger")))
    assert len(desk.notices(NoticeKind.ORDER_STRANGE)) == 2


def test_another_id_than_ours_halts_entries_and_leaves_the_order_in_doubt(desk):
    track = desk.enter()
    desk.step(ev.IdMismatch(expected=track.order_id, received="0xother"))
    assert status(track) is S.IN_DOUBT
    assert desk.lookups() == [track.order_id]
    assert "0xother" in (desk.engine._risk.entry_block() or "")
    desk.snapshot()
    assert desk.engine._risk.entry_block()


# --- in doubt ---------------------------------------------------------------------------


def test_an_unknown_outcome_is_looked_up_at_once_and_stays_reserved(desk):
    reserved = 0
    track = desk.enter()
    reserved = desk.state.reserved_cash()
    desk.unknown(track)
    assert status(track) is S.IN_DOUBT
    assert desk.lookups() == [track.order_id]
    assert desk.state.reserved_cash() == reserved > 0


def test_the_cash_of_a_cancelled_buy_is_free_only_when_its_trades_are_known(desk):
    track = desk.enter()
    desk.accept(track)
    reserved = desk.state.reserved_cash()
    desk.advance(310)
    assert desk.cancels() == [track.order_id]
    desk.cancelled(track)
    assert status(track) is S.CANCELED
    assert desk.state.reserved_cash() == reserved > 0
    desk.answer(track)
    assert track.is_settled
    assert desk.state.reserved_cash() == 0


def test_in_doubt_and_found_open(desk):
    track = desk.enter()
    desk.unknown(track).answer(track, open_as=0)
    assert status(track) is S.OPEN


def test_in_doubt_and_found_among_trades(desk):
    track = desk.enter()
    desk.unknown(track).answer(track, desk.leg(track, 10))
    assert status(track) is S.FILLED
    assert track.is_settled
    assert desk.position().shares == 10_000_000


def test_in_doubt_and_found_partly_traded_and_gone(desk):
    track = desk.enter()
    leg = desk.leg(track, 4)
    desk.unknown(track).answer(track, leg)
    assert track.is_live
    desk.advance(1)
    assert desk.lookups() == [track.order_id] * 2
    desk.answer(track, leg)
    assert status(track) is S.CANCELED
    assert track.order.filled == 4_000_000
    assert track.is_settled


def test_an_answer_from_before_the_order_arrived_does_not_end_it(desk):
    """It was looked for while its submit was still under way."""
    track = desk.enter()
    desk.unknown(track)
    asked_at_ns = desk.now_ns
    desk.advance(1).accept(track)
    stale = ev.OrderLookedUp(order_id=track.order_id, open_order=None, fills=(), asked_at_ns=asked_at_ns, complete=True)
    for _ in range(3):
        desk.step(stale)
    assert status(track) is S.OPEN


def test_an_incomplete_look_up_concludes_nothing(desk):
    track = desk.enter()
    desk.unknown(track)
    for _ in range(50):
        desk.answer(track, complete=False).advance(10)
        assert track.is_live
    assert not track.is_settled


def test_absence_is_believed_only_after_the_horizon_with_growing_pauses_and_one_cancel(desk):
    track = desk.enter()
    desk.unknown(track)
    ages = lookups_answered_absent(desk, track, 59)
    assert status(track) in (S.IN_DOUBT, S.PENDING_CANCEL)
    gaps = [after - before for before, after in pairwise(ages)]
    assert len(ages) <= 9
    assert max(gaps) <= 32
    assert desk.cancels() == [track.order_id]
    lookups_answered_absent(desk, track, 40)
    assert status(track) is S.REJECTED
    assert track.is_settled
    assert desk.state.reserved_cash() == 0
    assert desk.cancels() == [track.order_id]


def test_the_refusal_of_the_cancel_of_an_absent_order_makes_no_storm(desk):
    track = desk.enter()
    desk.unknown(track)
    requests = 0
    for _ in range(58):
        for _ in range(10):
            effects, desk.effects = desk.effects, []
            for effect in effects:
                if isinstance(effect, fx.LookupOrder):
                    requests += 1
                    desk.answer(track)
                elif isinstance(effect, fx.CancelOrder):
                    requests += 1
                    desk.cancel_refused(track)
        desk.advance(1)
    assert requests < 15


def test_a_late_order_that_shows_up_after_its_cancel_is_cancelled_again(desk):
    track = desk.enter()
    desk.unknown(track)
    lookups_answered_absent(desk, track, 20)
    assert desk.cancels() == [track.order_id]
    desk.clear()
    desk.answer(track, open_as=0)
    assert desk.cancels() == [track.order_id]
    desk.cancelled(track).answer(track)
    assert status(track) is S.CANCELED
    assert track.is_settled


def test_an_accept_that_comes_after_the_doubt_opens_the_order(desk):
    track = desk.enter()
    desk.unknown(track)
    desk.accept(track)
    assert status(track) is S.OPEN


def test_one_intent_is_signed_once_whatever_happens(desk):
    track = desk.enter()
    desk.unknown(track)
    lookups_answered_absent(desk, track, 120)
    desk.cancel_refused(track)
    desk.advance(30)
    assert len(desk.signer.asked) == 1
    assert len(desk.asked(fx.SubmitOrder)) == 1


def test_an_order_given_up_as_absent_that_then_trades_is_booked_and_looked_up(desk):
    track = desk.enter()
    desk.unknown(track)
    lookups_answered_absent(desk, track, 100)
    assert status(track) is S.REJECTED
    desk.clear()
    desk.fill(track, 4)
    assert desk.position().shares == 4_000_000
    assert status(track) is S.IN_DOUBT
    assert desk.lookups() == [track.order_id]
    desk.answer(track)
    assert status(track) is S.CANCELED
    assert track.is_settled


def test_an_answer_for_a_refused_order_asks_for_nothing(desk):
    track = desk.enter()
    desk.unknown(track)
    desk.refuse(track)
    desk.advance(10).clear()
    desk.answer(track)
    assert not desk.effects
    assert status(track) is S.REJECTED


# --- FAK and FOK ------------------------------------------------------------------------


def test_a_partly_matched_fak_ends_when_its_trades_are_known(desk):
    track = desk.enter(enter(10, budget=5))
    desk.accept(track, status=ev.VenueOrderStatus.MATCHED, taking=6_000_000, making=3_000_000)
    assert not track.is_settled
    desk.fill(track, 6, maker=False)
    desk.advance(3)
    assert track.order_id in desk.lookups()
    desk.answer(track, desk.leg(track, 6, trade=desk.trades, maker=False))
    assert status(track) is S.CANCELED
    assert track.is_settled
    assert track.order.filled == 6_000_000


def test_a_fak_is_not_over_before_the_trades_that_its_reply_told_are_booked(desk):
    track = desk.enter(enter(10, budget=5))
    desk.accept(track, status=ev.VenueOrderStatus.MATCHED, taking=6_000_000, making=3_000_000)
    desk.report(track, "CANCELED", 6)
    desk.answer(track)
    assert not track.is_settled
    desk.fill(track, 6, maker=False)
    assert track.is_settled


def test_a_fok_that_filled_wholly_is_filled_by_the_venues_word(desk):
    track = desk.enter(enter(10, 50, budget=5))
    desk.accept(track, status=ev.VenueOrderStatus.MATCHED, taking=10_000_000, making=5_000_000)
    desk.fill(track, 10, maker=False)
    desk.report(track, "MATCHED", 10)
    assert status(track) is S.FILLED
    assert track.is_settled


# --- cancels ----------------------------------------------------------------------------


def test_a_cancel_is_asked_once(desk):
    track = desk.enter()
    desk.accept(track)
    desk.advance(400)
    assert desk.cancels() == [track.order_id]
    assert status(track) is S.PENDING_CANCEL


def test_an_accepted_cancel_is_over_only_when_its_trades_were_asked_for(desk):
    track = desk.enter()
    desk.accept(track).advance(200).clear()
    desk.cancelled(track)
    assert status(track) is S.CANCELED
    assert not track.is_settled
    assert desk.lookups() == [track.order_id]
    desk.answer(track, desk.leg(track, 3))
    assert track.is_settled
    assert track.order.filled == 3_000_000


def test_a_cancellation_told_with_its_matched_size_waits_for_those_trades(desk):
    track = desk.enter()
    desk.accept(track).advance(200)
    desk.report(track, "CANCELED", 3)
    assert not track.is_settled
    desk.advance(2)
    assert track.order_id in desk.lookups()
    desk.answer(track)
    assert not track.is_settled
    desk.fill(track, 3)
    assert track.is_settled


def test_a_refused_cancel_is_looked_up_and_not_repeated_meanwhile(desk):
    track = desk.enter()
    desk.accept(track).advance(200).clear()
    desk.cancel_refused(track)
    assert status(track) is S.IN_DOUBT
    assert desk.lookups() == [track.order_id]
    assert not desk.cancels()


def test_a_refused_cancel_of_an_order_that_had_just_filled(desk):
    track = desk.enter()
    desk.accept(track).advance(200)
    desk.cancel_refused(track)
    desk.fill(track, 10)
    assert status(track) is S.FILLED
    assert track.is_settled


def test_a_refused_cancel_of_an_order_that_ended_needs_no_horizon(desk):
    track = desk.enter()
    desk.accept(track).advance(200).clear()
    desk.cancel_refused(track).answer(track)
    assert status(track) is S.CANCELED
    assert track.is_settled
    assert not desk.cancels()


@pytest.mark.parametrize("outcome", ["refused", "unknown"])
def test_an_order_that_is_still_open_after_its_cancel_is_cancelled_again_with_growing_pauses(desk, outcome):
    track = desk.enter(enter(10))
    desk.accept(track).advance(200).clear()
    sent = []
    for _ in range(60):
        for _ in range(5):
            effects, desk.effects = desk.effects, []
            for effect in effects:
                if isinstance(effect, fx.LookupOrder):
                    desk.answer(track, open_as=0)
                elif isinstance(effect, fx.CancelOrder):
                    sent.append(desk.now_ns // NS_PER_S)
                    desk.cancel_refused(track) if outcome == "refused" else desk.cancel_unknown(track)
        if not sent:
            desk.cancel_refused(track) if outcome == "refused" else desk.cancel_unknown(track)
        desk.advance(1)
    assert 3 <= len(sent) <= 8


def test_an_expired_order_with_unseen_trades_waits_for_them_and_freezes_nothing(desk):
    track = desk.enter()
    desk.accept(track)
    desk.report(track, "EXPIRED", 4)
    for _ in range(8):
        desk.advance(5).answer(track)
    assert status(track) is S.EXPIRED
    assert not desk.state.markets[CONDITION].frozen
    assert not desk.cancels()
    desk.fill(track, 4)
    assert track.is_settled


def test_a_venue_fact_that_the_table_refuses_freezes_the_market(desk):
    track = desk.enter()
    desk.accept(track)
    turn = Turn(now_ns=desk.now_ns)
    desk.engine._gateway._life.change(track, OrderEvent.DENY, turn)
    assert [fact.kind for fact in turn.facts if isinstance(fact, Notice)] == [NoticeKind.MARKET_FROZEN]
    assert "DENY" in desk.state.markets[CONDITION].frozen


def test_repeated_words_of_the_venue_leave_no_facts(desk):
    track = desk.enter()
    desk.accept(track).clear()
    desk.accept(track).report(track, "LIVE").report(track, "LIVE")
    assert not desk.found(OrderChanged)


def test_a_cancel_that_came_too_late_does_not_reword_why_an_order_ended(desk):
    track = desk.enter()
    desk.refuse(track, message="not enough balance")
    desk.cancel_refused(track)
    assert (track.order.status, track.order.detail) == (OrderStatus.REJECTED, "not enough balance")
