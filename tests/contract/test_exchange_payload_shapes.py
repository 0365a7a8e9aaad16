"""What the exchange sends has the field names and types of the venue's documentation.

The tables restate the documented shapes; a field's type is written as the JSON type plus, for text,
the form that the text must have. A field in brackets may be null. Deviations are listed in
`EXCLUSIONS` with the reason.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from polystra.exchange.core import CoreConfig
from polystra.exchange.typed_data import login_digest
from tests.unit.exchange.conftest import CONDITION, DOWN, UP, spec
from tests.unit.exchange.http_desk import HttpDesk, drain, http_desk

DECIMAL = re.compile(r"-?\d+(\.\d{1,6})?")
FORMS = {
    "decimal": DECIMAL,
    "decimal or empty": re.compile(r"(\d+(\.\d{1,6})?)?"),
    "hex32": re.compile(r"0x[0-9a-f]{64}"),
    "hash40": re.compile(r"[0-9a-f]{40}"),
    "address": re.compile(r"0x[0-9a-f]{40}"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "digits": re.compile(r"\d+"),
    "seconds": re.compile(r"\d{10}"),
    "millis": re.compile(r"\d{13}"),
    "side": re.compile(r"BUY|SELL"),
    "side or empty": re.compile(r"(BUY|SELL)?"),
    "outcome": re.compile(r"Up|Down"),
    "order type": re.compile(r"GTC|GTD|FOK|FAK"),
    "iso": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "base64url": re.compile(r"[A-Za-z0-9_-]+={0,2}"),
    "hex": re.compile(r"[0-9a-f]+"),
    "text": re.compile(r".*", re.DOTALL),
}
EXCLUSIONS = {
    "last_trade_price.transaction_hash": "documented as optional; not known when the match is announced",
    "book.last_trade_price": "documented example has a price; empty text here until the first trade",
    "order.status of REST": "the ORDER_STATUS_ prefix of the OpenAPI text is not on the wire",
    "trade.match_time_nano": "in the OpenAPI text only",
    "trade.err_msg": "documented as optional; the state FAILED says it",
}

Shape = dict[str, Any]
LEVEL: Shape = {"price": "decimal", "size": "decimal"}
BOOK: Shape = {
    "market": "hex32",
    "asset_id": "digits",
    "timestamp": "millis",
    "hash": "hash40",
    "bids": [LEVEL],
    "asks": [LEVEL],
    "min_order_size": "decimal",
    "tick_size": "decimal",
    "neg_risk": bool,
    "last_trade_price": "decimal or empty",
}
MAKER_ORDER: Shape = {
    "order_id": "hex32",
    "owner": "uuid",
    "maker_address": "address",
    "matched_amount": "decimal",
    "price": "decimal",
    "fee_rate_bps": "digits",
    "asset_id": "digits",
    "outcome": "outcome",
    "outcome_index": int,
    "side": "side",
}
TRADE: Shape = {
    "id": "uuid",
    "taker_order_id": "hex32",
    "market": "hex32",
    "asset_id": "digits",
    "side": "side",
    "size": "decimal",
    "fee_rate_bps": "digits",
    "price": "decimal",
    "status": "text",
    "match_time": "seconds",
    "last_update": "seconds",
    "outcome": "outcome",
    "bucket_index": int,
    "owner": "uuid",
    "maker_address": "address",
    "transaction_hash": ["hex32", None],
    "trader_side": "text",
    "maker_orders": [MAKER_ORDER],
}
TRADE_EVENT: Shape = {**TRADE, "event_type": "text", "type": "text", "trade_owner": "uuid", "timestamp": "millis"}
OPEN_ORDER: Shape = {
    "id": "hex32",
    "status": "text",
    "owner": "uuid",
    "maker_address": "address",
    "market": "hex32",
    "asset_id": "digits",
    "side": "side",
    "original_size": "decimal",
    "size_matched": "decimal",
    "price": "decimal",
    "outcome": "outcome",
    "expiration": "digits",
    "order_type": "order type",
    "associate_trades": ["uuid"],
    "created_at": int,
}
ORDER_EVENT: Shape = {
    "event_type": "text",
    "type": "text",
    "id": "hex32",
    "owner": "uuid",
    "order_owner": "uuid",
    "market": "hex32",
    "asset_id": "digits",
    "side": "side",
    "original_size": "decimal",
    "size_matched": "decimal or empty",
    "price": "decimal",
    "associate_trades": [["uuid"], None],
    "outcome": "text",
    "created_at": "text",
    "expiration": "digits",
    "order_type": "order type",
    "status": "text",
    "maker_address": "address",
    "timestamp": "millis",
}
PLACED: Shape = {
    "success": bool,
    "errorMsg": "text",
    "orderID": "hex32",
    "status": "text",
    "makingAmount": "decimal or empty",
    "takingAmount": "decimal or empty",
    "transactionsHashes": [],
    "tradeIDs": ["uuid"],
}
REFUSED_LEG: Shape = {
    "success": bool,
    "errorMsg": "text",
    "orderID": "text",
    "status": "text",
    "makingAmount": "decimal or empty",
    "takingAmount": "decimal or empty",
}
PAGE: Shape = {"limit": int, "count": int, "next_cursor": "base64url", "data": []}
EVENT_MESSAGE: Shape = {"id": "digits", "ticker": "text", "slug": "text", "title": "text", "description": "text"}
MARKET_EVENTS: dict[str, Shape] = {
    "book": {"event_type": "text", **BOOK},
    "price_change": {
        "event_type": "text",
        "market": "hex32",
        "timestamp": "millis",
        "price_changes": [
            {
                "asset_id": "digits",
                "price": "decimal",
                "size": "decimal",
                "side": "side",
                "hash": "hash40",
                "best_bid": "decimal",
                "best_ask": "decimal",
            }
        ],
    },
    "last_trade_price": {
        "event_type": "text",
        "asset_id": "digits",
        "market": "hex32",
        "price": "decimal",
        "size": "decimal",
        "fee_rate_bps": "digits",
        "side": "side",
        "timestamp": "millis",
    },
    "tick_size_change": {
        "event_type": "text",
        "asset_id": "digits",
        "market": "hex32",
        "old_tick_size": "decimal",
        "new_tick_size": "decimal",
        "timestamp": "millis",
    },
    "best_bid_ask": {
        "event_type": "text",
        "asset_id": "digits",
        "market": "hex32",
        "best_bid": "decimal",
        "best_ask": "decimal",
        "spread": "decimal",
        "timestamp": "millis",
    },
    "new_market": {
        "event_type": "text",
        "id": "digits",
        "question": "text",
        "market": "hex32",
        "slug": "text",
        "description": "text",
        "assets_ids": ["digits"],
        "outcomes": ["outcome"],
        "event_message": EVENT_MESSAGE,
        "timestamp": "millis",
        "tags": [],
        "condition_id": "hex32",
        "active": bool,
        "clob_token_ids": ["digits"],
        "sports_market_type": "text",
        "line": "text",
        "game_start_time": "text",
        "order_price_min_tick_size": "decimal",
        "group_item_title": "text",
        "taker_base_fee": "digits",
        "fees_enabled": bool,
        "fee_schedule": {"exponent": "digits", "rate": "decimal", "taker_only": bool, "rebate_rate": "decimal"},
    },
    "market_resolved": {
        "event_type": "text",
        "id": "digits",
        "market": "hex32",
        "assets_ids": ["digits"],
        "winning_asset_id": "digits",
        "winning_outcome": "outcome",
        "event_message": EVENT_MESSAGE,
        "timestamp": "millis",
        "tags": [],
    },
}
CLOB_MARKET: Shape = {
    "gst": None,
    "r": {},
    "t": [{"t": "digits", "o": "outcome"}],
    "mos": int,
    "mts": float,
    "mbf": int,
    "tbf": int,
    "rfqe": bool,
    "itode": bool,
    "ibce": bool,
    "fd": {"r": float, "e": int, "to": bool},
    "oas": int,
    "nr": bool,
    "cid": "hex32",
}
VERBOSE_MARKET: Shape = {
    "enable_order_book": bool,
    "active": bool,
    "closed": bool,
    "archived": bool,
    "accepting_orders": bool,
    "accepting_order_timestamp": "iso",
    "minimum_order_size": int,
    "minimum_tick_size": float,
    "condition_id": "hex32",
    "question_id": "hex32",
    "question": "text",
    "market_slug": "text",
    "end_date_iso": "iso",
    "game_start_time": None,
    "seconds_delay": int,
    "maker_base_fee": int,
    "taker_base_fee": int,
    "neg_risk": bool,
    "neg_risk_market_id": "text",
    "rewards": {"rates": None, "min_size": int, "max_spread": int},
    "is_50_50_outcome": bool,
    "tokens": [{"token_id": "digits", "outcome": "outcome", "price": float, "winner": bool}],
    "tags": [],
}
OPEN_READS: list[tuple[str, Any]] = [
    ("/time", int),
    ("/ok", "text"),
    ("/version", {"version": int}),
    (f"/book?token_id={UP}", BOOK),
    (f"/price?token_id={UP}&side=BUY", {"price": "decimal"}),
    (f"/midpoint?token_id={UP}", {"mid": "decimal"}),
    (f"/spread?token_id={UP}", {"spread": "decimal"}),
    (f"/last-trade-price?token_id={UP}", {"price": "decimal", "side": "side or empty"}),
    (f"/tick-size?token_id={UP}", {"minimum_tick_size": float}),
    (f"/neg-risk?token_id={UP}", {"neg_risk": bool}),
    (f"/fee-rate?token_id={UP}", {"base_fee": int}),
    (f"/clob-markets/{CONDITION}", CLOB_MARKET),
    (f"/markets/{CONDITION}", VERBOSE_MARKET),
    (
        f"/markets-by-token/{UP}",
        {"condition_id": "hex32", "primary_token_id": "digits", "secondary_token_id": "digits"},
    ),
]


def misfits(value: Any, shape: Any, path: str = "$") -> list[str]:
    """Return where `value` differs from `shape`; empty when it fits."""
    if isinstance(shape, dict):
        if not isinstance(value, dict) or value.keys() != shape.keys():
            return [f"{path}: keys {sorted(value) if isinstance(value, dict) else value!r}, expected {sorted(shape)}"]
        return [found for key in shape for found in misfits(value[key], shape[key], f"{path}.{key}")]
    if isinstance(shape, list) and shape[-1:] == [None]:
        return [] if value is None else misfits(value, shape[0], path)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path}: {value!r}, expected an array"]
        return [
            found
            for n, item in enumerate(value)
            for found in (misfits(item, shape[0], f"{path}[{n}]") if shape else [])
        ]
    if isinstance(shape, str):
        fits = isinstance(value, str) and FORMS[shape].fullmatch(value) is not None
        return [] if fits else [f"{path}: {value!r}, expected text of form {shape}"]
    return [] if type(value) is (type(None) if shape is None else shape) else [f"{path}: {value!r}, expected {shape}"]


async def scene(desk: HttpDesk) -> None:
    """Make a book, a taker trade and a maker trade."""
    desk.quote(UP, 40, 100)
    desk.quote(DOWN, 50, 10)
    await desk.call("POST", "/order", desk.submission(makerAmount="7500000", takerAmount="15000000"))
    await desk.call("POST", "/order", desk.submission(orderType="GTD", expiration="1782753600"))
    desk.quote(DOWN, 50, 5)


@pytest.mark.parametrize(("path", "shape"), OPEN_READS, ids=[path.split("?")[0] for path, _ in OPEN_READS])
async def test_open_reads(path: str, shape: Any) -> None:
    async with http_desk() as desk:
        for _ in range(2):
            status, reply = await desk.get(path)
            assert (status, misfits(reply, shape)) == (200, [])
            await scene(desk)


async def test_account_reads() -> None:
    async with http_desk(config=CoreConfig(mined_after_ms=0)) as desk:
        await scene(desk)
        _, orders = await desk.call("GET", "/data/orders")
        assert misfits(orders, {**PAGE, "data": [OPEN_ORDER]}) == []
        assert orders["count"] == 1
        _, order = await desk.call("GET", f"/data/order/{orders['data'][0]['id']}")
        assert misfits(order, OPEN_ORDER) == []
        _, trades = await desk.call("GET", "/data/trades")
        assert misfits(trades, {**PAGE, "data": [TRADE]}) == []
        assert {trade["trader_side"] for trade in trades["data"]} == {"TAKER", "MAKER"}
        _, balance = await desk.call("GET", "/balance-allowance", query="?asset_type=COLLATERAL&signature_type=0")
        assert (
            misfits(balance, {"balance": "digits", "allowances": dict.fromkeys(balance["allowances"], "digits")}) == []
        )
        assert all(FORMS["address"].fullmatch(spender) for spender in balance["allowances"])
        _, keys = await desk.call("GET", "/auth/api-keys")
        assert misfits(keys, {"apiKeys": ["uuid"]}) == []
        _, ban = await desk.call("GET", "/auth/ban-status/closed-only")
        assert misfits(ban, {"closed_only": bool}) == []


async def test_replies_to_orders_and_cancels() -> None:
    async with http_desk() as desk:
        desk.quote(DOWN, 50, 10)
        _, resting = await desk.call("POST", "/order", desk.submission())
        assert misfits(resting, PLACED) == []
        _, matched = await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
        assert misfits(matched, PLACED) == []
        assert matched["tradeIDs"]
        _, (leg, refused) = await desk.call("POST", "/orders", [desk.submission(), desk.submission(owner="x")])
        batch_leg = {name: form for name, form in PLACED.items() if name not in {"transactionsHashes", "tradeIDs"}}
        assert misfits(leg, batch_leg) == []
        assert misfits(refused, REFUSED_LEG) == []
        _, error = await desk.call("POST", "/order", desk.submission(owner="x"))
        assert misfits(error, {"error": "text"}) == []
        _, report = await desk.call("DELETE", "/orders", [resting["orderID"], "0x00"])
        assert misfits(report, {"canceled": ["hex32"], "not_canceled": {"0x00": "text"}}) == []


async def test_market_channel_events() -> None:
    async with http_desk() as desk:
        socket = await desk.market_socket(UP, DOWN, custom_feature_enabled=True)
        await scene(desk)
        desk.core.list_market(spec(condition_id="0x" + "c1" * 32, up_token="5", down_token="6"), desk.clock.now)
        desk.core.set_tick_size(CONDITION, 1_000, desk.clock.now)
        desk.core.resolve(CONDITION, 1_000_000, desk.clock.now)
        frames = await drain(socket)
        assert {frame["event_type"] for frame in frames} == MARKET_EVENTS.keys()
        assert [found for frame in frames for found in misfits(frame, MARKET_EVENTS[frame["event_type"]])] == []


async def test_user_channel_events() -> None:
    async with http_desk() as desk:
        socket = await desk.user_socket()
        await scene(desk)
        await desk.call(
            "POST", "/order", desk.submission(orderType="FOK", makerAmount="900000000", takerAmount="1000000000")
        )
        await desk.call("DELETE", "/cancel-all")
        desk.settle()
        frames = await drain(socket)
        shapes: dict[str, Shape] = {"order": ORDER_EVENT, "trade": TRADE_EVENT}
        assert [found for frame in frames for found in misfits(frame, shapes[frame["event_type"]])] == []
        orders = {(frame["type"], frame["status"]) for frame in frames if frame["event_type"] == "order"}
        assert {
            ("PLACEMENT", "LIVE"),
            ("UPDATE", "LIVE"),
            ("UPDATE", "MATCHED"),
            ("CANCELLATION", "CANCELED"),
        } <= orders
        trades = [frame for frame in frames if frame["event_type"] == "trade"]
        assert {frame["status"] for frame in trades} == {"MATCHED", "MINED", "CONFIRMED"}
        assert {frame["transaction_hash"] is None for frame in trades if frame["status"] == "MATCHED"} == {True}


async def test_credentials() -> None:
    async with http_desk() as desk:
        stamp = str(desk.clock.now // 1_000_000_000)
        headers = {
            "POLY_ADDRESS": desk.signer.address,
            "POLY_TIMESTAMP": stamp,
            "POLY_NONCE": "0",
            "POLY_SIGNATURE": desk.signer.sign(login_digest(desk.signer.address, stamp, 0)),
        }
        async with desk.client.get("/auth/derive-api-key", headers=headers) as response:
            reply = await response.json()
        assert misfits(reply, {"apiKey": "uuid", "secret": "base64url", "passphrase": "hex"}) == []


@pytest.mark.parametrize(
    "broken",
    [
        lambda payload: payload.pop("hash"),
        lambda payload: payload.update(extra=1),
        lambda payload: payload.update(timestamp=1782753357257),
        lambda payload: payload.update(timestamp="1782753357"),
        lambda payload: payload.update(neg_risk="false"),
        lambda payload: payload["bids"].append({"price": 0.5, "size": "1"}),
    ],
)
def test_the_check_sees_deviations(broken: Callable[[dict[str, Any]], object]) -> None:
    payload: dict[str, Any] = {
        "market": CONDITION,
        "asset_id": UP,
        "timestamp": "1782753357257",
        "hash": "0" * 40,
        "bids": [],
        "asks": [{"price": "0.5", "size": "10"}],
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": "",
    }
    assert misfits(payload, BOOK) == []
    broken(payload)
    assert misfits(payload, BOOK) != []
