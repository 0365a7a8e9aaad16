"""Limits on entries: what may still be risked, and why not. Exits are never limited here.

Exposure is the cost of the shares held plus what entries may still cost, both without fees. An
entry counts until its fate is known and all its fills are booked, orders in doubt included.

Direction: Up in one market and Down in another offset each other. What is held against a side
counts for it, what is only ordered does not: it may never fill.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from polystra.domain.events import StreamName, SwitchName
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, MicroDollars, Nanos, format_micros
from polystra.engine.state import EngineState, MarketState, OrderTrack

_REQUIRED = (StreamName.MARKET, StreamName.USER, StreamName.PRICES)
_SWITCH_WORDS = {
    SwitchName.KILL: "the kill switch is on",
    SwitchName.STOP_ENTRY: "entries are stopped",
    SwitchName.PAUSE: "entries are paused",
    SwitchName.DAILY_LOSS: "the daily loss limit is reached",
    SwitchName.DRAWDOWN: "the drawdown limit is reached",
    SwitchName.CONSECUTIVE_LOSSES: "too many losses in a row",
    SwitchName.REJECTIONS: "too many entries were refused",
    SwitchName.VENUE_REFUSED: "the venue refuses this account",
    SwitchName.SECOND_DAEMON: "somebody else trades with this account",
    SwitchName.CRASH_LOOP: "the daemon crashed again and again",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What an entry in one market may cost: `bankroll` for sizing, `room` as the hard cap."""

    bankroll: MicroDollars
    room: MicroDollars


@dataclass(slots=True)
class _Exposure:
    """Micro-dollars at risk, summed in every way that is asked for; `held` counts shares only."""

    total: MicroDollars = 0
    markets: dict[ConditionId, MicroDollars] = field(default_factory=dict)
    symbols: dict[str, MicroDollars] = field(default_factory=dict)
    sides: dict[Outcome | None, MicroDollars] = field(default_factory=dict)
    held: dict[Outcome | None, MicroDollars] = field(default_factory=dict)


class Risk:
    """Answers questions; changes nothing."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._exposure = _Exposure()
        self._as_of: tuple[int, ...] = ()

    def entry_block(self) -> str | None:
        """Why no entry may leave now, in words, or None."""
        state = self._state
        if state.blocks:
            return next(iter(state.blocks.values()))
        if state.stopping is not None:
            return "stopping"
        for (name, _), switch in state.switches.items():
            if name in _SWITCH_WORDS:
                return f"{_SWITCH_WORDS[name]}: {switch.reason}"
        if not state.venue_takes(purpose=Purpose.ENTRY, post_only=False):
            return f"the venue {state.venue_mode.words}"
        for stream in _REQUIRED:
            if stream not in state.streams_up:
                return f"the {stream} stream is not connected"
        return None

    def market_block(self, market: MarketState, now_ns: Nanos, *, takes: bool = True) -> str:
        """Why no entry may leave in this market, in words, or the empty string; asked when `entry_block` is None.

        `takes` is False for an order that can only rest.
        """
        risk = self._state.config.risk
        banned = self._state.switches.get((SwitchName.BLACKLIST, market.market.symbol))
        if banned is not None:
            return f"{market.market.symbol} is blacklisted: {banned.reason}"
        fees = self._state.switches.get((SwitchName.FEES, market.market.slug))
        if fees is not None and takes:
            return f"entries in {market.market.slug} are off: {fees.reason}"
        if any(now_ns - book.updated_at_ns > risk.stale_book_ns for book in market.books.values()):
            return "the book is stale"
        if not all(book.in_sync for book in market.books.values()):
            return "the book is out of sync and is being fetched anew"
        if any(book.is_crossed for book in market.books.values()):
            return "the book is crossed"
        if risk.balance_floor and self.available() <= risk.balance_floor:
            have, floor = format_micros(self.available()), format_micros(risk.balance_floor)
            return f"available ${have} is not above the floor of ${floor}"
        return ""

    def positions_block(self) -> str:
        """Why no further position may be opened, or the empty string."""
        limit = self._state.config.risk.max_open_positions
        return f"{limit} positions are open" if self.open_positions() >= limit else ""

    # --- exposure ---------------------------------------------------------------------

    def exposure(self, condition_id: ConditionId | None = None) -> MicroDollars:
        """Micro-dollars at risk in one market, or in all."""
        known = self._reckoned()
        return known.total if condition_id is None else known.markets.get(condition_id, 0)

    def symbol_exposure(self, symbol: str) -> MicroDollars:
        """Micro-dollars at risk in all markets of one symbol."""
        return self._reckoned().symbols.get(symbol, 0)

    def net_exposure(self, outcome: Outcome) -> MicroDollars:
        """Micro-dollars on one side of all markets, less what is held on the other; may be negative."""
        known = self._reckoned()
        against = sum(held for side, held in known.held.items() if side not in (outcome, None))
        return known.sides.get(outcome, 0) - against

    def open_positions(self) -> int:
        """Positions with shares, and entries that may still become one."""
        held = {p.position_id for p in self._state.positions.held() if self._state.is_open(p)}
        held |= {track.order.terms.position_id for track in self._open_entries()}
        return len(held)

    # --- what may be spent ------------------------------------------------------------

    def available(self) -> MicroDollars:
        """Cash that no live order has reserved."""
        return self._state.available_cash()

    def budget(self, condition_id: ConditionId) -> Budget:
        """What may be spent on this market now, whichever the side."""
        config = self._state.config.risk
        cash = max(0, self.available() - config.balance_floor)
        bankroll = min(cash, config.capital) if config.capital else cash
        at_risk = self.exposure()
        room = min(
            cash,
            config.max_exposure - at_risk,
            config.max_exposure_per_market - self.exposure(condition_id),
            config.max_exposure_per_symbol - self.symbol_exposure(self._symbol(condition_id)),
        )
        if config.capital:
            room = min(room, config.capital - at_risk)
        return Budget(bankroll=bankroll, room=max(0, room))

    def room(self, condition_id: ConditionId, outcome: Outcome) -> MicroDollars:
        """What may be spent on one side of this market now: `budget` and the limit of the direction."""
        limit = self._state.config.risk.max_exposure_per_direction
        room = self.budget(condition_id).room
        return max(0, min(room, limit - self.net_exposure(outcome))) if limit else room

    # --- inside -----------------------------------------------------------------------

    def _reckoned(self) -> _Exposure:
        """The sums over positions and entries, made anew when one of them changed."""
        state = self._state
        as_of = (
            state.orders.changes,
            state.fills.changes,
            state.positions.changes,
            state.accepted_markets,
            len(state.markets),
        )
        if as_of != self._as_of:
            self._exposure = self._reckon()
            self._as_of = as_of
        return self._exposure

    def _reckon(self) -> _Exposure:
        found = _Exposure()
        for position in self._state.positions.held():
            cost = self._held_cost(position)
            side = self._add(found, position.condition_id, position.token_id, cost)
            found.held[side] = found.held.get(side, 0) + cost
        for track in self._open_entries():
            self._add(found, track.order.terms.condition_id, track.order.terms.token_id, self._may_cost(track))
        return found

    def _add(
        self, found: _Exposure, condition_id: ConditionId, token_id: TokenId, cost: MicroDollars
    ) -> Outcome | None:
        """Count a cost wherever it belongs; returns its side."""
        symbol, side = self._symbol(condition_id), self._outcome(condition_id, token_id)
        found.total += cost
        found.markets[condition_id] = found.markets.get(condition_id, 0) + cost
        found.symbols[symbol] = found.symbols.get(symbol, 0) + cost
        found.sides[side] = found.sides.get(side, 0) + cost
        return side

    def _open_entries(self) -> list[OrderTrack]:
        """Entries that may still trade, or whose trades are not all booked."""
        return [
            track
            for track in self._state.orders.unsettled()
            if track.order.terms.purpose is Purpose.ENTRY and track.order.status is not OrderStatus.DENIED
        ]

    @staticmethod
    def _held_cost(position: Position) -> MicroDollars:
        return position.bought_cost - position.released_cost if position.shares > 0 else 0

    def _symbol(self, condition_id: ConditionId) -> str:
        market = self._state.markets.get(condition_id)
        return "" if market is None else market.market.symbol

    def _outcome(self, condition_id: ConditionId, token_id: TokenId) -> Outcome | None:
        market = self._state.markets.get(condition_id)
        return None if market is None else market.market.outcome_of(token_id)

    def _may_cost(self, track: OrderTrack) -> MicroDollars:
        """What an entry may still cost: all that is left of it, or only what it matched once its fate is known."""
        terms = track.order.terms
        if not track.is_live and track.fate_known:
            return -(-terms.price * max(0, track.matched - track.accounted) // MICRO)
        if not terms.budget:
            return -(-terms.price * track.order.remaining // MICRO)
        fills = self._state.fills.of_position(terms.position_id)
        spent = sum(f.cash for f in fills if f.client_order_id == terms.client_order_id)
        return max(0, terms.budget - spent)
