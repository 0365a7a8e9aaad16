"""Messages of the market channel and `/book`, as domain events.

What lives here: pure translation of one decoded message. What must not: books, subscriptions,
sockets. Unknown message kinds give no events; a known kind that cannot be read raises
`VenueProtocolError`. Source: Polymarket CLOB docs, market channel; captures of 2024 to 2026.
"""

from __future__ import annotations

from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    instant,
    micros,
    optional_micros,
    outcome_price,
    required_text,
    side_of,
    text,
)
from polystra.domain.book import Level
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    LevelChange,
    MarketResolved,
    PublicTrade,
    TickSizeChanged,
    WorldEvent,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.units import MICRO, MicroPrice, Nanos

PAYOUT_OF_WINNER = {"up": MICRO, "down": 0}
"""Micro-dollars that an Up share pays when the named outcome wins."""


def market_events(message: JsonObject, received_ns: Nanos) -> list[WorldEvent]:
    """Return the events in one message of the market channel; `received_ns` stands in for a missing timestamp."""
    kind = _kind(message)
    if kind == "book":
        return [book_snapshot(message, received_ns)]
    if kind == "price_change":
        return [_book_changed(message, received_ns)]
    if kind == "last_trade_price":
        return _public_trade(message, received_ns)
    if kind == "tick_size_change":
        return [_tick_size_changed(message, received_ns)]
    if kind == "market_resolved":
        return _resolved(message, received_ns)
    return []


def _kind(message: JsonObject) -> str:
    """The event type; old captures lack it, then the fields that only one kind has tell it."""
    kind = text(message, "event_type")
    if kind:
        return kind
    if "price_changes" in message:
        return "price_change"
    if "fee_rate_bps" in message:
        return "last_trade_price"
    if "new_tick_size" in message:
        return "tick_size_change"
    if "asset_id" in message and "bids" in message and "asks" in message:
        return "book"
    return ""


def book_snapshot(message: JsonObject, received_ns: Nanos) -> BookSnapshot:
    """Return a full book (stream or `/book`; the order of levels on the wire means nothing)."""
    tick = optional_micros(message, "tick_size")
    return BookSnapshot(
        token_id=TokenId(required_text(message, "asset_id", "token_id")),
        bids=_levels(message, "bids"),
        asks=_levels(message, "asks"),
        at_ns=instant(message, "timestamp", default=received_ns),
        tick_size=tick or None,
    )


def _levels(message: JsonObject, name: str) -> tuple[Level, ...]:
    levels = []
    for item in as_list(message.get(name), name):
        level = as_object(item, f"level of {name}")
        levels.append((outcome_price(micros(level, "price"), "price"), micros(level, "size")))
    return tuple(levels)


def _book_changed(message: JsonObject, received_ns: Nanos) -> BookChanged:
    """Read both shapes: the list of 2025 and later, and the flat one before it."""
    listed = message.get("price_changes", message.get("changes"))
    if listed is None:
        items: list[JsonObject] = [message]
    else:
        items = [as_object(item, "price change") for item in as_list(listed, "price_changes")]
    token = text(message, "asset_id")
    return BookChanged(
        changes=tuple(_level_change(item, token) for item in items),
        at_ns=instant(message, "timestamp", default=received_ns),
    )


def _level_change(item: JsonObject, token: str) -> LevelChange:
    return LevelChange(
        token_id=TokenId(text(item, "asset_id") or token or required_text(item, "asset_id")),
        side=side_of(item),
        price=outcome_price(micros(item, "price"), "price"),
        size=micros(item, "size"),
        best_bid=_best(item, "best_bid", absent=MICRO),
        best_ask=_best(item, "best_ask", absent=0),
    )


def _best(item: JsonObject, name: str, *, absent: MicroPrice) -> MicroPrice | None:
    """The venue's own best price: an empty side is "0" (bid) or "1" (ask); the impossible other end says nothing."""
    price = optional_micros(item, name)
    return None if price is None or price == absent else outcome_price(price, name)


def _public_trade(message: JsonObject, received_ns: Nanos) -> list[WorldEvent]:
    """A match of others; a print without a size, as some captures have, says nothing about volume."""
    size = optional_micros(message, "size")
    if not size:
        return []
    return [
        PublicTrade(
            token_id=TokenId(required_text(message, "asset_id")),
            side=side_of(message),
            price=outcome_price(micros(message, "price"), "price"),
            size=size,
            at_ns=instant(message, "timestamp", default=received_ns),
        )
    ]


def _tick_size_changed(message: JsonObject, received_ns: Nanos) -> TickSizeChanged:
    return TickSizeChanged(
        token_id=TokenId(required_text(message, "asset_id")),
        tick_size=outcome_price(micros(message, "new_tick_size"), "new_tick_size"),
        at_ns=instant(message, "timestamp", default=received_ns),
    )


def _resolved(message: JsonObject, received_ns: Nanos) -> list[WorldEvent]:
    """The verdict of an up/down market; other markets' outcome names are not ours to read."""
    payout = PAYOUT_OF_WINNER.get(text(message, "winning_outcome").strip().lower())
    if payout is None:
        return []
    return [
        MarketResolved(
            condition_id=ConditionId(required_text(message, "market", "condition_id")),
            up_payout=payout,
            at_ns=instant(message, "timestamp", default=received_ns),
            confirmed=False,
        )
    ]
