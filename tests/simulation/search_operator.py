"""A restless operator: asks a daemon for entries, closes and cancels, and sets the kill switch, from a seed.

What lives here: the wishes. What must not: any knowledge of what is allowed: the daemon refuses what it must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from polystra.domain.events import (
    CancelRequested,
    CancelScope,
    EntryRequested,
    ExitRequested,
    OrderRequested,
    StopMode,
    StopRequested,
    SwitchName,
    SwitchRequested,
)
from polystra.domain.market import Outcome
from polystra.domain.orders import Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.state import EngineState, MarketState
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

_FOR_EVER_S = 3_600
_LOOK_S = 1.0


class Operator:
    """Fulfils `EventStream`."""

    def __init__(
        self,
        clock: Clock,
        chance: Random,
        look: Callable[[], EngineState | None],
        *,
        every_s: int,
        until_ns: int,
        name: str,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._look = look
        self._every_s = every_s
        self._until_ns = until_ns
        self._name = name
        self._number = 0

    async def run(self, sink: Sink) -> None:
        """Ask until the end of the eventful part, then stay silent."""
        while self._every_s and self._clock.now_ns() < self._until_ns:
            await self._clock.sleep(self._chance.uniform(0.2, 2.0) * self._every_s)
            state = self._look()
            if state is not None:
                self._number += 1
                self._wish(state, f"{self._name}-{self._number}", sink)
        while True:
            await self._clock.sleep(_FOR_EVER_S)

    def _wish(self, state: EngineState, request_id: str, sink: Sink) -> None:
        drawn = self._chance.random()
        held = [position for position in state.positions.values() if position.shares > 0]
        if drawn < 0.3 and held:
            sink(ExitRequested(request_id=request_id, position_id=self._chance.choice(held).position_id))
        elif drawn < 0.4:
            sink(CancelRequested(request_id=request_id, scope=CancelScope.ALL))
        else:
            now_s = self._clock.now_ns() // NS_PER_S
            markets = [
                market
                for market in state.markets.values()
                if market.market.opens_at_s <= now_s < market.market.closes_at_s - 15
            ]
            if markets:
                market = self._chance.choice(markets)
                (self._enter if self._chance.random() < 0.3 else self._order)(market, request_id, sink)

    def _enter(self, market: MarketState, request_id: str, sink: Sink) -> None:
        """By dollars at market, or shares that rest at the touch or cross it."""
        outcome = self._chance.choice((Outcome.UP, Outcome.DOWN))
        book, grid = market.books[market.market.token(outcome)], market.market
        if book.best_bid is None or book.best_ask is None:
            return
        at_market = self._chance.random() < 0.4
        price = grid.price_at_or_below(min(grid.highest_price, book.best_ask + 3 * grid.tick_size))
        if not at_market:
            price = self._chance.choice((book.best_bid, book.best_ask, price))
        sink(
            EntryRequested(
                request_id=request_id,
                condition_id=grid.condition_id,
                outcome=outcome,
                price=price,
                quantity=0 if at_market else self._chance.choice((5, 8, 20)) * MICRO,
                budget=self._chance.choice((3, 5, 12)) * MICRO if at_market else 0,
                adds=self._chance.random() < 0.6,
            )
        )

    def _order(self, market: MarketState, request_id: str, sink: Sink) -> None:
        """This very order: near the touch, through it, or a sell of what is perhaps held."""
        grid = market.market
        token_id = grid.token(self._chance.choice((Outcome.UP, Outcome.DOWN)))
        book = market.books[token_id]
        if book.best_bid is None or book.best_ask is None:
            return
        side = self._chance.choice((Side.BUY, Side.BUY, Side.BUY, Side.SELL))
        step = self._chance.choice((-12, -5, -1, 0, 0, 1, 3)) * grid.tick_size
        touch = self._chance.choice((book.best_bid, book.best_ask)) + step
        price = grid.price_at_or_below(max(grid.tick_size, min(grid.highest_price, touch)))
        at_once = self._chance.random() < 0.25
        quantity = self._chance.choice((5, 7, 11, 30, 90)) * MICRO
        by_dollars = at_once and side is Side.BUY
        sink(
            OrderRequested(
                request_id=request_id,
                token_id=token_id,
                side=side,
                price=price,
                quantity=0 if by_dollars else quantity,
                budget=self._chance.choice((2, 6)) * MICRO if by_dollars else 0,
                time_in_force=TimeInForce.FAK if at_once else TimeInForce.GTC,
                post_only=not at_once and self._chance.random() < 0.2,
            )
        )


class KillSwitch:
    """Fulfils `EventStream`: sets the kill switch at its times and takes it back, each once in a world's life."""

    def __init__(self, clock: Clock, kills: Sequence[tuple[int, int]], begun_ns: int) -> None:
        self._clock = clock
        self._due = [
            (begun_ns + due * NS_PER_S, on)
            for second, seconds in kills
            for due, on in ((second, True), (second + seconds, False))
        ]

    async def run(self, sink: Sink) -> None:
        """Switch as planned; what fell due while no daemon ran is done at once, what a daemon was told is not."""
        while self._due:
            due_ns, on = self._due[0]
            await self._clock.sleep(max(0, due_ns - self._clock.now_ns()) / NS_PER_S)
            sink(SwitchRequested(name=SwitchName.KILL, on=on, reason="the plan says so", source="operator"))
            del self._due[0]
        while True:
            await self._clock.sleep(_FOR_EVER_S)


class Stop:
    """Fulfils `EventStream`: asks for an orderly stop when it is due, which may change meanwhile."""

    def __init__(self, clock: Clock, due_ns: Callable[[], int]) -> None:
        self._clock = clock
        self._due_ns = due_ns

    async def run(self, sink: Sink) -> None:
        """Wait, ask, stay silent."""
        while (left_ns := self._due_ns() - self._clock.now_ns()) > 0:
            await self._clock.sleep(min(_LOOK_S, left_ns / NS_PER_S))
        sink(StopRequested(mode=StopMode.KEEP_EXITS, reason="the plan says so"))
        while True:
            await self._clock.sleep(_FOR_EVER_S)
