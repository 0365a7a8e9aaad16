"""The taker fee: known figures, rounding, symmetry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.matching.fees import fee_numerator, round_fee, taker_fee

CRYPTO = 70_000


@pytest.mark.parametrize(
    ("size", "price", "fee"),
    [
        (100_000_000, 500_000, 1_750_000),
        (100_000_000, 900_000, 630_000),
        (25_000_000, 130_000, 197_930),  # 0.1979250 rounds half up
        (0, 500_000, 0),
        (100, 500_000, 0),  # 0.00000175 is below the smallest fee
        (300, 500_000, 10),  # 0.00000525 rounds to it
    ],
)
def test_documented_and_worked_fees(size: int, price: int, fee: int) -> None:
    assert taker_fee(size, price, CRYPTO) == fee


@pytest.mark.parametrize(("rounding", "fee"), [("half_up", 197_930), ("floor", 197_920), ("ceil", 197_930)])
def test_rounding_direction_is_a_choice(rounding: str, fee: int) -> None:
    assert taker_fee(25_000_000, 130_000, CRYPTO, rounding) == fee  # type: ignore[arg-type]


@given(size=st.integers(0, 10**12), price=st.integers(0, 10**6), rate=st.integers(0, 10**6))
def test_fee_is_symmetric_and_within_a_step_of_exact(size: int, price: int, rate: int) -> None:
    fee = taker_fee(size, price, rate)
    assert fee == taker_fee(size, 10**6 - price, rate)
    assert fee % 10 == 0
    assert abs(fee * 10**18 - fee_numerator(size, price, rate)) <= 5 * 10**18


def test_parts_are_summed_before_rounding() -> None:
    part = fee_numerator(100, 500_000, CRYPTO)
    assert round_fee(3 * part) == 10
    assert 3 * round_fee(part) == 0
