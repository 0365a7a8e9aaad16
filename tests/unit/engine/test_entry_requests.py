"""An entry that a person or an outside signal asks for takes the road of every entry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import EntryRequested
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import ConditionId
from polystra.domain.market import Outcome
from polystra.domain.orders import Purpose, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine import effects as fx
from polystra.engine.config import RiskConfig
from tests.unit.engine.desk import CENT, CONDITION, DOWN, Desk, config

WISH = EntryRequested(
    request_id="r1", condition_id=CONDITION, outcome=Outcome.DOWN, price=45 * CENT, quantity=20 * MICRO, source="alice"
)


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def refusal(desk: Desk) -> str:
    [notice] = desk.notices(NoticeKind.REQUEST_REFUSED)
    assert not desk.sent()
    return notice.message


def test_shares_rest_at_the_price(desk):
    desk.step(WISH)
    [order] = desk.sent()
    terms = order.terms
    assert (terms.token_id, terms.price, terms.quantity) == (DOWN, 45 * CENT, 20 * MICRO)
    assert terms.time_in_force.may_rest
    assert terms.position_id == f"{desk.state.markets[CONDITION].market.slug}:down:1"
    assert terms.purpose is Purpose.ENTRY
    assert terms.rule == "manual"
    assert "alice" in terms.reason
    [submit] = desk.asked(fx.SubmitOrder)
    assert 0 < submit.deadline_ns - desk.now_ns <= 5 * NS_PER_S


def test_dollars_take_at_the_price_or_better(desk):
    desk.step(replace(WISH, quantity=0, budget=9 * MICRO))
    [order] = desk.sent()
    assert (order.terms.budget, order.terms.quantity) == (9 * MICRO, 20 * MICRO)
    assert order.terms.time_in_force is TimeInForce.FAK


def test_a_request_that_comes_twice_is_carried_out_once(desk):
    desk.step(WISH)
    desk.refuse(desk.last_order()).clear()
    desk.step(WISH)
    assert "carried out before" in refusal(desk)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (replace(WISH, condition_id=ConditionId("0xother")), "not watched"),
        (replace(WISH, price=45 * CENT + 1), "tick size"),
        (replace(WISH, price=100 * CENT), "outside"),
        (replace(WISH, quantity=4 * MICRO), "minimum"),
        (replace(WISH, quantity=0), "minimum"),
        (replace(WISH, quantity=0, budget=MICRO - 1), "1 dollar"),
        (replace(WISH, quantity=60 * MICRO), "limits leave"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_in_one_sentence(desk, wish, words):
    desk.step(wish)
    assert words in refusal(desk)
    assert not desk.state.positions


def test_the_limits_of_entries_hold():
    desk = Desk(config(risk=RiskConfig(max_open_positions=0))).ready()
    desk.step(WISH)
    assert "positions are open" in refusal(desk)


def test_nothing_is_asked_for_while_entries_are_blocked(desk):
    desk.state.blocks["test"] = "the account is not known"
    desk.step(WISH)
    assert refusal(desk).endswith("the account is not known")


def test_no_entry_outside_the_window(desk):
    desk.advance(700).step(WISH)
    assert "not open now" in refusal(desk)


def test_one_working_order_a_market(desk):
    desk.enter()
    desk.clear().step(WISH)
    assert "working" in refusal(desk)


def test_adding_goes_into_the_open_position_only_when_asked(desk):
    held = desk.hold()
    desk.clear()
    up = replace(WISH, outcome=Outcome.UP)
    desk.step(up)
    assert "a position is open" in refusal(desk)
    desk.clear().step(replace(up, request_id="r2", adds=True))
    [order] = desk.sent()
    assert order.terms.position_id == held.position_id
    assert len(desk.state.positions) == 1
    desk.accept(desk.last_order()).fill(desk.last_order(), 20, 45)
    assert held.shares == 30 * MICRO


def test_adding_without_a_position_opens_one(desk):
    desk.step(replace(WISH, adds=True))
    assert len(desk.sent()) == 1


def test_an_entry_of_the_strategy_has_a_deadline_and_its_edge_as_rank_and_an_exit_has_neither(desk):
    desk.hold()
    entry, take_profit = desk.asked(fx.SubmitOrder)
    assert entry.deadline_ns == desk.state.orders[entry.signed.client_order_id].order.created_at_ns + 5 * NS_PER_S
    assert entry.rank == 100_000
    assert (take_profit.deadline_ns, take_profit.rank) == (0, 0)
