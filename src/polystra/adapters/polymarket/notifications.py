"""The venue's notices to an account: read them, dismiss them.

What lives here: the two requests and the decoding of a notice. What must not: what a notice means
for an order; orders and trades stay the truth, a notice is a hint to look (Polymarket CLOB docs,
notifications). The venue keeps notices for 48 hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from polystra.adapters.polymarket.errors import read_error
from polystra.adapters.polymarket.transport import OK, Headers, HttpTransport
from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    decode_json,
    integer,
    optional_micros,
    parse_instant,
    side_of,
    text,
)
from polystra.domain.errors import VenueProtocolError
from polystra.domain.ids import ConditionId, OrderId, TradeId
from polystra.domain.notices import NoticeTopic, VenueNotice
from polystra.domain.orders import Side
from polystra.domain.units import MicroPrice, MicroShares, Nanos

ORDER_CANCELLED: Final = 1
ORDER_FILLED: Final = 2
MARKET_REGISTERED: Final = 3
MARKET_RESOLVED: Final = 4
FILL_FAILED: Final = 8
REDEEMED: Final = 9
COMBO_REDEEMED: Final = 10
UNREADABLE: Final = 0
"""Our word for a notice of which only the id can be read."""
DISMISSED_AT_ONCE: Final = 100
"""Ids in one request, which carries them in its path. Ours: the venue names no limit."""
TOPICS: Final = {
    ORDER_CANCELLED: NoticeTopic.ORDER_CANCELLED,
    ORDER_FILLED: NoticeTopic.ORDER_FILLED,
    MARKET_REGISTERED: NoticeTopic.MARKET_LISTED,
    MARKET_RESOLVED: NoticeTopic.MARKET_RESOLVED,
    5: NoticeTopic.PERSONAL,
    6: NoticeTopic.PERSONAL,
    7: NoticeTopic.PERSONAL,
    FILL_FAILED: NoticeTopic.FILL_FAILED,
    REDEEMED: NoticeTopic.REDEEMED,
    COMBO_REDEEMED: NoticeTopic.REDEEMED,
    11: NoticeTopic.PERSONAL,
}
"""5 reward, 6 reply to a comment, 7 yield, 11 taker tier."""
_OF_ORDERS: Final = frozenset({ORDER_CANCELLED, ORDER_FILLED, FILL_FAILED})
_PATH: Final = "/notifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueNotification:
    """One notice. `owner` is an API key id, empty for everyone; what a type does not carry is empty or None.

    `price` is in micro-dollars per share, sizes in micro-shares; they come with the types of orders (1, 2, 8).
    """

    notification_id: int
    kind: int
    owner: str
    at_ns: Nanos
    condition_id: str = ""
    order_id: str = ""
    token_id: str = ""
    trade_id: str = ""
    transaction_hash: str = ""
    side: Side | None = None
    price: MicroPrice | None = None
    original_size: MicroShares | None = None
    matched_size: MicroShares | None = None
    remaining_size: MicroShares | None = None


class NotificationQueries:
    """Notices of one account over one transport."""

    def __init__(self, transport: HttpTransport, headers: Headers, *, signature_type: int) -> None:
        self._transport = transport
        self._headers = headers
        self._signature_type = signature_type

    async def notifications(self) -> tuple[VenueNotification, ...]:
        """Return what has not been dismissed, in the venue's order; one that cannot be read has the kind UNREADABLE.

        Raises:
            VenueError: no answer within the deadline, a refusal, or an answer that cannot be read.
        """
        reply = await self._transport.read(_PATH, {"signature_type": str(self._signature_type)}, self._headers)
        found = as_list(decode_json(reply.body), "notifications")
        return tuple(_readable(as_object(item, "notification")) for item in found)

    async def dismiss(self, ids: Iterable[int]) -> None:
        """Dismiss notices by id, a hundred at a time; no ids, no request. Dismissing again is harmless.

        Raises:
            VenueError: it did not arrive, may not have arrived, or was refused.
        """
        numbers = list(ids)
        for start in range(0, len(numbers), DISMISSED_AT_ONCE):
            await self._dismiss(numbers[start : start + DISMISSED_AT_ONCE])

    async def _dismiss(self, ids: Sequence[int]) -> None:
        wanted = ",".join(str(number) for number in ids)
        reply = await self._transport.write("DELETE", f"{_PATH}?ids={wanted}", b"", self._without_query)
        if reply.status != OK:
            raise read_error(
                reply.status, reply.error_text(), asked=f"DELETE {_PATH}", retry_after_s=reply.retry_after_s
            )

    def _without_query(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        """The proof covers the path without its query (Polymarket CLOB docs, authentication)."""
        return self._headers(method, path.partition("?")[0], body)


def notice_of(told: VenueNotification) -> VenueNotice:
    """Return a notice as the engine takes it."""
    return VenueNotice(
        notice_id=told.notification_id,
        topic=TOPICS.get(told.kind, NoticeTopic.UNKNOWN),
        kind=told.kind,
        order_id=OrderId(told.order_id) if told.order_id else None,
        condition_id=ConditionId(told.condition_id) if told.condition_id else None,
        trade_id=TradeId(told.trade_id) if told.trade_id else None,
    )


def _readable(message: JsonObject) -> VenueNotification:
    """Return a notice; one that cannot be read must not hide the others."""
    try:
        return notification(message)
    except VenueProtocolError:
        number = integer(message, "id")
        if number is None:
            raise
        return VenueNotification(notification_id=number, kind=UNREADABLE, owner="", at_ns=0)


def notification(message: JsonObject) -> VenueNotification:
    """Return a notice of any type; the payload is read only as far as the type is known.

    Raises:
        VenueProtocolError: id, type or timestamp is missing, or a figure of an order cannot be read.
    """
    number, kind = integer(message, "id"), integer(message, "type")
    if number is None or kind is None:
        raise VenueProtocolError("a notification has no id or no type")
    at_ns = parse_instant(message.get("timestamp"), "timestamp")
    owner = text(message, "owner")
    payload = message.get("payload")
    if not isinstance(payload, dict):
        return VenueNotification(notification_id=number, kind=kind, owner=owner, at_ns=at_ns)
    if kind not in _OF_ORDERS:
        condition = payload.get("condition_id") or payload.get("market")
        condition_id = condition if isinstance(condition, str) else ""
        return VenueNotification(notification_id=number, kind=kind, owner=owner, at_ns=at_ns, condition_id=condition_id)
    return VenueNotification(
        notification_id=number,
        kind=kind,
        owner=owner,
        at_ns=at_ns,
        condition_id=text(payload, "market"),
        order_id=text(payload, "order_id"),
        token_id=text(payload, "asset_id"),
        trade_id=text(payload, "trade_id"),
        transaction_hash=text(payload, "transaction_hash"),
        side=side_of(payload) if payload.get("side") else None,
        price=optional_micros(payload, "price"),
        original_size=optional_micros(payload, "original_size"),
        matched_size=optional_micros(payload, "matched_size"),
        remaining_size=optional_micros(payload, "remaining_size"),
    )
