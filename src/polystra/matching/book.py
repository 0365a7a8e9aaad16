"""A price-time book of one condition whose two outcomes complement each other, in integers.

What lives here: resting orders, the plan of a match, its application, aggregates per level.
What must not: accounts, fees, order validation, time. A plan changes nothing until it is applied,
so that a caller can check funds between the two.

Both outcomes share one book in the terms of the first (Up) token: buying Up at p and selling Down
at 1 - p are bids at p; selling Up and buying Down are asks. Two buyers who cross mint a pair, two
sellers merge one. Fills happen at the resting order's price, so improvement goes to the taker.

Rounding: a fill of a resting order moves floor(price x size) micro-dollars, which whoever sees the
trade can compute (Polymarket docs: the counter amount of a fill is floored); the taker moves the
same amount, or in a mint or merge the rest of one dollar per pair. Hence money is conserved to the
micro-dollar and a resting buyer never pays more than was reserved for it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias

ONE: Final = 1_000_000
UP: Final = 0
DOWN: Final = 1

Side: TypeAlias = Literal["BUY", "SELL"]


class MatchKind(Enum):
    """How shares change hands in one leg."""

    TRANSFER = "transfer"
    MINT = "mint"
    MERGE = "merge"


@dataclass(slots=True)
class RestingOrder:
    """An order on the book; `price` is in its own token, `size` what it came to rest with."""

    order_id: str
    outcome: int
    side: Side
    price: int
    size: int
    filled: int = 0
    cash: int = 0

    @property
    def remaining(self) -> int:
        """Micro-shares still open."""
        return self.size - self.filled

    @property
    def reserve(self) -> int:
        """Micro-dollars that a BUY still has to be good for; zero for a SELL."""
        return self.price * self.size // ONE - self.cash if self.side == "BUY" else 0

    @property
    def is_bid(self) -> bool:
        """Tell whether the order stands on the Up token's bid side."""
        return is_bid(self.outcome, self.side)

    @property
    def level(self) -> int:
        """Price in the Up token's terms."""
        return up_price(self.outcome, self.price)

    def cash_for(self, size: int) -> int:
        """Micro-dollars that the next `size` micro-shares move."""
        return self.price * size // ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """An incoming order: what it gives and wants in millionths, and what bounds it.

    `by_collateral` bounds a BUY by the dollars it gives (market orders) instead of its shares.
    """

    outcome: int
    side: Side
    maker_amount: int
    taker_amount: int
    by_collateral: bool = False

    @property
    def shares(self) -> int:
        """Micro-shares asked for or offered."""
        return self.taker_amount if self.side == "BUY" else self.maker_amount

    def accepts(self, price: int) -> bool:
        """Tell whether `price` in the taker's own token is within its limit."""
        return accepts(self.side, self.maker_amount, self.taker_amount, price)


@dataclass(frozen=True, slots=True)
class Leg:
    """One resting order's part of a match; `price` is in the taker's token."""

    maker: RestingOrder
    kind: MatchKind
    size: int
    price: int
    maker_cash: int
    taker_cash: int


@dataclass(frozen=True, slots=True)
class MatchPlan:
    """What would be exchanged; `complete` says that the taker would get all it is bounded by."""

    legs: tuple[Leg, ...]
    size: int
    cash: int
    complete: bool


NO_MATCH: Final = MatchPlan((), 0, 0, complete=False)
"""The plan of an order that nothing on the book faces."""


@dataclass(slots=True)
class _Level:
    orders: dict[str, RestingOrder] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class _BookSide:
    prices: list[int] = field(default_factory=list)
    levels: dict[int, _Level] = field(default_factory=dict)

    def level(self, price: int) -> _Level:
        found = self.levels.get(price)
        if found is None:
            found = self.levels[price] = _Level()
            insort(self.prices, price)
        return found

    def drop_if_empty(self, price: int) -> None:
        if not self.levels[price].orders:
            del self.levels[price]
            del self.prices[bisect_left(self.prices, price)]


def is_bid(outcome: int, side: Side) -> bool:
    """Tell whether `side` of `outcome` stands on the Up token's bid side."""
    return (side == "BUY") == (outcome == UP)


def accepts(side: Side, maker_amount: int, taker_amount: int, price: int) -> bool:
    """Tell whether `price` in an order's own token is within the limit of its amounts (compared as fractions)."""
    if side == "BUY":
        return price * taker_amount <= maker_amount * ONE
    return price * maker_amount >= taker_amount * ONE


def up_price(outcome: int, price: int) -> int:
    """Convert a token's own price to the Up token's terms (and back: it is its own inverse)."""
    return price if outcome == UP else ONE - price


class ComplementBook:
    """The book of one condition; prices and sizes in millionths."""

    def __init__(self) -> None:
        self._sides = {True: _BookSide(), False: _BookSide()}
        self._orders: dict[str, RestingOrder] = {}
        self._touched: dict[tuple[bool, int], None] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def get(self, order_id: str) -> RestingOrder | None:
        """Return the resting order with this id, if there is one."""
        return self._orders.get(order_id)

    @property
    def best_bid(self) -> int | None:
        """Highest bid for Up."""
        prices = self._sides[True].prices
        return prices[-1] if prices else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask for Up."""
        prices = self._sides[False].prices
        return prices[0] if prices else None

    def facing(self, outcome: int, side: Side) -> int | None:
        """Best price that an order of `side` of `outcome` would meet, in its own token's terms."""
        best = self.best_ask if is_bid(outcome, side) else self.best_bid
        return None if best is None else up_price(outcome, best)

    def levels(self, *, bids: bool) -> Iterator[tuple[int, int]]:
        """Yield (price, aggregate size) of one side in the Up token's terms, ascending by price."""
        side = self._sides[bids]
        for price in side.prices:
            yield price, side.levels[price].size

    def rest(self, order: RestingOrder) -> None:
        """Put an order at the end of its level's queue.

        Raises:
            ValueError: the id is on the book already or nothing is left to rest.
        """
        remaining = order.remaining
        if order.order_id in self._orders or remaining <= 0:
            raise ValueError(f"order {order.order_id} cannot rest: it is on the book already or has nothing left")
        bid, price = order.is_bid, order.level
        level = self._sides[bid].level(price)
        level.orders[order.order_id] = order
        level.size += remaining
        self._orders[order.order_id] = order
        self._touched[bid, price] = None

    def remove(self, order_id: str) -> RestingOrder | None:
        """Take an order off the book; None when it is not there."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return None
        bid, price = order.is_bid, order.level
        side = self._sides[bid]
        level = side.levels[price]
        del level.orders[order_id]
        level.size -= order.remaining
        self._touched[bid, price] = None
        side.drop_if_empty(price)
        return order

    def plan(self, taker: Taker) -> MatchPlan:
        """Return what `taker` would exchange with the book as it stands, without changing it."""
        legs: list[Leg] = []
        left = taker.maker_amount if taker.by_collateral else taker.shares
        size = cash = 0
        complete = False
        for maker in self._facing(taker):
            price = up_price(taker.outcome, maker.level)
            if not taker.accepts(price):
                break
            want = left * ONE // price if taker.by_collateral else left
            if want == 0:
                complete = True
                break
            leg = _leg(taker, maker, min(want, maker.remaining), price)
            legs.append(leg)
            size += leg.size
            cash += leg.taker_cash
            left -= leg.taker_cash if taker.by_collateral else leg.size
            if leg.size == want:
                complete = True
                break
        return MatchPlan(tuple(legs), size, cash, complete)

    def apply(self, plan: MatchPlan) -> None:
        """Carry out a plan made on this very state of the book; filled orders leave it."""
        for leg in plan.legs:
            maker = leg.maker
            side = self._sides[maker.is_bid]
            level = side.levels[maker.level]
            maker.filled += leg.size
            maker.cash += leg.maker_cash
            level.size -= leg.size
            self._touched[maker.is_bid, maker.level] = None
            if maker.remaining == 0:
                del level.orders[maker.order_id]
                del self._orders[maker.order_id]
                side.drop_if_empty(maker.level)

    def drain_changes(self) -> tuple[tuple[bool, int, int], ...]:
        """Return (is bid, Up price, new aggregate) of the levels touched since the last call."""
        changes = tuple(
            (bid, price, level.size if (level := self._sides[bid].levels.get(price)) else 0)
            for bid, price in self._touched
        )
        self._touched.clear()
        return changes

    def _facing(self, taker: Taker) -> Iterator[RestingOrder]:
        if is_bid(taker.outcome, taker.side):
            side, prices = self._sides[False], iter(self._sides[False].prices)
        else:
            side, prices = self._sides[True], reversed(self._sides[True].prices)
        for price in prices:
            yield from side.levels[price].orders.values()


def _leg(taker: Taker, maker: RestingOrder, size: int, price: int) -> Leg:
    maker_cash = maker.cash_for(size)
    if maker.outcome == taker.outcome:
        return Leg(maker, MatchKind.TRANSFER, size, price, maker_cash, maker_cash)
    kind = MatchKind.MINT if taker.side == "BUY" else MatchKind.MERGE
    return Leg(maker, kind, size, price, maker_cash, size - maker_cash)
