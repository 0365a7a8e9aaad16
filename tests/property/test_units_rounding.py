"""Amounts keep their value through text, and roundings their direction."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from polystra.domain import units

ANY = st.integers(-(10**18), 10**18)
STEP = st.integers(1, 10**9)


@given(ANY)
def test_text_keeps_the_value(value):
    text = units.format_micros(value)
    assert units.parse_micros(text, field="x") == value
    assert "e" not in text.lower()
    assert not (text.endswith("0") and "." in text)
    assert units.to_decimal(value) == Decimal(text)


@given(st.decimals(-(10**9), 10**9, places=6))
def test_decimals_with_six_places_are_exact(value):
    assert units.to_decimal(units.parse_micros(value, field="x")) == value


@given(ANY, STEP)
def test_floor_and_ceil_embrace_the_value(value, step):
    low, high = units.floor_to(value, step), units.ceil_to(value, step)
    assert low <= value <= high
    assert low % step == high % step == 0
    assert high - low == (0 if value % step == 0 else step)


@given(ANY, STEP)
def test_divisions_embrace_the_quotient(numerator, denominator):
    low, high = units.div_floor(numerator, denominator), units.div_ceil(numerator, denominator)
    assert low * denominator <= numerator <= high * denominator
    assert high - low == (0 if numerator % denominator == 0 else 1)


@given(st.integers(0, 1_000_000), st.integers(0, 10**12))
def test_what_we_pay_is_never_less_than_what_we_receive(price, quantity):
    paid, received = units.notional_ceil(price, quantity), units.notional_floor(price, quantity)
    assert 0 <= paid - received <= 1
    assert received * units.MICRO <= price * quantity <= paid * units.MICRO
