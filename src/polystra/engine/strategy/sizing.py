"""How much to buy: the all-in cost of a share, fractional Kelly, caps and minimums.

What lives here: sizes as integers of micro-shares on the venue's step of 0.01. What must not:
books, signals, the choice of a side.

A wager that comes out below a minimum is skipped, never rounded up: the minimum is then too
much for the account. Sources: Polymarket CLOB docs (5 shares for orders that can rest, $1 for
buys that match at once); Kelly for a binary contract held to resolution, f = (q - c) / (1 - c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.market import SIZE_STEP, FeeSchedule
from polystra.domain.units import (
    MICRO,
    MicroDollars,
    MicroPrice,
    MicroShares,
    floor_to,
    format_micros,
    notional_ceil,
)

MINIMUM_NOTIONAL: Final[MicroDollars] = MICRO
"""The smallest buy in dollars that the venue matches at once."""

EXIT_RESERVE: Final[MicroShares] = SIZE_STEP
"""Shares that a purchase may end short of its size."""


@dataclass(frozen=True, slots=True)
class SizingRules:
    """How a size is chosen. Money is micro-dollars, all-in (fee included)."""

    use_kelly: bool = True
    kelly_fraction: float = 0.25
    trade_size: MicroDollars = 5 * MICRO
    """Spent per trade when Kelly is off."""
    max_trade_size: MicroDollars = 25 * MICRO


@dataclass(frozen=True, slots=True)
class Sizing:
    """A size, or why there is none. `all_in` is what it costs at the given price with its fee."""

    quantity: MicroShares
    all_in: MicroDollars
    refusal: str = ""


def fee_per_share(price: MicroPrice, fees: FeeSchedule) -> float:
    """Return the taker fee of one share in dollars, unrounded (for probabilities; money uses `FeeSchedule`)."""
    p = price / MICRO
    return fees.rate_ppm / MICRO * float((p * (1.0 - p)) ** fees.exponent)


def cost_per_share(price: MicroPrice, fees: FeeSchedule, *, taker: bool = True) -> float:
    """Return price plus fee of one share in dollars; a maker pays no fee."""
    return price / MICRO + (fee_per_share(price, fees) if taker else 0.0)


def all_in_cost(price: MicroPrice, quantity: MicroShares, fees: FeeSchedule) -> MicroDollars:
    """Return what a taker pays for `quantity` at `price`, fee included, rounded up."""
    return notional_ceil(price, quantity) + fees.taker_fee(price, quantity)


def edge_of(q: float, price: MicroPrice, fees: FeeSchedule) -> float:
    """Return the expected gain after the fee as a fraction of the price paid; `q` is the chance of winning."""
    return (q - cost_per_share(price, fees)) * MICRO / price


def kelly(q: float, cost: float) -> float:
    """Return the share of the bankroll that Kelly puts on a contract of all-in `cost`, 0 when there is no edge."""
    return max(0.0, (q - cost) / (1.0 - cost)) if cost < 1.0 else 0.0


def exit_is_legal(quantity: MicroShares, minimum_size: MicroShares) -> bool:
    """Say whether what was bought can later be sold by a resting order: a step-aligned size of at least the minimum.

    A purchase may end a few micro-shares short of its size and still count as complete (Polymarket CLOB
    docs, order life), so that a step of the size is kept in reserve. Fees are paid in dollars, not shares.
    """
    return floor_to(quantity - EXIT_RESERVE, SIZE_STEP) >= minimum_size


def exit_refusal(
    quantity: MicroShares, minimum_size: MicroShares, *, stop_price: MicroPrice = 0, minimum_value: MicroDollars = 0
) -> str:
    """Say why an entry of `quantity` could not be sold later, or the empty string.

    Args:
        quantity: micro-shares to be bought.
        minimum_size: the market's minimum for an order that rests.
        stop_price: micro-dollars per share at which the stop sells, 0 without a stop.
        minimum_value: the least value in micro-dollars that the venue takes for a sale, 0 where it names none
            (Polymarket names one for buys only).
    """
    if not exit_is_legal(quantity, minimum_size):
        return (
            f"{format_micros(quantity)} shares are fewer than the minimum of {format_micros(minimum_size)} "
            f"and {format_micros(EXIT_RESERVE)} for rounding: they could not rest for sale"
        )
    value = stop_price * floor_to(quantity - EXIT_RESERVE, SIZE_STEP) // MICRO
    if stop_price and value < minimum_value:
        return (
            f"{format_micros(quantity)} shares are worth {format_micros(value)} dollars at the stop of "
            f"{format_micros(stop_price)}, less than the {format_micros(minimum_value)} that a sale must be worth"
        )
    return ""


def trust(edge: float, variance: float) -> float:
    """Return edge^2 / (edge^2 + variance), the part of a Kelly size that an uncertain edge deserves, in [0, 1].

    Both in dollars per share: `edge` is chance less all-in cost, `variance` that of the chance. It is the shrinkage
    of a mean towards nothing (James and Stein 1961); Baker and McHale (2013) come to the same form for Kelly.
    """
    square = edge * edge
    return square / (square + variance) if square > 0.0 else 0.0


def wager(q: float, cost: float, rules: SizingRules, bankroll: MicroDollars, *, variance: float = 0.0) -> MicroDollars:
    """Return the micro-dollars to put at risk before caps of exposure; never more than the bankroll.

    Args:
        q: probability that the outcome wins.
        cost: all-in dollars per share: price, fee and what the book makes the later shares dearer.
        rules: Kelly or fixed size, and the cap per trade.
        bankroll: micro-dollars free to trade with.
        variance: of `q`, for want of data.
    """
    if rules.use_kelly:
        fraction = rules.kelly_fraction * kelly(q, cost) * trust(q - cost, variance)
        wanted = int(fraction * bankroll)
    else:
        wanted = rules.trade_size
    return max(0, min(wanted, rules.max_trade_size, bankroll))


def affordable(price: MicroPrice, fees: FeeSchedule, budget: MicroDollars) -> MicroShares:
    """Return the largest step-aligned size whose all-in cost at `price` is within `budget`."""
    estimate = int(budget / cost_per_share(price, fees))
    quantity = floor_to(max(0, estimate), SIZE_STEP)
    while all_in_cost(price, quantity + SIZE_STEP, fees) <= budget:
        quantity += SIZE_STEP
    while quantity > 0 and all_in_cost(price, quantity, fees) > budget:
        quantity -= SIZE_STEP
    return quantity


def size_entry(
    q: float,
    price: MicroPrice,
    fees: FeeSchedule,
    minimum_size: MicroShares,
    rules: SizingRules,
    *,
    bankroll: MicroDollars,
    exposure_left: MicroDollars,
    cost: float | None = None,
    variance: float = 0.0,
) -> Sizing:
    """Return the size of an entry at `price` with chance `q` of winning, or a refusal in words.

    Args:
        q: probability that the outcome wins.
        price: micro-dollars per share, the worst that will be paid.
        fees: the market's schedule; the entry is assumed to take.
        minimum_size: the market's minimum in micro-shares.
        rules: Kelly or fixed size, and the cap per trade.
        bankroll: micro-dollars free to trade with.
        exposure_left: micro-dollars that risk limits still allow.
        cost: expected all-in dollars per share; None: price and fee.
        variance: of `q`, for want of data.
    """
    expected = cost_per_share(price, fees) if cost is None else cost
    wanted = wager(q, expected, rules, bankroll, variance=variance)
    budget = max(0, min(wanted, exposure_left))
    if budget == 0:
        what = "no exposure is left" if wanted else "nothing to wager"
        return Sizing(0, 0, f"{what} at chance {q:.4f} and price {format_micros(price)}")
    quantity = affordable(price, fees, budget)
    refusal = minimum_refusal(quantity, notional_ceil(price, quantity), minimum_size)
    if refusal:
        return Sizing(0, 0, f"{refusal}; {format_micros(budget)} dollars were allowed")
    return Sizing(quantity, all_in_cost(price, quantity, fees))


def minimum_refusal(quantity: MicroShares, notional: MicroDollars, minimum_size: MicroShares) -> str:
    """Say which minimum a size misses, or the empty string."""
    refusal = exit_refusal(quantity, minimum_size)
    if refusal:
        return refusal
    if notional < MINIMUM_NOTIONAL:
        return f"{format_micros(notional)} dollars are less than the minimum of {format_micros(MINIMUM_NOTIONAL)}"
    return ""
