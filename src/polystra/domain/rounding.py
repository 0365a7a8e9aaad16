"""Every rounding of an order's figures, by name and to the safe side.

What lives here: price to grid, size to step, dollars to shares and back for orders that match at
once. What must not: floats, rules of refusal (`engine.validation`), signing.

Safe means: a buy never pays more and a sell never takes less than was asked, nobody gives more
than was asked, and a price beyond the market's range is left invalid rather than moved towards us.

The venue's steps: sizes have two decimals; a FOK or FAK order gives an amount of two decimals and
asks for one of at most four, on every tick (Polymarket CLOB docs, price grid; the server's texts).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderTerms, Side
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, ceil_to, div_ceil, div_floor, floor_to

DOLLAR_STEP: Final[MicroDollars] = 10_000
"""Dollars of a FOK or FAK buy have two decimals."""

COUNTER_STEP: Final = 100
"""What a FOK or FAK order asks in return has four decimals at most, whatever the tick."""


def buy_limit_down(price: MicroPrice, tick: MicroPrice) -> MicroPrice:
    """The highest valid limit that is not above `price`; 0, which no market takes, below one tick."""
    return max(0, min(MICRO - tick, floor_to(price, tick)))


def sell_limit_up(price: MicroPrice, tick: MicroPrice) -> MicroPrice:
    """The lowest valid limit that is not below `price`; 1, which no market takes, above one minus a tick."""
    return min(MICRO, max(tick, ceil_to(price, tick)))


def limit_on_grid(side: Side, price: MicroPrice, tick: MicroPrice) -> MicroPrice:
    """The limit of either side on the grid: down for a buy, up for a sell."""
    return buy_limit_down(price, tick) if side is Side.BUY else sell_limit_up(price, tick)


def replanned(terms: OrderTerms, tick: MicroPrice) -> OrderTerms:
    """The same wish on the grid that is in force now; unchanged when it was planned on that grid.

    A grid in force may be finer than the planned one without holding all of its prices (0.0025 and 0.001).
    """
    if terms.tick_size == tick:
        return terms
    return replace(terms, tick_size=tick, price=limit_on_grid(terms.side, terms.price, tick))


def size_down(quantity: MicroShares) -> MicroShares:
    """Shares on the step of 0.01: never more than asked, and never dust that is not held."""
    return floor_to(quantity, SIZE_STEP)


def dollars_down(budget: MicroDollars) -> MicroDollars:
    """Dollars of a FOK or FAK buy: whole cents, never more than asked."""
    return floor_to(budget, DOLLAR_STEP)


def shares_wanted_down(budget: MicroDollars, worst_price: MicroPrice) -> MicroShares:
    """Shares that a FOK or FAK buy asks for its dollars.

    Rounded up, the implied price would lie below the worst price and the order could never match there.
    """
    return floor_to(div_floor(budget * MICRO, worst_price), COUNTER_STEP)


def dollars_wanted_down(quantity: MicroShares, worst_price: MicroPrice) -> MicroDollars:
    """Dollars that a FOK or FAK sell asks for its shares; rounded up it could never match at the worst price."""
    return floor_to(div_floor(quantity * worst_price, MICRO), COUNTER_STEP)


def keeps_worst_price(
    side: Side, worst_price: MicroPrice, dollars: MicroDollars, shares: MicroShares, tick: MicroPrice
) -> bool:
    """Say whether the price that the amounts imply, moved to the grid towards us, is the worst price.

    Resting orders stand on the grid, so that then none that is worse can match.
    """
    if dollars <= 0 or shares <= 0:
        return False
    if side is Side.BUY:
        return floor_to(div_floor(dollars * MICRO, shares), tick) == worst_price
    return ceil_to(div_ceil(dollars * MICRO, shares), tick) == worst_price
