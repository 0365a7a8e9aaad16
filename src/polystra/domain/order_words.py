"""The field's words for where an order stands: what the venue's own clients show their users.

What lives here: one pure function of an order. What must not: figures, colours, the venue's wire words.
The words are coarser than our states: `PENDING` is every order whose fate at the venue is not known.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.orders import Order, OrderStatus

ABSENT: Final = "found neither among open orders nor among trades"
"""The detail of an order whose absence at the venue is proven."""
_ACCEPTED_AS: Final = "venue: "


class FieldStatus(StrEnum):
    """What users see of an order."""

    PENDING = "PENDING"
    """On its way or in doubt: the venue has not said what became of it."""
    LIVE = "LIVE"
    """On the book."""
    MATCHED = "MATCHED"
    """Matched as far as it could; its trades settle, or settled for a part."""
    DELAYED = "DELAYED"
    """Taken, and held back by the venue before it is matched."""
    UNMATCHED = "UNMATCHED"
    """An order that may not rest found nothing to trade with."""
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    NOT_FOUND = "NOT_FOUND"
    """It never arrived: the venue knows no order and no trade of its id."""
    ERROR = "ERROR"
    """Refused, by the venue or before it was signed."""


_PLAIN: Final = MappingProxyType(
    {
        OrderStatus.NEW: FieldStatus.PENDING,
        OrderStatus.SUBMITTED: FieldStatus.PENDING,
        OrderStatus.IN_DOUBT: FieldStatus.PENDING,
        OrderStatus.PENDING_CANCEL: FieldStatus.LIVE,
        OrderStatus.FILLED: FieldStatus.FILLED,
        OrderStatus.EXPIRED: FieldStatus.EXPIRED,
        OrderStatus.DENIED: FieldStatus.ERROR,
    }
)
_TAKEN: Final = MappingProxyType(
    {
        f"{_ACCEPTED_AS}delayed": FieldStatus.DELAYED,
        f"{_ACCEPTED_AS}unmatched": FieldStatus.UNMATCHED,
        f"{_ACCEPTED_AS}matched": FieldStatus.MATCHED,
    }
)


def accepted_as(venue_word: str) -> str:
    """The detail of an order that the venue took with this word."""
    return f"{_ACCEPTED_AS}{venue_word.lower()}"


def field_status(order: Order) -> FieldStatus:
    """The field's word for an order."""
    match order.status:
        case OrderStatus.OPEN:
            return FieldStatus.MATCHED if _has_traded_at_once(order) else _TAKEN.get(order.detail, FieldStatus.LIVE)
        case OrderStatus.CANCELED if not order.terms.time_in_force.may_rest:
            return FieldStatus.MATCHED if order.filled else FieldStatus.UNMATCHED
        case OrderStatus.CANCELED:
            return FieldStatus.CANCELED
        case OrderStatus.REJECTED:
            return FieldStatus.NOT_FOUND if order.detail == ABSENT else FieldStatus.ERROR
        case _:
            return _PLAIN[order.status]


def _has_traded_at_once(order: Order) -> bool:
    return order.filled > 0 and not order.terms.time_in_force.may_rest
