"""An exit whose POST was lost: its same bytes are sent again, so that the stop need not wait for the horizon."""

from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.orders import OrderStatus, Purpose
from polystra.engine import effects as fx
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CONDITION, Desk, enter, live_sells

S = OrderStatus


@pytest.fixture
def desk() -> Desk:
    desk = Desk().ready()
    desk.hold()
    return desk


def bodies(desk: Desk) -> list[bytes]:
    return [effect.signed.body for effect in desk.asked(fx.SubmitOrder)]


def duplicate(desk: Desk, track: OrderTrack) -> Desk:
    return desk.step(ev.SubmitUnknown(order_id=track.order_id, message="duplicated", is_known=True))


def stopped(desk: Desk) -> OrderTrack:
    """The stop fired, the take-profit is gone, its sale is on its way."""
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit).books(20, 22).cancelled(take_profit).answer(take_profit)
    [stop] = desk.orders(Purpose.STOP_LOSS)
    desk.clear()
    return stop


def test_a_lost_stop_is_sent_again_with_the_same_bytes(desk):
    stop = stopped(desk)
    desk.unknown(stop).answer(stop)
    assert stop.signed is not None
    assert bodies(desk) == [stop.signed.body]
    assert len(desk.orders(Purpose.STOP_LOSS)) == 1
    assert not desk.cancels()
    desk.accept(stop, making=10_000_000).fill(stop, 10, 20)
    assert desk.position().shares == 0


def test_a_stop_that_is_not_answered_is_looked_up_after_seconds(desk):
    stop = stopped(desk)
    desk.advance(6)
    assert stop.order_id in desk.lookups()
    desk.answer(stop)
    assert len(bodies(desk)) == 1


def test_the_same_bytes_go_out_again_with_growing_pauses_and_never_in_a_storm(desk):
    stop = stopped(desk)
    for _ in range(12):
        desk.unknown(stop).answer(stop)
    assert len(bodies(desk)) == 1
    for _ in range(50):
        desk.advance(1).books(20, 22)
        if stop.order_id in desk.lookups():
            desk.unknown(stop).answer(stop)
    assert 5 <= len(bodies(desk)) <= 12
    assert len(set(bodies(desk))) == 1


def test_a_duplicate_that_is_found_nowhere_was_killed_and_the_rest_is_sold_by_a_new_order(desk):
    stop = stopped(desk)
    desk.unknown(stop).answer(stop)
    duplicate(desk, stop).answer(stop)
    assert stop.is_live, "the trade of an order that the venue has had may show a moment later"
    desk.advance(3).answer(stop)
    assert stop.order.status is S.CANCELED
    desk.books(20, 22).advance(2)
    assert len(desk.orders(Purpose.STOP_LOSS)) == 2


def test_a_duplicate_that_traded_is_booked_and_nothing_more_is_sold(desk):
    stop = stopped(desk)
    leg = desk.leg(stop, 10, 20)
    duplicate(desk, stop).answer(stop, leg)
    assert stop.order.status is S.FILLED
    assert desk.position().shares == 0
    assert len(desk.orders(Purpose.STOP_LOSS)) == 1


def test_a_refusal_of_the_second_send_says_nothing_of_the_first(desk):
    stop = stopped(desk)
    desk.unknown(stop).answer(stop).refuse(stop, message="not enough balance")
    assert stop.order.status is S.IN_DOUBT
    assert live_sells(desk, desk.position().position_id) == 10_000_000


def test_a_killed_second_send_proves_that_the_first_never_arrived(desk):
    stop = stopped(desk)
    desk.unknown(stop).answer(stop).refuse(stop, killed=True)
    assert stop.order.status is S.CANCELED
    assert stop.is_settled


def test_a_take_profit_in_doubt_delays_the_stop_only_until_its_bytes_are_known(desk):
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.clear().unknown(take_profit)
    desk.books(20, 22).cancel_refused(take_profit).answer(take_profit)
    assert len(bodies(desk)) == 1
    desk.accept(take_profit).advance(2).answer(take_profit, open_as=0)
    desk.cancelled(take_profit).answer(take_profit)
    assert desk.orders(Purpose.STOP_LOSS)


def test_an_entry_is_never_sent_again(desk):
    other = Desk().ready()
    entry = other.enter()
    other.clear().unknown(entry).answer(entry).advance(6).answer(entry)
    assert not bodies(other)
    assert other.cancels() == [entry.order_id]


def test_nothing_is_sent_again_after_the_window_or_the_horizon(desk):
    stop = stopped(desk)
    desk.unknown(stop).advance(61).answer(stop)
    assert not bodies(desk)


@pytest.mark.parametrize("word", ["LIVE", "traded"])
def test_a_refusal_after_the_venue_showed_the_order_freezes_nothing_and_is_looked_up(word):
    desk = Desk().ready()
    entry = desk.enter()
    if word == "LIVE":
        desk.report(entry, "LIVE")
    else:
        desk.fill(entry, 4)
    desk.clear().refuse(entry, message="service not ready")
    assert not desk.state.markets[CONDITION].frozen
    assert entry.order.status is S.OPEN
    assert desk.lookups() == [entry.order_id]


def test_a_cancelled_order_that_an_old_answer_shows_open_is_asked_for_until_its_trades_are_known(desk):
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit).books(20, 22).cancelled(take_profit)
    for _ in range(3):
        desk.clear().answer(take_profit, open_as=0).advance(40)
        assert take_profit.order_id in desk.lookups()
    desk.answer(take_profit)
    assert not desk.orders(Purpose.STOP_LOSS), "the book is two minutes old"
    assert desk.asked(fx.ReadBook)
    desk.books(20, 22)
    assert desk.orders(Purpose.STOP_LOSS)


def test_a_second_take_profit_waits_for_the_answer_to_the_first():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    first = desk.fill(entry, 5)
    desk.settle(first, "CONFIRMED")
    desk.settle(desk.fill(entry, 5), "CONFIRMED")
    desk.advance(4).books(49, 51)
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    assert take_profit.order.status is S.SUBMITTED
    desk.accept(take_profit)
    assert [each.order.terms.quantity for each in desk.orders(Purpose.TAKE_PROFIT)] == [5_000_000, 5_000_000]


def test_shares_of_a_failed_sale_are_not_reserved_by_what_is_left_of_its_order():
    desk = Desk().ready()
    desk.hold()
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit)
    sale = desk.fill(take_profit, 6)
    desk.settle(sale, "FAILED").advance(3)
    first, second = desk.orders(Purpose.TAKE_PROFIT)
    assert (first.left, second.order.terms.quantity) == (4_000_000, 6_000_000)


def test_a_purchase_in_doubt_does_not_hold_a_stop_up():
    """A taker's entry, of which a part came and was settled; what became of it nobody says."""
    desk = Desk().ready()
    entry = desk.enter(enter(10, 50, budget=5))
    assert entry.order.terms.time_in_force == "FAK"
    desk.unknown(entry)
    desk.fill(entry, 8, 50, status="CONFIRMED", maker=False)
    desk.books(20, 22).clear()
    for _ in range(5):
        desk.advance(1).books(20, 22).answer(entry, complete=False)
    for take_profit in desk.orders(Purpose.TAKE_PROFIT):
        assert take_profit.cancels
        desk.cancelled(take_profit).answer(take_profit)
    [stop] = desk.orders(Purpose.STOP_LOSS)
    assert stop.order.terms.quantity == 8_000_000
