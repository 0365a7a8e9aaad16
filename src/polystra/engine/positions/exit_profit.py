"""The take-profit of a position that is guarded: placed, mended, or watched, one step at a time.

What lives here: what happens to the shares that no sell covers, part by part of the plan. What must
not: stops and clocks (exits), prices of the plan (exit_plan).

A part that may rest is placed post-only when the venue takes nothing else; one too small to rest is
joined with its neighbour (cancel, know its fate, place once) or watched: when its target is bid it is
sold by FAK at the target, never below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from polystra.domain.facts import NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroShares, Nanos, floor_to, format_micros
from polystra.engine.config import DustPolicy, ExitConfig, ExitMode
from polystra.engine.gateway import Gateway
from polystra.engine.positions import exit_health
from polystra.engine.positions.exit_health import Ailment, ExitHealth
from polystra.engine.positions.exit_orders import ExitOrders, Held
from polystra.engine.positions.exit_plan import Target, belongs_to, targets
from polystra.engine.positions.exit_selling import oldest_book_ns
from polystra.engine.state import EngineState, ExitState, MarketState, OrderTrack, Turn

TAKE_PROFIT_RULE: Final = "take-profit"
_RETRY_NS: Final = 2 * NS_PER_S
_REFUSALS: Final = 2
_MOST_DOUBLINGS: Final = 4


def pause_ns(exits: ExitState) -> Nanos:
    """The time between two tries of a take-profit: doubled by each refusal, and from the second miss in a row on."""
    return _RETRY_NS << min(exits.refusals + max(0, exits.misses - 1), _MOST_DOUBLINGS)


class TakeProfit:
    """Owns the take-profit in the phase GUARDING."""

    def __init__(self, state: EngineState, gateway: Gateway, orders: ExitOrders, health: ExitHealth) -> None:
        self._state = state
        self._gateway = gateway
        self._orders = orders
        self._health = health

    @property
    def _config(self) -> ExitConfig:
        """As it holds now: settings may change while trading goes on."""
        return self._state.config.exits

    def plan(self, position: Position, market: MarketState, exits: ExitState) -> tuple[Target, ...]:
        """The parts of the take-profit and what of each is still to be sold."""
        kept = exits.dust if self._config.dust is DustPolicy.HOLD else 0
        return targets(
            self._config,
            market.market,
            average=position.average_price,
            total=position.shares - kept + position.sold,
            sold=position.sold,
        )

    def review(self, held: Held) -> None:
        """Ask for the next thing that the take-profit needs, if it needs one."""
        position, exits = held.position, held.exits
        plan = self.plan(position, held.market, exits)
        resting = self._orders.resting(position)
        if not self._entry_works(position):
            for ailment in exit_health.misplaced(resting, plan):
                self.take_back(position, ailment, held.turn)
        if self._orders.awaits_answer(position):
            return
        self._note_losses(held)
        uncovered = self._orders.sellable(position, exits)
        for target in plan:
            own = [t for t in resting if belongs_to(t.order.terms.price, t.order.terms.tick_size, plan) == target]
            missing = floor_to(max(0, target.quantity - sum(track.left for track in own)), SIZE_STEP)
            quantity = min(missing, uncovered)
            if quantity >= SIZE_STEP:
                uncovered -= quantity
                if self._cover(held, target, own, quantity):
                    return

    def take_back(self, position: Position, ailment: Ailment, turn: Turn) -> None:
        """Cancel a resting sell that does not fit, once, and tell why."""
        track = ailment.track
        if track is None or track.cancel_asked_ns or track.order.status is OrderStatus.NEW:
            return
        self._gateway.cancel(track, turn, ailment.name)
        exits = self._state.exits.get(position.position_id)
        if exits is not None:
            self._health.mend(position, exits, ailment, "cancelled", turn)

    # --- inside -----------------------------------------------------------------------

    def _cover(self, held: Held, target: Target, own: Sequence[OrderTrack], quantity: MicroShares) -> bool:
        """See to the uncovered shares of one part; True when something was asked for."""
        minimum = held.market.market.minimum_size
        rests = held.exits.mode is ExitMode.LIMIT_ORDERS and not held.exits.watched
        if rests and quantity >= minimum:
            self._rest(held, target, quantity)
            return True
        if rests and not self._entry_works(held.position):
            ailment = exit_health.too_small(own, quantity, minimum)
            if ailment is not None:
                self.take_back(held.position, ailment, held.turn)
                return True
        return self._sell_watched(held, target, quantity)

    def _rest(self, held: Held, target: Target, quantity: MicroShares) -> None:
        exits, turn = held.exits, held.turn
        if self._refusals(held) >= _REFUSALS:
            exits.watched = "take-profit was refused twice"
            exits.watched_bought = held.position.bought
            turn.notice(NoticeKind.EXIT_SKIPPED, held.position.position_id, f"{exits.watched}: watched instead")
            turn.touch(held.position.position_id)
            return
        due_ns = max(exits.next_attempt_ns, self._cool_ns(held))
        takes = self._state.venue_takes(purpose=Purpose.TAKE_PROFIT, post_only=True) and not self._crosses(held, target)
        if turn.now_ns < due_ns or not takes:
            turn.timer(f"exit:{held.position.position_id}", max(due_ns, turn.now_ns + NS_PER_S))
            return
        exits.resting_since_ns = exits.resting_since_ns or turn.now_ns
        self._place(held, target, quantity, TimeInForce.GTC)

    def _crosses(self, held: Held, target: Target) -> bool:
        """True while only post-only orders are taken and the target is bid: such an order would be refused."""
        if self._state.venue_mode.takes_taker_exits:
            return False
        best_bid = held.market.books[held.position.token_id].best_bid
        return best_bid is not None and best_bid >= target.price

    def _cool_ns(self, held: Held) -> Nanos:
        """The end of the cooldown after bought shares arrived: until then the venue's cache may not show them."""
        if not self._state.config.balance.enhanced or not self._config.balance_cooldown_s:
            return 0
        exits, arrived = held.exits, self._orders.bought_and_arrived(held.position)
        if arrived > exits.bought_arrived:
            exits.arrived_ns = held.turn.now_ns
        exits.bought_arrived = arrived
        return exits.arrived_ns + self._config.balance_cooldown_s * NS_PER_S

    def _sell_watched(self, held: Held, target: Target, quantity: MicroShares) -> bool:
        """The target is bid: sell this part, never below the target."""
        turn, exits = held.turn, held.exits
        book = held.market.books[held.position.token_id]
        trusted = book.in_sync and turn.now_ns - book.updated_at_ns <= oldest_book_ns(self._state)
        if not trusted or book.best_bid is None or book.best_bid < target.price:
            return False
        if not self._state.venue_takes(purpose=Purpose.TAKE_PROFIT, post_only=False):
            return False
        if turn.now_ns < exits.next_attempt_ns:
            turn.timer(f"exit:{held.position.position_id}", exits.next_attempt_ns)
        else:
            self._place(held, target, quantity, TimeInForce.FAK)
        return True

    def _place(self, held: Held, target: Target, quantity: MicroShares, time_in_force: TimeInForce) -> None:
        turn, exits = held.turn, held.exits
        exits.next_attempt_ns = turn.now_ns + pause_ns(exits)
        turn.timer(f"exit:{held.position.position_id}", exits.next_attempt_ns)
        rests = time_in_force.may_rest
        self._orders.place(
            held.position,
            held.market,
            turn,
            purpose=Purpose.TAKE_PROFIT,
            rule=TAKE_PROFIT_RULE,
            price=target.price,
            planned=target.price,
            quantity=quantity,
            time_in_force=time_in_force,
            post_only=rests and not self._state.venue_mode.takes_taker_exits,
        )

    def _entry_works(self, position: Position) -> bool:
        return any(
            track.order.terms.side is Side.BUY and not track.is_settled
            for track in self._state.orders_of(position.position_id)
        )

    def _note_losses(self, held: Held) -> None:
        """A resting exit that ended by itself will be placed again: tell it, and freeze a repair that does not take."""
        gone = exit_health.lost(self._orders.sells(held.position))
        for track in gone[held.exits.seen_lost :]:
            terms = track.order.terms
            before = f"{format_micros(track.order.remaining)} at {format_micros(terms.price)} ended by itself"
            self._health.mend(held.position, held.exits, Ailment("exit missing", before), "placed again", held.turn)
        held.exits.seen_lost = len(gone)

    def _refusals(self, held: Held) -> int:
        denied = sum(1 for t in self._orders.sells(held.position) if t.order.status is OrderStatus.DENIED)
        return held.exits.refusals + denied
