"""A binary market: its two outcomes, its price grid, its fees and how it resolves.

What lives here: frozen descriptions read from the venue, and the arithmetic of grid and
fee that belongs to them. What must not: books, quotes, anything that changes by the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, ceil_to, floor_to

VENUE_TICKS: Final = (100_000, 10_000, 5_000, 2_500, 1_000, 100)
"""Every tick size that the venue knows, in micro-dollars (Polymarket CLOB docs, price grid)."""

SIZE_STEP: Final[MicroShares] = 10_000
"""Order sizes have two decimals on every tick; fills may have six."""

FEE_STEP: Final[MicroDollars] = 10
"""Fees are rounded to five decimals of a dollar."""


class Outcome(StrEnum):
    """The two sides of an up/down market."""

    UP = "UP"
    DOWN = "DOWN"

    @property
    def other(self) -> Outcome:
        """The complement."""
        return Outcome.DOWN if self is Outcome.UP else Outcome.UP


class ResolutionKind(StrEnum):
    """How the end price is compared with the start price."""

    AVERAGE = "AVERAGE"
    """Mean of the settlement feed over `lookback_s` before each boundary; a tie resolves Up."""
    LAST = "LAST"
    """The feed's last price at each boundary (`lookback_s` is 0), as before August 2026; a tie resolves Up.

    Only recordings have such markets: discovery refuses them and the store takes none.
    """


@dataclass(frozen=True, slots=True)
class ResolutionRule:
    """The rule in force for one market; an unknown rule is refused at discovery."""

    kind: ResolutionKind
    lookback_s: int


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Taker fee: shares x rate x (p(1-p))^exponent, in collateral.

    `rate_ppm` is the rate in millionths (0.07 -> 70_000). Read from the market, never assumed.
    """

    rate_ppm: int
    exponent: int = 1

    def taker_fee(self, price: MicroPrice, quantity: MicroShares) -> MicroDollars:
        """Fee in micro-dollars for a taker trade at one price."""
        return self.trade_fee(((price, quantity),))

    def trade_fee(self, legs: Iterable[tuple[MicroPrice, MicroShares]]) -> MicroDollars:
        """Fee in micro-dollars for one taker trade over its (price, quantity) legs.

        Rounded once for the trade, half up, to five decimals; the venue does not document the
        direction, nor whether it rounds per trade or per leg (Polymarket CLOB docs, fees), so
        reconciliation books what was really charged.
        """
        numerator = sum(
            quantity * self.rate_ppm * int((price * (MICRO - price)) ** self.exponent) for price, quantity in legs
        )
        denominator = MICRO * int(MICRO ** (2 * self.exponent)) * FEE_STEP
        return (2 * numerator + denominator) // (2 * denominator) * FEE_STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One up/down market as the venue describes it. Times are UTC seconds."""

    condition_id: ConditionId
    slug: str
    symbol: str
    window_s: int
    opens_at_s: int
    closes_at_s: int
    up_token: TokenId
    down_token: TokenId
    tick_size: MicroPrice
    minimum_size: MicroShares
    fees: FeeSchedule
    rule: ResolutionRule
    negative_risk: bool = False
    version: str = "v1"
    accepting_orders: bool = True

    def token(self, outcome: Outcome) -> TokenId:
        """The token id of an outcome."""
        return self.up_token if outcome is Outcome.UP else self.down_token

    def outcome_of(self, token_id: TokenId) -> Outcome:
        """The outcome that a token stands for; raises KeyError for a stranger's token."""
        if token_id == self.up_token:
            return Outcome.UP
        if token_id == self.down_token:
            return Outcome.DOWN
        raise KeyError(token_id)

    @property
    def lowest_price(self) -> MicroPrice:
        """The lowest valid limit price: one tick."""
        return self.tick_size

    @property
    def highest_price(self) -> MicroPrice:
        """The highest valid limit price: one minus a tick."""
        return MICRO - self.tick_size

    def price_refusal(self, price: MicroPrice) -> str | None:
        """Say in one sentence why `price` is not a valid limit price here, or None."""
        if price % self.tick_size:
            return (
                f"price {price} is not a multiple of the tick size {self.tick_size} (micro-dollars); "
                f"use {floor_to(price, self.tick_size)} or {ceil_to(price, self.tick_size)}"
            )
        if not self.lowest_price <= price <= self.highest_price:
            return f"price {price} is outside [{self.lowest_price}, {self.highest_price}] (micro-dollars)"
        return None

    def price_at_or_below(self, price: MicroPrice) -> MicroPrice:
        """The nearest valid price not above `price` (a buy never pays more), clamped into the range."""
        return max(self.lowest_price, min(self.highest_price, floor_to(price, self.tick_size)))

    def price_at_or_above(self, price: MicroPrice) -> MicroPrice:
        """The nearest valid price not below `price` (a sell never takes less), clamped into the range."""
        return max(self.lowest_price, min(self.highest_price, ceil_to(price, self.tick_size)))
