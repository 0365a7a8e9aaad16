"""The fee formula against published examples and its own symmetries."""

from __future__ import annotations

import json
import os
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.domain.market import FEE_STEP, FeeSchedule
from polystra.domain.units import MICRO, parse_micros

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
EXAMPLES = SHARED / "data" / "fees" / "fee_examples.json"

PRICE = st.integers(0, MICRO)
QUANTITY = st.integers(0, 10**12)
RATE = st.integers(0, 250_000)
EXPONENT = st.sampled_from([1, 2])


def exact(price: int, quantity: int, rate_ppm: int, exponent: int) -> Decimal:
    p = Decimal(price) / MICRO
    return Decimal(quantity) / MICRO * Decimal(rate_ppm) / MICRO * (p * (1 - p)) ** exponent


@pytest.mark.skipif(not EXAMPLES.exists(), reason=f"no recorded fee examples at {EXAMPLES} (set POLYSTRA_SHARED)")
def test_published_examples():
    recorded = json.loads(EXAMPLES.read_text(), parse_float=Decimal)
    assert recorded["examples"]
    for example in recorded["examples"]:
        schedule = FeeSchedule(parse_micros(example["fee_rate"], field="rate"), example["fee_exponent"])
        fee = schedule.taker_fee(
            parse_micros(example["price"], field="price"), parse_micros(example["contracts"], field="contracts")
        )
        expected = Decimal(example["expected_fee"]).quantize(Decimal("0.00001"), ROUND_HALF_UP)
        assert Decimal(fee) / MICRO == expected, example
    for observed in recorded["observed_fee_schedules"]:
        terms = observed["fee_schedule"]
        schedule = FeeSchedule(parse_micros(terms["rate"], field="rate"), terms["exponent"])
        assert schedule.taker_fee(500_000, 100 * MICRO) == schedule.rate_ppm * 25


@given(PRICE, QUANTITY, RATE, EXPONENT)
def test_the_fee_is_the_exact_product_rounded_to_five_decimals(price, quantity, rate, exponent):
    fee = FeeSchedule(rate, exponent).taker_fee(price, quantity)
    assert fee % FEE_STEP == 0
    wanted = exact(price, quantity, rate, exponent) * MICRO / FEE_STEP
    assert fee // FEE_STEP == int(wanted.to_integral_value(ROUND_HALF_UP))


@given(PRICE, QUANTITY, RATE, EXPONENT)
def test_both_outcomes_of_a_trade_pay_the_same(price, quantity, rate, exponent):
    schedule = FeeSchedule(rate, exponent)
    assert schedule.taker_fee(price, quantity) == schedule.taker_fee(MICRO - price, quantity)


@given(PRICE, QUANTITY, RATE, EXPONENT)
def test_the_fee_is_highest_at_one_half_and_nothing_at_the_ends(price, quantity, rate, exponent):
    schedule = FeeSchedule(rate, exponent)
    assert 0 <= schedule.taker_fee(price, quantity) <= schedule.taker_fee(500_000, quantity)
    assert schedule.taker_fee(0, quantity) == schedule.taker_fee(MICRO, quantity) == 0


@given(PRICE, QUANTITY, st.integers(0, 10**9), RATE)
def test_more_shares_never_pay_less(price, quantity, more, rate):
    schedule = FeeSchedule(rate)
    assert schedule.taker_fee(price, quantity + more) >= schedule.taker_fee(price, quantity)
