"""Selling winners before the end: nearly a dollar now instead of a claim that waits to be redeemed.

What lives here: whether and at what price a position that has as good as won is sold. What must not: making
the order, which is the exits' (rule "winner-sale"). It looks at the book's own word only: somebody bids the
user's price or better in the last minute of the window or after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.market import SIZE_STEP, Market
from polystra.domain.units import NS_PER_S, MicroPrice, MicroShares, Nanos, ceil_to, floor_to

WINNER_SALE: Final = "winner-sale"
"""The rule's word on the order."""
LAST_NS: Final = 60 * NS_PER_S
"""A winner is sold no earlier than so long before the window ends; after it as long as the book takes it."""


@dataclass(frozen=True, slots=True)
class WinnerSale:
    """Sell so many shares at this price or better, FAK."""

    price: MicroPrice
    quantity: MicroShares


def winner_sale(
    book: OrderBook, market: Market, *, sellable: MicroShares, sell_at: MicroPrice, now_ns: Nanos
) -> WinnerSale | None:
    """The sale that is possible now, None when there is none. `sell_at` 0: the rule is off.

    The quantity is what the book bids for at the price, so that nothing is left resting; the price lies on the
    grid at `sell_at` or above.
    """
    if sell_at <= 0 or now_ns < market.closes_at_s * NS_PER_S - LAST_NS or not market.accepting_orders:
        return None
    price = ceil_to(sell_at, market.tick_size)
    if not book.in_sync or book.best_bid is None or book.best_bid < price or price > market.highest_price:
        return None
    quantity = floor_to(min(sellable, book.bids_down_to(price)), SIZE_STEP)
    return WinnerSale(price, quantity) if quantity >= SIZE_STEP else None
