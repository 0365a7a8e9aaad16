"""Money, shares and prices as integers of one millionth, and the rounding that joins them.

What lives here: parsing and formatting of decimal text, and the few named roundings.
What must not: binary floats, market rules (see `market`), anything with I/O.

Units: `MicroDollars` and `MicroShares` are the chain's 10^-6 units; `MicroPrice` is
micro-dollars per whole share, so a price lies in (0, 1_000_000). `PriceE8` is a spot or
oracle price in 10^-8 dollars. `Nanos` is UTC nanoseconds since 1970.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, TypeAlias

MicroDollars: TypeAlias = int
MicroShares: TypeAlias = int
MicroPrice: TypeAlias = int
PriceE8: TypeAlias = int
Nanos: TypeAlias = int

MICRO: Final = 1_000_000
E8: Final = 100_000_000
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


def parse_scaled(text: str | int | Decimal, scale: int, *, field: str) -> int:
    """Return `text` times `scale` as an exact integer.

    Raises:
        ValueError: `text` is not a finite decimal number or is finer than 1/`scale`.
    """
    try:
        value = Decimal(text) * scale
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"{field} is {text!r}, expected a decimal number") from error
    if not value.is_finite():
        raise ValueError(f"{field} is {text!r}, expected a finite decimal number")
    whole = int(value)
    if whole != value:
        raise ValueError(f"{field} is {text!r}, finer than 1/{scale}")
    return whole


def parse_micros(text: str | int | Decimal, *, field: str) -> int:
    """Return a decimal amount in millionths; raises ValueError as `parse_scaled`."""
    return parse_scaled(text, MICRO, field=field)


@lru_cache(maxsize=16_384)
def format_micros(value: int) -> str:
    """Return millionths as plain decimal text without exponent or trailing zeros ("8.19672", "-0.5", "3").

    Remembered, because prices are few and come again and again (a fortieth of a simulation's time).
    """
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), MICRO)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:06d}".rstrip("0")


def to_decimal(value: int) -> Decimal:
    """Return millionths as a Decimal, for settings, display and reports."""
    return Decimal(value).scaleb(-6)


def floor_to(value: int, step: int) -> int:
    """Round towards minus infinity to a multiple of `step`."""
    return value - value % step


def ceil_to(value: int, step: int) -> int:
    """Round towards plus infinity to a multiple of `step`."""
    return -floor_to(-value, step)


def div_floor(numerator: int, denominator: int) -> int:
    """Integer division towards minus infinity."""
    return numerator // denominator


def div_ceil(numerator: int, denominator: int) -> int:
    """Integer division towards plus infinity."""
    return -(-numerator // denominator)


def notional_floor(price: MicroPrice, quantity: MicroShares) -> MicroDollars:
    """Price times quantity in micro-dollars, rounded down (money that we receive)."""
    return price * quantity // MICRO


def notional_ceil(price: MicroPrice, quantity: MicroShares) -> MicroDollars:
    """Price times quantity in micro-dollars, rounded up (money that we pay)."""
    return div_ceil(price * quantity, MICRO)
