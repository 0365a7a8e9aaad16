"""Exits that do not fit the position are mended once, with before and after; a repair that does not take is frozen."""

from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose
from polystra.engine import effects as fx
from polystra.engine.config import DustPolicy, ExitConfig
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CENT, CONDITION, Desk, config, live_sells, micros

TP, SL = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS


@pytest.fixture
def desk() -> Desk:
    desk = Desk().ready()
    desk.hold()
    desk.accept(desk.orders(TP)[0])
    return desk.advance(3).clear()


def buy_more(desk: Desk, quantity: float, cents: float, number: int = 2) -> OrderTrack:
    """A further purchase into the same position, accepted and not filled yet."""
    desk.step(
        ev.EntryRequested(
            request_id=f"more{number}",
            condition_id=CONDITION,
            outcome=Outcome.UP,
            price=round(cents * CENT),
            quantity=micros(quantity),
            adds=True,
        )
    )
    entry = desk.orders(Purpose.ENTRY)[-1]
    assert len(desk.state.positions) == 1
    desk.accept(entry)
    return entry


def healed(desk: Desk) -> list[str]:
    return [notice.message for notice in desk.notices(NoticeKind.EXIT_HEALED)]


def ends_by_itself(desk: Desk) -> Desk:
    """The venue cancels the newest take-profit without being asked."""
    track = desk.orders(TP)[-1]
    desk.report(track, "CANCELED")
    return desk.answer(track)


# --- sizes -----------------------------------------------------------------------------------


def test_more_shares_at_another_price_cancel_learn_and_place_once(desk):
    [old] = desk.orders(TP)
    entry = buy_more(desk, 10, 60)
    desk.fill(entry, 10, 60, status="CONFIRMED")
    assert desk.exits().take_profit_price == 990_000
    assert desk.cancels() == [old.order_id]
    assert "exit at another price: 10 resting at 0.9, planned 0.99 -> cancelled" in healed(desk)
    assert len(desk.orders(TP)) == 1, "never both"
    desk.cancelled(old)
    assert len(desk.orders(TP)) == 1, "its fills are not known yet"
    desk.answer(old)
    [new] = desk.orders(TP)[1:]
    assert (new.order.terms.quantity, new.order.terms.price) == (20_000_000, 990_000)


def test_what_the_old_exit_sold_meanwhile_is_not_sold_again(desk):
    [old] = desk.orders(TP)
    entry = buy_more(desk, 10, 60)
    desk.fill(entry, 10, 60, status="CONFIRMED")
    desk.cancelled(old)
    desk.answer(old, desk.leg(old, 4, status="CONFIRMED"))
    assert desk.orders(TP)[-1].order.terms.quantity == 16_000_000
    assert live_sells(desk, desk.position().position_id) == 16_000_000


def test_while_the_purchase_still_fills_the_old_exit_stays(desk):
    entry = buy_more(desk, 10, 60)
    desk.fill(entry, 2, 60, status="CONFIRMED")
    desk.fill(entry, 2, 60, status="CONFIRMED")
    desk.advance(5)
    assert not desk.cancels()


def test_shares_too_few_to_rest_are_joined_with_the_exit_that_rests():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 7, status="CONFIRMED")
    [first] = desk.orders(TP)
    desk.accept(first).clear()
    desk.fill(entry, 3, status="CONFIRMED")
    assert desk.cancels() == [first.order_id]
    assert healed(desk) == ["exit smaller than the position: 7 resting, 3 more to cover -> cancelled"]
    desk.cancelled(first).answer(first).advance(3)
    assert desk.orders(TP)[-1].order.terms.quantity == 10_000_000


def test_an_exit_larger_than_the_position_is_taken_back():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    kept = desk.fill(entry, 5, status="MINED")
    failing = desk.fill(entry, 5, status="MINED")
    desk.advance(3)
    for track in desk.orders(TP):
        desk.accept(track)
    desk.advance(3)
    for track in desk.orders(TP):
        if track.order.status is OrderStatus.SUBMITTED:
            desk.accept(track)
    desk.clear()
    desk.settle(failing, "FAILED")
    assert len(desk.cancels()) == 1
    assert "exit larger than the position" in healed(desk)[0]
    assert kept.quantity == desk.position().shares


def test_an_exit_of_a_closed_position_is_taken_back(desk):
    entry = desk.orders(Purpose.ENTRY)[0]
    [fill] = desk.state.fills.values()
    assert fill.order_id == entry.order_id
    other = Desk().ready()
    track = other.enter()
    other.accept(track)
    report = other.fill(track, 10, status="MINED")
    other.accept(other.orders(TP)[0]).clear()
    other.settle(report, "FAILED")
    assert other.cancels() == [other.orders(TP)[0].order_id]
    assert "exit for a closed position" in healed(other)[0]


# --- missing ---------------------------------------------------------------------------------


def test_a_take_profit_that_ended_by_itself_is_placed_again_and_told(desk):
    ends_by_itself(desk).advance(3)
    assert len(desk.orders(TP)) == 2
    assert healed(desk) == ["exit missing: 10 at 0.9 ended by itself -> placed again"]


def test_a_repair_that_does_not_take_is_frozen_and_the_exit_watched(desk):
    ends_by_itself(desk).advance(3)
    desk.accept(desk.orders(TP)[-1])
    ends_by_itself(desk).advance(30)
    assert len(desk.orders(TP)) == 2
    assert "did not take" in desk.notices(NoticeKind.EXIT_FROZEN)[0].message
    desk.advance(300).book(49, 51)
    assert len(desk.orders(TP)) == 2, "no repair loop"
    desk.book(25, 27)
    assert len(desk.orders(SL)) == 1, "the stop is armed all the same"


def test_two_losses_far_apart_are_two_repairs(desk):
    ends_by_itself(desk).advance(3)
    desk.accept(desk.orders(TP)[-1]).advance(90)
    ends_by_itself(desk).advance(3)
    assert len(desk.orders(TP)) == 3
    assert not desk.notices(NoticeKind.EXIT_FROZEN)


def test_new_shares_end_the_freeze(desk):
    for _ in range(2):
        ends_by_itself(desk).advance(3)
        desk.accept(desk.orders(TP)[-1])
    assert desk.exits().watched
    entry = buy_more(desk, 10, 50)
    desk.fill(entry, 10, 50, status="CONFIRMED")
    assert not desk.exits().watched
    assert desk.orders(TP)[-1].order.terms.quantity == 20_000_000


def test_a_reconciliation_that_shows_the_exit_gone_leads_to_a_new_one(desk):
    [resting] = desk.orders(TP)
    desk.snapshot(open_orders=[])
    assert resting.order_id in desk.lookups()
    desk.answer(resting).advance(3).answer(resting).advance(3)
    assert len(desk.orders(TP)) == 2
    assert healed(desk)


def test_a_reconciliation_that_agrees_asks_for_nothing(desk):
    for _ in range(5):
        desk.snapshot(open_orders=[desk.word(desk.orders(TP)[0], "LIVE")]).advance(1)
    assert not desk.sent()
    assert not desk.cancels()
    assert not healed(desk)


def test_an_exit_that_cannot_be_cancelled_is_told_once(desk):
    [resting] = desk.orders(TP)
    desk.book(20, 22)
    for _ in range(40):
        desk.cancel_unknown(resting).answer(resting, open_as=0).advance(10)
        desk.snapshot(open_orders=[desk.word(resting, "LIVE")])
    assert len(desk.notices(NoticeKind.EXIT_FROZEN)) == 1
    assert "cannot be cancelled" in desk.notices(NoticeKind.EXIT_FROZEN)[0].message


# --- blind -----------------------------------------------------------------------------------


def test_a_lost_market_stream_asks_for_the_books_of_what_is_held_and_stops_on_their_answer(desk):
    desk.step(ev.StreamLost(stream=ev.StreamName.MARKET, reason="broken"))
    assert desk.asked(fx.ReadBook)
    desk.clear().advance(9)
    assert 3 <= len(desk.asked(fx.ReadBook)) <= 5
    desk.book(25, 27)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_a_sale_without_a_believed_book_asks_for_one():
    desk = Desk(config(exits=ExitConfig(take_profit=False))).ready()
    desk.hold()
    desk.book(20, 22)
    desk.refuse(desk.orders(SL)[0], killed=True).clear()
    desk.step(ev.StreamLost(stream=ev.StreamName.MARKET, reason="broken")).advance(5)
    assert desk.asked(fx.ReadBook)
    assert not desk.sent()
    desk.book(18, 22)
    [order] = desk.sent()
    assert order.terms.planned_price == 180_000


# --- a cancel without an answer, and dust ----------------------------------------------------


def test_what_no_order_holds_is_sold_when_a_cancel_stays_unanswered():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 6, status="CONFIRMED")
    desk.accept(desk.orders(TP)[0])
    desk.fill(entry, 4, status="CONFIRMED")
    desk.book(20, 22)
    assert not desk.orders(SL), "the fates come first"
    desk.advance(1.9)
    assert not desk.orders(SL)
    desk.advance(0.2)
    [sale] = desk.orders(SL)
    assert sale.order.terms.quantity == 4_000_000
    assert live_sells(desk, desk.position().position_id) == 10_000_000
    desk.accept(sale, making=4_000_000).fill(sale, 4, 20, maker=False, status="CONFIRMED")
    desk.report(sale, "MATCHED", 4)
    resting = desk.orders(TP)[0]
    desk.cancelled(resting).answer(resting).advance(3).book(20, 22)
    assert [track.order.terms.quantity for track in desk.orders(SL)] == [4_000_000, 6_000_000]


@pytest.mark.parametrize(("policy", "covered"), [(DustPolicy.HOLD, 10_000_000), (DustPolicy.WITH_NEXT_LOT, 13_000_000)])
def test_dust_is_held_or_sold_with_the_next_shares(policy, covered):
    desk = Desk(config(exits=ExitConfig(dust=policy))).ready()
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 3, status="CONFIRMED")
    desk.cancelled(entry).answer(entry)
    desk.book(20, 22)
    for _ in range(2):
        desk.refuse(desk.orders(SL)[-1], message="Size (3) lower than the minimum: 5")
        desk.advance(4).book(20, 22)
    assert desk.exits().dust == 3_000_000
    assert not desk.state.is_open(desk.position())
    assert desk.engine._risk.open_positions() == 0
    desk.advance(30).books(49, 51)
    more = buy_more(desk, 10, 50)
    desk.fill(more, 10, 50, status="CONFIRMED")
    desk.advance(3)
    assert desk.orders(TP)[-1].order.terms.quantity == covered
    resting = desk.orders(TP)[-1]
    desk.accept(resting).book(20, 22).cancelled(resting).answer(resting)
    assert desk.orders(SL)[-1].order.terms.quantity == covered
