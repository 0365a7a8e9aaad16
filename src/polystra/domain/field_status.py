"""The field's nine words for where an order stands: what users see.

What lives here: the words and how our states map to them. What must not: the states themselves
(`orders`) and the venue's own words for them (adapters).
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.orders import Order, OrderStatus


class FieldStatus(StrEnum):
    """Where an order stands, in the words of the field."""

    LIVE = "LIVE"
    """On the book, perhaps partly filled."""
    MATCHED = "MATCHED"
    """All that it could trade is matched; the chain has not confirmed it all."""
    DELAYED = "DELAYED"
    """On its way, or sent with an outcome that is not known yet."""
    UNMATCHED = "UNMATCHED"
    """It had to trade at once and found nothing."""
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    NOT_FOUND = "NOT_FOUND"
    """The venue never had it, as complete look-ups have shown."""
    ERROR = "ERROR"
    """Refused, by us before it was signed or by the venue."""


_WORDS: Final = MappingProxyType(
    {
        OrderStatus.NEW: FieldStatus.DELAYED,
        OrderStatus.DENIED: FieldStatus.ERROR,
        OrderStatus.SUBMITTED: FieldStatus.DELAYED,
        OrderStatus.IN_DOUBT: FieldStatus.DELAYED,
        OrderStatus.OPEN: FieldStatus.LIVE,
        OrderStatus.PENDING_CANCEL: FieldStatus.LIVE,
        OrderStatus.FILLED: FieldStatus.FILLED,
        OrderStatus.CANCELED: FieldStatus.CANCELED,
        OrderStatus.EXPIRED: FieldStatus.EXPIRED,
        OrderStatus.REJECTED: FieldStatus.ERROR,
    }
)


def field_status(order: Order, *, is_settled_on_chain: bool = True, was_absent: bool = False) -> FieldStatus:
    """Return the word for an order.

    `is_settled_on_chain` is False while a fill of it waits for the chain; `was_absent` is True when
    it was given up because nobody at the venue knew it.
    """
    status = order.status
    if status is OrderStatus.REJECTED and was_absent:
        return FieldStatus.NOT_FOUND
    if status is OrderStatus.FILLED and not is_settled_on_chain:
        return FieldStatus.MATCHED
    if status is OrderStatus.CANCELED and not order.terms.time_in_force.may_rest:
        if not order.filled:
            return FieldStatus.UNMATCHED
        return FieldStatus.FILLED if is_settled_on_chain else FieldStatus.MATCHED
    return _WORDS[status]
