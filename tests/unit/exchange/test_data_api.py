"""The Data API: envelope, rows, filters, cursors, errors, and answers as old as a cache makes them."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from polystra.exchange.account_rules import AccountRules
from polystra.exchange.control_accounts import AccountControl
from polystra.exchange.core import CoreConfig, ExchangeCore
from polystra.exchange.data_api import DataApi
from polystra.exchange.model import NS_PER_S
from polystra.exchange.typed_data import CTF_EXCHANGE_V2
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, UP, Desk
from tests.unit.exchange.http_desk import HandClock

FRESH = AccountRules(positions_cache_s=0, activity_cache_s=0, trades_cache_s=0)


class DataDesk(Desk):
    """A desk with a Data API and the account controls in front."""

    def __init__(self, core: ExchangeCore, clock: HandClock, client: TestClient[web.Request, web.Application]) -> None:
        super().__init__(core)
        self.clock = clock
        self.client = client

    def pass_time(self, seconds: int) -> None:
        """Let time pass on both clocks."""
        self.now += seconds * NS_PER_S
        self.clock.now = self.now
        self.core.advance(self.now)

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask the Data API."""
        async with self.client.get("/data-api/v2/" + path) as reply:
            assert reply.headers["x-trace-id"]
            return reply.status, await reply.json()

    async def rows(self, path: str) -> list[dict[str, Any]]:
        """Return the rows of an answer."""
        status, body = await self.get(path)
        assert status == 200
        assert set(body) == {"data", "pagination"}
        return list(body["data"])

    async def control(self, name: str, body: object) -> tuple[int, Any]:
        """Post to the operator's side door."""
        async with self.client.post("/control/" + name, json=body) as reply:
            return reply.status, await reply.json()


def condition_of(event_id: str) -> str | None:
    return CONDITION if event_id == "5" else None


async def running(rules: AccountRules) -> AsyncIterator[DataDesk]:
    clock = HandClock()
    core = ExchangeCore(rng=random.Random(7), config=CoreConfig(rules=rules))
    app = web.Application()
    DataApi(core, clock, condition_of).add_routes(app)
    for method, path, handler in AccountControl(core, clock).routes():
        app.router.add_route(method, path, handler)
    async with TestClient(TestServer(app)) as client:
        yield DataDesk(core, clock, client)


@pytest.fixture
async def data() -> AsyncIterator[DataDesk]:
    async for desk in running(FRESH):
        yield desk


@pytest.fixture
async def cached() -> AsyncIterator[DataDesk]:
    async for desk in running(AccountRules()):
        yield desk


def mint(desk: DataDesk) -> str:
    """Alice takes 20 Up at 0.60 against Bob's Down at 0.40."""
    desk.limit(BOB, DOWN, "BUY", "0.40", "20")
    return desk.limit(ALICE, UP, "BUY", "0.60", "20").trade_ids[0]


async def test_a_position_tells_size_cost_fee_and_profit(data: DataDesk) -> None:
    mint(data)
    assert await data.rows(f"positions?user={ALICE}") == []
    data.pass_time(6)
    data.limit(BOB, UP, "BUY", "0.70", "5")
    data.limit(ALICE, UP, "SELL", "0.70", "5")
    data.pass_time(6)
    (row,) = await data.rows(f"positions?user={ALICE.upper().replace('X', 'x')}&status=OPEN")
    fee = data.core.trade(next(iter(data.core.trades([ALICE]))).trade_id)
    assert fee is not None
    figures = ("current_size", "total_size", "avg_price", "entry_cost_usdc", "entry_fees_usdc")
    assert [row[name] for name in figures] == [15, 20, 0.6, 12, 0.336]
    assert row["realized_pnl"] == pytest.approx(0.5 - fee.fee / 1e6)
    assert (row["status"], row["redeemable"], row["mergeable"]) == ("OPEN", False, False)
    assert (row["outcome"], row["opposite_token_id"], row["proxy_wallet"]) == ("Up", DOWN, ALICE)


async def test_positions_by_status_and_dust(data: DataDesk) -> None:
    mint(data)
    data.pass_time(6)
    assert [row["mergeable"] for row in await data.rows(f"positions?condition={CONDITION}")] == [False, False]
    assert await data.rows(f"positions?user={ALICE}&filter_amount=20.5") == []
    assert await data.rows(f"positions?user={ALICE}&filter_type=CASH&filter_amount=19") == []
    data.core.resolve(CONDITION, 1_000_000, data.now)
    assert len(await data.rows(f"positions?user={ALICE}&status=REDEEMABLE")) == 1
    data.pass_time(6)
    assert [row["status"] for row in await data.rows(f"positions?user={ALICE}&status=CLOSED")] == ["CLOSED"]
    assert (await data.rows(f"positions?user={ALICE}&status=CLOSED"))[0]["realized_pnl"] == 8
    (lost,) = await data.rows(f"positions?user={BOB}&status=REDEEMABLE_LOST")
    assert (lost["status"], lost["current_value"], lost["unrealized_pnl"]) == ("REDEEMABLE", 0, -8)
    assert await data.rows(f"positions?user={BOB}&status=REDEEMABLE") == []


async def test_a_failed_trade_leaves_no_position(data: DataDesk) -> None:
    trade_id = mint(data)
    data.pass_time(3)
    assert len(await data.rows(f"positions?user={ALICE}")) == 1
    data.core.fail_trade(trade_id, data.now)
    assert await data.rows(f"positions?user={ALICE}") == []
    assert await data.rows(f"trades?user={ALICE}") == []


async def test_trades_hide_makers_unless_asked(data: DataDesk) -> None:
    mint(data)
    assert await data.rows(f"trades?user={ALICE}") == []
    data.pass_time(6)
    (row,) = await data.rows(f"trades?user={ALICE}&side=BUY")
    assert (row["size"], row["price"], row["transaction_hash"][:2]) == (20, 0.6, "0x")
    assert await data.rows(f"trades?user={ALICE}&side=SELL") == []
    assert await data.rows(f"trades?user={BOB}") == []
    (row,) = await data.rows(f"trades?user={BOB}&taker_only=false")
    assert (row["outcome"], row["price"]) == ("Down", 0.4)
    assert len(await data.rows(f"trades?condition={CONDITION}&taker_only=false")) == 2
    assert await data.rows(f"trades?user={ALICE}&end=5") == []


async def test_activity_and_value(data: DataDesk) -> None:
    mint(data)
    data.pass_time(6)
    assert (await data.get(f"value?user={ALICE}"))[1]["data"] == {"user": ALICE, "value": 12}
    data.core.resolve(CONDITION, 1_000_000, data.now)
    data.pass_time(6)
    assert [row["type"] for row in await data.rows(f"activity?user={ALICE}")] == ["REDEEM", "TRADE"]
    (row,) = await data.rows(f"activity?user={ALICE}&type=REDEEM,SPLIT")
    assert row["usdc_size"] == 20
    assert (await data.get(f"value?user={ALICE}"))[1]["data"]["value"] == 0


@pytest.mark.parametrize("query", [f"condition={CONDITION}", f"question_id={CONDITION}", "event_id=5"])
async def test_resolutions(data: DataDesk, query: str) -> None:
    _, before = await data.get("resolutions?" + query)
    assert before["data"]["status"] == "active"
    assert "payouts" not in before["data"]
    data.core.resolve(CONDITION, 500_000, data.now)
    _, after = await data.get("resolutions?" + query)
    assert (after["data"]["status"], after["data"]["payouts"]) == ("resolved", [0.5, 0.5])


async def test_misses_are_empty(data: DataDesk) -> None:
    none = {"has_more": False, "next_cursor": None}
    assert await data.get("resolutions?condition=0x9") == (200, {"data": None, "pagination": none})
    assert await data.get("positions?user=0x" + "0" * 40) == (200, {"data": [], "pagination": none})


async def test_pages_by_cursor(data: DataDesk) -> None:
    for _ in range(3):
        mint(data)
    data.pass_time(6)
    _, first = await data.get(f"trades?user={ALICE}&limit=2")
    assert (len(first["data"]), first["pagination"]["has_more"]) == (2, True)
    _, second = await data.get(f"trades?user={ALICE}&limit=2&cursor={first['pagination']['next_cursor']}")
    assert (len(second["data"]), second["pagination"]) == (1, {"has_more": False, "next_cursor": None})


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("positions", "user"),
        ("positions?user=me", "user"),
        (f"positions?user={ALICE}&offset=5", "offset"),
        (f"positions?user={ALICE}&status=NEW", "status"),
        (f"positions?user={ALICE}&limit=0", "limit"),
        (f"positions?user={ALICE}&limit=x", "limit"),
        (f"positions?user={ALICE}&filter_type=X", "filter_type"),
        (f"positions?user={ALICE}&filter_amount=x", "filter_amount"),
        (f"positions?user={ALICE}&cursor=x", "cursor"),
        (f"positions?user={ALICE}&cursor=YTox", "cursor"),
        ("positions?condition=" + ",".join(["0x1"] * 21), "condition"),
        ("trades?side=UP", "side"),
        ("trades?taker_only=1", "taker_only"),
        ("activity", "user"),
        (f"activity?user={ALICE}&type=DREAM", "type"),
        ("resolutions", "condition"),
        ("resolutions?condition=1&event_id=2", "condition"),
        ("value", "user"),
    ],
)
async def test_bad_parameters_are_named(data: DataDesk, path: str, parameter: str) -> None:
    status, body = await data.get(path)
    assert status == 400
    assert set(body) == {"error", "code", "retryable", "trace_id", "parameter"}
    assert (body["parameter"], body["retryable"]) == (parameter, False)


async def test_answers_are_as_old_as_the_cache(cached: DataDesk) -> None:
    path = f"positions?user={ALICE}"
    assert await cached.rows(path) == []
    mint(cached)
    cached.pass_time(4)
    assert await cached.rows(path) == []
    assert len(await cached.rows(path + "&limit=9")) == 1
    cached.pass_time(1)
    assert len(await cached.rows(path)) == 1
    assert len(await cached.rows(f"trades?user={ALICE}")) == 1
    mint(cached)
    cached.pass_time(299)
    assert len(await cached.rows(f"trades?user={ALICE}")) == 1
    cached.pass_time(1)
    assert len(await cached.rows(f"trades?user={ALICE}")) == 2


async def test_the_operator_moves_trades_and_accounts(data: DataDesk) -> None:
    trade_id = mint(data)
    assert (await data.control("trades", {"trade_id": trade_id, "action": "retry"}))[0] == 200
    assert (await data.control("trades", {"trade_id": trade_id, "action": "delay", "delay_ms": 9}))[0] == 200
    failed = await data.control("trades", {"trade_id": trade_id, "action": "fail"})
    assert failed == (200, {"failed": [trade_id]})
    status, body = await data.control("trades", {"trade_id": trade_id, "action": "fail"})
    assert (status, "FAILED for good" in body["error"]) == (400, True)
    assert (await data.control("trades", {"trade_id": trade_id, "action": "explode"}))[0] == 400
    wanted = {"address": ALICE, "asset_type": "COLLATERAL", "spender": CTF_EXCHANGE_V2, "amount": "7"}
    assert (await data.control("allowances", wanted))[0] == 200
    assert data.core.desk.balances.allowances(ALICE, "COLLATERAL")[CTF_EXCHANGE_V2] == 7
    assert (await data.control("allowances", {**wanted, "amount": "-7"}))[0] == 400
    assert (await data.control("standing", {"owner": ALICE, "closed_only": True}))[0] == 200
    assert data.core.desk.balances.standing(ALICE) is not None
    assert (await data.control("standing", {"owner": ALICE, "record": False}))[0] == 200
    assert data.core.desk.balances.standing(ALICE) is None
    assert (await data.control("transfers", {"source": ALICE, "target": BOB, "amount": 5}))[0] == 200
    assert (await data.control("transfers", {"source": ALICE, "target": BOB, "amount": 0}))[0] == 400
    assert (await data.control("notifications", {"type": 5, "address": ALICE, "payload": {"a": 1}}))[0] == 200
    assert (await data.control("notifications", {"type": 50}))[0] == 400
    status, rules = await data.control("account-rules", {"fail_ppm": 7})
    assert (status, rules["fail_ppm"], data.core.desk.rules.fail_ppm) == (200, 7, 7)
    assert (await data.control("account-rules", {"fail_ppm": -7}))[0] == 400
    async with data.client.get("/control/account-rules") as reply:
        assert (await reply.json())["fail_ppm"] == 7


async def test_moved_shares_are_held_where_they_went_without_a_profit(data: DataDesk) -> None:
    mint(data)
    data.pass_time(6)
    wanted = {"source": ALICE, "target": BOB, "amount": 5_000_000, "token_id": UP}
    assert (await data.control("transfers", wanted))[0] == 200
    data.pass_time(6)
    (hers,) = await data.rows(f"positions?user={ALICE}")
    (his,) = [row for row in await data.rows(f"positions?user={BOB}") if row["token_id"] == UP]
    assert (hers["current_size"], hers["entry_cost_usdc"], hers["realized_pnl"]) == (15, 12, 0)
    assert (his["current_size"], his["entry_cost_usdc"], his["avg_price"]) == (5, 0, 0)
