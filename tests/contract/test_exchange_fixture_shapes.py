"""What the exchange emits has the fields and JSON types of recorded and published messages of the same kind.

Fixtures are of other markets and other days, so only names and types are compared: whatever a fixture
has, ours has, of the same type, except in the fixtures that `NOT_COMPARED` names with a reason.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from polystra.exchange.core import CoreConfig
from tests.contract.test_exchange_payload_shapes import scene
from tests.unit.exchange.conftest import CONDITION, DOWN, UP, spec
from tests.unit.exchange.http_desk import drain, http_desk
from tests.unit.exchange.running import Running, play

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FIXTURES = SHARED / "data" / "api_fixtures"

NOT_COMPARED = {
    "nautilus_captured/ws_messages/order_placement.json": "predates V2",
    "nautilus_captured/ws_messages/user_trade1.json": "predates V2",
    "nautilus_captured/ws_messages/user_trade2.json": "predates V2",
    "nautilus_unit/gamma_market_sports_market_money_line.json": "a sports market; none is listed here",
    "nautilus_unit/gamma_market_closed_nonbinary_legacy.json": "a market of another kind and time",
    "nautilus_unit/search_response.json": "there is no search",
    "nautilus_unit/gamma_tags.json": "there are no tags",
    "nautilus_unit/data_api_positions_response.json": "version 1 of the Data API, which is retired",
    "nautilus_unit/clob_fee_rate_response_nonzero.json": "base_fee is text there, a number in the documentation",
    "nautilus_unit/http_order_response_failed.json": "an older reply; refusals are HTTP 400 with `error`",
}
"""Fixtures of kinds that the exchange does not emit, with the reason."""


def fixture(name: str) -> Any:
    path = FIXTURES / name
    if not path.exists():
        pytest.skip(f"no published messages at {path}")
    return json.loads(path.read_text())


def differences(ours: Any, theirs: Any, path: str = "$") -> list[str]:
    """Return where ours lacks a field of theirs or has another type; nulls say nothing."""
    if ours is None or theirs is None:
        return []
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{path}: {type(ours).__name__}, theirs is an object"]
        missing = [f"{path}.{name}: missing" for name in theirs if name not in ours]
        return missing + [
            found
            for name in theirs
            if name in ours
            for found in differences(ours[name], theirs[name], f"{path}.{name}")
        ]
    if isinstance(theirs, list):
        if not isinstance(ours, list):
            return [f"{path}: {type(ours).__name__}, theirs is an array"]
        return differences(ours[0], theirs[0], f"{path}[0]") if ours and theirs else []
    numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
    same = type(ours) is type(theirs) or (numbers and isinstance(ours, bool) is isinstance(theirs, bool))
    return [] if same else [f"{path}: {type(ours).__name__}, theirs is {type(theirs).__name__}"]


async def test_rest_replies() -> None:
    async with http_desk(config=CoreConfig(mined_after_ms=0)) as desk:
        await scene(desk)
        placed = (await desk.call("POST", "/order", desk.submission()))[1]
        orders = (await desk.call("GET", "/data/orders"))[1]
        trades = (await desk.call("GET", "/data/trades"))[1]
        balance = (await desk.call("GET", "/balance-allowance", query="?asset_type=COLLATERAL&signature_type=0"))[1]
        cancelled = (await desk.call("DELETE", "/orders", [placed["orderID"], "0x" + "00" * 32]))[1]
        book = (await desk.get(f"/book?token_id={UP}"))[1]
        ours = {
            "http_order_response_ok": placed,
            "http_open_order": orders["data"][0],
            "http_open_orders_page": orders,
            "http_trade_report": trades["data"][0],
            "http_cancel_response_ok": cancelled,
            "clob_book_response": book,
        }
        for name, body in ours.items():
            assert differences(body, fixture(f"nautilus_unit/{name}.json")) == [], name
        old = fixture("nautilus_unit/http_balance_allowance_collateral.json")
        assert differences(balance, old) == ["$.allowance: missing"], "today's reply has a map of spenders instead"


async def test_market_channel() -> None:
    names = {
        "book": ["nautilus_unit/ws_market_book_msg", "nautilus_captured/ws_messages/book"],
        "price_change": ["nautilus_unit/ws_market_price_change_msg"],
        "best_bid_ask": ["nautilus_unit/ws_market_best_bid_ask_msg"],
        "tick_size_change": ["nautilus_unit/ws_tick_size_change"],
        "last_trade_price": ["nautilus_unit/ws_last_trade"],
        "new_market": ["nautilus_unit/ws_market_new_market_msg"],
    }
    async with http_desk() as desk:
        socket = await desk.market_socket(UP, DOWN, custom_feature_enabled=True)
        await scene(desk)
        desk.core.list_market(spec(condition_id="0x" + "c1" * 32, up_token="5", down_token="6"), desk.clock.now)
        desk.core.set_tick_size(CONDITION, 1_000, desk.clock.now)
        first: dict[str, Any] = {}
        for frame in await drain(socket):
            first.setdefault(frame["event_type"], frame)
        for kind, fixtures in names.items():
            for name in fixtures:
                theirs = fixture(f"{name}.json")
                theirs = theirs[0] if isinstance(theirs, list) else theirs
                assert differences(first[kind], theirs) == [], name


async def test_user_channel() -> None:
    async with http_desk() as desk:
        socket = await desk.user_socket()
        await scene(desk)
        first: dict[str, Any] = {}
        for frame in await drain(socket):
            first.setdefault(frame["event_type"], frame)
        for kind in ("order", "trade"):
            assert differences(first[kind], fixture(f"nautilus_unit/ws_user_{kind}_msg.json")) == [], kind


def test_older_price_socket() -> None:
    theirs = fixture("nautilus_unit/rtds_crypto_prices_update.json")

    async def scene(stage: Running) -> Any:
        async with stage.session.ws_connect(stage.urls.rtds_url) as socket:
            subscription = {"topic": "crypto_prices", "type": "*", "filters": '{"symbol":"btcusdt"}'}
            await socket.send_json({"action": "subscribe", "subscriptions": [subscription]})
            while True:
                text = await socket.receive_str()
                if text and json.loads(text)["type"] == "update":
                    return json.loads(text)

    assert differences(play(scene), theirs) == []


def test_every_exclusion_names_a_fixture() -> None:
    if not FIXTURES.exists():
        pytest.skip(f"no published messages at {FIXTURES}")
    assert [name for name in NOT_COMPARED if not (FIXTURES / name).exists()] == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"a": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"a": True}, {"a": 1}),
        ({"a": [{}]}, {"a": [{"b": ""}]}),
        ({"a": 1}, {"a": []}),
    ],
)
def test_the_comparison_sees_differences(ours: Any, theirs: Any) -> None:
    assert differences(ours, theirs) != []
