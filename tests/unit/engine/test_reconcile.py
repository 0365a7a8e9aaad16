from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import BalanceObserved, NoticeKind, PostingRecorded, ReconcileCompleted
from polystra.domain.ids import OrderId, TokenId
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import NS_PER_S
from polystra.engine import effects as fx
from tests.unit.engine.desk import CASH, START_NS, UP, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def adjustments(desk: Desk) -> list[int]:
    return [fact.posting.settled_cash for fact in desk.found(PostingRecorded) if fact.posting.kind == "ADJUSTMENT"]


def test_no_entry_leaves_before_the_first_complete_snapshot():
    desk = Desk().start()
    for stream in ev.StreamName:
        desk.step(ev.StreamConnected(stream=stream))
    assert desk.engine._risk.entry_block()
    desk.snapshot(cash=CASH, complete=False)
    assert desk.engine._risk.entry_block()
    desk.snapshot(cash=CASH)
    assert desk.engine._risk.entry_block() is None


def test_the_first_cash_is_a_transfer():
    desk = Desk().start().snapshot(cash=CASH)
    [fact] = desk.found(PostingRecorded)
    assert fact.posting.kind == "TRANSFER"
    assert desk.state.ledger.settled_cash == CASH
    assert desk.found(BalanceObserved)
    desk.snapshot(cash=CASH)
    assert len(desk.found(PostingRecorded)) == 1


def test_an_account_that_lives_already_is_asked_for_its_recent_trades_only():
    desk = Desk().start()
    [asked] = desk.asked(fx.ReadAccount)
    assert START_NS - 600 * NS_PER_S < asked.since_ns < START_NS


def test_a_difference_of_cash_needs_two_equal_quiet_snapshots(desk):
    desk.advance(1).snapshot(cash=CASH + 5)
    assert not adjustments(desk)
    desk.advance(6).snapshot(cash=CASH + 7)
    assert not adjustments(desk)
    desk.advance(4).snapshot(cash=CASH + 7)
    assert not adjustments(desk)
    desk.advance(2).snapshot(cash=CASH + 7)
    assert adjustments(desk) == [7]
    assert desk.state.ledger.cash == CASH + 7
    assert any("cash differs" in words for fact in desk.found(ReconcileCompleted) for words in fact.differences)


def test_a_difference_that_goes_away_is_forgotten(desk):
    desk.advance(1).snapshot(cash=CASH + 5).snapshot(cash=CASH).snapshot(cash=CASH + 5)
    assert not adjustments(desk)


def test_an_incomplete_snapshot_never_adjusts(desk):
    for _ in range(3):
        desk.advance(1).snapshot(cash=0, tokens=[(UP, 0)], complete=False)
    assert desk.state.ledger.cash == CASH
    assert not adjustments(desk)


def test_an_incomplete_snapshot_still_adds_its_fills(desk):
    track = desk.enter()
    desk.accept(track).snapshot(fills=[desk.leg(track, 4)], complete=False)
    assert desk.position().shares == 4_000_000


def test_an_incomplete_empty_snapshot_takes_nothing_away(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).advance(1).clear()
    for _ in range(3):
        desk.snapshot(tokens=[(UP, 0)], complete=False)
    assert desk.position().shares == 10_000_000
    assert not desk.lookups()


def test_a_complete_empty_snapshot_makes_a_look_up_and_not_a_guess(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).advance(1).clear()
    desk.snapshot()
    assert resting.order.status is OrderStatus.OPEN
    assert desk.lookups() == [resting.order_id]


def test_a_snapshot_older_than_the_last_event_concludes_nothing(desk):
    asked = desk.now_ns
    desk.advance(1)
    track = desk.enter()
    desk.accept(track).clear()
    for _ in range(3):
        desk.snapshot(asked_at_ns=asked, cash=1)
    assert not desk.lookups()
    assert not adjustments(desk)


@pytest.mark.parametrize("cash", [CASH, CASH - 5_000_000])
def test_cash_is_not_compared_while_a_trade_is_provisional(desk, cash):
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 10)
    desk.advance(1)
    for _ in range(3):
        desk.snapshot(cash=cash)
    assert not adjustments(desk)


def test_cash_is_not_compared_while_an_order_is_in_doubt(desk):
    track = desk.enter()
    desk.unknown(track).advance(1)
    for _ in range(3):
        desk.snapshot(cash=CASH - 5_000_000)
    assert not adjustments(desk)


def test_missing_shares_need_two_equal_readings_and_leave_evidence(desk):
    desk.hold(10, 60)
    desk.advance(151).clear()
    desk.snapshot(tokens=[(UP, 10_000_000)])
    desk.snapshot(tokens=[(UP, 9_893_500)])
    assert desk.position().shares == 10_000_000
    desk.advance(6).snapshot(tokens=[(UP, 9_893_500)])
    assert desk.position().shares == 9_893_500
    [fact] = desk.found(PostingRecorded)
    assert "10000000" in fact.posting.evidence
    assert "9893500" in fact.posting.evidence


def test_an_order_that_is_not_ours_blocks_entries_while_it_is_open(desk):
    track = desk.enter()
    stranger = replace(desk.word(track, "LIVE"), order_id=OrderId("0xelsewhere"))
    desk.snapshot(open_orders=[stranger])
    assert "not made by this daemon" in (desk.engine._risk.entry_block() or "")
    assert len(desk.notices(NoticeKind.ORDER_STRANGE)) == 1
    desk.snapshot(open_orders=[stranger])
    assert len(desk.notices(NoticeKind.ORDER_STRANGE)) == 1
    desk.snapshot(complete=False)
    assert desk.engine._risk.entry_block()
    desk.snapshot()
    assert desk.engine._risk.entry_block() is None


def test_an_order_in_doubt_that_the_snapshot_shows_is_open(desk):
    track = desk.enter()
    desk.unknown(track).snapshot(open_orders=[desk.word(track, "LIVE")])
    assert track.order.status is OrderStatus.OPEN


def test_an_order_that_we_believe_dead_and_the_venue_shows_open_is_cancelled(desk):
    track = desk.enter()
    desk.accept(track).advance(200)
    desk.cancelled(track).answer(track)
    assert track.is_settled
    desk.advance(1).clear()
    desk.snapshot(open_orders=[desk.word(track, "LIVE")])
    assert desk.cancels() == [track.order_id]
    assert any("open at the venue" in words for fact in desk.found(ReconcileCompleted) for words in fact.differences)


def test_the_next_question_reaches_back_to_the_oldest_trade_that_is_not_final(desk):
    track = desk.enter()
    desk.accept(track)
    old = desk.fill(track, 4)
    desk.advance(400)
    desk.snapshot(open_orders=[desk.word(track, "LIVE", 4)]).clear()
    desk.advance(31)
    assert desk.asked(fx.ReadAccount)[-1].since_ns <= old.matched_at_ns
    desk.settle(old, "CONFIRMED").snapshot().clear()
    desk.advance(31)
    assert desk.asked(fx.ReadAccount)[-1].since_ns > old.matched_at_ns


def test_a_quiet_reconciliation_leaves_no_facts(desk):
    desk.advance(1).clear()
    desk.snapshot()
    assert not desk.facts


def test_the_account_is_asked_when_the_user_stream_comes_back(desk):
    desk.step(ev.StreamLost(stream=ev.StreamName.USER, reason="broken"))
    assert "user stream" in (desk.engine._risk.entry_block() or "")
    desk.clear().step(ev.StreamConnected(stream=ev.StreamName.USER))
    assert len(desk.asked(fx.ReadAccount)) == 1


def test_a_lost_fill_is_found_by_the_next_snapshot_and_guarded(desk):
    track = desk.enter()
    desk.accept(track)
    desk.step(ev.StreamLost(stream=ev.StreamName.USER, reason="broken"))
    missed = desk.leg(track, 10, status="CONFIRMED")
    desk.step(ev.StreamConnected(stream=ev.StreamName.USER)).snapshot(fills=[missed])
    assert desk.position().shares == 10_000_000
    assert desk.orders(Purpose.TAKE_PROFIT)


def test_winnings_paid_before_the_verdict_was_heard_are_no_difference(desk):
    desk.hold()
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit).advance(900)
    cash = desk.state.ledger.cash + 10_000_000
    for _ in range(3):
        desk.advance(10).snapshot(cash=cash, tokens=[(UP, 0)])
    assert not adjustments(desk)
    desk.resolve().report(take_profit, "CANCELED")
    desk.advance(6).step(ev.TokenBalanceRead(token_id=UP, shares=0, at_ns=desk.now_ns)).snapshot(cash=cash)
    assert desk.state.ledger.cash == cash
    for _ in range(3):
        desk.advance(10).snapshot(cash=cash)
    assert not adjustments(desk)


def refused_for_balance(desk: Desk) -> str:
    track = desk.last_order()
    desk.step(ev.SubmitRefused(order_id=track.order_id, message="not enough balance", code="balance"))
    [notice] = desk.notices(NoticeKind.BALANCE_JUDGED)
    return notice.message


def test_a_purchase_refused_for_balance_is_explained_and_the_balance_is_read_anew(desk):
    desk.snapshot(cash=CASH)
    desk.hold(10, 60)
    desk.step(ev.AccountSnapshot(asked_at_ns=1, at_ns=1, complete=False, cash=0, open_orders=(), fills=()))
    desk.enter()
    desk.clear()
    assert "lagging: 5 dollars are needed" in refused_for_balance(desk)
    desk.advance(1.1)
    assert desk.asked(fx.ReadAccount)[-1].refresh


def test_shares_in_markets_that_are_not_watched_are_told_once_and_left_alone(desk):
    elsewhere = TokenId("99")
    for _ in range(2):
        desk.holdings((elsewhere, 25))
    [notice] = desk.notices(NoticeKind.FILL_STRANGE)
    assert "left alone" in notice.message
    desk.advance(31)
    assert elsewhere not in desk.asked(fx.ReadAccount)[-1].tokens
