"""The trader that keeps a market's book as a recording has it.

What lives here: house orders that follow recorded levels and recorded trades. What must not: reading
the recording (`recording`), prices of the feed.

The house buys only: a bid for Up is a buy of Up, an ask is a buy of Down at one minus its price.
What a client takes stays taken until the recording changes that level; a client's order that the
recorded book moves through is filled, as it would have been. Recorded trades are made by a second
account against the book. Nobody in the recording reacts to a client.
"""

from __future__ import annotations

from collections.abc import Iterable

from polystra.domain.units import NS_PER_S, Nanos
from polystra.exchange.core import CoreEvent, ExchangeCore, PlaceRequest, TradeEvent
from polystra.exchange.recording import Level, RecordedTrade, Recording
from polystra.exchange.world import WorldMarket
from polystra.matching.book import ONE, is_bid


class ReplayTrader:
    """Plays one recording in one market; sizes in micro-shares."""

    def __init__(self, core: ExchangeCore, recording: Recording, market: WorldMarket) -> None:
        self._core = core
        self._updates = recording.updates
        self._spec = market.spec
        self._book = core.open_house_account("replayed-book")
        self._taker = core.open_house_account("replayed-taker")
        self._next = 0
        self._wanted: dict[Level, int] = {}
        self._orders: dict[Level, dict[str, int]] = {}
        self._level_of: dict[str, Level] = {}
        core.add_listener(self._on_event, TradeEvent)

    @property
    def first_ns(self) -> Nanos:
        """When the recording begins."""
        return self._updates[0].at_ns

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Carry out what was recorded up to now; returns the instant of the next change."""
        if not self._core.market(self._spec.condition_id).accepting_orders:
            self._core.remove_listener(self._on_event)
            return None
        while self._next < len(self._updates) and self._updates[self._next].at_ns <= now_ns:
            update = self._updates[self._next]
            self._next += 1
            if update.tick is not None:
                self._core.set_tick_size(self._spec.condition_id, update.tick, now_ns)
            for trade in update.trades:
                self._trade(trade, now_ns)
            self._wanted.update(update.levels)
            self._follow(update.levels, now_ns)
        if self._next < len(self._updates):
            return self._updates[self._next].at_ns
        return self._spec.closes_at_s * NS_PER_S + 1

    def _follow(self, levels: Iterable[Level], now_ns: Nanos) -> None:
        """Bring levels to their recorded size: first all that shrink, so that nothing meets itself."""
        for level in levels:
            self._shrink(level, now_ns)
        for level in levels:
            missing = self._wanted[level] - self._resting(level)
            if missing > 0:
                self._add(level, missing, now_ns)

    def _resting(self, level: Level) -> int:
        return sum(self._orders.get(level, {}).values())

    def _shrink(self, level: Level, now_ns: Nanos) -> None:
        """Cancel the newest orders until no more than the recorded size rests."""
        orders = self._orders.get(level, {})
        surplus = self._resting(level) - self._wanted[level]
        gone: list[str] = []
        for order_id, size in reversed(orders.items()):
            if surplus <= 0:
                break
            gone.append(order_id)
            surplus -= size
        if gone:
            self._core.cancel(self._book, gone, now_ns)
            for order_id in gone:
                self._forget(order_id)

    def _add(self, level: Level, size: int, now_ns: Nanos) -> None:
        bids_up, price = level
        token, own_price = (self._spec.up_token, price) if bids_up else (self._spec.down_token, ONE - price)
        request = PlaceRequest.limit(token, "BUY", price=own_price, size=size)
        placement = self._core.place(self._book, request, now_ns)
        left = size - placement.taking_amount
        if placement.accepted and left > 0:
            self._orders.setdefault(level, {})[placement.order_id] = left
            self._level_of[placement.order_id] = level

    def _trade(self, trade: RecordedTrade, now_ns: Nanos) -> None:
        """Buy what the recorded taker bought; what it sold is bought in the other outcome."""
        buys_up = is_bid(trade.outcome, trade.side)
        token = self._spec.up_token if buys_up else self._spec.down_token
        price = trade.price if trade.side == "BUY" else ONE - trade.price
        request = PlaceRequest.limit(token, "BUY", price=price, size=trade.size)
        placement = self._core.place(self._taker, request, now_ns)
        if placement.accepted and placement.taking_amount < trade.size:
            self._core.cancel(self._taker, [placement.order_id], now_ns)

    def _forget(self, order_id: str) -> None:
        level = self._level_of.pop(order_id)
        del self._orders[level][order_id]

    def _on_event(self, event: CoreEvent) -> None:
        """Keep count of what others took."""
        if not isinstance(event, TradeEvent) or event.trade.status != "MATCHED":
            return
        for leg in event.trade.legs:
            level = self._level_of.get(leg.order_id)
            if level is None:
                continue
            self._orders[level][leg.order_id] -= leg.size
            if self._orders[level][leg.order_id] <= 0:
                self._forget(leg.order_id)
