"""Close means close, and what a refusal for want of balance does: look, wait, sell what is there."""

from __future__ import annotations

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import Purpose
from polystra.domain.positions import PositionStatus
from polystra.engine import effects as fx
from polystra.engine.config import BalanceConfig, ExitConfig, ExitMode
from polystra.engine.positions.exits import OVERSOLD_BLOCK
from polystra.engine.state import ExitPhase
from tests.unit.engine.desk import CONDITION, UP, Desk, config, live_sells, micros

TP, SL, CLOSE = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS, Purpose.CLOSE


@pytest.fixture
def desk() -> Desk:
    desk = Desk().ready()
    desk.hold()
    [take_profit] = desk.orders(TP)
    return desk.accept(take_profit).clear()


def close(desk: Desk) -> Desk:
    position_id = desk.position().position_id
    return desk.step(ev.ExitRequested(request_id="r1", position_id=position_id, source="operator"))


def shows(desk: Desk, shares: float | None) -> Desk:
    amount = None if shares is None else micros(shares)
    return desk.step(ev.TokenBalanceRead(token_id=UP, shares=amount, at_ns=desk.now_ns))


def no_balance(desk: Desk, track) -> Desk:
    return desk.step(
        ev.SubmitRefused(
            order_id=track.order_id,
            message="not enough balance / allowance",
            code="balance",
            kind=ev.RefusalClass.REPLAN,
        )
    )


# --- close -------------------------------------------------------------------------------


def test_a_close_withdraws_looks_and_sells_what_is_held(desk):
    [take_profit] = desk.orders(TP)
    close(desk)
    assert desk.cancels() == [take_profit.order_id]
    desk.cancelled(take_profit).answer(take_profit)
    assert [read.token_id for read in desk.asked(fx.ReadTokenBalance)] == [UP]
    assert not desk.sent()
    shows(desk, 10)
    [order] = desk.sent()
    assert (order.terms.purpose, order.terms.rule, order.terms.side) == (CLOSE, "manual", "SELL")
    assert order.terms.quantity == 10_000_000


def test_a_second_request_changes_nothing(desk):
    close(close(desk))
    assert len(desk.cancels()) == 1
    assert len(desk.notices(NoticeKind.STOP_FIRED)) == 1


def test_a_close_of_a_flat_position_sends_nothing(desk):
    desk.fill(desk.orders(TP)[0], 10, status="CONFIRMED")
    desk.clear()
    close(desk)
    assert not desk.sent()
    assert not desk.cancels()
    assert not desk.asked(fx.ReadTokenBalance)
    assert "already flat" in desk.notices(NoticeKind.EXIT_SKIPPED)[0].message


def test_a_close_of_what_is_not_filled_yet_cancels_the_entry():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry).clear()
    close(desk)
    assert desk.cancels() == [entry.order_id]
    assert not desk.sent()


def test_a_close_of_an_unknown_position_says_so(desk):
    desk.step(ev.ExitRequested(request_id="r", position_id="nothing:up:1"))  # type: ignore[arg-type]
    assert "no such position" in desk.notices(NoticeKind.EXIT_SKIPPED)[0].message


def test_a_close_works_without_an_exit_plan():
    desk = Desk(config(exits=ExitConfig(enabled=False))).ready()
    desk.hold()
    close(desk)
    shows(desk, 10)
    assert [track.order.terms.rule for track in desk.orders(CLOSE)] == ["manual"]


def test_a_fresh_look_is_not_repeated(desk):
    [take_profit] = desk.orders(TP)
    shows(desk, 10)
    close(desk).cancelled(take_profit).answer(take_profit)
    assert not desk.asked(fx.ReadTokenBalance)
    assert len(desk.sent()) == 1


def test_a_look_that_fails_does_not_hold_the_close_up(desk):
    [take_profit] = desk.orders(TP)
    close(desk).cancelled(take_profit).answer(take_profit)
    shows(desk, None)
    assert not desk.sent()
    desk.advance(2.1)
    assert len(desk.sent()) == 1


def test_the_venue_shows_nothing_so_nothing_is_sent_and_a_reconciliation_is_asked_for(desk):
    [take_profit] = desk.orders(TP)
    close(desk).cancelled(take_profit).answer(take_profit)
    for _ in range(30):
        if desk.asked(fx.ReadTokenBalance):
            desk.effects = [e for e in desk.effects if not isinstance(e, fx.ReadTokenBalance)]
            shows(desk, 0)
        desk.advance(1)
    assert not desk.sent()
    assert any(read.trigger == "an exit found no balance" for read in desk.asked(fx.ReadAccount))
    assert desk.position().shares == 10_000_000, "a reading is never taken for a sale"


def test_the_venue_shows_less_so_no_more_than_that_is_sold(desk):
    [take_profit] = desk.orders(TP)
    close(desk).cancelled(take_profit).answer(take_profit)
    shows(desk, 9.876)
    assert [order.terms.quantity for order in desk.sent()] == [9_870_000]


# --- refused for want of balance -----------------------------------------------------------


def test_a_lagging_balance_is_waited_out_after_1_2_3_seconds_with_a_fresh_look_each():
    desk = Desk().ready()
    desk.hold()
    for number, pause in enumerate((1, 2, 3), start=1):
        desk.clear()
        no_balance(desk, desk.orders(TP)[-1])
        assert len(desk.asked(fx.ReadTokenBalance)) == 1
        desk.advance(pause - 0.1 if number > 1 else pause - 0.5)
        assert len(desk.orders(TP)) == number
        desk.advance(1.5)
        assert len(desk.orders(TP)) == number + 1
    desk.accept(desk.orders(TP)[-1])
    assert desk.exits().shortages == 0
    assert not desk.exits().watched
    assert desk.exits().refusals == 0


def test_without_the_balance_validation_it_is_a_refusal_like_any_other():
    desk = Desk(config(balance=BalanceConfig(enhanced=False))).ready()
    desk.hold()
    for _ in range(2):
        no_balance(desk, desk.orders(TP)[-1]).advance(3)
    assert desk.exits().watched


def test_a_lag_is_told_from_a_lack_in_words_once_the_venue_has_answered():
    desk = Desk().ready()
    desk.hold()
    no_balance(desk, desk.orders(TP)[-1])
    assert not desk.notices(NoticeKind.EXIT_SKIPPED), "its figure is asked for"
    shows(desk, 0)
    assert "lagging: 10 shares are needed" in desk.notices(NoticeKind.EXIT_SKIPPED)[-1].message
    desk.clear()
    for _ in range(3):
        desk.advance(100)
        no_balance(desk, desk.orders(TP)[-1])
        shows(desk, 0)
    assert "truly insufficient" in desk.notices(NoticeKind.EXIT_SKIPPED)[-1].message


def test_a_stop_refused_for_want_of_balance_sells_what_the_venue_shows(desk):
    [take_profit] = desk.orders(TP)
    desk.book(20, 22).cancelled(take_profit).answer(take_profit)
    no_balance(desk, desk.orders(SL)[-1])
    shows(desk, 7)
    desk.advance(1.1)
    assert desk.orders(SL)[-1].order.terms.quantity == 7_000_000


def test_a_mode_or_a_crossed_book_is_not_held_against_the_take_profit():
    desk = Desk().ready()
    desk.hold()
    for kind in (ev.RefusalClass.RETRY, ev.RefusalClass.REPLAN, ev.RefusalClass.RETRY):
        last = desk.orders(TP)[-1]
        desk.step(ev.SubmitRefused(order_id=last.order_id, message="not now", kind=kind)).advance(3)
    assert desk.exits().refusals == 0
    assert len(desk.orders(TP)) == 4


# --- both exits filled -----------------------------------------------------------------------


def test_more_sold_than_was_ever_held_freezes_alerts_pauses_entries_and_reconciles(desk):
    [take_profit] = desk.orders(TP)
    desk.book(20, 22).cancelled(take_profit).answer(take_profit)
    [stop] = desk.orders(SL)
    desk.accept(stop, making=10_000_000)
    desk.fill(stop, 10, 20, maker=False, status="CONFIRMED")
    desk.clear()
    desk.fill(take_profit, 10, 90, status="CONFIRMED")
    assert "both exits filled" in desk.notices(NoticeKind.MARKET_FROZEN)[0].message
    assert desk.state.markets[CONDITION].frozen
    assert OVERSOLD_BLOCK in desk.state.blocks
    assert desk.position().status is PositionStatus.FROZEN
    desk.advance(0.1)
    assert [read.trigger for read in desk.asked(fx.ReadAccount)] == ["both exits filled"]
    assert not desk.sent()


def test_a_purchase_that_failed_after_its_sale_is_not_two_exits(desk):
    [take_profit] = desk.orders(TP)
    desk.fill(take_profit, 10, 90, status="MATCHED")
    entry = desk.orders(Purpose.ENTRY)[0]
    assert not desk.state.markets[CONDITION].frozen
    assert live_sells(desk, desk.position().position_id) == 0
    assert entry.order.filled == 10_000_000


def test_dust_that_the_venue_refuses_is_kept_and_not_tried_for_ever():
    desk = Desk().ready()
    entry = desk.enter()
    desk.accept(entry)
    desk.fill(entry, 3, status="CONFIRMED")
    desk.cancelled(entry).answer(entry)
    desk.book(20, 22)
    for _ in range(2):
        desk.refuse(desk.orders(SL)[-1], message="Size (3) lower than the minimum: 5")
        desk.advance(4).book(20, 22)
    count = len(desk.orders(SL))
    for _ in range(20):
        desk.advance(10).book(20, 22)
    assert len(desk.orders(SL)) == count == 2
    assert desk.exits().dust == 3_000_000
    assert desk.exits().phase is ExitPhase.DONE
    assert "dust, hold" in desk.notices(NoticeKind.EXIT_SKIPPED)[-1].message


def test_a_sale_that_is_refused_again_and_again_is_told_and_tried_with_pauses(desk):
    [take_profit] = desk.orders(TP)
    desk.book(20, 22).cancelled(take_profit).answer(take_profit)
    for _ in range(60):
        if desk.orders(SL)[-1].is_live:
            desk.refuse(desk.orders(SL)[-1], message="invalid amounts")
        desk.advance(1).book(20, 22)
    assert len(desk.notices(NoticeKind.EXIT_FROZEN)) == 1
    assert 6 <= len(desk.orders(SL)) <= 12


def test_a_watched_take_profit_that_is_refused_slows_down():
    desk = Desk(config(exits=ExitConfig(mode=ExitMode.MONITOR))).ready()
    desk.hold()
    desk.book(90, 92)
    for _ in range(120):
        if desk.orders(TP)[-1].is_live:
            desk.refuse(desk.orders(TP)[-1], message="invalid amounts")
        desk.advance(1).book(90, 92)
    assert len(desk.orders(TP)) <= 9
    assert len(desk.notices(NoticeKind.EXIT_FROZEN)) == 1
