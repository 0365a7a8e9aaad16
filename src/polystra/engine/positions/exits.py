"""Exits: the take-profit that rests or is watched, the stop that is armed here, and one owner for both.

`review` looks at a position as it is and asks for what is missing; it is called whenever
its shares, orders or book changed, and calling it again without a change asks for nothing.

GUARDING  `limit_orders`: the take-profit rests on the book for the shares that have arrived
          on chain; what is too small to rest, or whose placement was refused, is watched.
          `monitor`: both exits are watched. The stop is judged on the best bid of a book in
          sync, never on a one-sided or stale one.
SELLING   an exit fired. Cancel the entry and the resting take-profit, wait until their
          fate and fills are *known*, sell exactly what has arrived and is left, with FAK
          and a worst price; again with growing pauses until nothing sellable is left.
DONE      nothing sellable is left (dust below the venue's size step is held to resolution).

The sum of live sells never exceeds the arrived shares: a sell is only made from what no
other live sell has reserved, and in SELLING only when no other sell lives. A second
take-profit waits until the first is answered.
"""

from __future__ import annotations

from polystra.domain.book import OrderBook
from polystra.domain.events import StopMode
from polystra.domain.facts import NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice, MicroShares, floor_to
from polystra.engine.config import ExitMode
from polystra.engine.gateway import Gateway
from polystra.engine.state import EngineState, ExitPhase, ExitState, MarketState, OrderTrack, Turn

_MAX_PAUSE_S = 8


class Exits:
    """The one owner of every sell."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway
        self._config = state.config.exits

    def review(self, position: Position, turn: Turn) -> None:
        """Ask for whatever the exits of this position need now."""
        market = self._state.markets.get(position.condition_id)
        if market is None or market.resolution is not None or market.frozen or not self._config.enabled:
            return
        if position.external and not self._state.config.balance.protect_external:
            return
        self._withdraw_excess(position, turn)
        if position.bought <= 0 or position.shares < SIZE_STEP:
            self._nothing_held(position)
            return
        exits = self._state.exits.setdefault(position.position_id, ExitState(mode=self._config.mode))
        if exits.phase is ExitPhase.DONE:
            exits.phase = ExitPhase.GUARDING
        self._plan(position, market, exits, turn)
        if turn.now_ns >= market.market.closes_at_s * NS_PER_S:
            return
        if exits.phase is ExitPhase.GUARDING and self._state.stopping is not StopMode.CANCEL_ALL:
            self._guard(position, market, exits, turn)
        if exits.phase is ExitPhase.SELLING:
            self._sell_out(position, market, exits, turn)

    def _withdraw_excess(self, position: Position, turn: Turn) -> None:
        """Cancel resting sells of shares that are not there any more (their purchase failed on chain), newest first."""
        excess = self._reserved(position) - max(0, self._state.arrived_shares(position.position_id))
        for track in reversed(self._sells(position)):
            if excess < SIZE_STEP:
                return
            if track.is_live and track.order.terms.time_in_force.may_rest:
                self._gateway.cancel(track, turn, "its shares are not there any more")
                excess -= track.left

    # --- guarding ---------------------------------------------------------------------

    def _nothing_held(self, position: Position) -> None:
        exits = self._state.exits.get(position.position_id)
        if exits is None or position.bought <= 0 or exits.phase is ExitPhase.DONE:
            return
        if exits.phase is ExitPhase.GUARDING:
            exits.reason = Purpose.TAKE_PROFIT
        exits.phase = ExitPhase.DONE

    def _plan(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        """Prices of the exits from the average price paid; a target above one minus a tick means: hold."""
        average = position.average_price
        grid = market.market
        target = average + average * self._config.take_profit_ppm // MICRO
        take_profit = -(-target // grid.tick_size) * grid.tick_size
        exits.take_profit_price = (
            take_profit if self._config.take_profit and take_profit <= grid.highest_price else None
        )
        floor = average - average * self._config.stop_loss_ppm // MICRO
        stop = floor_to(floor, grid.tick_size)
        exits.stop_price = stop if self._config.stop_loss and stop >= grid.lowest_price else None
        if not exits.armed and exits.stop_price is not None:
            exits.armed = True
            turn.notice(
                NoticeKind.STOP_ARMED,
                position.position_id,
                f"stop {exits.stop_price} take-profit {exits.take_profit_price or 'none: hold to resolution'}",
            )

    def _guard(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        book = market.books[position.token_id]
        if exits.stop_price is not None and self._stop_hit(book, exits.stop_price, turn):
            self._fire(position, exits, Purpose.STOP_LOSS, f"best bid {book.best_bid} <= {exits.stop_price}", turn)
            return
        target = exits.take_profit_price
        if target is None:
            return
        uncovered = self._sellable(position)
        may_rest = exits.mode is ExitMode.LIMIT_ORDERS and uncovered >= market.market.minimum_size
        if may_rest and self._awaits_answer(position):
            return
        if may_rest and turn.now_ns >= exits.next_attempt_ns:
            self._rest_take_profit(position, market, exits, uncovered, turn)
        elif uncovered >= SIZE_STEP and not self._has_resting_exit(position):
            bid = book.best_bid
            if book.in_sync and bid is not None and bid >= target:
                self._fire(position, exits, Purpose.TAKE_PROFIT, f"best bid {bid} >= {target}", turn)

    def _stop_hit(self, book: OrderBook, stop_price: int, turn: Turn) -> bool:
        stale = turn.now_ns - book.updated_at_ns > self._state.config.risk.stale_book_ns * 6
        usable = book.in_sync and not stale and not book.is_crossed and book.best_ask is not None
        return usable and book.best_bid is not None and book.best_bid <= stop_price

    def _rest_take_profit(
        self, position: Position, market: MarketState, exits: ExitState, quantity: MicroShares, turn: Turn
    ) -> None:
        if self._refusals(position, Purpose.TAKE_PROFIT) >= 2:
            exits.mode = ExitMode.MONITOR
            turn.notice(NoticeKind.EXIT_SKIPPED, position.position_id, "take-profit was refused twice: watched instead")
            return
        exits.next_attempt_ns = turn.now_ns + 2 * NS_PER_S
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
        price = exits.take_profit_price
        if price is not None:
            self._place(
                position,
                market,
                turn,
                purpose=Purpose.TAKE_PROFIT,
                price=price,
                quantity=quantity,
                time_in_force=TimeInForce.GTC,
            )

    def _fire(self, position: Position, exits: ExitState, reason: Purpose, why: str, turn: Turn) -> None:
        exits.phase = ExitPhase.SELLING
        exits.reason = reason
        exits.attempts = 0
        exits.next_attempt_ns = turn.now_ns
        if reason is Purpose.STOP_LOSS:
            self._state.markets[position.condition_id].stopped_out = True
            turn.notice(NoticeKind.STOP_FIRED, position.position_id, why)

    # --- selling ----------------------------------------------------------------------

    def _sell_out(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> None:
        waiting = False
        for track in self._state.orders_of(position.position_id):
            if track.is_live:
                waiting = True
                if track.order.terms.time_in_force.may_rest:
                    self._gateway.cancel(track, turn, f"{exits.reason.lower()} fired")
            elif track.order.status is not OrderStatus.DENIED and not track.is_settled:
                waiting = True
        if waiting:
            return
        quantity = floor_to(self._sellable(position), SIZE_STEP)
        if quantity < SIZE_STEP:
            if position.shares < SIZE_STEP:
                exits.phase = ExitPhase.DONE
            return
        if turn.now_ns < exits.next_attempt_ns:
            turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
            return
        book = market.books[position.token_id]
        if book.best_bid is None or not book.in_sync:
            self._pause(position, exits, turn)
            return
        worst = book.best_bid * (100 - self._config.worst_price_percent) // 100
        price = market.market.price_at_or_below(worst)
        self._pause(position, exits, turn)
        self._place(
            position,
            market,
            turn,
            purpose=exits.reason,
            price=price,
            quantity=quantity,
            time_in_force=TimeInForce.FAK,
        )

    def _pause(self, position: Position, exits: ExitState, turn: Turn) -> None:
        """The next attempt, 1, 2, 4, 8, 8 ... seconds away."""
        pause_s = min(_MAX_PAUSE_S, 2 ** min(exits.attempts, 3))
        exits.attempts += 1
        exits.next_attempt_ns = turn.now_ns + pause_s * NS_PER_S
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)

    # --- shared -----------------------------------------------------------------------

    def _sellable(self, position: Position) -> MicroShares:
        """Arrived shares that no live sell has reserved."""
        arrived = self._state.arrived_shares(position.position_id)
        return floor_to(max(0, arrived - self._reserved(position)), SIZE_STEP)

    def _reserved(self, position: Position) -> MicroShares:
        """Shares promised to sells that are live or whose fate is not known."""
        total = 0
        for track in self._sells(position):
            if track.is_live or (not track.is_settled and track.order.status is not OrderStatus.DENIED):
                total += track.left
        return total

    def _sells(self, position: Position) -> list[OrderTrack]:
        return [t for t in self._state.orders_of(position.position_id) if t.order.terms.side is Side.SELL]

    def _awaits_answer(self, position: Position) -> bool:
        """True while the outcome of an exit that was sent is not told: the next one waits for it."""
        unanswered = (OrderStatus.NEW, OrderStatus.SUBMITTED)
        return any(track.order.status in unanswered for track in self._sells(position))

    def _has_resting_exit(self, position: Position) -> bool:
        return any(t.is_live for t in self._sells(position))

    def _refusals(self, position: Position, purpose: Purpose) -> int:
        return sum(
            1
            for t in self._sells(position)
            if t.order.terms.purpose is purpose and t.order.status in (OrderStatus.REJECTED, OrderStatus.DENIED)
        )

    def _place(
        self,
        position: Position,
        market: MarketState,
        turn: Turn,
        *,
        purpose: Purpose,
        price: MicroPrice,
        quantity: MicroShares,
        time_in_force: TimeInForce,
    ) -> None:
        grid = market.market
        terms = OrderTerms(
            client_order_id=self._gateway.next_client_order_id(),
            condition_id=position.condition_id,
            token_id=position.token_id,
            position_id=position.position_id,
            purpose=purpose,
            side=Side.SELL,
            price=price,
            quantity=floor_to(quantity, SIZE_STEP),
            time_in_force=time_in_force,
            tick_size=grid.tick_size,
            negative_risk=grid.negative_risk,
            version=grid.version,
            reason=purpose.lower().replace("_", "-"),
        )
        self._gateway.place(terms, turn)
