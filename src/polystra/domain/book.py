"""The order book of one token, as the market stream tells it.

Levels are aggregates: a change sets the size of a level, zero removes it, so that applying
a message twice is harmless. Best prices are kept; no side is None-sized. The book checks
itself against the venue's own best bid and ask where a message carries them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from polystra.domain.orders import Side
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, Nanos

Level: TypeAlias = tuple[MicroPrice, MicroShares]


@dataclass(slots=True)
class OrderBook:
    """Mutable inside the engine; price -> size per side."""

    bids: dict[MicroPrice, MicroShares] = field(default_factory=dict)
    asks: dict[MicroPrice, MicroShares] = field(default_factory=dict)
    best_bid: MicroPrice | None = None
    best_ask: MicroPrice | None = None
    updated_at_ns: Nanos = 0
    in_sync: bool = False

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], at_ns: Nanos) -> None:
        """Take a full snapshot."""
        self.bids = {price: size for price, size in bids if size > 0}
        self.asks = {price: size for price, size in asks if size > 0}
        self.best_bid = max(self.bids, default=None)
        self.best_ask = min(self.asks, default=None)
        self.updated_at_ns = at_ns
        self.in_sync = True

    def set_level(self, side: Side, price: MicroPrice, size: MicroShares, at_ns: Nanos) -> None:
        """Set the aggregate size of one level; zero removes it. BUY is the bid side."""
        self.apply(side, price, size, at_ns, None, None)

    def apply(  # noqa: PLR0917 - in the order of a change; called for every one
        self,
        side: Side,
        price: MicroPrice,
        size: MicroShares,
        at_ns: Nanos,
        told_bid: MicroPrice | None,
        told_ask: MicroPrice | None,
    ) -> bool:
        """Set one level and return whether the top is now what the venue tells (None: it does not tell).

        `set_level` and `agrees_with` in one, because it is called for every change: 0.22 us, the two take 0.33 us.
        """
        self.updated_at_ns = at_ns
        bid, ask = self.best_bid, self.best_ask
        if side is Side.BUY:
            if size > 0:
                self.bids[price] = size
                if bid is None or price > bid:
                    self.best_bid = bid = price
            elif self.bids.pop(price, None) is not None and price == bid:
                self.best_bid = bid = max(self.bids, default=None)
        elif size > 0:
            self.asks[price] = size
            if ask is None or price < ask:
                self.best_ask = ask = price
        elif self.asks.pop(price, None) is not None and price == ask:
            self.best_ask = ask = min(self.asks, default=None)
        return (told_bid == bid or told_bid is None or told_bid == (bid or 0)) and (
            told_ask == ask or told_ask is None or told_ask == (MICRO if ask is None else ask)
        )

    def agrees_with(self, best_bid: MicroPrice | None, best_ask: MicroPrice | None) -> bool:
        """True when the venue's own top of book is ours (None means that the message did not say)."""
        return (best_bid is None or best_bid == (self.best_bid or 0)) and (
            best_ask is None or best_ask == (MICRO if self.best_ask is None else self.best_ask)
        )

    @property
    def is_crossed(self) -> bool:
        """True when the best bid is at or above the best ask."""
        return self.best_bid is not None and self.best_ask is not None and self.best_bid >= self.best_ask

    @property
    def mid(self) -> MicroPrice | None:
        """Mean of best bid and ask (rounded down), None when a side is missing."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return (self.best_bid + self.best_ask) // 2

    @property
    def spread(self) -> MicroPrice | None:
        """Best ask minus best bid, None when a side is missing."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return self.best_ask - self.best_bid

    def asks_up_to(self, limit: MicroPrice) -> MicroShares:
        """Shares offered at `limit` or cheaper."""
        return sum(size for price, size in self.asks.items() if price <= limit)

    def bids_down_to(self, limit: MicroPrice) -> MicroShares:
        """Shares bid at `limit` or better."""
        return sum(size for price, size in self.bids.items() if price >= limit)

    def cost_of(self, quantity: MicroShares) -> MicroDollars | None:
        """Micro-dollars (rounded up) to buy `quantity` from the asks now, None when they are too few."""
        left = quantity
        cost = 0
        for price in sorted(self.asks):
            taken = min(left, self.asks[price])
            cost += price * taken
            left -= taken
            if left == 0:
                return -(-cost // MICRO)
        return None
