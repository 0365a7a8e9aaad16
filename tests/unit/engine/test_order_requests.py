"""Orders and cancels asked for from outside: answered once each, within limits, bound to a position."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import CancelRequested, CancelScope, OrderRequested
from polystra.domain.facts import IntentDenied, RequestAnswered
from polystra.domain.ids import ClientOrderId, ConditionId, TokenId
from polystra.domain.orders import OrderStatus, Purpose, Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import ExitConfig, ExitMode, RiskConfig
from polystra.engine.core import Engine
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CONDITION, DOWN, MARKET, OPENS, UP, Desk, config

NO_EXITS = config(exits=ExitConfig(enabled=False))


def wish(number: int = 1, **changes: object) -> OrderRequested:
    """Ten Up shares at 50 cents that rest."""
    values: dict[str, object] = {
        "request_id": f"r{number}",
        "token_id": UP,
        "side": Side.BUY,
        "price": 500_000,
        "quantity": 10 * MICRO,
    }
    return OrderRequested(**{**values, **changes})  # type: ignore[arg-type]


def selling(number: int = 1, **changes: object) -> OrderRequested:
    return wish(number, **{"side": Side.SELL, **changes})


def answer(desk: Desk) -> RequestAnswered:
    return desk.found(RequestAnswered)[-1]


def order_of(desk: Desk) -> OrderTrack:
    """The order of the last request."""
    [client_order_id] = answer(desk).orders
    return desk.state.orders[client_order_id]


def test_a_buy_opens_a_position_and_is_answered_with_its_order() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(source="the console"))
    terms = order_of(desk).order.terms
    assert answer(desk).refusal == ""
    assert (terms.purpose, terms.rule, terms.request_id, terms.planned_price) == ("ENTRY", "manual", "r1", 500_000)
    assert terms.reason == "asked for by the console"
    assert desk.state.positions[terms.position_id].token_id == UP
    assert [order.terms.client_order_id for order in desk.sent()] == [terms.client_order_id]


def test_a_request_told_twice_makes_one_order_after_a_restart_too() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(), wish())
    [first, again] = desk.found(RequestAnswered)
    assert first.orders == again.orders
    assert len(desk.sent()) == 1
    order = order_of(desk)
    revived = Desk(engine=Engine(NO_EXITS), now_ns=desk.now_ns)
    revived.engine.restore(
        markets=[(MARKET, None)],
        orders=[(order.order, order.signed)],
        fills=[],
        postings=[],
        positions=[],
        next_order_number=2,
        next_decision_id=1,
        last_fill_ns=0,
    )
    revived.start().clear().step(wish())
    assert answer(revived).orders == first.orders
    assert not revived.sent()


def test_a_second_buy_adds_to_the_position_and_the_other_outcome_has_its_own() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(1), wish(2), wish(3, token_id=DOWN))
    one, two, other = (order.terms.position_id for order in desk.sent())
    assert one == two != other
    assert desk.state.markets[CONDITION].entries == 2


def test_a_market_buy_is_bounded_by_its_dollars() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(quantity=0, budget=5 * MICRO, time_in_force=TimeInForce.FAK))
    terms = order_of(desk).order.terms
    assert (terms.budget, terms.quantity, terms.time_in_force) == (5 * MICRO, 10 * MICRO, "FAK")


@pytest.mark.parametrize(("offset_s", "life_s"), [(0, 120), (7, 300)])
def test_a_good_till_date_order_lives_by_the_venue_s_clock(offset_s: int, life_s: int) -> None:
    desk = Desk(NO_EXITS).ready()
    desk.state.venue_offset_ns = offset_s * NS_PER_S
    desk.step(wish(time_in_force=TimeInForce.GTD, life_s=life_s))
    venue_now_s = (desk.now_ns + offset_s * NS_PER_S) // NS_PER_S
    assert answer(desk).refusal == ""
    assert order_of(desk).order.terms.expires_at_s == venue_now_s + 60 + life_s + 1


def test_a_wrong_order_is_refused_with_the_rule_s_sentence_and_leaves_no_position() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(price=505_000))
    assert answer(desk).refusal == "price is 0.505, expected a multiple of the tick 0.01: use 0.5 or 0.51"
    assert order_of(desk).order.status is OrderStatus.DENIED
    assert len(desk.found(IntentDenied)) == 1
    assert not desk.state.positions
    assert desk.state.markets[CONDITION].entries == 0
    assert not desk.asked(fx.SubmitOrder)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (wish(token_id=TokenId("9")), "token_id is 9, of no market that is watched"),
        (wish(quantity=60 * MICRO), "the buy costs 30 dollars, but the limits of risk"),
        (wish(price=0), "price is 0, expected 0.01 to 0.99"),
        (wish(budget=MICRO, price=0, quantity=0, time_in_force=TimeInForce.FOK), "price is 0, expected"),
        (wish(post_only=True, budget=2 * MICRO, quantity=0, time_in_force=TimeInForce.FOK), "post_only is set"),
        (wish(time_in_force=TimeInForce.GTD, life_s=60), "the shortest life is 120 s"),
        (selling(), "none of token 1 is held"),
    ],
)
def test_a_refusal_is_one_sentence(event: OrderRequested, words: str) -> None:
    desk = Desk(NO_EXITS).ready().step(event)
    assert words in answer(desk).refusal
    assert not desk.asked(fx.SubmitOrder)


def test_what_blocks_entries_blocks_a_requested_buy_and_no_sell() -> None:
    desk = Desk(NO_EXITS).ready()
    desk.hold(10)
    desk.state.blocks["test"] = "the test says so"
    desk.clear().step(wish(1), selling(2))
    refused, taken = desk.found(RequestAnswered)
    assert refused.refusal == "no entry may leave now: the test says so"
    assert taken.refusal == ""


def test_a_limit_on_positions_binds_only_a_buy_that_opens_one() -> None:
    desk = Desk(config(exits=ExitConfig(enabled=False), risk=RiskConfig(max_open_positions=1))).ready()
    desk.step(wish(1), wish(2), wish(3, token_id=DOWN))
    assert [bool(each.refusal) for each in desk.found(RequestAnswered)] == [False, False, True]
    assert "1 positions are open" in answer(desk).refusal


def test_a_sell_shrinks_the_position_and_never_sells_a_share_twice() -> None:
    desk = Desk(NO_EXITS).ready()
    desk.hold(10)
    desk.clear().step(selling(1, quantity=6 * MICRO))
    first = order_of(desk)
    assert (first.order.terms.purpose, first.order.terms.position_id) == (Purpose.CLOSE, desk.position().position_id)
    desk.step(selling(2, quantity=6 * MICRO))
    assert "waits for the venue's answer" in answer(desk).refusal
    desk.accept(first).step(selling(3, quantity=6 * MICRO))
    assert "4 are held and not promised to another sell: sell at most 4" in answer(desk).refusal
    desk.step(selling(4, quantity=4 * MICRO, time_in_force=TimeInForce.FAK))
    assert answer(desk).refusal == ""


def test_shares_that_have_not_arrived_are_not_sold_yet() -> None:
    desk = Desk(NO_EXITS).ready()
    desk.hold(10, status="MATCHED")
    desk.step(selling())
    assert "10 more have not arrived on chain yet" in answer(desk).refusal


def test_a_cancel_names_orders_by_our_id_or_the_venue_s() -> None:
    desk = Desk(NO_EXITS).ready().step(wish(1), wish(2), wish(3))
    one, two, three = (desk.state.orders[each.orders[0]] for each in desk.found(RequestAnswered))
    for track in (one, two, three):
        desk.accept(track)
    names = (one.order.terms.client_order_id, two.order_id, "nobody's")
    desk.clear().step(CancelRequested(request_id="c", scope=CancelScope.ORDERS, orders=names, source="a test"))
    assert desk.cancels() == [one.order_id, two.order_id]
    assert answer(desk).orders == (one.order.terms.client_order_id, two.order.terms.client_order_id)
    assert answer(desk).refusal == "order nobody's is not known here: name it by our id or the venue's"
    assert three.order.status is OrderStatus.OPEN


def test_cancelling_what_is_over_says_so_and_sends_nothing() -> None:
    desk = Desk(NO_EXITS).ready().step(wish())
    track = order_of(desk)
    desk.refuse(track).clear()
    desk.step(CancelRequested(request_id="c", scope=CancelScope.ORDERS, orders=(track.order.terms.client_order_id,)))
    assert "is over already (rejected)" in answer(desk).refusal
    assert desk.cancels() == []


def test_cancel_by_market_and_cancel_all() -> None:
    other = replace(
        MARKET,
        condition_id=ConditionId("0x" + "e" * 64),
        up_token=TokenId("11"),
        down_token=TokenId("12"),
        slug=f"eth-updown-15m-{OPENS}",
        symbol="BTC",
    )
    desk = Desk(NO_EXITS).ready(other).ready().book(49, 51, TokenId("11")).book(49, 51, TokenId("12"))
    desk.step(wish(1), wish(2, token_id=TokenId("11")))
    here, there = (desk.state.orders[each.orders[0]] for each in desk.found(RequestAnswered))
    desk.accept(here).accept(there).clear()
    desk.step(CancelRequested(request_id="c", scope=CancelScope.MARKET, condition_id=CONDITION))
    assert desk.cancels() == [here.order_id]
    desk.step(CancelRequested(request_id="d", scope=CancelScope.ALL))
    assert desk.cancels() == [here.order_id, there.order_id]


def test_an_empty_list_of_orders_cancels_nothing() -> None:
    desk = Desk(NO_EXITS).ready().step(wish())
    desk.accept(order_of(desk)).clear().step(CancelRequested(request_id="c", scope=CancelScope.ORDERS))
    assert desk.cancels() == []


def test_a_take_profit_taken_back_by_hand_is_watched_and_not_placed_again() -> None:
    desk = Desk().ready()
    desk.hold(10)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).clear()
    name = ClientOrderId(resting.order.terms.client_order_id)
    desk.step(CancelRequested(request_id="c", scope=CancelScope.ORDERS, orders=(name,)))
    desk.cancelled(resting).report(resting, "CANCELED").advance(10)
    assert desk.exits().mode is ExitMode.MONITOR
    assert len(desk.orders(Purpose.TAKE_PROFIT)) == 1


def test_nothing_is_added_to_a_position_that_is_being_sold() -> None:
    desk = Desk().ready()
    desk.hold(10)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).books(20, 22).clear()
    desk.step(wish())
    assert "is being sold" in answer(desk).refusal
    assert not desk.sent()
