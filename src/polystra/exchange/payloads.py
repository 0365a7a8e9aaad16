"""The JSON shapes of the venue's REST replies and websocket events.

What lives here: views of the core's values in wire form (decimal strings, seconds and milliseconds
as text, the venue's key names). What must not: decisions, state, HTTP.

Shapes: Polymarket CLOB docs (API reference, market and user channels). Binary floats appear only
where the venue sends JSON numbers for display parameters (tick size, fee rate).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from polystra.domain.units import format_micros
from polystra.exchange.core import level_for
from polystra.exchange.model import (
    NS_PER_MS,
    NS_PER_S,
    BookTraded,
    LevelChange,
    LevelsChanged,
    MakerLeg,
    MarketResolved,
    MarketSpec,
    OrderEvent,
    OrderView,
    Placement,
    TickSizeChanged,
    TradeView,
)
from polystra.exchange.state import Market
from polystra.matching.book import DOWN, ONE, UP, up_price

Payload: TypeAlias = dict[str, Any]

PAGE_SIZE: Final = 100
FIRST_CURSOR: Final = "MA=="
END_CURSOR: Final = "LTE="
TAKER_BASE_FEE_BPS: Final = 1000
REBATE_RATE: Final = "0.2"


def encode(payload: object) -> bytes:
    """Return compact JSON."""
    return msgspec.json.encode(payload)


def millis(at_ns: int) -> str:
    """Return an instant as the venue's millisecond text."""
    return str(at_ns // NS_PER_MS)


def seconds(at_ns: int) -> str:
    """Return an instant as the venue's second text."""
    return str(at_ns // NS_PER_S)


def owner_key(owner: str, account: str) -> str:
    """Return an order owner's API key; the exchange's own traders get a made-up constant one."""
    return owner or str(UUID(hex=account[2:34], version=4))


def outcome_tokens(spec: MarketSpec) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return ((token, outcome), (token, outcome)) of a market."""
    return (spec.up_token, "Up"), (spec.down_token, "Down")


def levels(rows: Sequence[tuple[int, int]]) -> list[Payload]:
    """Return book levels as decimal text."""
    return [{"price": format_micros(price), "size": format_micros(size)} for price, size in rows]


def book(
    market: Market, token_id: str, depth: tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]], at_ns: int
) -> Payload:
    """Return a whole book with best levels last, as `GET /book` does."""
    bids, asks = depth
    last, _ = market.last_price_of(token_id)
    body: Payload = {
        "market": market.spec.condition_id,
        "asset_id": token_id,
        "timestamp": millis(at_ns),
        "hash": "",
        "bids": levels(bids),
        "asks": levels(asks),
        "min_order_size": format_micros(market.spec.min_size),
        "tick_size": format_micros(market.tick_size),
        "neg_risk": market.spec.neg_risk,
        "last_trade_price": "" if last is None else format_micros(last),
    }
    body["hash"] = hashlib.sha1(encode(body), usedforsecurity=False).hexdigest()
    return body


def book_event(
    market: Market, token_id: str, depth: tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]], at_ns: int
) -> Payload:
    """Return the market channel's `book` event."""
    return {"event_type": "book", **book(market, token_id, depth, at_ns)}


def price_change(event: LevelsChanged, spec: MarketSpec) -> Payload:
    """Return one `price_change` with every level in both tokens' terms."""
    sides = []
    for outcome, token_id in ((UP, spec.up_token), (DOWN, spec.down_token)):
        bid, ask = top_for(event, outcome)
        best = format_micros(bid or 0), format_micros(ONE if ask is None else ask)
        sides.append((outcome, token_id, *best, f"{event.condition_id}|{token_id}|{event.at_ns}|"))
    changes = [_level_change(change, side) for change in event.changes for side in sides]
    return {
        "event_type": "price_change",
        "market": spec.condition_id,
        "timestamp": millis(event.at_ns),
        "price_changes": changes,
    }


def _level_change(change: LevelChange, shown: tuple[int, str, str, str, str]) -> Payload:
    outcome, token_id, best_bid, best_ask, hashed = shown
    side, price, size = level_for(change, outcome)
    content = f"{hashed}{side}|{price}|{size}"
    return {
        "asset_id": token_id,
        "price": format_micros(price),
        "size": format_micros(size),
        "side": side,
        "hash": hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest(),
        "best_bid": best_bid,
        "best_ask": best_ask,
    }


def top_for(event: LevelsChanged, outcome: int) -> tuple[int | None, int | None]:
    """Return (best bid, best ask) in one token's own terms."""
    if outcome == UP:
        return event.best_bid, event.best_ask
    bid = None if event.best_ask is None else up_price(outcome, event.best_ask)
    ask = None if event.best_bid is None else up_price(outcome, event.best_bid)
    return bid, ask


def best_bid_ask(event: LevelsChanged, spec: MarketSpec, outcome: int) -> Payload:
    """Return a `best_bid_ask` event of one token; an empty side shows as 0 or 1."""
    bid, ask = top_for(event, outcome)
    low, high = bid or 0, ONE if ask is None else ask
    return {
        "event_type": "best_bid_ask",
        "market": spec.condition_id,
        "asset_id": spec.up_token if outcome == UP else spec.down_token,
        "best_bid": format_micros(low),
        "best_ask": format_micros(high),
        "spread": format_micros(high - low),
        "timestamp": millis(event.at_ns),
    }


def last_trade_price(event: BookTraded) -> Payload:
    """Return a `last_trade_price` event; its fee rate is zero whatever was charged, as on the venue."""
    return {
        "event_type": "last_trade_price",
        "asset_id": event.token_id,
        "market": event.condition_id,
        "price": format_micros(event.price),
        "size": format_micros(event.size),
        "fee_rate_bps": "0",
        "side": event.side,
        "timestamp": millis(event.at_ns),
    }


def tick_size_change(event: TickSizeChanged, token_id: str) -> Payload:
    """Return a `tick_size_change` event of one token."""
    return {
        "event_type": "tick_size_change",
        "asset_id": token_id,
        "market": event.condition_id,
        "old_tick_size": format_micros(event.old_tick_size),
        "new_tick_size": format_micros(event.new_tick_size),
        "timestamp": millis(event.at_ns),
    }


def market_number(spec: MarketSpec) -> str:
    """Return a market's short numeric id, which the venue shows beside the condition id."""
    return str(1_000_000 + int(hashlib.sha256(spec.condition_id.encode()).hexdigest()[:8], 16) % 9_000_000)


def new_market(spec: MarketSpec, at_ns: int) -> Payload:
    """Return a `new_market` event."""
    tokens = [spec.up_token, spec.down_token]
    number = market_number(spec)
    return {
        "event_type": "new_market",
        "id": number,
        "question": spec.question,
        "market": spec.condition_id,
        "slug": spec.slug,
        "description": spec.question,
        "assets_ids": tokens,
        "outcomes": ["Up", "Down"],
        "event_message": {
            "id": number,
            "ticker": spec.slug,
            "slug": spec.slug,
            "title": spec.question,
            "description": spec.question,
        },
        "timestamp": millis(at_ns),
        "tags": [],
        "condition_id": spec.condition_id,
        "active": True,
        "clob_token_ids": tokens,
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": format_micros(spec.tick_size),
        "group_item_title": "",
        "taker_base_fee": str(TAKER_BASE_FEE_BPS),
        "fees_enabled": spec.fee_rate_ppm > 0,
        "fee_schedule": {
            "exponent": "1",
            "rate": format_micros(spec.fee_rate_ppm),
            "taker_only": True,
            "rebate_rate": REBATE_RATE,
        },
    }


def market_resolved(event: MarketResolved, spec: MarketSpec) -> Payload:
    """Return a `market_resolved` event; a 50/50 resolution names no winner."""
    winning = {"Up": spec.up_token, "Down": spec.down_token}.get(event.winner or "", "")
    return {
        "event_type": "market_resolved",
        "id": market_number(spec),
        "market": spec.condition_id,
        "assets_ids": [spec.up_token, spec.down_token],
        "winning_asset_id": winning,
        "winning_outcome": event.winner or "",
        "event_message": {
            "id": market_number(spec),
            "ticker": spec.slug,
            "slug": spec.slug,
            "title": spec.question,
            "description": spec.question,
        },
        "timestamp": millis(event.at_ns),
        "tags": [],
    }


def placement(result: Placement, *, in_batch: bool = False) -> Payload:
    """Return the reply to an accepted order, or the refused leg of a batch."""
    if result.refusal is not None:
        return {
            "success": True,
            "errorMsg": result.refusal.text,
            "orderID": "",
            "status": "",
            "makingAmount": "",
            "takingAmount": "",
        }
    body: Payload = {
        "success": True,
        "errorMsg": "",
        "orderID": result.order_id,
        "status": result.status,
        "makingAmount": format_micros(result.making_amount) if result.making_amount else "",
        "takingAmount": format_micros(result.taking_amount) if result.taking_amount else "",
    }
    if result.trade_ids or not in_batch:
        body["transactionsHashes"] = []
        body["tradeIDs"] = list(result.trade_ids)
    return body


def cancel_report(canceled: Sequence[str], not_canceled: Mapping[str, str]) -> Payload:
    """Return the reply to every kind of cancel."""
    return {"canceled": list(canceled), "not_canceled": dict(not_canceled)}


def open_order(order: OrderView) -> Payload:
    """Return an open order as REST shows it."""
    return {
        "id": order.order_id,
        "status": order.status,
        "owner": owner_key(order.owner, order.account),
        "maker_address": order.account,
        "market": order.condition_id,
        "asset_id": order.token_id,
        "side": order.side,
        "original_size": format_micros(order.original_size),
        "size_matched": format_micros(order.size_matched),
        "price": format_micros(order.price),
        "outcome": order.outcome,
        "expiration": str(order.expiration_s),
        "order_type": order.order_type,
        "associate_trades": list(order.trade_ids),
        "created_at": order.created_ns // NS_PER_S,
    }


def order_event(event: OrderEvent) -> Payload:
    """Return a user-channel order event; a killed order has empty text where others have figures."""
    order = event.order
    owner = owner_key(order.owner, order.account)
    return {
        "event_type": "order",
        "type": event.type,
        "id": order.order_id,
        "owner": owner,
        "order_owner": owner,
        "market": order.condition_id,
        "asset_id": order.token_id,
        "side": order.side,
        "original_size": format_micros(order.original_size),
        "size_matched": "" if event.killed else format_micros(order.size_matched),
        "price": format_micros(order.price),
        "associate_trades": list(order.trade_ids) or None,
        "outcome": "" if event.killed else order.outcome,
        "created_at": "" if event.killed else seconds(order.created_ns),
        "expiration": str(order.expiration_s),
        "order_type": order.order_type,
        "status": event.status,
        "maker_address": order.account,
        "timestamp": millis(event.at_ns),
    }


def trade(view: TradeView, *, owner: str, account: str, status: str = "") -> Payload:
    """Return a trade as REST shows it to one account; top-level fields describe the taker."""
    taker = account == view.taker_account
    return {
        **({"err_msg": view.error} if view.error else {}),
        "id": view.trade_id,
        "taker_order_id": view.taker_order_id,
        "market": view.condition_id,
        "asset_id": view.token_id,
        "side": view.side,
        "size": format_micros(view.size),
        "fee_rate_bps": "0",
        "price": format_micros(view.price),
        "status": status or view.status,
        "match_time": seconds(view.matched_ns),
        "last_update": seconds(view.updated_ns),
        "outcome": view.outcome,
        "bucket_index": view.bucket_index,
        "owner": owner,
        "maker_address": account,
        "transaction_hash": view.transaction_hash,
        "trader_side": "TAKER" if taker else "MAKER",
        "maker_orders": [_maker_order(leg) for leg in view.legs],
    }


def trade_event(view: TradeView, *, owner: str, account: str, at_ns: int) -> Payload:
    """Return a user-channel trade event for one account."""
    return {
        "event_type": "trade",
        "type": "TRADE",
        **trade(view, owner=owner, account=account),
        "trade_owner": owner_key(view.taker_owner, view.taker_account),
        "timestamp": millis(at_ns),
    }


def _maker_order(leg: MakerLeg) -> Payload:
    return {
        "order_id": leg.order_id,
        "owner": owner_key(leg.owner, leg.account),
        "maker_address": leg.account,
        "matched_amount": format_micros(leg.size),
        "price": format_micros(leg.price),
        "fee_rate_bps": "0",
        "asset_id": leg.token_id,
        "outcome": leg.outcome,
        "outcome_index": leg.outcome_index,
        "side": leg.side,
    }


def page(rows: Sequence[Any], offset: int) -> Payload:
    """Return the page of `rows` that starts at `offset`, with the cursor of the next one."""
    chosen = list(rows[offset : offset + PAGE_SIZE])
    following = offset + len(chosen)
    more = following < len(rows)
    return {
        "limit": PAGE_SIZE,
        "count": len(chosen),
        "next_cursor": base64.b64encode(str(following).encode()).decode() if more else END_CURSOR,
        "data": chosen,
    }


def cursor_offset(cursor: str) -> int | None:
    """Return the offset that a cursor stands for; None when it is none of ours."""
    try:
        offset = int(base64.b64decode(cursor or FIRST_CURSOR, validate=True))
    except ValueError:
        return None
    return offset if offset >= 0 else None
