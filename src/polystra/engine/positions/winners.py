"""Selling winners before the end: nearly a dollar now instead of a claim that waits to be redeemed.

What lives here: whether and at what price a position that has as good as won is sold. What must not: the other
exits, sums over sells (`exit_orders`). It looks at the book's own word only: somebody bids the
user's price or better in the last minute of the window. After it no order may leave (`validation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.market import SIZE_STEP, Market
from polystra.domain.orders import Purpose, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroPrice, MicroShares, Nanos, ceil_to, floor_to
from polystra.engine.positions.exit_orders import ExitOrders, Held
from polystra.engine.state import EngineState

WINNER_SALE: Final = "winner-sale"
"""The rule's word on the order."""
LAST_NS: Final = 60 * NS_PER_S
"""A winner is sold no earlier than so long before the window ends."""
_PAUSE_NS: Final = 2 * NS_PER_S
_MOST_REFUSALS: Final = 3


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
    ends_ns = market.closes_at_s * NS_PER_S
    if sell_at <= 0 or not ends_ns - LAST_NS <= now_ns < ends_ns or not market.accepting_orders:
        return None
    price = ceil_to(sell_at, market.tick_size)
    if not book.in_sync or book.best_bid is None or book.best_bid < price or price > market.highest_price:
        return None
    quantity = floor_to(min(sellable, book.bids_down_to(price)), SIZE_STEP)
    return WinnerSale(price, quantity) if quantity >= SIZE_STEP else None


class WinnerSales:
    """The rule on one position; the exits call it."""

    def __init__(self, state: EngineState, orders: ExitOrders) -> None:
        self._state = state
        self._orders = orders

    def covers(self, position: Position) -> bool:
        """True when the rule is on for a position: for shares bought elsewhere only when they are protected."""
        is_ours = not position.external or self._state.config.balance.protect_external
        return self._state.config.sell_winners_at > 0 and is_ours

    def review(self, held: Held) -> None:
        """Sell what no other sell has reserved if somebody bids enough; one sale at a time."""
        position, market, exits, turn = held.position, held.market, held.exits, held.turn
        if turn.now_ns < exits.next_attempt_ns or exits.refusals >= _MOST_REFUSALS:
            return
        sale = winner_sale(
            market.books[position.token_id],
            market.market,
            sellable=self._orders.sellable(position, exits),
            sell_at=self._state.config.sell_winners_at,
            now_ns=turn.now_ns,
        )
        if sale is None or self._orders.awaits_answer(position):
            return
        exits.next_attempt_ns = turn.now_ns + _PAUSE_NS
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
        self._orders.place(
            position,
            market,
            turn,
            purpose=Purpose.TAKE_PROFIT,
            rule=WINNER_SALE,
            price=sale.price,
            planned=self._state.config.sell_winners_at,
            quantity=sale.quantity,
            time_in_force=TimeInForce.FAK,
        )
