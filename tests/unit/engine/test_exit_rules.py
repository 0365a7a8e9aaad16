"""Each exit rule on the desk: it fires, it does not fire, and it needs no other rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import EntryRequested
from polystra.domain.facts import NoticeKind, PositionRecorded
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose, TimeInForce
from polystra.domain.units import NS_PER_S
from polystra.engine.config import BalanceConfig, CloseAction, ExitConfig, ExitMode
from polystra.engine.state import ExitPhase
from tests.unit.engine.desk import CENT, CLOSES, CONDITION, Desk, config, micros

TP, SL, CLOSE = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS, Purpose.CLOSE


def holding(quantity: float = 10, **changes: object) -> Desk:
    """Shares at 50 cents, no take-profit unless asked for."""
    changes.setdefault("take_profit", False)
    desk = Desk(config(exits=ExitConfig(**changes))).ready()  # type: ignore[arg-type]
    desk.hold(quantity)
    return desk


def bid(desk: Desk, *cents: float) -> Desk:
    for each in cents:
        desk.book(each, each + 2)
    return desk


def rules(desk: Desk) -> list[str]:
    return [order.terms.rule for order in desk.sent() if order.terms.purpose is not Purpose.ENTRY]


def until_close(desk: Desk, seconds: float) -> Desk:
    return desk.advance((CLOSES * NS_PER_S - desk.now_ns) / NS_PER_S - seconds)


# --- trailing ------------------------------------------------------------------------------


def test_the_trailing_stop_hangs_from_the_highest_bid():
    desk = bid(holding(trailing=True), 60, 80, 70)
    assert desk.exits().stop_price == 600_000
    assert not rules(desk)
    bid(desk, 61)
    assert not rules(desk)
    bid(desk, 60)
    assert rules(desk) == ["trailing-stop"]
    assert desk.orders(SL)[0].order.terms.planned_price == 600_000
    assert desk.state.markets[desk.position().condition_id].stopped_out


def test_without_the_trailing_stop_a_fall_from_the_top_sells_nothing():
    desk = bid(holding(), 80, 40)
    assert not rules(desk)


def test_a_higher_mark_is_recorded_for_a_restart():
    desk = holding(trailing=True)
    desk.clear()
    bid(desk, 80)
    assert desk.found(PositionRecorded)[-1].high_water == 800_000
    assert desk.found(PositionRecorded)[-1].stop_price == 600_000


def test_a_bid_on_a_book_that_is_not_believed_lifts_nothing():
    desk = holding(trailing=True)
    desk.book(90, None)
    desk.book(90, 89)
    assert desk.exits().high_water == 490_000


# --- break-even ----------------------------------------------------------------------------


def test_break_even_once_armed_stays_and_fires():
    desk = bid(holding(break_even=True, stop_loss=False), 60, 55)
    assert not rules(desk)
    assert desk.exits().stop_price == 520_000
    bid(desk, 52)
    assert rules(desk) == ["break-even"]


def added(desk: Desk, quantity: float, cents: float) -> Desk:
    """More shares of the position that is held, bought by a request."""
    request = EntryRequested(
        request_id="more",
        condition_id=CONDITION,
        outcome=Outcome.UP,
        price=round(cents * CENT),
        quantity=micros(quantity),
        adds=True,
    )
    order = desk.step(request).last_order()
    desk.fill(order, quantity, cents, status="CONFIRMED")
    return desk


def test_break_even_does_not_fire_at_once_because_more_was_bought_dearer():
    desk = bid(holding(break_even=True, stop_loss=False), 60)
    desk.books(60, 62)
    added(desk, 30, 62).books(60, 62).advance(5).books(60, 62)
    assert desk.position().average_price > 58 * CENT
    assert rules(desk) == []
    bid(desk, 75, 55)
    assert rules(desk) == ["break-even"]


def test_break_even_stays_armed_when_its_gain_stands_after_more_was_bought():
    desk = bid(holding(break_even=True, stop_loss=False), 80)
    desk.books(80, 82)
    added(desk, 5, 62)
    assert desk.exits().break_even
    assert desk.exits().stop_price == 56 * CENT, "54 on average and the fee of the sale"


def test_break_even_that_was_never_reached_does_not_fire():
    desk = bid(holding(break_even=True, stop_loss=False), 59, 30)
    assert not rules(desk)


# --- time ----------------------------------------------------------------------------------


def test_the_time_stop_sells_without_any_other_rule():
    desk = holding(time_stop=True, time_stop_s=120, stop_loss=False)
    desk.advance(110).clear()
    bid(desk, 49)
    assert not rules(desk)
    desk.advance(15)
    bid(desk, 49)
    desk.advance(3)
    assert rules(desk) == ["time-stop"]
    assert desk.orders(CLOSE)[0].order.terms.time_in_force is TimeInForce.FAK


def test_the_close_guard_sells_where_it_exits():
    desk = holding(close_guard_s=20, close_action=CloseAction.EXIT, stop_loss=False)
    until_close(desk, 25)
    bid(desk, 49)
    assert not rules(desk)
    desk.advance(6)
    bid(desk, 49)
    desk.advance(3)
    assert rules(desk) == ["close-guard"]


@pytest.mark.parametrize(("guard_s", "fired"), [(20, []), (0, ["stop-loss"])])
def test_the_close_guard_that_holds_fires_no_stop_in_its_seconds(guard_s, fired):
    desk = holding(close_guard_s=guard_s)
    until_close(desk, 10)
    bid(desk, 20)
    assert rules(desk) == fired


def test_a_stop_that_fired_before_the_guard_goes_on_selling_in_it():
    desk = holding(close_guard_s=20)
    until_close(desk, 22)
    bid(desk, 20)
    desk.refuse(desk.orders(SL)[0], killed=True)
    desk.advance(4)
    bid(desk, 20)
    assert len(desk.orders(SL)) == 2


# --- the take-profit -----------------------------------------------------------------------


def test_an_old_limit_exit_is_replaced_by_a_sale_at_market():
    desk = holding(take_profit=True, max_age_s=60)
    [resting] = desk.orders(TP)
    desk.accept(resting).advance(55)
    bid(desk, 49)
    assert not desk.cancels()
    desk.advance(6)
    assert desk.cancels() == [resting.order_id]
    desk.cancelled(resting).answer(resting)
    bid(desk, 49)
    desk.advance(3)
    assert rules(desk) == ["take-profit", "max-age"]


def test_the_parts_of_a_ladder_rest_one_after_the_other():
    desk = holding(20, take_profit=True, ladder=((500_000, 400_000), (500_000, 800_000)))
    first = desk.orders(TP)[0]
    assert (first.order.terms.price, first.order.terms.quantity) == (700_000, 10_000_000)
    desk.accept(first).advance(3)
    second = desk.orders(TP)[1]
    assert (second.order.terms.price, second.order.terms.quantity) == (900_000, 10_000_000)
    desk.accept(second).advance(30)
    assert len(desk.orders(TP)) == 2
    desk.fill(first, 10, status="CONFIRMED")
    desk.advance(30)
    assert len(desk.orders(TP)) == 2
    assert not desk.cancels()
    desk.fill(second, 10, status="CONFIRMED")
    assert desk.exits().phase is ExitPhase.DONE


def test_parts_too_small_to_rest_are_watched_and_sold_part_by_part():
    desk = holding(8, take_profit=True, ladder=((500_000, 400_000), (500_000, 800_000)))
    assert not desk.orders(TP)
    bid(desk, 70)
    [first] = desk.orders(TP)
    terms = first.order.terms
    assert (terms.quantity, terms.price, terms.time_in_force) == (4_000_000, 700_000, TimeInForce.FAK)
    desk.accept(first, making=4_000_000).fill(first, 4, 70, maker=False, status="CONFIRMED")
    desk.report(first, "MATCHED", 4)
    bid(desk, 80)
    desk.advance(5)
    assert len(desk.orders(TP)) == 1
    bid(desk, 90)
    assert [track.order.terms.price for track in desk.orders(TP)] == [700_000, 900_000]


def test_a_watched_take_profit_never_sells_below_its_target():
    desk = holding(take_profit=True, mode=ExitMode.MONITOR)
    bid(desk, 95)
    [sale] = desk.orders(TP)
    assert sale.order.terms.price == 900_000
    assert sale.order.terms.rule == "take-profit"


def test_a_watched_take_profit_that_found_nothing_goes_back_to_watching():
    desk = holding(take_profit=True, mode=ExitMode.MONITOR)
    bid(desk, 90)
    desk.refuse(desk.orders(TP)[0], killed=True)
    bid(desk, 60)
    desk.advance(10)
    assert len(desk.orders(TP)) == 1
    assert desk.exits().phase is ExitPhase.GUARDING
    bid(desk, 25)
    assert rules(desk) == ["take-profit", "stop-loss"]


def test_no_take_profit_is_placed_in_the_cooldown_after_a_fill():
    desk = holding(take_profit=True, balance_cooldown_s=3)
    assert not desk.orders(TP)
    desk.advance(2)
    assert not desk.orders(TP)
    desk.advance(1.1)
    assert len(desk.orders(TP)) == 1


def test_the_cooldown_begins_when_the_shares_arrive_not_when_they_were_matched():
    desk = Desk(config(exits=ExitConfig(balance_cooldown_s=3))).ready()
    desk.hold(status="MATCHED")
    desk.advance(5)
    bought = desk.orders(Purpose.ENTRY)[0]
    desk.fill(bought, 10, 50, status="MINED", trade=desk.trades)
    desk.advance(2.9)
    assert not desk.orders(TP)
    desk.fill(bought, 10, 50, status="CONFIRMED", trade=desk.trades)
    desk.advance(1.1)
    assert len(desk.orders(TP)) == 1


def test_a_stop_does_not_wait_for_the_cooldown():
    desk = bid(holding(take_profit=True, balance_cooldown_s=3), 20)
    assert rules(desk) == ["stop-loss"]


def test_the_cooldown_is_part_of_the_balance_validation():
    settings = config(exits=ExitConfig(balance_cooldown_s=3), balance=BalanceConfig(enhanced=False))
    desk = Desk(settings).ready()
    desk.hold()
    assert len(desk.orders(TP)) == 1


def test_every_exit_carries_its_rule_and_planned_price():
    desk = holding(take_profit=True)
    [resting] = desk.orders(TP)
    assert (resting.order.terms.rule, resting.order.terms.planned_price) == ("take-profit", 900_000)
    desk.accept(resting)
    desk.book(24, 27, size=1_000)
    desk.cancelled(resting).answer(resting)
    [stop] = desk.orders(SL)
    assert (stop.order.terms.rule, stop.order.terms.planned_price) == ("stop-loss", 240_000)
    assert desk.found(PositionRecorded)[-1].exit_mode == "limit_orders"


def test_a_finer_tick_leaves_the_resting_take_profit_where_it_is():
    desk = holding(10, take_profit=True, take_profit_ppm=693_000)
    [resting] = desk.orders(TP)
    assert resting.order.terms.price == 850_000
    desk.accept(resting)
    desk.state.markets[desk.position().condition_id].market = replace(
        desk.state.markets[desk.position().condition_id].market, tick_size=1_000
    )
    bid(desk, 49)
    assert not desk.cancels()
    assert desk.orders(TP)[-1].order.status is OrderStatus.OPEN
    assert not desk.notices(NoticeKind.EXIT_HEALED)
