"""Selling: an exit has fired; what holds the shares is withdrawn, what is left is sold.

What lives here: the phase SELLING of a position and what each mode of the venue lets it do. What
must not: whether an exit fires (exits).

Cancel the entry and the resting take-profit, wait until their fate and fills are *known*, sell what
has arrived and is left, with FAK and a worst price; again until nothing sellable is left, at once
after a step that sold something, with growing pauses after one that did not. When a cancel stays
unanswered or a purchase in doubt for two seconds, what no order holds is sold meanwhile.

    venue's mode            what a fired exit does
    NORMAL, CLOSED_ONLY     sells
    RESTARTING              waits, its cancels leave first when the venue is back
    POST_ONLY               rests post-only at the touch, or leaves all as it is (a setting)
    CANCEL_ONLY, DISABLED   leaves what rests where it is: it could not be sold otherwise
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.events import StreamName
from polystra.domain.facts import NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, MicroShares, Nanos, format_micros
from polystra.domain.venue import VenueMode
from polystra.engine.config import ExitConfig, PostOnlyExit
from polystra.engine.gateway import Gateway
from polystra.engine.positions import stops
from polystra.engine.positions.exit_balance import ExitBalance
from polystra.engine.positions.exit_orders import ExitOrders
from polystra.engine.state import EngineState, ExitPhase, ExitState, MarketState, OrderTrack, Turn

_MAX_PAUSE_S: Final = 8
_UNKNOWN_NS: Final = 2 * NS_PER_S
"""So long a cancel's outcome is waited for before the uncovered part is sold."""
_MODE_PAUSE_NS: Final = 5 * NS_PER_S
_BLIND_AGE_NS: Final = 2 * NS_PER_S
_SMALL_REFUSALS: Final = 2


class ExitPolicy(StrEnum):
    """What a fired exit does."""

    SELL = "sell"
    POST_ONLY = "post_only"
    WAIT = "wait"
    HOLD = "hold"


POLICIES: Final = MappingProxyType(
    {
        VenueMode.NORMAL: ExitPolicy.SELL,
        VenueMode.CLOSED_ONLY: ExitPolicy.SELL,
        VenueMode.RESTARTING: ExitPolicy.WAIT,
        VenueMode.POST_ONLY: ExitPolicy.POST_ONLY,
        VenueMode.CANCEL_ONLY: ExitPolicy.HOLD,
        VenueMode.DISABLED: ExitPolicy.HOLD,
    }
)
"""The policy of every mode; POST_ONLY becomes HOLD where the user prefers to wait."""


def policy_of(mode: VenueMode, choice: PostOnlyExit) -> ExitPolicy:
    """What a fired exit does while the venue is in `mode`."""
    policy = POLICIES[mode]
    waits = policy is ExitPolicy.POST_ONLY and choice is PostOnlyExit.WAIT
    return ExitPolicy.HOLD if waits else policy


def oldest_book_ns(state: EngineState) -> Nanos:
    """How old a book may be to be believed: a quiet market is not a stale one while the stream lives."""
    return state.config.risk.stale_book_ns * 6 if StreamName.MARKET in state.streams_up else _BLIND_AGE_NS


class ExitSelling:
    """Owns the phase SELLING."""

    def __init__(self, state: EngineState, gateway: Gateway, orders: ExitOrders, balance: ExitBalance) -> None:
        self._state = state
        self._gateway = gateway
        self._orders = orders
        self._balance = balance

    @property
    def _config(self) -> ExitConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.exits

    def review(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        """Take the next step of the sale, if there is one to take now."""
        policy = policy_of(self._state.venue_mode, self._config.post_only_exit)
        if self._state.venue_takes(purpose=exits.reason, post_only=False):
            policy = ExitPolicy.SELL
        waits_for = self._withdraw(position, market, exits, policy, turn)
        quantity = self._orders.sellable(position, exits)
        if waits_for is not None and not self._sells_meanwhile(waits_for, quantity, position, exits, turn):
            return
        if quantity < SIZE_STEP:
            self._end(position, exits)
        elif policy in (ExitPolicy.WAIT, ExitPolicy.HOLD):
            turn.timer(f"exit:{position.position_id}", turn.now_ns + _MODE_PAUSE_NS)
        elif turn.now_ns < exits.next_attempt_ns:
            turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
        elif self._is_dust(position, market, exits, quantity, turn):
            exits.phase = ExitPhase.DONE
        elif self._orders.looks_again(position, market, exits, turn):
            return
        elif not self._sees_book(position, market, turn):
            turn.timer(f"exit:{position.position_id}", turn.now_ns + _BLIND_AGE_NS)
        elif policy is ExitPolicy.POST_ONLY:
            self._rest_at_touch(position, market, exits, quantity, turn)
        else:
            self._sell(position, market, exits, quantity, turn)

    # --- withdrawing ------------------------------------------------------------------

    def _withdraw(
        self, position: Position, market: MarketState, exits: ExitState, policy: ExitPolicy, turn: Turn
    ) -> TimeInForce | None:
        """Cancel what rests; return what is waited for: FAK for a sale, GTC for resting orders and purchases, None."""
        resting = taking = False
        for track in self._state.orders_of(position.position_id):
            rests = track.order.terms.time_in_force.may_rest
            sells = track.order.terms.side is Side.SELL
            if track.is_live and rests and not self._stays(track, market, exits, policy, turn):
                self._gateway.cancel(track, turn, f"{exits.rule or exits.reason.lower()} fired")
            if track.is_live or (track.order.status is not OrderStatus.DENIED and not track.is_settled):
                resting, taking = resting or rests or not sells, taking or (sells and not rests)
        if taking:
            return TimeInForce.FAK
        return TimeInForce.GTC if resting else None

    def _stays(self, track: OrderTrack, market: MarketState, exits: ExitState, policy: ExitPolicy, turn: Turn) -> bool:
        """True for a sell that is better left on the book in this mode of the venue."""
        terms = track.order.terms
        if terms.side is not Side.SELL or policy is ExitPolicy.SELL:
            return False
        if policy is ExitPolicy.HOLD:
            return True
        if policy is ExitPolicy.WAIT or not terms.post_only or terms.purpose is not exits.reason:
            return False
        best_ask = market.books[terms.token_id].best_ask
        is_undercut = best_ask is not None and best_ask < terms.price
        return not is_undercut or turn.now_ns < exits.next_attempt_ns

    def _sells_meanwhile(
        self, waits_for: TimeInForce, quantity: MicroShares, position: Position, exits: ExitState, turn: Turn
    ) -> bool:
        """True when only resting orders are waited for and that has taken too long."""
        if waits_for is not TimeInForce.GTC or quantity < SIZE_STEP:
            return False
        due_ns = exits.fired_ns + _UNKNOWN_NS
        if turn.now_ns < due_ns:
            turn.timer(f"exit:{position.position_id}", due_ns)
        return turn.now_ns >= due_ns

    # --- selling ----------------------------------------------------------------------

    def _sees_book(self, position: Position, market: MarketState, turn: Turn) -> bool:
        book = market.books[position.token_id]
        if book.in_sync and turn.now_ns - book.updated_at_ns <= oldest_book_ns(self._state):
            return True
        self._orders.ask_book(position, market, turn)
        return False

    def _sell(
        self, position: Position, market: MarketState, exits: ExitState, quantity: MicroShares, turn: Turn
    ) -> None:
        closes = exits.reason is Purpose.CLOSE
        if closes and not self._balance.has_looked(position, exits, turn):
            return
        if closes or exits.shortages:
            limited = self._balance.limit(position, quantity, turn.now_ns)
            if limited < SIZE_STEP and closes:
                self._balance.short(position, exits, quantity, turn)
                return
            quantity = limited if limited >= SIZE_STEP else quantity
        book = market.books[position.token_id]
        self._pause(position, exits, turn)
        if book.best_bid is None:
            return
        floor = market.market.price_at_or_below(book.best_bid - book.best_bid * self._config.worst_price_ppm // MICRO)
        self._orders.place(
            position,
            market,
            turn,
            purpose=exits.reason,
            rule=exits.rule,
            price=floor,
            planned=stops.price_for(book, quantity, floor),
            quantity=quantity,
            time_in_force=TimeInForce.FAK,
        )

    def _rest_at_touch(
        self, position: Position, market: MarketState, exits: ExitState, quantity: MicroShares, turn: Turn
    ) -> None:
        """Post-only, a tick better than the best ask where the spread lets it."""
        exits.next_attempt_ns = turn.now_ns + _MODE_PAUSE_NS
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
        book, grid = market.books[position.token_id], market.market
        if book.best_bid is None or quantity < grid.minimum_size:
            return
        tick = grid.tick_size
        ask = grid.highest_price if book.best_ask is None else book.best_ask - tick
        price = grid.price_at_or_above(max(book.best_bid + tick, ask))
        if price <= book.best_bid:
            return
        self._orders.place(
            position,
            market,
            turn,
            purpose=exits.reason,
            rule=exits.rule,
            price=price,
            planned=book.best_bid,
            quantity=quantity,
            time_in_force=TimeInForce.GTC,
            post_only=True,
        )

    def _pause(self, position: Position, exits: ExitState, turn: Turn) -> None:
        """The next attempt, 1, 2, 4, 8, 8 ... seconds away; 1 after a step that sold something."""
        if position.sold > exits.sold_before:
            exits.attempts = 0
        exits.sold_before = position.sold
        pause_s = min(_MAX_PAUSE_S, 2 ** min(exits.attempts, 3))
        exits.attempts += 1
        exits.next_attempt_ns = turn.now_ns + pause_s * NS_PER_S
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)

    # --- ending -----------------------------------------------------------------------

    def _end(self, position: Position, exits: ExitState) -> None:
        """Nothing can be sold now: done when nothing more can arrive either."""
        if position.shares - exits.dust < SIZE_STEP:
            exits.phase = ExitPhase.DONE

    def _is_dust(
        self, position: Position, market: MarketState, exits: ExitState, quantity: MicroShares, turn: Turn
    ) -> bool:
        """True when a size below the market's minimum was refused repeatedly: it is not tried for ever."""
        if quantity >= market.market.minimum_size or exits.refusals < _SMALL_REFUSALS:
            return False
        exits.dust = quantity
        exits.refusals = 0
        turn.touch(position.position_id)
        turn.notice(
            NoticeKind.EXIT_SKIPPED,
            position.position_id,
            f"{format_micros(quantity)} shares cannot be sold: dust, {self._config.dust.replace('_', ' ')}",
        )
        return True
