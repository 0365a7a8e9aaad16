"""The account desk, the lists and the Data API have the documented field names, types and formats."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from polystra.exchange.core import CoreConfig
from polystra.exchange.data_api import DataApi
from tests.contract.test_exchange_payload_shapes import FORMS, PAGE, VERBOSE_MARKET, Shape, misfits, scene
from tests.unit.exchange.conftest import CONDITION, UP
from tests.unit.exchange.http_desk import http_desk

ORDER_NOTICE: Shape = {
    "order_id": "hex32",
    "market": "hex32",
    "asset_id": "digits",
    "side": "side",
    "type": "order type",
    "price": "decimal",
    "original_size": "decimal",
    "matched_size": "decimal",
    "remaining_size": "decimal",
    "outcome": "outcome",
    "outcome_index": int,
    "transaction_hash": "text",
    "trade_id": "text",
    "question": "text",
    "market_slug": "text",
    "eventSlug": "text",
    "seriesSlug": "text",
    "icon": "text",
    "image": "text",
}
NOTICE: Shape = {"id": int, "owner": "text", "type": int, "payload": {}, "timestamp": int}
CREDENTIALS: Shape = {"apiKey": "uuid", "secret": "base64url", "passphrase": "hex"}
SIMPLE_MARKET: Shape = {
    name: VERBOSE_MARKET[name]
    for name in ("condition_id", "rewards", "tokens", "active", "closed", "archived", "accepting_orders")
}
POSITION_FIELDS = {
    "proxy_wallet",
    "token_id",
    "condition_id",
    "current_size",
    "total_size",
    "avg_price",
    "entry_cost_usdc",
    "entry_fees_usdc",
    "total_cost_usdc",
    "current_price",
    "current_value",
    "realized_pnl",
    "unrealized_pnl",
    "total_pnl",
    "percent_pnl",
    "status",
    "redeemable",
    "mergeable",
    "negative_risk",
    "archived",
    "verified",
    "title",
    "slug",
    "event_slug",
    "outcome",
    "outcome_index",
    "opposite_outcome",
    "end_date",
    "last_event_at",
    "first_entry_at",
}
TRADE_FIELDS = {
    "proxy_wallet",
    "token_id",
    "condition_id",
    "side",
    "size",
    "price",
    "timestamp",
    "transaction_hash",
    "title",
    "slug",
    "icon",
    "event_slug",
    "outcome",
    "outcome_index",
    "name",
    "pseudonym",
    "bio",
    "profile_image",
}
RESOLUTION_FIELDS = {"status", "price", "proposed_price", "was_disputed", "extended_review", "transaction_hash"}
RESOLVED_FIELDS = {"payouts", "resolved_at", "resolved_block", "resolution_source", "reporter", "market_type"}


async def test_notices() -> None:
    async with http_desk(config=CoreConfig(mined_after_ms=0)) as desk:
        await scene(desk)
        await desk.call("DELETE", "/cancel-all")
        desk.core.resolve(CONDITION, 1_000_000, desk.clock.now)
        _, notices = await desk.call("GET", "/notifications", query="?signature_type=0")
        assert {1, 2, 3, 4} <= {notice["type"] for notice in notices}
        for notice in notices:
            payload = notice["payload"]
            assert misfits({**notice, "payload": {}}, NOTICE) == []
            assert misfits(payload, ORDER_NOTICE if notice["type"] in {1, 2, 8} else VERBOSE_MARKET) == []
        assert await desk.call("DELETE", "/notifications", query=f"?ids={notices[0]['id']}") == (200, "OK")
        assert await desk.call("DELETE", "/notifications", query="?ids=x") == (400, {"error": "Invalid ids"})


async def test_heartbeats() -> None:
    async with http_desk() as desk:
        _, first = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": ""})
        assert misfits(first, {"heartbeat_id": "uuid"}) == []
        status, wrong = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": "x"})
        assert status == 400
        assert misfits(wrong, {"error_msg": "text", "heartbeat_id": "uuid"}) == []
        assert wrong == {"error_msg": "Invalid Heartbeat ID", **first}
        assert await desk.call("POST", "/heartbeats", {}) == (200, {"status": "ok"})


async def test_keys_scoring_and_tier() -> None:
    async with http_desk() as desk:
        _, key = await desk.call("POST", "/auth/readonly-api-key")
        assert misfits(key, CREDENTIALS) == []
        _, placed = await desk.call("POST", "/order", desk.submission())
        _, scoring = await desk.call("GET", "/order-scoring", query=f"?order_id={placed['orderID']}")
        assert misfits(scoring, {"scoring": bool}) == []
        _, many = await desk.call("POST", "/orders-scoring", [placed["orderID"]])
        assert misfits(many, {placed["orderID"]: bool}) == []
        _, old = await desk.call("GET", "/data/pre-migration-orders")
        assert misfits(old, PAGE) == []
        _, tier = await desk.call("GET", "/v1/user/rate-limit-tier")
        assert tier["tier"] == "Standard"


async def test_headers_of_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    async with http_desk() as desk:
        headers: dict[str, str] = {}
        original = desk.client.request

        @asynccontextmanager
        async def request(*args: Any, **named: Any) -> AsyncIterator[ClientResponse]:
            async with original(*args, **named) as response:
                headers.update(response.headers)
                yield response

        monkeypatch.setattr(desk.client, "request", request)
        await desk.call("DELETE", "/cancel-all")
        assert FORMS["digits"].fullmatch(headers["Poly-RateLimit-Remaining"])
        assert FORMS["seconds"].fullmatch(headers["Poly-RateLimit-Reset"])
        assert headers["Poly-RateLimit-Tier"] == "Standard"


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/markets", VERBOSE_MARKET),
        ("/sampling-markets", VERBOSE_MARKET),
        ("/simplified-markets", SIMPLE_MARKET),
        ("/sampling-simplified-markets", SIMPLE_MARKET),
    ],
)
async def test_lists_of_markets(path: str, row: Shape) -> None:
    async with http_desk() as desk:
        status, page = await desk.get(path)
        assert (status, misfits(page, {**PAGE, "data": [row]})) == (200, [])
        assert page["count"] == 1


async def test_histories() -> None:
    async with http_desk() as desk:
        await scene(desk)
        _, history = await desk.get(f"/prices-history?market={UP}&interval=1h&fidelity=1")
        assert history["history"]
        assert misfits(history, {"history": [{"t": int, "p": float}]}) == []


async def test_data_api_rows() -> None:
    async with http_desk(config=CoreConfig(mined_after_ms=0, confirmed_after_ms=0)) as desk:
        await scene(desk)
        desk.settle()
        app = web.Application()
        DataApi(desk.core, desk.clock, lambda _event: None).add_routes(app)
        async with TestClient(TestServer(app)) as client:

            async def read(path: str) -> tuple[int, Any]:
                async with client.get("/data-api/v2/" + path) as response:
                    assert FORMS["hex"].fullmatch(response.headers["x-trace-id"])
                    return response.status, await response.json()

            user = desk.signer.address
            for path, fields in ((f"positions?user={user}", POSITION_FIELDS), (f"trades?user={user}", TRADE_FIELDS)):
                status, body = await read(path)
                assert (status, set(body)) == (200, {"data", "pagination"})
                assert misfits(body["pagination"], {"has_more": bool, "next_cursor": None}) == []
                assert body["data"]
                for row in body["data"]:
                    assert fields - set(row) == set(), path
                    assert all(not isinstance(row[name], str) for name in row if name.endswith(("size", "usdc", "pnl")))
            status, body = await read(f"resolutions?condition={CONDITION}")
            assert set(body["data"]) >= RESOLUTION_FIELDS
            desk.core.resolve(CONDITION, 1_000_000, desk.clock.now)
            status, body = await read(f"resolutions?condition={CONDITION}")
            assert set(body["data"]) >= RESOLUTION_FIELDS | RESOLVED_FIELDS
            assert body["data"]["payouts"] == [1, 0]
            status, body = await read(f"trades?user={user}&offset=1")
            assert (status, set(body)) == (400, {"error", "code", "retryable", "trace_id", "parameter"})
            assert (await read("resolutions?condition=0x00"))[1]["data"] is None
