"""An order, its states, and the one table of legal transitions.

Laws: everything about the state of an order lives in this file; `apply` is the only way
to change one; quantities are not states ("partially filled" is a property); facts are
accepted when true even if late, and repeating a fact changes nothing.

The table's rows are the ten states, its columns the events. A cell that is absent is
refused with `IllegalTransition`. A refused cancel leads to IN_DOUBT, not OPEN: "not
found" may mean done. A fill on an order that we believed dead re-opens the question or
ends in FILLED; it is never thrown away. A killed FOK/FAK arrives both as a refusal of the
POST and as a cancellation on the user stream, in either order; both orders end CANCELED.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"


class TimeInForce(StrEnum):
    """How long an order lives; FAK is the venue's word for immediate-or-cancel."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"

    @property
    def may_rest(self) -> bool:
        """True for the kinds that can stay on the book."""
        return self in (TimeInForce.GTC, TimeInForce.GTD)


class Purpose(StrEnum):
    """Why an order exists."""

    ENTRY = "ENTRY"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    CLOSE = "CLOSE"

    @property
    def is_exit(self) -> bool:
        """True when the order may only shrink a position."""
        return self is not Purpose.ENTRY


class OrderStatus(StrEnum):
    """The internal states of an order."""

    NEW = "NEW"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    IN_DOUBT = "IN_DOUBT"
    OPEN = "OPEN"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


class OrderEvent(StrEnum):
    """What can happen to an order; facts are past, requests end in ASKED."""

    DENY = "DENY"
    SUBMIT = "SUBMIT"
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    CANCEL_ASKED = "CANCEL_ASKED"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    CANCEL = "CANCEL"
    EXPIRE = "EXPIRE"
    FILL_PARTIAL = "FILL_PARTIAL"
    FILL_FULL = "FILL_FULL"


_S = OrderStatus
_E = OrderEvent

TRANSITIONS: Final = MappingProxyType(
    {
        (_S.NEW, _E.DENY): _S.DENIED,
        (_S.NEW, _E.SUBMIT): _S.SUBMITTED,
        (_S.NEW, _E.CANCEL_ASKED): _S.CANCELED,
        (_S.SUBMITTED, _E.ACCEPT): _S.OPEN,
        (_S.SUBMITTED, _E.REJECT): _S.REJECTED,
        (_S.SUBMITTED, _E.OUTCOME_UNKNOWN): _S.IN_DOUBT,
        (_S.SUBMITTED, _E.CANCEL_ASKED): _S.PENDING_CANCEL,
        (_S.SUBMITTED, _E.CANCEL): _S.CANCELED,
        (_S.SUBMITTED, _E.EXPIRE): _S.EXPIRED,
        (_S.SUBMITTED, _E.FILL_PARTIAL): _S.OPEN,
        (_S.SUBMITTED, _E.FILL_FULL): _S.FILLED,
        (_S.IN_DOUBT, _E.ACCEPT): _S.OPEN,
        (_S.IN_DOUBT, _E.REJECT): _S.REJECTED,
        (_S.IN_DOUBT, _E.OUTCOME_UNKNOWN): _S.IN_DOUBT,
        (_S.IN_DOUBT, _E.CANCEL_ASKED): _S.PENDING_CANCEL,
        (_S.IN_DOUBT, _E.CANCEL_REFUSED): _S.IN_DOUBT,
        (_S.IN_DOUBT, _E.CANCEL): _S.CANCELED,
        (_S.IN_DOUBT, _E.EXPIRE): _S.EXPIRED,
        (_S.IN_DOUBT, _E.FILL_PARTIAL): _S.OPEN,
        (_S.IN_DOUBT, _E.FILL_FULL): _S.FILLED,
        (_S.OPEN, _E.ACCEPT): _S.OPEN,
        (_S.OPEN, _E.OUTCOME_UNKNOWN): _S.OPEN,
        (_S.OPEN, _E.CANCEL_ASKED): _S.PENDING_CANCEL,
        (_S.OPEN, _E.CANCEL_REFUSED): _S.IN_DOUBT,
        (_S.OPEN, _E.CANCEL): _S.CANCELED,
        (_S.OPEN, _E.EXPIRE): _S.EXPIRED,
        (_S.OPEN, _E.FILL_PARTIAL): _S.OPEN,
        (_S.OPEN, _E.FILL_FULL): _S.FILLED,
        (_S.PENDING_CANCEL, _E.ACCEPT): _S.PENDING_CANCEL,
        (_S.PENDING_CANCEL, _E.REJECT): _S.REJECTED,
        (_S.PENDING_CANCEL, _E.OUTCOME_UNKNOWN): _S.PENDING_CANCEL,
        (_S.PENDING_CANCEL, _E.CANCEL_ASKED): _S.PENDING_CANCEL,
        (_S.PENDING_CANCEL, _E.CANCEL_REFUSED): _S.IN_DOUBT,
        (_S.PENDING_CANCEL, _E.CANCEL): _S.CANCELED,
        (_S.PENDING_CANCEL, _E.EXPIRE): _S.EXPIRED,
        (_S.PENDING_CANCEL, _E.FILL_PARTIAL): _S.PENDING_CANCEL,
        (_S.PENDING_CANCEL, _E.FILL_FULL): _S.FILLED,
        (_S.CANCELED, _E.ACCEPT): _S.CANCELED,
        (_S.CANCELED, _E.REJECT): _S.CANCELED,
        (_S.CANCELED, _E.OUTCOME_UNKNOWN): _S.CANCELED,
        (_S.CANCELED, _E.CANCEL_ASKED): _S.CANCELED,
        (_S.CANCELED, _E.CANCEL_REFUSED): _S.CANCELED,
        (_S.CANCELED, _E.CANCEL): _S.CANCELED,
        (_S.CANCELED, _E.EXPIRE): _S.CANCELED,
        (_S.CANCELED, _E.FILL_PARTIAL): _S.CANCELED,
        (_S.CANCELED, _E.FILL_FULL): _S.FILLED,
        (_S.EXPIRED, _E.ACCEPT): _S.EXPIRED,
        (_S.EXPIRED, _E.OUTCOME_UNKNOWN): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL_ASKED): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL_REFUSED): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL): _S.CANCELED,
        (_S.EXPIRED, _E.EXPIRE): _S.EXPIRED,
        (_S.EXPIRED, _E.FILL_PARTIAL): _S.EXPIRED,
        (_S.EXPIRED, _E.FILL_FULL): _S.FILLED,
        (_S.REJECTED, _E.ACCEPT): _S.IN_DOUBT,
        (_S.REJECTED, _E.REJECT): _S.REJECTED,
        (_S.REJECTED, _E.OUTCOME_UNKNOWN): _S.REJECTED,
        (_S.REJECTED, _E.CANCEL_ASKED): _S.REJECTED,
        (_S.REJECTED, _E.CANCEL_REFUSED): _S.REJECTED,
        (_S.REJECTED, _E.CANCEL): _S.CANCELED,
        (_S.REJECTED, _E.EXPIRE): _S.REJECTED,
        (_S.REJECTED, _E.FILL_PARTIAL): _S.IN_DOUBT,
        (_S.REJECTED, _E.FILL_FULL): _S.FILLED,
        (_S.FILLED, _E.ACCEPT): _S.FILLED,
        (_S.FILLED, _E.OUTCOME_UNKNOWN): _S.FILLED,
        (_S.FILLED, _E.CANCEL_ASKED): _S.FILLED,
        (_S.FILLED, _E.CANCEL_REFUSED): _S.FILLED,
        (_S.FILLED, _E.CANCEL): _S.FILLED,
        (_S.FILLED, _E.EXPIRE): _S.FILLED,
        (_S.FILLED, _E.FILL_PARTIAL): _S.FILLED,
        (_S.FILLED, _E.FILL_FULL): _S.FILLED,
    }
)
"""(state, event) -> state. `CANCELED` wins over `EXPIRED` and `REJECTED`: the venue announces an expiry and a
killed order as cancellations, so every interleaving of the same facts ends in the same state."""

LIVE_STATUSES: Final = frozenset({_S.NEW, _S.SUBMITTED, _S.IN_DOUBT, _S.OPEN, _S.PENDING_CANCEL})
"""States in which the order may still trade, so that its cash or shares stay reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What we want to trade: fixed at the intent, never changed.

    A buy with FOK or FAK is bounded by `budget` (micro-dollars) and `price` is the worst
    acceptable price; every other order is bounded by `quantity` (micro-shares). For such a
    buy `quantity` is the estimate `budget / price`. `expires_at_s` is the venue's GTD
    expiration in UTC seconds, 0 for the other kinds.
    """

    client_order_id: ClientOrderId
    condition_id: ConditionId
    token_id: TokenId
    position_id: PositionId
    purpose: Purpose
    side: Side
    price: MicroPrice
    quantity: MicroShares
    budget: MicroDollars = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    expires_at_s: int = 0
    tick_size: MicroPrice = 10_000
    negative_risk: bool = False
    version: str = "v1"
    reason: str = ""
    rule: str = ""
    """Which rule asked for it, in one word: "entry", "scale-in", "take-profit", "trailing-stop", ..."""
    planned_price: MicroPrice | None = None
    """The price that the plan reckoned with, to be compared with the price filled."""
    request_id: str = ""
    """The request of a person or a tool that it answers; empty for the daemon's own orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """The bytes that may be sent for one intent, and the id that the venue will give them."""

    client_order_id: ClientOrderId
    order_id: OrderId
    body: bytes = field(repr=False)
    """What is sent. Whoever has it can send it: no log and no traceback shows it."""
    salt: int
    timestamp_ms: int
    quantity: MicroShares
    """Shares after the rounding of amounts: what the signed order asks for (an estimate for dollar buys)."""
    maker_amount: int = 0
    taker_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order at one moment. `filled` is cumulative over fills that did not fail."""

    terms: OrderTerms
    status: OrderStatus = OrderStatus.NEW
    order_id: OrderId | None = None
    filled: MicroShares = 0
    created_at_ns: Nanos = 0
    updated_at_ns: Nanos = 0
    detail: str = ""

    @property
    def is_live(self) -> bool:
        """True while the order may still trade."""
        return self.status in LIVE_STATUSES

    @property
    def remaining(self) -> MicroShares:
        """Shares that may still trade, never negative (buys by dollars can overfill)."""
        return max(0, self.terms.quantity - self.filled)


def apply(
    order: Order,
    event: OrderEvent,
    *,
    now_ns: Nanos,
    filled: MicroShares | None = None,
    order_id: OrderId | None = None,
    detail: str = "",
) -> Order:
    """Return the order after `event`.

    `filled` is the new cumulative quantity for the fill events.

    Raises:
        IllegalTransition: the table has no row for this state and event.
    """
    status = TRANSITIONS.get((order.status, event))
    if status is None:
        raise IllegalTransition("order", order.status, event, order.terms.client_order_id)
    return replace(
        order,
        status=status,
        order_id=order.order_id if order_id is None else order_id,
        filled=order.filled if filled is None else filled,
        updated_at_ns=now_ns,
        detail=detail or order.detail,
    )


DONE_TOLERANCE: Final[MicroShares] = 10_000
"""An order whose remainder is below 0.01 share is complete (the venue ends some orders a few micro-shares short)."""


def fill_event(order: Order, filled: MicroShares) -> OrderEvent:
    """Classify a new cumulative fill: full when nothing worth a cent of a share remains.

    A dollar buy is never "full" by shares: only the venue's word ends it.
    """
    if order.terms.budget:
        return OrderEvent.FILL_PARTIAL
    done = filled >= order.terms.quantity or order.terms.quantity - filled < DONE_TOLERANCE
    return OrderEvent.FILL_FULL if done else OrderEvent.FILL_PARTIAL
