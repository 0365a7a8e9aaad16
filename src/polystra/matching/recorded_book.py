"""What our orders would have met in a book that was recorded without them.

What lives here: the displayed levels of one market (both outcomes in the Up token's terms), what we have taken
of them, our resting orders. What must not: accounts, fees, latency, order rules.

The model errs on our disadvantage:
- Taking: up to what is displayed, level by level, at the level's price. What we took stays taken until the level
  shrinks below it in the recording: nobody refills a level for our sake.
- Resting: all that is displayed at our price when we come stands before us. It gets less when a printed trade eats
  it, or when less than it is displayed; then, and not before, trades at our price fill us, by what is left of them.
  A level that shrinks and a print a moment later may be one event: such a print first stands for the shrinking.
  A trade at a price through ours fills us by its size, as those before us were served by then.
- Resting too: filled when the other side is displayed at our price or better, by no more than is displayed there.
Sizes in micro-shares, prices in micro-dollars of a share, 0 < price < 1_000_000.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from polystra.matching.book import ONE, UP, Side, is_bid, up_price

_ALL: Final = 1 << 62
"""Stands before an order of which nobody knows yet who does."""
_ONE_EVENT_NS: Final = 1_000_000_000
"""A print that comes so long after a level shrank may be the reason of it."""
Levels: TypeAlias = Sequence[tuple[int, int]]
"""(price, size) in an outcome's own terms."""
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
    ahead: int = 0
    """What stands before it at its price, at most."""
    shrunk: int = 0
    """By how much `ahead` fell because less was displayed, as far as no print has told of it since."""
    shrunk_ns: int = 0

    @property
    def bid(self) -> bool:
        """True when it stands on the Up token's bid side."""
        return is_bid(self.outcome, self.side)

    @property
    def level(self) -> int:
        """Its price in the Up token's terms."""
        return up_price(self.outcome, self.price)

    def shows(self, size: int, now_ns: int) -> None:
        """So much is displayed at our price now: no more than that stands before us."""
        if self.ahead > size:
            gone = self.ahead - size
            self.shrunk = gone if now_ns - self.shrunk_ns > _ONE_EVENT_NS else self.shrunk + gone
            self.shrunk_ns = now_ns
            self.ahead = size

    def reached(self, size: int, now_ns: int) -> int:
        """How much of a print at our price comes as far as us; what stands before us gets less by it."""
        if self.shrunk and now_ns - self.shrunk_ns <= _ONE_EVENT_NS:
            same = min(size, self.shrunk)
            self.shrunk -= same
            size -= same
        eaten = min(size, self.ahead)
        self.ahead -= eaten
        return size - eaten


@dataclass(frozen=True, slots=True)
class RestingFill:
    """A part of a resting order that was filled, at its own price."""

    order_id: str
    size: int


class RecordedBook:
    """One market. Mutable; fed by recorded messages, asked by our orders."""

    def __init__(self) -> None:
        self._sides: Final[dict[bool, dict[int, int]]] = {True: {}, False: {}}
        """Up price -> displayed size, of bids (True) and asks; see `_shown`."""
        self._told: tuple[int, Levels, Levels] | None = None
        """The last snapshot as long as nobody asked for it: most are replaced unread by the next one."""
        self._taken: Final[dict[tuple[bool, int], int]] = {}
        self._resting: Final[dict[str, Resting]] = {}
        self.seen = False
        """Whether any level was ever displayed."""

    # --- the recording speaks ---------------------------------------------------------

    def snapshot(self, outcome: int, bids: Levels, asks: Levels, now_ns: int) -> None:
        """The whole book of one outcome, in its own terms."""
        self._told = (outcome, bids, asks)
        self.seen = True
        if self._taken or self._resting:
            self._compare(now_ns)

    def _compare(self, now_ns: int) -> None:
        """After a snapshot: what we took and what stands before us is no more than what is displayed now.

        An order that came before anything was displayed learns its place here.
        """
        for (bid, price), taken in list(self._taken.items()):
            size = self._shown(bid).get(price, 0)
            if size == 0:
                del self._taken[bid, price]
            elif taken > size:
                self._taken[bid, price] = size
        for order in self._resting.values():
            if order.ahead:
                order.shows(self._shown(order.bid).get(order.level, 0), now_ns)

    def _shown(self, bid: bool) -> dict[int, int]:
        """The displayed levels of one side."""
        if self._told is not None:
            outcome, bids, asks = self._told
            self._told = None
            for of_bids, levels in ((True, bids), (False, asks)):
                if outcome == UP:
                    self._sides[of_bids] = {price: size for price, size in levels if size > 0}
                else:
                    self._sides[not of_bids] = {ONE - price: size for price, size in levels if size > 0}
        return self._sides[bid]

    def change(self, outcome: int, side: Side, price: int, size: int, now_ns: int) -> None:
        """One level of one outcome has this size now."""
        self.level(is_bid(outcome, side), up_price(outcome, price), size, now_ns)

    @property
    def has_orders(self) -> bool:
        """Whether an order of ours rests here: only then can a change fill any."""
        return bool(self._resting)

    def level(self, bid: bool, price: int, size: int, now_ns: int) -> None:
        """The same in the Up token's terms; nearly all of what is recorded comes this way."""
        self.seen = True
        shown = self._sides[bid] if self._told is None else self._shown(bid)
        if size > 0:
            shown[price] = size
        else:
            shown.pop(price, None)
        if self._taken:
            taken = self._taken.get((bid, price), 0)
            if taken > size:
                self._taken[bid, price] = size
                if size == 0:
                    del self._taken[bid, price]
        if self._resting:
            for order in self._resting.values():
                if order.ahead > size and order.level == price and order.bid is bid:
                    order.shows(size, now_ns)

    def traded(self, outcome: int, side: Side, price: int, size: int, now_ns: int) -> list[RestingFill]:
        """Others matched, as printed in the taker's terms: what our resting orders would have got of it."""
        fills: list[RestingFill] = []
        if not self._resting:
            return fills
        met_bids = not is_bid(outcome, side)
        level = up_price(outcome, price)
        got_before = 0
        for order in self._best_first(met_bids):
            if not _reaches(met_bids, order.level, level):
                continue
            left = size - got_before if order.level != level else order.reached(size, now_ns) - got_before
            got = min(order.remaining, left)
            if got > 0:
                got_before += got
                fills.append(self._fill(order, got))
        return fills

    def _best_first(self, bid: bool) -> list[Resting]:
        """Our orders on one side as the venue would serve them: by price, then by age."""
        mine = [order for order in self._resting.values() if order.bid is bid]
        mine.sort(key=lambda order: order.level, reverse=bid)
        return mine

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
        order = self._resting[order_id] = Resting(order_id, outcome, side, price, size)
        order.ahead = self._shown(order.bid).get(order.level, 0) if self.seen else _ALL

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
        shown = self._shown(bid)
        if not shown:
            return None
        best = max(shown) if bid else min(shown)
        if shown[best] > self._taken.get((bid, best), 0):
            return best
        return next((price for price, _ in self._levels(bid)), None)

    def _levels(self, bid: bool) -> list[tuple[int, int]]:
        """(Up price, visible size) of one side, the best first."""
        taken = self._taken
        shown = self._shown(bid)
        visible = [(price, shown[price] - taken.get((bid, price), 0)) for price in sorted(shown, reverse=bid)]
        return [(price, size) for price, size in visible if size > 0]


def _reaches(bid: bool, bound: int, price: int) -> bool:
    return price <= bound if bid else price >= bound
