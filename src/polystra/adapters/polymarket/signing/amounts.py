"""From price and size to the two integers of an order, as the venue checks them.

What lives here: maker and taker amounts in 10^-6 units, exact; the roundings are those of `domain.rounding`.
What must not: binary floats, order minimums (the venue's and the engine's business), signing.

The rules are those of the venue (Polymarket CLOB docs, price grid; error texts of the server):
sizes have two decimals; a limit order's dollars are the exact product; a FOK or FAK order has
an input of two decimals and a counter amount of at most four, on every tick size.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from polystra.domain.market import VENUE_TICKS
from polystra.domain.orders import Side
from polystra.domain.rounding import (
    COUNTER_STEP,
    DOLLAR_STEP,
    dollars_down,
    dollars_wanted_down,
    keeps_worst_price,
    shares_wanted_down,
    size_down,
)
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, ceil_to, floor_to, format_micros

MARKET_INPUT_STEP: Final = DOLLAR_STEP
"""Dollars of a FOK/FAK buy and shares of a FOK/FAK sell: two decimals."""

MARKET_COUNTER_STEP: Final = COUNTER_STEP
"""What a FOK/FAK order asks in return: four decimals, whatever the tick size."""


class Amounts(NamedTuple):
    """What the order gives and what it wants, in 10^-6 units of dollars or shares."""

    maker: int
    taker: int


def limit_amounts(side: Side, price: MicroPrice, quantity: MicroShares, tick: MicroPrice) -> Amounts:
    """Return the amounts of a GTC or GTD order.

    Roundings: the quantity is floored to two decimals (`SIZE_STEP`), so a buy never costs and a
    sell never gives more than asked. The dollars need none: a price on any tick times a quantity
    of two decimals has at most six, so the implied price is exactly `price`.

    Raises:
        ValueError: unknown tick, price off the grid or outside [tick, 1 - tick], or a quantity
            below 0.01 share.
    """
    _check_price(price, tick)
    shares = size_down(quantity)
    if shares <= 0:
        raise _too_small("quantity", quantity, "shares")
    dollars = price * shares // MICRO
    return Amounts(dollars, shares) if side is Side.BUY else Amounts(shares, dollars)


def market_amounts(
    side: Side, worst_price: MicroPrice, budget_or_quantity: MicroDollars | MicroShares, tick: MicroPrice
) -> Amounts:
    """Return the amounts of a FOK or FAK order: a buy spends dollars, a sell gives shares.

    Roundings: the input is floored to two decimals (`MARKET_INPUT_STEP`), so never more is given
    than asked. The counter amount, shares for a buy and dollars for a sell, is floored to four
    decimals (`MARKET_COUNTER_STEP`). Rounded up, the implied price would miss the worst price
    and the order could not match there. Floored, it passes the worst price by less than one
    tick (checked), and as resting orders stand on the grid none that is worse can match.

    Raises:
        ValueError: unknown tick, price off the grid or outside [tick, 1 - tick], an input below
            0.01, or one so small that four decimals move the implied price by a whole tick.
    """
    _check_price(worst_price, tick)
    given = dollars_down(budget_or_quantity) if side is Side.BUY else size_down(budget_or_quantity)
    if side is Side.BUY:
        if given <= 0:
            raise _too_small("budget", budget_or_quantity, "dollars")
        amounts = Amounts(given, shares_wanted_down(given, worst_price))
        dollars, shares = amounts
    else:
        if given <= 0:
            raise _too_small("quantity", budget_or_quantity, "shares")
        amounts = Amounts(given, dollars_wanted_down(given, worst_price))
        shares, dollars = amounts
    if not keeps_worst_price(side, worst_price, dollars, shares, tick):
        raise ValueError(
            f"{'budget' if side is Side.BUY else 'quantity'} is {format_micros(given)}, too small for a "
            f"{side} at {format_micros(worst_price)} with tick {format_micros(tick)}: cut to the four decimals that "
            "the venue allows, the implied price would be worse by a tick; use a larger size or a coarser price"
        )
    return amounts


def _check_price(price: MicroPrice, tick: MicroPrice) -> None:
    if tick not in VENUE_TICKS:
        known = ", ".join(format_micros(size) for size in VENUE_TICKS)
        raise ValueError(f"tick is {format_micros(tick)}, expected one of {known}: read it from the market again")
    if not tick <= price <= MICRO - tick:
        raise ValueError(
            f"price is {format_micros(price)}, expected {format_micros(tick)} to {format_micros(MICRO - tick)}: "
            "clamp it into the market's range"
        )
    if price % tick:
        low, high = floor_to(price, tick), ceil_to(price, tick)
        raise ValueError(
            f"price is {format_micros(price)}, expected a multiple of the tick {format_micros(tick)}: "
            f"use {format_micros(low)} or {format_micros(high)}"
        )


def _too_small(field: str, value: int, unit: str) -> ValueError:
    return ValueError(f"{field} is {format_micros(value)} {unit}, expected at least 0.01: use a larger one")
