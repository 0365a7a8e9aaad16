"""Whether what is held is protected, judged over time: a stop that does not fire, shares without any exit.

What lives here: the checks that need patience, because an exit may wait for a moment. What must not: the
checks of one moment (`search_invariants`).
"""

from __future__ import annotations

from collections.abc import Iterator

from polystra.domain.market import SIZE_STEP, Market
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.engine.config import DustPolicy, ExitConfig
from polystra.engine.positions import stops
from polystra.engine.positions.exit_plan import parts
from polystra.engine.state import EngineState, ExitPhase, ExitState, MarketState
from polystra.ports.clock import Clock

_UNPROTECTED_NS = 30 * NS_PER_S
_UNFIRED_NS = 5 * NS_PER_S
_UNSOLD_NS = 120 * NS_PER_S
_GAP_NS = 5 * NS_PER_S
"""Looks that are farther apart say nothing about the time between them."""


class Protection:
    """Remembers since when something has been so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], tuple[int, int]] = {}

    def begin_leg(self) -> None:
        """A daemon starts: it has its own patience."""
        self._since.clear()

    def look(self, state: EngineState) -> Iterator[str]:
        """What has been wrong for too long, in words."""
        config = state.config.exits
        if not config.enabled or state.stopping is not None:
            return
        now_ns = self._clock.now_ns()
        for position in state.positions.values():
            market = state.markets.get(position.condition_id)
            if market is None or market.resolution is not None or market.frozen or position.external:
                continue
            if stops.in_guard(config, closes_ns=market.market.closes_at_s * NS_PER_S, now_ns=now_ns):
                continue
            yield from self._position(state, position, market, now_ns)

    def _position(self, state: EngineState, position: Position, market: MarketState, now_ns: int) -> Iterator[str]:
        exits = state.exits.get(position.position_id)
        name, arrived = position.position_id, state.arrived_shares(position.position_id)
        held = arrived - (0 if exits is None else exits.dust) >= SIZE_STEP
        if self._lasts(name, "bare", held and _is_bare(state, position, market, exits), now_ns, _UNPROTECTED_NS):
            yield f"I5 position {name} has held {arrived} shares without any exit for {_UNPROTECTED_NS // NS_PER_S} s"
        if self._lasts(name, "unfired", held and _should_fire(position, market, exits, now_ns), now_ns, _UNFIRED_NS):
            yield f"I5 position {name}: the bid has been below its stop for {_UNFIRED_NS // NS_PER_S} s"
        if self._lasts(name, "unsold", held and _should_sell(state, position, market, exits), now_ns, _UNSOLD_NS):
            yield f"I5 position {name} has fired and sold nothing for {_UNSOLD_NS // NS_PER_S} s"

    def _lasts(self, name: str, what: str, is_so: bool, now_ns: int, patience_ns: int) -> bool:
        known = self._since.get((name, what))
        if not is_so:
            self._since.pop((name, what), None)
            return False
        since_ns = now_ns if known is None or now_ns - known[1] > _GAP_NS else known[0]
        self._since[name, what] = (since_ns, now_ns)
        return now_ns - since_ns > patience_ns


def _sells(state: EngineState, position: Position) -> bool:
    return any(
        track.order.terms.side is Side.SELL and not track.is_settled and track.order.status != "DENIED"
        for track in state.orders_of(position.position_id)
    )


def _is_bare(state: EngineState, position: Position, market: MarketState, exits: ExitState | None) -> bool:
    """Rules are on and none of them looks after it."""
    config = state.config.exits
    if not (config.stop_loss or config.trailing or config.take_profit):
        return False
    if exits is None:
        return True
    planned = exits.armed or exits.take_profit_price is not None or bool(exits.watched)
    bare = exits.phase is ExitPhase.GUARDING and not planned and not _sells(state, position)
    return bare and not _is_kept_by_plan(config, market.market, position, exits)


def _is_kept_by_plan(config: ExitConfig, grid: Market, position: Position, exits: ExitState) -> bool:
    """No stop has a level on the grid, and what is left of the take-profit lies above its highest price."""
    average = position.average_price
    stopped = config.stop_loss and average - average * config.stop_loss_ppm // MICRO >= grid.lowest_price
    if stopped or (config.trailing and exits.high_water):
        return False
    dust = exits.dust if config.dust is DustPolicy.HOLD else 0
    total = position.shares - dust + position.sold
    within = sum(share for share, price in parts(config, average) if price <= grid.highest_price)
    return position.sold + SIZE_STEP > total * within // MICRO


def _should_fire(position: Position, market: MarketState, exits: ExitState | None, now_ns: int) -> bool:
    """The stop is above the bid of a book that is to be believed."""
    book = market.books[position.token_id]
    if exits is None or exits.phase is not ExitPhase.GUARDING or exits.stop_price is None or exits.torn_since_ns:
        return False
    doubt = stops.distrust(book, now_ns=now_ns, oldest_ns=2 * NS_PER_S)
    return not doubt and book.best_bid is not None and book.best_bid <= exits.stop_price


def _should_sell(state: EngineState, position: Position, market: MarketState, exits: ExitState | None) -> bool:
    """An exit has fired, the venue takes orders, somebody bids, and nothing of ours is under way."""
    if exits is None or exits.phase is not ExitPhase.SELLING or state.venue_mode is not VenueMode.NORMAL:
        return False
    book = market.books[position.token_id]
    enough = state.arrived_shares(position.position_id) >= market.market.minimum_size
    return enough and book.in_sync and book.best_bid is not None and not _sells(state, position)
