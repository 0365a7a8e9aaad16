"""The taker fee of the venue, in integers.

What lives here: C x rate x p x (1 - p) and its rounding to five decimals of a dollar.
What must not: who pays, balances, order rules.

Source: Polymarket CLOB docs, trading/fees (exponent 1; takers only; charged in collateral).
The direction of the rounding is not documented, so it is an argument.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

FeeRounding: TypeAlias = Literal["half_up", "floor", "ceil"]

ONE: Final = 1_000_000
FEE_STEP: Final = 10
_SCALE: Final = ONE * ONE * ONE
"""shares x ppm x price x (1 - price) carries 10^24; the fee in micro-dollars needs 10^6 of it."""


def fee_numerator(size: int, price: int, rate_ppm: int) -> int:
    """Return the exact fee of one match times 10^18, in micro-dollars.

    Args:
        size: micro-shares.
        price: micro-dollars per share, 0 to 1_000_000.
        rate_ppm: the market's rate in millionths (0.07 is 70_000).
    """
    return size * rate_ppm * price * (ONE - price)


def round_fee(numerator: int, rounding: FeeRounding = "half_up") -> int:
    """Round a sum of `fee_numerator`s to whole 10^-5 dollars; returns micro-dollars."""
    unit = _SCALE * FEE_STEP
    if rounding == "half_up":
        steps = (2 * numerator + unit) // (2 * unit)
    elif rounding == "floor":
        steps = numerator // unit
    else:
        steps = -(-numerator // unit)
    return steps * FEE_STEP


def taker_fee(size: int, price: int, rate_ppm: int, rounding: FeeRounding = "half_up") -> int:
    """Return the fee of one match in micro-dollars, rounded to five decimals of a dollar."""
    return round_fee(fee_numerator(size, price, rate_ppm), rounding)
