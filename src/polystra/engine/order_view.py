"""One of our orders as people and tools see it: ids, the field's word, what was filled, and why not.

What lives here: reading the engine's memory into a frozen view. What must not: changing it, waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from polystra.domain.fills import FillStatus
from polystra.domain.ids import ClientOrderId, OrderId, PositionId
from polystra.domain.order_words import FieldStatus, field_status
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.units import MicroPrice, MicroShares, div_ceil, div_floor
from polystra.engine.state import EngineState, OrderTrack


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order at one moment. Without `client_order_id` the request never became an order."""

    request_id: str
    status: FieldStatus
    client_order_id: ClientOrderId | None = None
    order_id: OrderId | None = None
    """The venue's id, known before the order is sent."""
    position_id: PositionId | None = None
    filled: MicroShares = 0
    average_price: MicroPrice | None = None
    """Of the fills that did not fail, rounded against us; None when nothing was filled."""
    refusal: str = ""
    """Why it was refused or ended early, in one sentence; empty when nothing speaks against it."""
    is_over: bool = False
    """True when it can trade no more and everything that it traded is booked."""

    @property
    def is_refused(self) -> bool:
        """True when it never became an order that could trade."""
        return self.status in (FieldStatus.ERROR, FieldStatus.NOT_FOUND)


def view_of(state: EngineState, track: OrderTrack, *, request_id: str = "", refusal: str = "") -> OrderView:
    """Return the view of an order of ours."""
    order = track.order
    fills = [
        fill
        for fill in state.fills.of_position(order.terms.position_id)
        if fill.client_order_id == order.terms.client_order_id and fill.status is not FillStatus.FAILED
    ]
    shares = sum(fill.quantity for fill in fills)
    product = sum(fill.price * fill.quantity for fill in fills)
    divide = div_ceil if order.terms.side is Side.BUY else div_floor
    said = order.detail if order.status in (OrderStatus.DENIED, OrderStatus.REJECTED) else ""
    return OrderView(
        request_id=request_id or order.terms.request_id,
        status=field_status(order),
        client_order_id=order.terms.client_order_id,
        order_id=order.order_id,
        position_id=order.terms.position_id,
        filled=order.filled,
        average_price=divide(product, shares) if shares else None,
        refusal=refusal or said,
        is_over=order.status is OrderStatus.DENIED or track.is_settled,
    )
