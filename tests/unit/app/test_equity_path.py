"""The path of the equity, the start of the day and the floor at which entries stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polystra.app.web.results import EquityAnswer, EquityQuery, equity_of
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.results import DAY_NS


def posting(number: int, at_ns: int, **amounts: Any) -> Posting:
    made = Posting(
        source_id=f"s{number}",
        kind=PostingKind.MATCHED,
        at_ns=at_ns,
        reason="a test",
        position_id=PositionId("p"),
        condition_id=ConditionId("c"),
        token_id=TokenId("t"),
    )
    return replace(made, **amounts)


def deposit(number: int, at_ns: int, dollars: int) -> Posting:
    made = Posting(source_id=f"s{number}", kind=PostingKind.TRANSFER, at_ns=at_ns, reason="a test")
    return replace(made, settled_cash=dollars * MICRO)


def bought_and_sold(at_ns: int, *, gain: int) -> list[Posting]:
    shares = 10 * MICRO
    return [
        posting(1, at_ns, pending_shares=shares, bought=shares, bought_cost=4 * MICRO),
        posting(2, at_ns + 1, pending_shares=-shares, sold=shares, sold_proceeds=(4 + gain) * MICRO),
    ]


def path(postings: list[Posting], now_ns: int, **query: int) -> EquityAnswer:
    return equity_of(postings, now_ns, EquityQuery(**query), unrealised=0, limit=25 * MICRO)


def test_money_put_in_today_counts_to_the_start_of_the_day():
    first = 7 * DAY_NS
    told = path(
        [deposit(0, first + 15 * NS_PER_S, 1000), *bought_and_sold(first + 60 * NS_PER_S, gain=3)], first + DAY_NS - 1
    )
    assert (told.day_start_equity, told.loss_floor, told.day_pnl) == ("1000", "975", "3")
    assert told.points[-1].equity == "1003"


@pytest.mark.parametrize("hours", [0, 12])
def test_what_was_won_before_midnight_is_part_of_the_start(hours: int):
    now_ns = 8 * DAY_NS + hours * 3600 * NS_PER_S
    told = path([deposit(0, 7 * DAY_NS, 1000), *bought_and_sold(7 * DAY_NS + 5, gain=-4)], now_ns)
    assert (told.day_start_equity, told.loss_floor, told.day_pnl) == ("996", "971", "0")
    assert [point.equity for point in told.points] == ["996", "996"]


def test_points_are_thinned_and_the_last_is_now():
    many = [deposit(number, 7 * DAY_NS + number * NS_PER_S, 1) for number in range(500)]
    told = path(many, 7 * DAY_NS + 600 * NS_PER_S, points=20)
    assert len(told.points) <= 20
    assert told.points[-1].equity == "500"
    assert told.points[-1].at == "1970-01-08T00:10:00.000Z"
