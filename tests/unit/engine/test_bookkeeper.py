from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from polystra.domain.facts import FillRecorded, NoticeKind, PositionRecorded, PostingRecorded
from polystra.domain.fills import Liquidity
from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.positions import PositionStatus
from tests.unit.engine.desk import CASH, CONDITION, UP, Desk, enter, ledger_sums


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def stranger_leg(desk: Desk, status: str = "CONFIRMED"):
    track = desk.enter()
    return replace(desk.leg(track, 7, 40, status=status), order_id=OrderId("0xelsewhere"))


def test_a_fill_is_booked_once_by_whichever_channel_and_however_often(desk):
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 10)
    desk.step(report, report).answer(track, report, open_as=10).snapshot(fills=[report])
    assert len(desk.found(FillRecorded)) == 1
    assert desk.position().shares == 10_000_000
    assert desk.state.ledger.cash == CASH - 5_000_000


def test_two_of_our_orders_in_one_trade_are_two_fills(desk):
    one, two = desk.enter(), desk.enter()
    report = desk.fill(one, 10)
    desk.fill(two, 10, trade=desk.trades)
    assert report.trade_id == "t1"
    assert desk.state.ledger.balance(UP).shares == 20_000_000


def test_a_fill_is_pending_until_it_is_confirmed(desk):
    track = desk.enter()
    report = desk.fill(track, 10)
    position = desk.position()
    assert (position.pending_shares, position.settled_shares) == (10_000_000, 0)
    desk.settle(report, "MINED")
    assert (position.pending_shares, position.settled_shares) == (10_000_000, 0)
    desk.settle(report, "CONFIRMED")
    assert (position.pending_shares, position.settled_shares) == (0, 10_000_000)
    assert desk.state.ledger.pending_cash == 0
    assert desk.state.ledger.settled_cash == CASH - 5_000_000


@pytest.mark.parametrize("words", list(permutations(["MATCHED", "MINED", "CONFIRMED"])))
def test_the_words_of_a_settlement_may_come_in_any_order(desk, words):
    track = desk.enter()
    report = desk.leg(track, 10)
    for word in words:
        desk.settle(report, word)
    assert (desk.position().pending_shares, desk.position().settled_shares) == (0, 10_000_000)
    assert desk.state.ledger.cash == CASH - 5_000_000


def test_a_failed_fill_is_posted_back_and_leaves_both_lines(desk):
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 10, maker=False)
    assert desk.state.ledger.cash < CASH - 5_000_000
    desk.settle(report, "FAILED")
    position = desk.position()
    assert desk.state.ledger.cash == CASH
    assert desk.state.ledger.pending_cash == 0
    assert (position.shares, position.bought, position.bought_cost, position.fees) == (0, 0, 0, 0)
    assert position.realised_pnl == 0
    assert track.order.filled == 0
    kinds = [fact.posting.kind for fact in desk.found(PostingRecorded)]
    assert kinds == ["MATCHED", "REVERSED"]


def test_an_order_whose_only_fill_failed_is_over_and_its_position_closed(desk):
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 10)
    assert desk.position().status is PositionStatus.OPEN
    desk.settle(report, "FAILED")
    assert track.is_settled
    assert desk.position().status is PositionStatus.CLOSED


def test_what_the_venue_says_of_a_failed_order_later_does_not_reopen_the_question(desk):
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 10)
    desk.settle(report, "FAILED")
    desk.report(track, "MATCHED", 10)
    assert track.is_settled


def test_a_failed_fill_does_not_hide_another_that_is_still_missing(desk):
    track = desk.enter()
    desk.accept(track)
    report = desk.fill(track, 6)
    desk.report(track, "MATCHED", 10)
    desk.settle(report, "FAILED")
    assert not track.is_settled
    desk.fill(track, 4)
    assert track.is_settled
    assert track.order.filled == 4_000_000
    assert track.order.status is OrderStatus.CANCELED


def test_a_fill_first_heard_of_as_failed_moves_nothing(desk):
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 10, status="FAILED")
    assert desk.state.ledger.cash == CASH
    assert desk.position().shares == 0
    assert track.order.filled == 0
    desk.report(track, "MATCHED", 10)
    assert track.is_settled


def test_failed_and_confirmed_contradict_each_other_and_freeze_the_market(desk):
    track = desk.enter()
    report = desk.fill(track, 10, status="CONFIRMED")
    desk.settle(report, "FAILED")
    assert desk.notices(NoticeKind.MARKET_FROZEN)
    assert desk.state.markets[CONDITION].frozen
    assert desk.position().status is PositionStatus.FROZEN
    assert desk.position().shares == 10_000_000


def test_a_trade_that_changes_its_quantity_freezes_the_market(desk):
    track = desk.enter()
    report = desk.fill(track, 4)
    desk.step(replace(report, quantity=5_000_000))
    assert desk.state.markets[CONDITION].frozen
    assert desk.position().shares == 4_000_000


def test_a_fill_before_the_reply_of_its_post(desk):
    track = desk.enter()
    desk.fill(track, 10)
    desk.accept(track)
    assert track.order.status is OrderStatus.FILLED
    assert track.is_settled


def test_a_fill_of_a_cancelled_order_is_booked(desk):
    track = desk.enter()
    desk.accept(track).advance(200)
    desk.cancelled(track).answer(track)
    assert track.is_settled
    desk.fill(track, 3)
    assert track.order.status is OrderStatus.CANCELED
    assert desk.position().shares == 3_000_000
    assert track.is_settled


def test_a_trade_made_elsewhere_is_booked_only_when_it_is_final(desk):
    report = stranger_leg(desk, "MATCHED")
    before = ledger_sums(desk)
    desk.step(report)
    desk.settle(report, "MINED")
    assert ledger_sums(desk) == before
    desk.settle(report, "CONFIRMED")
    desk.settle(report, "CONFIRMED")
    [fact] = desk.found(PostingRecorded)
    assert fact.posting.kind == "ADJUSTMENT"
    assert fact.posting.evidence
    assert desk.state.ledger.balance(UP).settled_shares == 7_000_000
    assert desk.state.ledger.cash == CASH - 2_800_000
    assert len(desk.notices(NoticeKind.FILL_STRANGE)) == 1


def test_a_taker_fee_is_booked_and_a_maker_pays_none(desk):
    taker, maker = desk.enter(), desk.enter()
    desk.fill(taker, 10, maker=False)
    assert desk.state.positions[taker.order.terms.position_id].fees == 175_000
    desk.fill(maker, 10)
    assert desk.state.positions[maker.order.terms.position_id].fees == 0
    assert desk.state.ledger.cash == CASH - 10_175_000


def test_the_exact_cash_and_legs_of_a_taker_trade_are_used_where_told(desk):
    track = desk.enter(enter(10, 50))
    report = replace(
        desk.leg(track, 10, 49.5, maker=False),
        cash=4_950_000,
        legs=((490_000, 5_000_000), (500_000, 5_000_000)),
    )
    desk.step(report)
    [fact] = desk.found(FillRecorded)
    assert fact.fill.cash == 4_950_000
    assert fact.fill.fee == 174_970


def test_each_fills_cash_is_floored_by_itself(desk):
    track = desk.enter(enter(10, 33))
    for _ in range(3):
        desk.fill(track, 3.333333)
    assert desk.state.ledger.cash == CASH - 3 * 1_099_999
    assert desk.position().shares == 9_999_999


def test_the_records_of_a_position_carry_its_sums(desk):
    track = desk.enter()
    desk.accept(track)
    desk.fill(track, 4, 40)
    desk.fill(track, 6, 50)
    record = desk.found(PositionRecorded)[-1]
    assert record.status is PositionStatus.OPEN
    assert record.pending_shares == 10_000_000
    assert record.average_price == 460_000


def test_reports_of_forgotten_orders_are_nobodys(desk):
    report = stranger_leg(desk)
    desk.state.retired[report.order_id] = None
    before = ledger_sums(desk)
    desk.step(report)
    assert ledger_sums(desk) == before
    assert not desk.notices(NoticeKind.FILL_STRANGE)


def test_our_own_old_trade_whose_order_is_not_in_memory_is_not_booked_as_a_strangers(desk):
    """After a restart the orders of settled markets are gone, their postings are not."""
    track = desk.enter()
    report = desk.fill(track, 10, status="CONFIRMED")
    before = ledger_sums(desk)
    del desk.state.by_order_id[track.order_id]
    desk.state.fills.clear()
    desk.snapshot(fills=[report])
    assert ledger_sums(desk) == before


def test_liquidity_is_recorded(desk):
    desk.fill(desk.enter(), 10, maker=False)
    assert desk.found(FillRecorded)[0].fill.liquidity is Liquidity.TAKER


# what is recorded of a position


def records(desk: Desk) -> list[PositionRecorded]:
    return desk.found(PositionRecorded)


def test_a_position_is_recorded_only_when_something_in_it_changed(desk):
    desk.books(49, 51)
    desk.hold()
    desk.clear()
    for _ in range(3):
        desk.advance(30).snapshot()
    assert records(desk) == []


def test_a_mark_is_recorded_once_a_minute_and_only_when_it_moved(desk):
    desk.books(49, 51)
    desk.hold()
    desk.advance(1).snapshot()
    assert desk.state.recorded[desk.position().position_id].mark == 500_000
    desk.clear().books(49, 55)
    desk.advance(10).snapshot()
    assert records(desk) == []
    desk.advance(60).snapshot()
    [told] = records(desk)
    assert (told.mark, told.mark_at_ns) == (520_000, desk.now_ns)
    desk.clear().advance(61).snapshot()
    assert records(desk) == []


def test_a_book_without_a_side_leaves_the_last_mark_with_its_time(desk):
    desk.books(49, 51)
    desk.hold()
    desk.advance(1).snapshot()
    before = desk.state.recorded[desk.position().position_id]
    desk.book(49, None).advance(70).fill(desk.orders(Purpose.TAKE_PROFIT)[0], 2)
    last = desk.state.recorded[desk.position().position_id]
    assert last.pending_shares == -2_000_000
    assert (last.mark, last.mark_at_ns) == (before.mark, before.mark_at_ns)


def test_nothing_held_has_no_mark(desk):
    desk.books(49, 51)
    desk.hold()
    desk.resolve()
    assert (records(desk)[-1].mark, records(desk)[-1].mark_at_ns) == (None, 0)
