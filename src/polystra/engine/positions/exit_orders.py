"""The sells of a position: what they promise, what may still be promised, and how one is placed.

What lives here: sums over orders and arrived shares, and the making of a sell's terms. What must
not: why and when to sell (exits, exit_selling). A sell is only made from arrived shares that no
other sell has reserved, so that the sum of open sells never exceeds what is held.
"""

from __future__ import annotations

from dataclasses import dataclass

from polystra.domain.fills import FillStatus
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, OrderTerms, Purpose, Side, TimeInForce
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroPrice, MicroShares, Nanos, floor_to
from polystra.engine.config import DustPolicy
from polystra.engine.effects import ReadBook
from polystra.engine.gateway import Gateway
from polystra.engine.positions import second_look
from polystra.engine.state import EngineState, ExitState, MarketState, OrderTrack, Turn

_BOOK_PAUSE_NS = 2 * NS_PER_S
_UNANSWERED = (OrderStatus.NEW, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL)


@dataclass(frozen=True, slots=True)
class Held:
    """One position under review: its market, its exits, the turn's sheet."""

    position: Position
    market: MarketState
    exits: ExitState
    turn: Turn


class ExitOrders:
    """Answers about sells, and the one place that makes them."""

    def __init__(self, state: EngineState, gateway: Gateway) -> None:
        self._state = state
        self._gateway = gateway

    # --- looking ----------------------------------------------------------------------

    def sells(self, position: Position) -> list[OrderTrack]:
        """Every sell of the position, oldest first."""
        return [t for t in self._state.orders_of(position.position_id) if t.order.terms.side is Side.SELL]

    def resting(self, position: Position) -> list[OrderTrack]:
        """Sells that may rest and may still trade."""
        return [t for t in self.sells(position) if t.is_live and t.order.terms.time_in_force.may_rest]

    def awaits_answer(self, position: Position) -> bool:
        """True while the outcome of a sell or of its cancel is not told: the next one waits for it."""
        return any(
            track.order.status in _UNANSWERED or (not track.is_live and not track.is_settled)
            for track in self.sells(position)
            if track.order.status is not OrderStatus.DENIED
        )

    def sellable(self, position: Position, exits: ExitState) -> MicroShares:
        """Arrived shares that no sell has reserved, on the size step; dust that is held is left out."""
        arrived = self._state.arrived_shares(position.position_id)
        kept = exits.dust if self._state.config.exits.dust is DustPolicy.HOLD else 0
        return floor_to(max(0, arrived - kept - self._state.promised_shares(position.position_id)), SIZE_STEP)

    def bought_and_arrived(self, position: Position) -> MicroShares:
        """Shares bought in all that have been seen on chain, whatever was sold since."""
        seen = (FillStatus.MINED, FillStatus.CONFIRMED)
        return sum(
            fill.quantity
            for fill in self._state.fills.of_position(position.position_id)
            if fill.side is Side.BUY and fill.status in seen
        )

    def ask_book(
        self, position: Position, market: MarketState, turn: Turn, *, pause_ns: Nanos = _BOOK_PAUSE_NS
    ) -> None:
        """Fetch the book by REST, at most once a pause."""
        if turn.now_ns - market.resync_asked_ns >= pause_ns:
            market.resync_asked_ns = turn.now_ns
            turn.effects.append(ReadBook(token_id=position.token_id))

    def looks_again(self, position: Position, market: MarketState, exits: ExitState, turn: Turn) -> bool:
        """True while the book is torn open and must not be sold into: it is looked at again a moment later."""
        again_ns = second_look.wait_until_ns(exits, turn.now_ns)
        if not again_ns:
            return False
        if turn.now_ns >= exits.torn_since_ns + second_look.ASK_AGAIN_NS:
            self.ask_book(position, market, turn)
        turn.timer(f"exit-book:{position.position_id}", again_ns)
        return True

    def place(
        self,
        position: Position,
        market: MarketState,
        turn: Turn,
        *,
        purpose: Purpose,
        rule: str,
        price: MicroPrice,
        planned: MicroPrice,
        quantity: MicroShares,
        time_in_force: TimeInForce,
        post_only: bool = False,
    ) -> None:
        """Make one sell; `planned` is the price that the plan reckoned with."""
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
            post_only=post_only,
            tick_size=grid.tick_size,
            negative_risk=grid.negative_risk,
            version=grid.version,
            reason=rule,
            rule=rule,
            planned_price=planned,
        )
        self._gateway.place(terms, turn)
