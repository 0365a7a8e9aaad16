"""Figures and words of orders, as people read them."""

from __future__ import annotations

import pytest

from polystra.app.order_words import (
    average_price,
    milliseconds,
    moment,
    request_words,
    rule_word,
    slippage,
    slippage_word,
    traded,
)
from polystra.domain.fills import FillStatus
from polystra.domain.orders import Purpose, Side
from tests.fakes import store_facts as facts


def test_a_failed_fill_is_not_traded():
    fills = [facts.fill(1, cash=5_200_000), facts.fill(2, status=FillStatus.FAILED), facts.fill(3, cash=5_300_001)]
    assert traded(fills) == (20_000_000, 10_500_001)
    assert traded([]) == (0, 0)


@pytest.mark.parametrize(
    ("shares", "cash", "average"),
    [(20_000_000, 10_500_001, 525_000), (3_000_000, 1_000_000, 333_333), (3_000_000, 2_000_000, 666_667), (0, 0, None)],
)
def test_the_average_is_rounded_to_the_nearest_micro_dollar(shares: int, cash: int, average: int | None):
    assert average_price(shares, cash) == average


@pytest.mark.parametrize(
    ("side", "average", "difference", "word"),
    [
        (Side.BUY, 510_000, 10_000, "worse"),
        (Side.BUY, 490_000, -10_000, "better"),
        (Side.SELL, 490_000, -10_000, "worse"),
        (Side.SELL, 510_000, 10_000, "better"),
        (Side.SELL, 500_000, 0, "as planned"),
    ],
)
def test_slippage_is_filled_less_planned_and_says_for_whom(side: Side, average: int, difference: int, word: str):
    terms = facts.order(side=side, planned_price=500_000).terms
    assert slippage(terms, average) == difference
    assert slippage_word(terms, difference) == word


def test_slippage_is_unknown_without_a_plan_or_a_fill():
    assert slippage(facts.order().terms, 500_000) is None
    assert slippage(facts.order(planned_price=500_000).terms, None) is None


def test_an_order_without_a_recorded_rule_has_its_purpose():
    assert rule_word(facts.order(rule="trailing-stop", purpose=Purpose.STOP_LOSS).terms) == "trailing-stop"
    assert rule_word(facts.order(purpose=Purpose.STOP_LOSS).terms) == "stop-loss"


def test_times_and_requests():
    assert moment(1_790_000_100_123_999_999) == "2026-09-21 14:15:00.123"
    assert milliseconds(52_880_000) == "52.8"
    assert milliseconds(99_999) == "0.0"
    assert request_words("GET", f"/data/order/0x{'ab' * 32}?a=b") == "GET /data/order/0xababababababababab…"
    assert request_words("POST", "/orders") == "POST /orders"
