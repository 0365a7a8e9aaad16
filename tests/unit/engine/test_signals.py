"""Signals from outside: carried out once, by the side held, over restarts too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import SignalAct, SignalReceived, TokenBalanceRead
from polystra.domain.facts import RequestAnswered
from polystra.domain.market import Outcome
from polystra.domain.orders import Purpose, Side
from polystra.domain.units import MICRO, NS_PER_S
from polystra.domain.wishes import SIGNALS_KEPT_S
from polystra.engine.signals import REPEATED
from tests.unit.engine.desk import CENT, DOWN, UP, Desk

OPEN = SignalReceived(
    request_id="hook:tv:1",
    hook="hook tv",
    act=SignalAct.OPEN,
    market="BTC/15m",
    outcome=Outcome.UP,
    price=52 * CENT,
    budget=5 * MICRO,
)
CLOSE = replace(OPEN, request_id="hook:tv:2", act=SignalAct.CLOSE, outcome=None, price=0, budget=0)


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def answers(desk: Desk) -> list[RequestAnswered]:
    return desk.found(RequestAnswered)


def refusal(desk: Desk) -> str:
    [answer] = answers(desk)
    assert answer.orders == ()
    assert not desk.sent()
    return answer.refusal


def test_an_open_buys_for_dollars_and_names_its_order(desk):
    desk.step(OPEN)
    [order] = desk.sent()
    [answer] = answers(desk)
    assert (order.terms.token_id, order.terms.side, order.terms.budget) == (UP, Side.BUY, 5 * MICRO)
    assert (answer.request_id, answer.orders, answer.refusal) == ("hook:tv:1", (order.terms.client_order_id,), "")
    assert "hook tv" in order.terms.reason


@pytest.mark.parametrize("name", ["btc/15M", "slug", "condition"])
def test_a_market_is_found_by_slug_by_condition_and_by_symbol_and_window(desk, name):
    grid = next(iter(desk.state.markets.values())).market
    market = {"slug": grid.slug, "condition": grid.condition_id}.get(name, name)
    desk.step(replace(OPEN, market=market))
    assert len(desk.sent()) == 1


@pytest.mark.parametrize("market", ["ETH/15m", "BTC/5m", "BTC", "btc-updown-15m-1", "BTC/"])
def test_a_market_that_is_not_open_here_is_refused(desk, market):
    desk.step(replace(OPEN, market=market))
    assert "which is not open here now" in refusal(desk)


def test_a_signal_that_comes_twice_is_carried_out_once(desk):
    desk.step(OPEN)
    desk.refuse(desk.last_order()).clear()
    desk.step(OPEN)
    assert refusal(desk) == REPEATED


def test_a_refused_signal_is_not_carried_out_when_it_is_repeated(desk):
    desk.step(replace(OPEN, market="ETH/15m")).clear()
    desk.step(OPEN)
    assert refusal(desk) == REPEATED


def test_a_restart_remembers_what_was_answered():
    desk = Desk()
    desk.engine.restore(signals=[("hook:tv:1", desk.now_ns - NS_PER_S)])
    desk.ready().step(OPEN)
    assert refusal(desk) == REPEATED


def test_ids_are_forgotten_after_two_days(desk):
    for number in range(5):
        desk.step(replace(OPEN, request_id=f"hook:tv:{number}", market="ETH/15m"))
    desk.now_ns += (SIGNALS_KEPT_S + 1) * NS_PER_S
    desk.step(replace(OPEN, request_id="hook:tv:new"))
    assert list(desk.state.signals) == ["hook:tv:new"]


def test_a_close_sells_the_side_that_is_held_whatever_the_signal_knows(desk):
    desk.hold(10, 50)
    [target] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(target).clear().step(CLOSE)
    [answer] = answers(desk)
    assert answer.refusal == ""
    desk.cancelled(target).answer(target)
    desk.step(TokenBalanceRead(token_id=UP, shares=10 * MICRO, at_ns=desk.now_ns))
    [sale] = desk.orders(Purpose.CLOSE)
    assert (sale.order.terms.token_id, sale.order.terms.side) == (UP, Side.SELL)


def test_a_close_of_the_other_side_or_of_nothing_sends_nothing(desk):
    desk.hold(10, 50)
    desk.clear().step(replace(CLOSE, outcome=Outcome.DOWN))
    assert "nothing is held" in refusal(desk)
    assert not desk.cancels()


def test_an_add_needs_something_held_and_buys_into_that_position(desk):
    desk.step(replace(OPEN, act=SignalAct.ADD))
    assert "open first" in refusal(desk)
    position = desk.hold(10, 50)
    desk.clear().step(replace(OPEN, request_id="hook:tv:3", act=SignalAct.ADD))
    [order] = desk.sent()
    assert order.terms.position_id == position.position_id


def test_an_open_where_it_is_held_already_is_refused(desk):
    desk.hold(10, 50)
    desk.clear().step(OPEN)
    assert "is held already" in refusal(desk)


def test_a_rehearsal_says_what_it_would_have_done_and_does_nothing(desk):
    desk.step(replace(OPEN, rehearsal=True))
    assert refusal(desk) == "the hook is not live: it would have bought for 5 dollars at 0.52"
    desk.hold(10, 50)
    desk.clear().step(replace(CLOSE, rehearsal=True))
    assert refusal(desk) == "the hook is not live: it would have sold 10 shares"


def test_limits_and_blocks_hold_for_signals_too(desk):
    desk.step(replace(OPEN, budget=10_000 * MICRO))
    assert "limits leave" in refusal(desk)
    desk.clear().step(replace(OPEN, request_id="hook:tv:9", price=2 * MICRO))
    assert "price" in refusal(desk)


def test_a_buy_without_an_outcome_is_refused(desk):
    desk.step(replace(OPEN, outcome=None))
    assert "outcome is missing" in refusal(desk)


def test_the_other_outcome_is_bought_when_asked_for(desk):
    desk.step(replace(OPEN, outcome=Outcome.DOWN))
    [order] = desk.sent()
    assert order.terms.token_id == DOWN
