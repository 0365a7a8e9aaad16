from decimal import Decimal

import pytest

from polystra.domain import units
from polystra.domain.units import format_micros, parse_micros, parse_scaled, to_decimal


@pytest.mark.parametrize(
    ("text", "value"), [("8.19672", 8_196_720), ("-0.5", -500_000), (3, 3_000_000), (Decimal("1e-6"), 1), ("0", 0)]
)
def test_decimal_text_becomes_micros(text, value):
    assert parse_micros(text, field="size") == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("abc", "size is 'abc', expected a decimal number"),
        ("", "expected a decimal number"),
        (None, "expected a decimal number"),
        ("NaN", "expected a finite decimal number"),
        ("Infinity", "expected a finite decimal number"),
        ("0.0000001", "finer than 1/1000000"),
    ],
)
def test_what_is_not_an_exact_amount_is_refused_by_name(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_micros(text, field="size")


def test_other_scales():
    assert parse_scaled("65048.12345678", units.E8, field="price") == 6_504_812_345_678


@pytest.mark.parametrize(
    ("value", "text"), [(8_196_720, "8.19672"), (-500_000, "-0.5"), (3_000_000, "3"), (1, "0.000001"), (0, "0")]
)
def test_formatting_is_plain(value, text):
    assert format_micros(value) == text
    assert to_decimal(value) == Decimal(text)


def test_rounding_has_a_named_direction():
    assert (units.floor_to(17, 5), units.floor_to(-17, 5), units.floor_to(15, 5)) == (15, -20, 15)
    assert (units.ceil_to(17, 5), units.ceil_to(-17, 5), units.ceil_to(15, 5)) == (20, -15, 15)
    assert (units.div_floor(7, 2), units.div_floor(-7, 2)) == (3, -4)
    assert (units.div_ceil(7, 2), units.div_ceil(-7, 2), units.div_ceil(8, 2)) == (4, -3, 4)


def test_money_out_is_rounded_up_and_money_in_down():
    assert units.notional_ceil(333_333, 1_000_001) == 333_334
    assert units.notional_floor(333_333, 1_000_001) == 333_333
    assert units.notional_ceil(500_000, 2_000_000) == units.notional_floor(500_000, 2_000_000) == 1_000_000
