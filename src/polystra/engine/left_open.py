"""What a stop leaves at the venue, in words: every order that may live, every share, who still guards it.

What lives here: the reading of the engine's memory for the last line of a run. What must not: the stop itself.
"""

from __future__ import annotations

from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroShares, Nanos, format_micros
from polystra.engine.external import order_words
from polystra.engine.positions.reconcile import RECONCILE_BLOCK
from polystra.engine.state import EngineState, OrderTrack


def left_open(state: EngineState, now_ns: Nanos) -> tuple[str, ...]:
    """Each entry is about one order, one position, or the account; empty when nothing is left."""
    left = [_order(track) for track in state.live_orders()]
    left += [
        f"the trades of {track.order.terms.purpose} {track.order.order_id} are not all known: the next start asks"
        for track in state.orders.values()
        if not track.is_live and track.order.order_id is not None and not track.is_settled
    ]
    left += [_position(position, state, now_ns) for position in state.positions.values() if position.shares > 0]
    if state.config.venue_heartbeat and any(track.is_live for track in state.orders.values()):
        left.append(
            "the heartbeats end with the daemon: within 10-15 s the venue cancels every open order of this API "
            "key, those named here included"
        )
    if state.external_orders:
        left.append(order_words(state))
    if RECONCILE_BLOCK in state.blocks:
        left.append("the account was not read whole in this run: the venue may hold more than is said here")
    if state.ledger.claims:
        left.append(f"{format_micros(state.ledger.claims)} dollars of winnings not redeemed yet")
    return tuple(left)


def _order(track: OrderTrack) -> str:
    order, terms = track.order, track.order.terms
    doubt = "" if order.status is OrderStatus.OPEN else ": the venue may have it or not, the next start asks"
    return (
        f"{order.status} {terms.purpose} {terms.side} {format_micros(_remaining(track))} at "
        f"{format_micros(terms.price)} ({order.order_id}){doubt}"
    )


def _remaining(track: OrderTrack) -> MicroShares:
    """What the venue may still match: matches that it told count although their trades are not booked."""
    return max(0, track.order.terms.quantity - max(track.matched, track.accounted))


def _position(position: Position, state: EngineState, now_ns: Nanos) -> str:
    offered = sum(
        _remaining(track)
        for track in state.orders_of(position.position_id)
        if track.order.status is OrderStatus.OPEN and track.order.terms.side is Side.SELL
    )
    market = state.markets.get(position.condition_id)
    words = f"{format_micros(position.shares)} shares in {position.position_id}"
    if market is not None and market.resolution is not None:
        return f"{words}: resolved, nothing to guard"
    if market is not None and now_ns >= market.market.closes_at_s * NS_PER_S:
        return f"{words}: its window is over, the verdict pays or does not"
    bare = max(0, position.shares - offered)
    if bare < SIZE_STEP:
        return f"{words}: all offered by resting exits, no stop is armed while the daemon is down"
    return (
        f"{words}: {format_micros(offered)} offered by resting exits, {format_micros(bare)} without any exit at the "
        "venue, no stop is armed while the daemon is down"
    )
