"""Order-book imbalance: is more bid than offered near the touch?

What lives here: one signal, and the microprice. What must not: its strength (the calibration).

Formula: value = (B - A) / (B + A) in [-1, 1], with B and A the shares bid and offered for Up within five ticks of the
best bid and ask. Source: Cont, Kukanov and Stoikov, "The price impact of order book events" (2014), for the
imbalance; Gatheral and Oomen (2010) and Stoikov, "The micro-price" (2018), for the microprice
(bid x A1 + ask x B1) / (A1 + B1) of the sizes at the touch. The books of the two outcomes are mirrors of each other,
so the other outcome's book says the same: it is used where this one lacks a side, and never counted twice.

The signal is weak by nature here: what is displayed can be taken away at no cost, and at the touch it mostly is.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.units import MICRO, MicroPrice, MicroShares
from polystra.engine.strategy.signal import Reading, unread

NAME: Final = "book_imbalance"
SHARE: Final = 0.1
TICKS: Final = 5
"""How deep a side is counted, the best price included."""
_NONE: Final = (0,) * TICKS


def read(up: OrderBook, down: OrderBook, tick_size: MicroPrice) -> Reading:
    """Return the reading of the books of both outcomes; confidence is 1 when both sides are there."""
    if up.best_bid is not None and up.best_ask is not None:
        bid, offered = _near(up, up.best_bid, up.best_ask, tick_size)
    elif down.best_bid is not None and down.best_ask is not None:
        offered, bid = _near(down, down.best_bid, down.best_ask, tick_size)
    else:
        return unread(NAME, "a side of the book is empty")
    value = (bid - offered) / (bid + offered)
    return Reading(NAME, value, value, 1.0)


def microprice(book: OrderBook) -> float | None:
    """Return the middle weighted by the opposite sizes at the touch, in dollars; None without both sides."""
    bid, ask = book.best_bid, book.best_ask
    if bid is None or ask is None:
        return None
    bid_size, ask_size = book.bids[bid], book.asks[ask]
    return (bid * ask_size + ask * bid_size) / (bid_size + ask_size) / MICRO


def _near(book: OrderBook, bid: MicroPrice, ask: MicroPrice, tick_size: MicroPrice) -> tuple[MicroShares, MicroShares]:
    """Shares bid and offered within `TICKS` of the touch."""
    deep = TICKS * tick_size
    return (
        sum(map(book.bids.get, range(bid, bid - deep, -tick_size), _NONE)),
        sum(map(book.asks.get, range(ask, ask + deep, tick_size), _NONE)),
    )
