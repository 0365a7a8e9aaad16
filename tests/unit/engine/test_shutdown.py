from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import MarketResolved, StopMode, StopRequested, TokenBalanceRead
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import OrderId
from polystra.domain.orders import OrderStatus, Purpose
from polystra.engine import effects as fx
from tests.unit.engine.desk import CONDITION, UP, Desk, config


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def stop(desk: Desk, mode: StopMode = StopMode.KEEP_EXITS) -> Desk:
    return desk.step(StopRequested(mode=mode, reason="signal SIGTERM"))


def finished(desk: Desk) -> list[fx.Finish]:
    return desk.asked(fx.Finish)


def test_nothing_open_means_done_at_once(desk):
    stop(desk)
    assert [(each.reason, each.left_open) for each in finished(desk)] == [("signal SIGTERM", ())]
    assert desk.notices(NoticeKind.SHUTDOWN_STARTED)
    assert desk.engine._risk.entry_block() == "stopping"


def test_a_stop_before_the_account_was_read_does_not_say_that_nothing_is_left():
    desk = Desk()
    stop(desk)
    assert ["not read whole" in line for line in finished(desk)[0].left_open] == [True]


def test_an_order_that_was_made_elsewhere_is_named_at_the_stop(desk):
    own = desk.enter()
    desk.snapshot(open_orders=[replace(desk.word(own, "LIVE"), order_id=OrderId("0xelsewhere"))])
    desk.accept(own).advance(1)
    stop(desk)
    desk.cancelled(own).answer(own)
    [finish] = finished(desk)
    assert ["0xelsewhere" in line for line in finish.left_open] == [True]


def test_entries_are_cancelled_and_their_fate_is_waited_for(desk):
    track = desk.enter()
    desk.accept(track)
    stop(desk)
    assert desk.cancels() == [track.order_id]
    assert not finished(desk)
    desk.cancelled(track)
    assert not finished(desk)
    desk.answer(track)
    assert len(finished(desk)) == 1


def test_keep_exits_leaves_the_take_profit_and_says_so(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting)
    stop(desk)
    assert not desk.cancels()
    [finish] = finished(desk)
    assert any("TAKE_PROFIT" in line and resting.order_id in line for line in finish.left_open)
    assert any("10 shares" in line and "no stop" in line for line in finish.left_open)


def test_keep_exits_waits_for_a_take_profit_that_is_on_its_way(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    stop(desk)
    assert not finished(desk)
    desk.accept(resting)
    assert len(finished(desk)) == 1


def test_cancel_all_takes_everything_off_and_places_nothing_again(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).advance(5).clear()
    stop(desk, StopMode.CANCEL_ALL)
    assert desk.cancels() == [resting.order_id]
    desk.cancelled(resting).answer(resting)
    assert len(finished(desk)) == 1
    desk.advance(5).book(49, 51)
    assert not desk.sent()


def test_a_fill_that_comes_while_stopping_is_booked(desk):
    track = desk.enter()
    desk.accept(track)
    stop(desk)
    late = desk.leg(track, 4)
    desk.cancelled(track).answer(track, late)
    assert desk.position().shares == 4_000_000
    assert "4 shares" in finished(desk)[0].left_open[0]


def test_a_deadline_ends_the_wait_and_names_what_is_unknown(desk):
    track = desk.enter()
    desk.unknown(track)
    stop(desk)
    desk.advance(14)
    assert not finished(desk)
    desk.advance(2)
    [finish] = finished(desk)
    assert any(track.order_id in line for line in finish.left_open)


def test_asking_twice_changes_nothing(desk):
    track = desk.enter()
    desk.accept(track)
    stop(desk)
    stop(desk, StopMode.CANCEL_ALL)
    assert desk.state.stopping is StopMode.KEEP_EXITS
    assert desk.cancels() == [track.order_id]


def test_a_stop_is_said_once(desk):
    stop(desk)
    desk.advance(60).book(49, 51)
    assert len(finished(desk)) == 1


def test_an_entry_that_was_not_accepted_yet_is_cancelled_until_it_is_gone(desk):
    track = desk.enter()
    stop(desk)
    assert desk.cancels() == [track.order_id]
    desk.cancel_refused(track).accept(track).clear()
    desk.advance(2).answer(track, open_as=0)
    assert desk.cancels() == [track.order_id]
    desk.cancelled(track).answer(track)
    assert track.order.status is OrderStatus.CANCELED
    assert len(finished(desk)) == 1


# --- a run of so many markets --------------------------------------------------------------


@pytest.fixture
def limited() -> Desk:
    return Desk(config(markets_limit=1)).ready()


def test_a_complete_run_waits_for_claims_and_for_the_venue_to_agree(limited):
    limited.hold(10, 60)
    limited.advance(700)
    limited.step(MarketResolved(condition_id=CONDITION, up_payout=1_000_000, at_ns=limited.now_ns))
    assert limited.notices(NoticeKind.SHUTDOWN_STARTED)
    assert not finished(limited)
    limited.advance(6).redeemed()
    assert not finished(limited)
    limited.advance(1).snapshot(cash=limited.state.ledger.cash - 3)
    assert not finished(limited)
    limited.advance(1).snapshot()
    [finish] = finished(limited)
    assert finish.left_open == ()


def test_a_complete_run_does_not_wait_for_ever(limited):
    limited.hold(10, 60)
    limited.advance(700)
    limited.step(MarketResolved(condition_id=CONDITION, up_payout=1_000_000, at_ns=limited.now_ns))
    limited.advance(179)
    assert not finished(limited)
    limited.advance(2)
    assert "10 dollars of winnings" in finished(limited)[0].left_open[0]


def test_a_signal_ends_the_wait_of_a_complete_run_for_its_money(limited):
    limited.hold(10, 60)
    limited.advance(700)
    limited.step(MarketResolved(condition_id=CONDITION, up_payout=1_000_000, at_ns=limited.now_ns))
    assert not finished(limited)
    stop(limited)
    [finish] = finished(limited)
    assert finish.reason == "signal SIGTERM"
    assert "10 dollars of winnings" in finish.left_open[0]
    stop(limited)
    assert len(finished(limited)) == 1


def test_a_run_without_a_limit_goes_on(desk):
    desk.step(MarketResolved(condition_id=CONDITION, up_payout=1_000_000, at_ns=desk.now_ns))
    desk.advance(60)
    assert desk.state.settled_markets == 1
    assert not finished(desk)


# --- flatten -------------------------------------------------------------------------------


def test_flatten_withdraws_exits_and_sells_what_is_held(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).clear()
    stop(desk, StopMode.FLATTEN)
    assert desk.cancels() == [resting.order_id]
    assert not desk.orders(Purpose.CLOSE)
    desk.cancelled(resting).answer(resting)
    desk.step(TokenBalanceRead(token_id=UP, shares=10_000_000, at_ns=desk.now_ns))
    desk.advance(2)
    [sale] = desk.orders(Purpose.CLOSE)
    assert (sale.order.terms.rule, sale.order.terms.quantity) == ("shutdown", 10_000_000)
    assert not finished(desk)
    desk.accept(sale).fill(sale, 10, 49)
    desk.report(sale, "MATCHED", 10)
    desk.answer(sale)
    assert [each.left_open for each in finished(desk)] == [()]


def test_flatten_sells_what_a_late_fill_brings(desk):
    track = desk.enter()
    desk.accept(track)
    stop(desk, StopMode.FLATTEN)
    report = desk.leg(track, 4)
    desk.step(report).settle(report, "CONFIRMED")
    desk.cancelled(track).answer(track, report)
    desk.step(TokenBalanceRead(token_id=UP, shares=4_000_000, at_ns=desk.now_ns))
    desk.advance(2)
    assert [sale.order.terms.quantity for sale in desk.orders(Purpose.CLOSE)] == [4_000_000]


def test_flatten_ends_at_its_deadline_and_says_what_could_not_be_sold(desk):
    desk.hold(status="MATCHED")
    stop(desk, StopMode.FLATTEN)
    desk.advance(44)
    assert not finished(desk)
    desk.advance(2)
    [finish] = finished(desk)
    [line] = finish.left_open
    assert "0 offered by resting exits, 10 without any exit at the venue" in line


def test_a_stop_that_is_selling_is_finished_before_the_end(desk):
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting)
    desk.book(10, 12).advance(2).book(10, 12)
    desk.cancelled(resting).answer(resting)
    desk.advance(0.1)
    [sale] = desk.orders(Purpose.STOP_LOSS)
    desk.accept(sale).fill(sale, 4, 10)
    desk.refuse(sale, killed=True).answer(sale)
    stop(desk)
    assert not finished(desk)
    desk.advance(5)
    sales = desk.orders(Purpose.STOP_LOSS)
    assert [each.order.terms.quantity for each in sales] == [10_000_000, 6_000_000]
