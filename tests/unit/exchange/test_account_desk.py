"""Balance cache, allowances, standing, heartbeats, read-only keys, notices and lists over HTTP."""

import base64
import hashlib
import hmac
import random
from pathlib import Path
from typing import Any

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import AccountRules
from polystra.exchange.balances import COLLATERAL_ADAPTER, Standing
from polystra.exchange.books import BookStore
from polystra.exchange.core import CoreConfig, ExchangeCore, PlaceRequest
from polystra.exchange.model import NS_PER_S
from polystra.exchange.modes import Mode
from polystra.exchange.reversal import CASH
from polystra.exchange.typed_data import CTF_EXCHANGE_V2, EXCHANGE_V3
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, T0, UP, Desk, spec
from tests.unit.exchange.http_desk import HttpDesk, drain, http_desk

COLLATERAL = "?asset_type=COLLATERAL&signature_type=0"
OF_UP = f"?asset_type=CONDITIONAL&token_id={UP}&signature_type=0"
LAGGING = CoreConfig(rules=AccountRules(balance_lag_ms=20_000))


async def buy(desk: HttpDesk) -> str:
    """Buy 10 Up at 0.40 from the house's Down bid; returns the trade's id."""
    desk.quote(DOWN, 60, 10)
    status, reply = await desk.call("POST", "/order", desk.submission())
    assert (status, reply["status"]) == (200, "matched")
    return str(reply["tradeIDs"][0])


def sale(desk: HttpDesk) -> dict[str, Any]:
    return desk.submission(side="SELL", makerAmount="10000000", takerAmount="9000000")


# -- balance cache ---------------------------------------------------------------------------------


async def test_the_book_sees_arrived_shares_late_unless_asked_to_look() -> None:
    async with http_desk(config=LAGGING) as desk:
        await buy(desk)
        desk.settle()
        _, reply = await desk.call("GET", "/balance-allowance", query=OF_UP)
        assert reply["balance"] == "0"
        status, reply = await desk.call("POST", "/order", sale(desk))
        assert (status, reply["error"]) == (
            400,
            "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 10000000",
        )
        assert await desk.call("GET", "/balance-allowance/update", query=OF_UP) == (200, None)
        _, reply = await desk.call("GET", "/balance-allowance", query=OF_UP)
        assert reply["balance"] == "10000000"
        assert (await desk.call("POST", "/order", sale(desk)))[0] == 200


async def test_the_cache_catches_up_by_itself() -> None:
    async with http_desk(config=LAGGING) as desk:
        await buy(desk)
        desk.settle().settle().settle()
        assert (await desk.call("GET", "/balance-allowance", query=OF_UP))[1]["balance"] == "10000000"


async def test_update_refuses_what_reading_refuses() -> None:
    async with http_desk() as desk:
        path = "/balance-allowance/update"
        assert await desk.call("GET", path, query="?asset_type=GOLD") == (400, {"error": "Invalid asset type"})
        assert await desk.call("GET", path, query="?asset_type=COLLATERAL&signature_type=9") == (
            400,
            {"error": "Invalid signature_type"},
        )
        assert await desk.call("PUT", "/balance-allowance", query=COLLATERAL) == (200, None)


async def test_shares_are_asked_for_under_their_market_s_type() -> None:
    async with http_desk() as desk:
        await buy(desk)
        desk.settle()
        query = OF_UP.replace("CONDITIONAL", "CONDITIONAL-V2")
        status, reply = await desk.call("GET", "/balance-allowance", query=query)
        assert (status, reply["balance"], list(reply["allowances"])) == (200, "0", [EXCHANGE_V3])
        _, reply = await desk.call("GET", "/balance-allowance", query=COLLATERAL.replace("0", "1"))
        assert reply["balance"] == "0"
        assert set(reply["allowances"].values()) == {"0"}


# -- allowances ------------------------------------------------------------------------------------


async def test_a_revoked_allowance_refuses_and_cancels() -> None:
    async with http_desk() as desk:
        assert (await desk.call("POST", "/order", desk.submission()))[1]["status"] == "live"
        desk.core.desk.approve(desk.signer.address, "COLLATERAL", CTF_EXCHANGE_V2, 0, desk.clock.now)
        assert list(desk.core.open_orders([desk.signer.address])) == []
        _, reply = await desk.call("GET", "/balance-allowance", query=COLLATERAL)
        assert reply["allowances"][CTF_EXCHANGE_V2] == "0"
        assert int(reply["allowances"][EXCHANGE_V3]) == (1 << 256) - 1
        status, reply = await desk.call("POST", "/order", desk.submission())
        assert status == 400
        assert reply["error"].startswith("not enough balance / allowance: the allowance is not enough ->")
        desk.core.desk.approve(desk.signer.address, "COLLATERAL", CTF_EXCHANGE_V2, 4_000_000, desk.clock.now)
        assert (await desk.call("POST", "/order", desk.submission()))[0] == 200


async def test_revoking_shares_stops_sales_only() -> None:
    async with http_desk() as desk:
        await buy(desk)
        desk.settle()
        desk.core.desk.approve(desk.signer.address, "CONDITIONAL", CTF_EXCHANGE_V2, 0, desk.clock.now)
        assert "allowance is not enough" in (await desk.call("POST", "/order", sale(desk)))[1]["error"]
        assert (await desk.call("POST", "/order", desk.submission()))[0] == 200


def test_impossible_allowances_are_refused(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        desk.core.desk.approve(ALICE, "CONDITIONAL-V2", COLLATERAL_ADAPTER, 0, desk.now)
    with pytest.raises(ConfigError, match="does not exist"):
        desk.core.desk.approve("0xnobody", "COLLATERAL", CTF_EXCHANGE_V2, 0, desk.now)


def test_moved_funds_take_orders_backing(desk: Desk) -> None:
    desk.limit(ALICE, UP, "BUY", "0.50", "1000")
    total = desk.core.total_money()
    desk.core.desk.move_funds(ALICE, BOB, CASH, 600_000_000, now_ns=desk.now)
    assert list(desk.core.open_orders([ALICE])) == []
    assert desk.core.total_money() == total
    with pytest.raises(ConfigError, match="holds 400000000"):
        desk.core.desk.move_funds(ALICE, BOB, CASH, 400_000_001, now_ns=desk.now)
    with pytest.raises(ConfigError, match="must exist"):
        desk.core.desk.move_funds(ALICE, ALICE, CASH, 1, now_ns=desk.now)


# -- standing --------------------------------------------------------------------------------------


async def test_a_banned_account_may_only_cancel() -> None:
    async with http_desk() as desk:
        _, placed = await desk.call("POST", "/order", desk.submission())
        desk.core.desk.set_standing(desk.signer.address, Standing(banned=True), desk.clock.now)
        refused = await desk.call("POST", "/order", desk.submission())
        assert refused == (400, {"error": f"'{desk.signer.address}' address banned"})
        _, reply = await desk.call("DELETE", "/order", {"orderID": placed["orderID"]})
        assert reply["canceled"] == [placed["orderID"]]


async def test_a_closed_only_account_may_only_sell() -> None:
    async with http_desk() as desk:
        path = "/auth/ban-status/closed-only"
        assert await desk.call("GET", path) == (200, {"closed_only": False})
        await buy(desk)
        desk.settle()
        desk.core.desk.set_standing(desk.signer.address, Standing(closed_only=True), desk.clock.now)
        assert await desk.call("GET", path) == (200, {"closed_only": True})
        refused = await desk.call("POST", "/order", desk.submission())
        assert refused == (400, {"error": f"'{desk.signer.address}' address in closed only mode"})
        assert (await desk.call("POST", "/order", sale(desk)))[0] == 200
        desk.core.desk.set_standing(desk.signer.address, None, desk.clock.now)
        assert (await desk.call("POST", "/order", desk.submission()))[0] == 200


async def test_ban_status_without_record_can_be_missing() -> None:
    async with http_desk(config=CoreConfig(rules=AccountRules(ban_record_missing=True))) as desk:
        assert await desk.call("GET", "/auth/ban-status/closed-only") == (404, {"error": "not found"})


# -- read-only keys --------------------------------------------------------------------------------


async def test_a_readonly_key_reads_and_nothing_else() -> None:
    async with http_desk() as desk:
        full = desk.key
        _, made = await desk.call("POST", "/auth/readonly-api-key")
        assert await desk.call("GET", "/auth/readonly-api-keys") == (200, {"readonlyApiKeys": [made["apiKey"]]})
        assert (await desk.call("GET", "/auth/api-keys"))[1] == {"apiKeys": [full.key]}
        key = desk.core.keys.get(made["apiKey"])
        assert key is not None
        desk.key = key
        unauthorized = (401, {"error": "Unauthorized/Invalid api key"})
        for path in ("/data/trades", "/data/orders", "/balance-allowance"):
            assert (await desk.call("GET", path, query=COLLATERAL))[0] == 200
        assert await desk.call("POST", "/order", desk.submission()) == unauthorized
        assert await desk.call("DELETE", "/cancel-all") == unauthorized
        assert await desk.call("POST", "/auth/readonly-api-key") == unauthorized
        desk.key = full
        refused = await desk.call("DELETE", "/auth/readonly-api-key", {"key": full.key})
        assert refused == (500, {"error": "Could not delete API key"})
        assert await desk.call("DELETE", "/auth/readonly-api-key", {"key": key.key}) == (200, "OK")
        assert await desk.call("GET", "/auth/readonly-api-keys") == (200, {"readonlyApiKeys": []})
        _, again = await desk.call("POST", "/auth/readonly-api-key")
        assert again["apiKey"] != made["apiKey"]


# -- heartbeats ------------------------------------------------------------------------------------


async def test_a_silent_heart_loses_the_orders_of_its_key() -> None:
    async with http_desk() as desk:
        _, placed = await desk.call("POST", "/order", desk.submission())
        assert placed["status"] == "live"
        other = desk.core.create_key(desk.signer.address, 5)
        assert other is not None
        request = PlaceRequest.limit(UP, "BUY", price=100_000, size=10_000_000)
        desk.core.place(desk.signer.address, replaced(request, other.key), desk.clock.now)
        status, first = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": ""})
        assert status == 200
        socket = await desk.user_socket()
        for _ in range(3):
            desk.clock.now += 6 * NS_PER_S
            status, first = await desk.call("POST", "/v1/heartbeats", first)
            assert status == 200
        desk.clock.now += 9 * NS_PER_S
        desk.core.advance(desk.clock.now)
        assert len(list(desk.core.open_orders([desk.signer.address]))) == 2
        desk.clock.now += 6 * NS_PER_S
        desk.core.advance(desk.clock.now)
        assert [order.owner for order in desk.core.open_orders([desk.signer.address])] == [other.key]
        assert [frame["type"] for frame in await drain(socket)] == ["CANCELLATION"]
        assert desk.core.next_due_ns() is None


async def test_a_wrong_heartbeat_is_told_the_right_id() -> None:
    async with http_desk() as desk:
        _, first = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": ""})
        status, reply = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": ""})
        assert (status, reply) == (400, {"error_msg": "Invalid Heartbeat ID", **first})
        status, second = await desk.call("POST", "/v1/heartbeats", {"heartbeat_id": reply["heartbeat_id"]})
        assert status == 200
        assert second != first
        assert await desk.call("POST", "/heartbeats") == (200, {"status": "ok"})
        assert (await desk.call("POST", "/v1/heartbeats", [1]))[0] == 400


async def test_a_restarting_engine_takes_no_heartbeat() -> None:
    async with http_desk() as desk:
        desk.core.modes.enter(Mode.RESTARTING, desk.clock.now)
        for path in ("/v1/heartbeats", "/heartbeats"):
            assert await desk.call("POST", path, {"heartbeat_id": ""}) == (425, {"error": "service not ready"})


def replaced(request: PlaceRequest, owner: str) -> PlaceRequest:
    return PlaceRequest(
        token_id=request.token_id,
        side=request.side,
        order_type=request.order_type,
        maker_amount=request.maker_amount,
        taker_amount=request.taker_amount,
        owner=owner,
    )


# -- notices ---------------------------------------------------------------------------------------


async def notices(desk: HttpDesk) -> list[dict[str, Any]]:
    status, reply = await desk.call("GET", "/notifications", query="?signature_type=0")
    assert status == 200
    return list(reply)


async def test_every_event_leaves_its_notice() -> None:
    async with http_desk() as desk:
        assert [each["type"] for each in await notices(desk)] == [3]
        _, placed = await desk.call("POST", "/order", desk.submission())
        await desk.call("DELETE", "/order", {"orderID": placed["orderID"]})
        trade_id = await buy(desk)
        desk.core.fail_trade(trade_id, desk.clock.now)
        await buy(desk)
        desk.settle()
        desk.core.resolve(CONDITION, 1_000_000, desk.clock.now)
        desk.settle()
        told = await notices(desk)
        assert [each["type"] for each in told] == [3, 1, 2, 8, 2, 4, 9]
        cancelled, failed, resolved, redeemed = told[1], told[3], told[5], told[6]
        assert cancelled["owner"] == desk.key.key
        assert cancelled["payload"]["order_id"] == placed["orderID"]
        assert failed["payload"]["trade_id"] == trade_id
        assert [token["winner"] for token in resolved["payload"]["tokens"]] == [True, False]
        assert resolved["owner"] == ""
        assert redeemed["payload"]["amount"] == "10"


async def test_notices_are_dismissed_and_forgotten() -> None:
    async with http_desk() as desk:
        for kind in (5, 6, 7, 10, 11):
            desk.core.desk.notify(kind, desk.signer.address, {"text": "x"}, desk.clock.now)
        told = await notices(desk)
        assert [each["type"] for each in told] == [3, 5, 6, 7, 10, 11]
        ids = ",".join(str(each["id"]) for each in told[:2])
        assert await desk.call("DELETE", "/notifications", query=f"?ids={ids}") == (200, "OK")
        assert [each["type"] for each in await notices(desk)] == [6, 7, 10, 11]
        assert await desk.call("DELETE", "/notifications", query="?ids=1,x") == (400, {"error": "Invalid ids"})
        assert await desk.call("DELETE", "/notifications") == (400, {"error": "Invalid ids"})
        assert await desk.call("GET", "/notifications", query="?signature_type=8") == (
            400,
            {"error": "Invalid signature_type"},
        )
        desk.clock.now += 48 * 3_600 * NS_PER_S
        assert await notices(desk) == []
        with pytest.raises(ConfigError, match="type 12"):
            desk.core.desk.notify(12, "", {}, desk.clock.now)


# -- order lookup and lists ------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "body"), [(200, None), (404, {"error": "Order not found"})])
async def test_a_closed_order_is_null_or_missing(status: int, body: object) -> None:
    rules = AccountRules(closed_order_status=status)  # type: ignore[arg-type]
    async with http_desk(config=CoreConfig(rules=rules)) as desk:
        _, placed = await desk.call("POST", "/order", desk.submission())
        path = f"/data/order/{placed['orderID']}"
        assert (await desk.call("GET", path))[1]["id"] == placed["orderID"]
        await desk.call("DELETE", "/cancel-all")
        assert await desk.call("GET", path) == (status, body)


async def test_a_young_trade_is_listed_as_not_broadcast() -> None:
    async with http_desk(config=CoreConfig(rules=AccountRules(unbroadcast_ms=1_000))) as desk:
        await buy(desk)
        assert (await desk.call("GET", "/data/trades"))[1]["data"][0]["status"] == "MATCHED_NOT_BROADCASTED"
        desk.clock.now += NS_PER_S
        assert (await desk.call("GET", "/data/trades"))[1]["data"][0]["status"] == "MATCHED"


async def test_scoring_and_old_orders() -> None:
    async with http_desk() as desk:
        _, placed = await desk.call("POST", "/order", desk.submission())
        order_id = placed["orderID"]
        assert await desk.call("GET", "/order-scoring", query=f"?order_id={order_id}") == (200, {"scoring": True})
        assert (await desk.call("GET", "/order-scoring"))[0] == 400
        asked = await desk.call("POST", "/orders-scoring", [order_id, "0xno"])
        assert asked == (200, {order_id: True, "0xno": False})
        assert (await desk.call("POST", "/orders-scoring", {}))[0] == 400
        page = {"limit": 100, "count": 0, "next_cursor": "LTE=", "data": []}
        assert await desk.call("GET", "/data/pre-migration-orders") == (200, page)
        assert (await desk.call("GET", "/data/pre-migration-orders", query="?next_cursor=!"))[0] == 400


async def test_lists_of_markets_come_in_pages() -> None:
    async with http_desk() as desk:
        for number in range(120):
            desk.core.list_market(
                spec(condition_id=f"0x{number:064x}", up_token=f"7{number}", down_token=f"8{number}"), T0
            )
        desk.core.resolve(CONDITION, 500_000, desk.clock.now)
        _, first = await desk.get("/simplified-markets?next_cursor=MA==")
        assert (first["limit"], first["count"], first["next_cursor"]) == (100, 100, "MTAw")
        assert "question" not in first["data"][0]
        _, rest = await desk.get("/simplified-markets?next_cursor=MTAw")
        assert (rest["count"], rest["next_cursor"]) == (21, "LTE=")
        assert (await desk.get("/markets"))[1]["data"][0]["is_50_50_outcome"] is True
        for path in ("/sampling-markets", "/sampling-simplified-markets"):
            _, open_ones = await desk.get(path)
            assert CONDITION not in {each["condition_id"] for each in open_ones["data"]}
        assert (await desk.get("/markets?next_cursor=LTE="))[0] == 400


# -- restart ---------------------------------------------------------------------------------------


def test_the_desk_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "books.db"

    def start() -> ExchangeCore:
        return ExchangeCore(rng=random.Random(7), store=BookStore(path))

    core = start()
    key = core.create_key(ALICE, 0)
    assert key is not None
    core.list_market(spec(), T0)
    readonly = core.desk.create_readonly_key(ALICE, T0)
    core.desk.set_standing(BOB, Standing(banned=True), T0)
    core.desk.approve(ALICE, "CONDITIONAL", CTF_EXCHANGE_V2, 0, T0)
    request = PlaceRequest.limit(UP, "BUY", price=400_000, size=10_000_000)
    core.place(ALICE, replaced(request, key.key), T0)
    valid, expected = core.desk.beat(key, "", T0)
    assert valid
    core.desk.notify(5, ALICE, {}, T0)
    core.desk.dismiss(ALICE, [1], T0)
    core.close()
    again = start()
    assert again.keys.get(readonly.key) == readonly
    assert again.keys.of_address(ALICE) == [key]
    assert again.desk.balances.standing(BOB) == Standing(banned=True)
    assert again.desk.balances.allowances(ALICE, "CONDITIONAL")[CTF_EXCHANGE_V2] == 0
    assert [notice.type for notice in again.desk.notifications.of(ALICE, T0)] == [5]
    assert again.desk.beat(key, "wrong", T0) == (False, expected)
    again.advance(T0 + 20 * NS_PER_S)
    assert list(again.open_orders([ALICE])) == []
    again.close()


def test_proofs_of_two_readonly_keys_differ() -> None:
    core = ExchangeCore(rng=random.Random(7))
    one, two = core.desk.create_readonly_key(ALICE, T0), core.desk.create_readonly_key(ALICE, T0)
    macs = {hmac.new(base64.urlsafe_b64decode(key.secret), b"x", hashlib.sha256).digest() for key in (one, two)}
    assert len(macs) == 2
