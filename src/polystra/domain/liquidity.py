"""What a size would trade at: the depth-weighted price of a book and how far it slips.

What lives here: one pure walk through the levels of one side. What must not: where the levels come
from, fees, any decision to trade.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polystra.domain.book import Level
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, div_ceil, div_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """The answer for one size. Prices are None when nothing is there."""

    side: Side
    wanted: MicroShares
    shares: MicroShares
    """How much of it trades within the threshold."""
    dollars: MicroDollars
    """What a buy pays (rounded up) or a sell gets (rounded down), without fees."""
    best: MicroPrice | None = None
    average: MicroPrice | None = None
    """Depth-weighted; rounded against us."""
    worst: MicroPrice | None = None
    """The level that the last share trades at."""

    @property
    def is_enough(self) -> bool:
        """True when the whole size trades within the threshold."""
        return self.shares >= self.wanted

    @property
    def slippage(self) -> MicroPrice | None:
        """How far the average is worse than the best price (never negative), None when nothing is there."""
        if self.best is None or self.average is None:
            return None
        return self.average - self.best if self.side is Side.BUY else self.best - self.average


def liquidity_for(
    side: Side, levels: Iterable[Level], wanted: MicroShares, *, threshold: MicroPrice | None = None
) -> Liquidity:
    """Walk the levels that a `side` order takes (asks for a buy, bids for a sell), in any order.

    Levels further than `threshold` from the best one are left alone. Raises ValueError when `wanted`
    is not positive.
    """
    if wanted <= 0:
        raise ValueError(f"wanted is {wanted}, expected a positive number of micro-shares: ask for a size")
    ordered = sorted((level for level in levels if level[1] > 0), reverse=side is Side.SELL)
    if not ordered:
        return Liquidity(side=side, wanted=wanted, shares=0, dollars=0)
    best = worst = ordered[0][0]
    left, product = wanted, 0
    for price, size in ordered:
        if left == 0 or (threshold is not None and abs(price - best) > threshold):
            break
        taken = min(left, size)
        product += price * taken
        left -= taken
        worst = price
    shares = wanted - left
    divide = div_ceil if side is Side.BUY else div_floor
    return Liquidity(
        side=side,
        wanted=wanted,
        shares=shares,
        dollars=divide(product, MICRO),
        best=best,
        average=divide(product, shares),
        worst=worst,
    )
