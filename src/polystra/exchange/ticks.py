"""When a market's price grid becomes finer.

What lives here: the one rule that refines a grid by itself. What must not: markets' state, events
(`core.set_tick_size` does what this module proposes).

Polymarket CLOB docs, market channel: a 0.01 grid becomes 0.001 once the price is above 0.96 or below
0.04, and never becomes coarser again; resting orders stay where they are. Which price is meant is
not documented: here it is the last trade's, or the middle of a book that has both sides.
"""

from __future__ import annotations

from typing import Final

from polystra.exchange.state import Market
from polystra.matching.book import ONE

FINER: Final = {10_000: 1_000}
"""What a tick becomes, in millionths; other ticks stay for life."""

OUTER: Final = 40_000
"""Millionths from either end of the price range within which a coarse grid is refined."""


def refined_tick(market: Market) -> int | None:
    """Return the finer tick that a market is due, None while its grid stays."""
    finer = FINER.get(market.tick_size)
    if finer is None or market.closed:
        return None
    prices = [price for price in (market.last_trade_price, _middle(market)) if price is not None]
    return finer if any(price < OUTER or price > ONE - OUTER for price in prices) else None


def _middle(market: Market) -> int | None:
    bid, ask = market.book.best_bid, market.book.best_ask
    return None if bid is None or ask is None else (bid + ask) // 2
