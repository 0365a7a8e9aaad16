"""Requests of a shape that could not be written down: one sentence, and nothing else is made of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.domain.events import CancelRequested, CancelScope, EntryRequested, ExitRequested, OrderRequested
from polystra.domain.facts import Fact, Notice, NoticeKind, RequestAnswered
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import Side
from polystra.domain.units import MICRO
from polystra.engine.request_shape import LATEST_S, MOST, Request
from tests.unit.engine.desk import CONDITION, UP, Desk

HUGE = 10**40


def order(request_id: str = "r1", token_id: str = UP, **words: object) -> OrderRequested:
    values: dict[str, object] = {"side": Side.SELL, "price": 500_000, "quantity": 10 * MICRO} | words
    return OrderRequested(request_id=request_id, token_id=TokenId(token_id), **values)  # type: ignore[arg-type]


def entry(condition_id: str = CONDITION, **words: object) -> EntryRequested:
    values: dict[str, object] = {"price": 500_000, "quantity": 10 * MICRO} | words
    return EntryRequested(
        request_id="r1",
        condition_id=ConditionId(condition_id),
        outcome=Outcome.UP,
        **values,  # type: ignore[arg-type]
    )


WRONG: dict[str, tuple[Request, str]] = {
    "more shares than 64 bits": (order(quantity=HUGE), "quantity is "),
    "a sell of less than nothing": (order(quantity=-1), "quantity is -0.000001, expected 0 to 1000000000"),
    "a price beyond all bounds": (order(price=10**5_000), "price is a number beyond all bounds"),
    "a huge budget": (order(side=Side.BUY, budget=MOST + 1), "budget is 1000000000.000001"),
    "a life without end": (order(life_s=LATEST_S + 1), "life_s is 10000000001"),
    "an end before time": (order(expires_at_s=-1), "expires_at_s is -1"),
    "half a character": (order("\ud800"), "request_id is ?"),
    "a line break": (order(token_id="1\n2"), "token_id is 1?2"),
    "a long source": (order(source="x" * 201), "source is xxx"),
    "no id": (order(""), "request_id is empty"),
    "a huge entry": (entry(quantity=HUGE), "quantity is "),
    "an entry for a debt": (entry(budget=-5), "budget is -0.000005"),
    "an entry in no market": (entry("\x00"), "condition_id is ?"),
    "an exit of no position": (ExitRequested(request_id="r1", position_id=PositionId("x" * 300)), "position_id is xxx"),
    "a cancel of no order": (
        CancelRequested(request_id="r1", scope=CancelScope.ORDERS, orders=("o1", "\ud800")),
        "orders[1] is ?",
    ),
}


def words_of(facts: list[Fact]) -> str:
    """The one sentence that is made of a request."""
    [fact] = facts
    if isinstance(fact, RequestAnswered):
        assert fact.orders == ()
        return fact.refusal
    assert isinstance(fact, Notice)
    assert fact.kind is NoticeKind.REQUEST_REFUSED
    return fact.message


@pytest.mark.parametrize("name", WRONG)
async def test_it_is_one_sentence_that_can_be_kept(name: str, tmp_path: Path) -> None:
    request, begins = WRONG[name]
    desk = Desk().ready()
    desk.hold(10)
    desk.clear()
    desk.step(request)
    words = words_of(desk.facts)
    assert words.startswith(begins)
    assert len(words) < 200
    assert words.isprintable()
    assert not desk.effects
    msgspec.msgpack.encode(desk.facts[0])
    url = f"sqlite:///{tmp_path}/desk.db"
    upgrade(url)
    store = await SqlStore.open(url, mode="sim", account="0x" + "ab" * 20)
    try:
        await store.commit(desk.facts)
    finally:
        await store.close()


def test_the_largest_figures_are_judged_by_the_rules_of_the_venue() -> None:
    desk = Desk().ready()
    desk.step(order(quantity=MOST, expires_at_s=LATEST_S))
    [answer] = desk.found(RequestAnswered)
    assert "none of token" in answer.refusal
