"""Results by day and in percent: sums over postings, exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polystra.app.profit import realised_by_day
from polystra.app.trade_list import percent_of
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.units import MICRO, NS_PER_S

DAY_NS = 86_400 * NS_PER_S


def posting(number: int, day: int, **amounts: Any) -> Posting:
    return replace(
        Posting(
            source_id=f"s{number}",
            kind=PostingKind.MATCHED,
            at_ns=day * DAY_NS + number,
            reason="a test",
            position_id=PositionId("p"),
            condition_id=ConditionId("c"),
            token_id=TokenId("t"),
        ),
        **amounts,
    )


def test_each_day_has_what_its_postings_changed_in_the_result() -> None:
    story = [
        posting(1, 3, pending_shares=10 * MICRO, bought=10 * MICRO, bought_cost=4 * MICRO, fee=70_000),
        posting(2, 4, pending_shares=-5 * MICRO, sold=5 * MICRO, sold_proceeds=3 * MICRO, fee=50_000),
        posting(3, 6, pending_shares=-5 * MICRO, resolved=5 * MICRO, payout=0),
    ]
    days = realised_by_day(story)
    assert days == {3: -70_000, 4: 3 * MICRO - 2 * MICRO - 50_000, 6: -2 * MICRO}
    assert sum(days.values()) == 3 * MICRO - 4 * MICRO - 120_000


def test_lines_without_a_position_change_no_result() -> None:
    deposit = Posting(source_id="d", kind=PostingKind.TRANSFER, at_ns=1, reason="a test", settled_cash=5 * MICRO)
    assert realised_by_day([deposit]) == {}


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, ""), (1, 3, "33.33"), (-1, 3, "-33.33"), (-1, 1_000_000, "0.00"), (5, 2, "250.00"), (2, 2, "100.00")],
)
def test_percent_is_exact_and_rounded_towards_zero(part: int, whole: int, words: str) -> None:
    assert percent_of(part, whole) == words
