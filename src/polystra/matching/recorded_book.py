"""What our orders would have met in a book that was recorded without them.

What lives here: the displayed levels of one market (both outcomes in the Up token's terms), what we have taken
of them, our resting orders. What must not: accounts, fees, latency, order rules.

The model errs on our disadvantage:
- Taking: up to what is displayed, level by level, at the level's price. What we took stays taken until the level
  shrinks below it in the recording: nobody refills a level for our sake.
- Resting: filled only when the other side is displayed at our price or better, by no more than is displayed there:
  whoever stood at the price before us has been served by then.
Sizes in micro-shares, prices in micro-dollars of a share, 0 < price < 1_000_000.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from polystra.matching.book import ONE, UP, Side, is_bid, up_price

Take: TypeAlias = tuple[int, int]
"""(price in the taker's own token, size) of one level."""


@dataclass(slots=True)
class Resting:
    """Our order on the book; `price` in its own token's terms."""

    order_id: str
    outcome: int
    side: Side
    price: int
    remaining: int

    @property
    def bid(self) -> bool:
        """True when it stands on the Up token's bid side."""
        return is_bid(self.outcome, self.side)

    @property
    def level(self) -> int:
        """Its price in the Up token's terms."""
        return up_price(self.outcome, self.price)


@dataclass(frozen=True, slots=True)
class RestingFill:
    """A part of a resting order that was filled, at its own price."""

    order_id: str
    size: int


class RecordedBook:
    """One market. Mutable; fed by recorded messages, asked by our orders."""

    def __init__(self) -> None:
        self._shown: Final[dict[bool, dict[int, int]]] = {True: {}, False: {}}
        self._taken: Final[dict[tuple[bool, int], int]] = {}
        self._resting: Final[dict[str, Resting]] = {}
        self.seen = False
        """Whether any level was ever displayed."""

    # --- the recording speaks ---------------------------------------------------------

    def snapshot(self, outcome: int, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        """The whole book of one outcome, in its own terms."""
        for side, levels in (("BUY", bids), ("SELL", asks)):
            bid = (side == "BUY") == (outcome == UP)
            shown = {up_price(outcome, price): size for price, size in levels if size > 0}
            for price in [each for each in self._shown[bid] if each not in shown]:
                self._set(bid, price, 0)
            for price, size in shown.items():
                self._set(bid, price, size)
        self.seen = True

    def change(self, outcome: int, side: Side, price: int, size: int) -> None:
        """One level of one outcome has this size now."""
        self._set(is_bid(outcome, side), up_price(outcome, price), size)
        self.seen = True

    def _set(self, bid: bool, price: int, size: int) -> None:
        shown = self._shown[bid]
        if size > 0:
            shown[price] = size
        else:
            shown.pop(price, None)
        taken = self._taken.get((bid, price), 0)
        if taken > size:
            self._taken[bid, price] = size
            if size == 0:
                del self._taken[bid, price]

    def crossed(self) -> list[RestingFill]:
        """Fill what of our resting orders the other side is displayed at or through; called after a change."""
        fills: list[RestingFill] = []
        for order in list(self._resting.values()):
            facing = not order.bid
            best = self._best(facing)
            if best is None or not _reaches(order.bid, order.level, best):
                continue
            for price, visible in self._levels(facing):
                if order.remaining == 0 or not _reaches(order.bid, order.level, price):
                    break
                got = min(order.remaining, visible)
                self._taken[facing, price] = self._taken.get((facing, price), 0) + got
                fills.append(self._fill(order, got))
        return fills

    def _fill(self, order: Resting, size: int) -> RestingFill:
        order.remaining -= size
        if order.remaining == 0:
            del self._resting[order.order_id]
        return RestingFill(order.order_id, size)

    # --- our orders -------------------------------------------------------------------

    def would_take(self, outcome: int, side: Side, limit: int) -> bool:
        """Whether an order at this limit (own terms) meets anything that is displayed."""
        bid = is_bid(outcome, side)
        best = self._best(not bid)
        return best is not None and _reaches(bid, up_price(outcome, limit), best)

    def plan(self, outcome: int, side: Side, limit: int, *, size: int = 0, budget: int = 0) -> list[Take]:
        """What an order would take: up to `size` micro-shares, or for up to `budget` micro-dollars."""
        bid = is_bid(outcome, side)
        bound = up_price(outcome, limit)
        takes: list[Take] = []
        left = budget or size
        for price, visible in self._levels(not bid):
            if left <= 0 or not _reaches(bid, bound, price):
                break
            own = up_price(outcome, price)
            got = min(visible, left * ONE // own if budget else left)
            if got <= 0:
                break
            takes.append((own, got))
            left -= own * got // ONE if budget else got
        return takes

    def take(self, outcome: int, side: Side, takes: Iterable[Take]) -> None:
        """Carry out a plan made on this very state."""
        facing = not is_bid(outcome, side)
        for own, size in takes:
            key = (facing, up_price(outcome, own))
            self._taken[key] = self._taken.get(key, 0) + size

    def rest(self, order_id: str, outcome: int, side: Side, price: int, size: int) -> None:
        """Put an order on the book."""
        self._resting[order_id] = Resting(order_id, outcome, side, price, size)

    def cancel(self, order_id: str) -> int | None:
        """Take an order off the book; its open size, None when it is not there."""
        order = self._resting.pop(order_id, None)
        return None if order is None else order.remaining

    def levels(self, outcome: int, side: Side) -> list[tuple[int, int]]:
        """What is displayed and not taken by us, in the outcome's own terms, the best first."""
        bid = is_bid(outcome, side)
        return [(up_price(outcome, price), visible) for price, visible in self._levels(bid)]

    # --- inside -----------------------------------------------------------------------

    def _best(self, bid: bool) -> int | None:
        return next((price for price, _ in self._levels(bid)), None)

    def _levels(self, bid: bool) -> list[tuple[int, int]]:
        """(Up price, visible size) of one side, the best first."""
        taken = self._taken
        shown = self._shown[bid]
        visible = [(price, shown[price] - taken.get((bid, price), 0)) for price in sorted(shown, reverse=bid)]
        return [(price, size) for price, size in visible if size > 0]


def _reaches(bid: bool, bound: int, price: int) -> bool:
    return price <= bound if bid else price >= bound
