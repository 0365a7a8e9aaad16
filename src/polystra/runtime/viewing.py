"""How the trading loop shows itself: one look a second at the engine's memory, as data that nobody changes.

What lives here: the look and its rhythm. What must not: words for people, the watchers (they have a thread of
their own). A look copies references and a few sums: frozen values are shared, a position's sums are copied. It
costs some ten microseconds for an idle account and is measured by itself (`View.cost_ns`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.engine.state import EngineState, MarketState
from polystra.ports.clock import Clock
from polystra.ports.health import HealthReading
from polystra.ports.viewing import BookTop, HeldPosition, View, Viewer, WatchedMarket, Workings

LOOK_EVERY_S: Final = 1.0


class Viewing:
    """Shows `state` to `viewer` once a second of `real`; times in a view are `clock`'s."""

    def __init__(
        self,
        viewer: Viewer,
        *,
        state: EngineState,
        clock: Clock,
        real: Clock,
        waiting: Callable[[], int],
        commit_began: Callable[[], Nanos | None],
        health: Callable[[], HealthReading] | None = None,
        workings: Callable[[], Workings] | None = None,
    ) -> None:
        self._workings = workings
        self._viewer = viewer
        self._state = state
        self._clock = clock
        self._real = real
        self._waiting = waiting
        self._commit_began = commit_began
        self._health = health
        self._number = 0
        self._cost_ns: Nanos = 0

    async def run(self) -> None:
        """Look for ever."""
        lag_ns = 0
        while True:
            began_ns = self._real.monotonic_ns()
            self._viewer.show(self.look(lag_ns))
            ended_ns = self._real.monotonic_ns()
            self._cost_ns = ended_ns - began_ns
            await self._real.sleep(LOOK_EVERY_S)
            lag_ns = max(0, self._real.monotonic_ns() - ended_ns - int(LOOK_EVERY_S * NS_PER_S))

    def look(self, lag_ns: Nanos = 0) -> View:
        """The account as it stands now."""
        state, now_ns = self._state, self._clock.now_ns()
        self._number += 1
        held = self._held()
        began_ns = self._commit_began()
        working = {position.recorded.condition_id for position in held}
        return View(
            number=self._number,
            at_ns=now_ns,
            told_ns=self._real.now_ns(),
            positions=held,
            orders=tuple(track.order for track in state.live_orders()),
            doubtful=tuple((name, doubt.since_ns) for name, doubt in state.doubts.items() if not doubt.outcome),
            markets=tuple(
                self._market(market)
                for condition_id, market in state.markets.items()
                if self._is_watched(market, now_ns) or condition_id in working
            ),
            switches=tuple(state.switches.values()),
            blocks=tuple(state.blocks.values()),
            venue_mode=state.venue_mode,
            venue_mode_until_ns=state.venue_mode_until_ns,
            cash=state.ledger.cash,
            claims=state.ledger.claims,
            realised=state.results.realised,
            today=state.results.day_so_far(now_ns),
            peak=state.results.peak,
            losses_in_row=state.results.losses_in_row(),
            reconciled_at_ns=state.reconciled_at_ns,
            stopping=state.stopping is not None,
            waiting_inputs=self._waiting(),
            loop_lag_ns=lag_ns,
            cost_ns=self._cost_ns,
            commit_age_ns=0 if began_ns is None else max(0, self._clock.monotonic_ns() - began_ns),
            health=None if self._health is None else self._health(),
            workings=None if self._workings is None else self._workings(),
        )

    # --- inside -----------------------------------------------------------------------

    def _held(self) -> tuple[HeldPosition, ...]:
        """Positions with shares, and those that an order may still open, the oldest first."""
        state = self._state
        found = {position.position_id: position for position in state.positions.held()}
        for track in state.live_orders():
            position = state.positions.get(track.order.terms.position_id)
            if position is not None:
                found[position.position_id] = position
        return tuple(
            HeldPosition(recorded=recorded, booked=copy(position), book=_top(state.book(position.token_id)))
            for position in sorted(found.values(), key=lambda each: (each.opened_at_ns, each.position_id))
            if (recorded := state.recorded.get(position.position_id)) is not None
        )

    def _market(self, market: MarketState) -> WatchedMarket:
        grid = market.market
        return WatchedMarket(
            market=grid,
            price_to_beat=market.price_to_beat,
            price=self._price(grid.symbol),
            up=_top(market.books.get(grid.up_token)),
            down=_top(market.books.get(grid.down_token)),
            entries=market.entries,
            last_reason=market.last_reason,
            frozen=market.frozen,
            strategy_failed=market.strategy_failed,
            resolved=market.resolution is not None,
        )

    def _price(self, symbol: str) -> PriceE8 | None:
        prices = self._state.prices.get(symbol)
        return None if prices is None else prices.settlement_price

    @staticmethod
    def _is_watched(market: MarketState, now_ns: Nanos) -> bool:
        grid = market.market
        return not market.settled and grid.opens_at_s * NS_PER_S <= now_ns


def _top(book: OrderBook | None) -> BookTop | None:
    if book is None:
        return None
    return BookTop(
        bid=book.best_bid, ask=book.best_ask, mid=book.mid, updated_at_ns=book.updated_at_ns, in_sync=book.in_sync
    )
