"""The order book of one token, as the market stream tells it.

Levels are aggregates: a change sets the size of a level, zero removes it, so that applying
a message twice is harmless. Best prices are kept; no side is None-sized. The book checks
itself against the venue's own best bid and ask where a message carries them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from polystra.domain.orders import Side
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, Nanos

Level: TypeAlias = tuple[MicroPrice, MicroShares]


class OrderBook:
    """Mutable inside the engine; price -> size per side.

    The levels of a snapshot are laid out when somebody asks for more than the best prices: most snapshots are
    replaced by the next one before that.
    """

    __slots__ = ("_asks", "_bids", "_told", "best_ask", "best_bid", "in_sync", "updated_at_ns")

    def __init__(self) -> None:
        self._bids: dict[MicroPrice, MicroShares] = {}
        self._asks: dict[MicroPrice, MicroShares] = {}
        self._told: tuple[tuple[Level, ...], tuple[Level, ...]] | None = None
        """Bids and asks of a snapshot that are not laid out yet."""
        self.best_bid: MicroPrice | None = None
        self.best_ask: MicroPrice | None = None
        self.updated_at_ns: Nanos = 0
        self.in_sync = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderBook) and self._whole() == other._whole()

    __hash__ = None  # type: ignore[assignment]

    @property
    def bids(self) -> dict[MicroPrice, MicroShares]:
        """Price -> size of the bids."""
        if self._told is not None:
            self._lay_out(*self._told)
        return self._bids

    @property
    def asks(self) -> dict[MicroPrice, MicroShares]:
        """Price -> size of the asks."""
        if self._told is not None:
            self._lay_out(*self._told)
        return self._asks

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], at_ns: Nanos) -> None:
        """Take a full snapshot."""
        told = tuple(bids), tuple(asks)
        best_bid = max(told[0], default=None)
        best_ask = min(told[1], default=None)
        self.updated_at_ns = at_ns
        self.in_sync = True
        if (best_bid is not None and best_bid[1] <= 0) or (best_ask is not None and best_ask[1] <= 0):
            self._lay_out(*told)
            self.best_bid = max(self._bids, default=None)
            self.best_ask = min(self._asks, default=None)
            return
        self._told = told
        self.best_bid = None if best_bid is None else best_bid[0]
        self.best_ask = None if best_ask is None else best_ask[0]

    def _whole(self) -> tuple[object, ...]:
        return self.bids, self.asks, self.best_bid, self.best_ask, self.updated_at_ns, self.in_sync

    def _lay_out(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        self._told = None
        self._bids = {price: size for price, size in bids if size > 0}
        self._asks = {price: size for price, size in asks if size > 0}

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
        if self._told is not None:
            self._lay_out(*self._told)
        self.updated_at_ns = at_ns
        bid, ask = self.best_bid, self.best_ask
        if side is Side.BUY:
            if size > 0:
                self._bids[price] = size
                if bid is None or price > bid:
                    self.best_bid = bid = price
            elif self._bids.pop(price, None) is not None and price == bid:
                self.best_bid = bid = max(self._bids, default=None)
        elif size > 0:
            self._asks[price] = size
            if ask is None or price < ask:
                self.best_ask = ask = price
        elif self._asks.pop(price, None) is not None and price == ask:
            self.best_ask = ask = min(self._asks, default=None)
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
