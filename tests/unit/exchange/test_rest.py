"""The REST interface: identity checks, refusals, reads and paging."""

from typing import Any

import pytest

from polystra.exchange.core import CoreConfig
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import CONDITION, DOWN, T0_S, UP
from tests.unit.exchange.http_desk import Signer, http_desk

WALLET = "0x" + "d0" * 20
BUY_PRECISION = (
    "invalid amounts, the buy orders maker amount supports a max accuracy of 4 decimals,"
    " taker amount a max of 2 decimals"
)
MARKET_BUY_PRECISION = (
    "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals,"
    " taker amount a max of 4 decimals"
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"owner": "someone"}, "the order owner has to be the owner of the API KEY"),
        ({"signer": "0x" + "11" * 20}, "the order signer address has to be the address of the API KEY"),
        ({"maker": "0x" + "11" * 20}, "maker address not allowed, please use the deposit wallet flow"),
        ({"signatureType": 1}, "maker address not allowed, please use the deposit wallet flow"),
        ({"signatureType": 3}, "the order signer address has to be the address of the API KEY"),
        ({"signatureType": 4}, "Invalid order payload"),
        ({"orderType": "IOC"}, "Invalid order payload"),
        ({"expiration": "soon"}, "Invalid order payload"),
        ({"expiration": "1782753700"}, "invalid expiration"),
        ({"makerAmount": "0"}, "Invalid order payload"),
        ({"orderType": "FOK", "postOnly": True}, "INVALID_POST_ONLY_ORDER_TYPE"),
        (
            {"makerAmount": "4000100"},
            "Price (0.40001) breaks minimum tick size rule: 0.01",
        ),
        (
            {"makerAmount": "4000001"},
            BUY_PRECISION,
        ),
        (
            {"makerAmount": "4123400", "orderType": "FAK"},
            "Price (0.41234) breaks minimum tick size rule: 0.01",
        ),
        (
            {"makerAmount": "4010000", "takerAmount": "10025001", "orderType": "FAK"},
            MARKET_BUY_PRECISION,
        ),
        ({"side": "SELL", "makerAmount": "10000000", "takerAmount": "4000000"}, "balance: 0, order amount: 10000000"),
    ],
)
async def test_refusals_of_a_single_order(changes: dict[str, Any], text: str) -> None:
    async with http_desk() as desk:
        status, reply = await desk.call("POST", "/order", desk.submission(**changes))
        assert status == 400
        assert reply["error"].endswith(text)


async def test_unknown_token_is_not_found() -> None:
    async with http_desk() as desk:
        status, reply = await desk.call("POST", "/order", desk.submission(tokenId="5"))
        assert (status, reply) == (404, {"error": "No orderbook exists for the requested token id"})


async def test_token_id_beyond_256_bits_is_an_invalid_payload() -> None:
    async with http_desk() as desk:
        body = desk.submission()
        for number in (str(1 << 256), "9" * 78, "9" * 500):
            body["order"]["makerAmount"] = number
            assert await desk.call("POST", "/order", body) == (400, {"error": "Invalid order payload"})


async def test_a_changed_field_breaks_the_signature() -> None:
    async with http_desk() as desk:
        for name, value in (
            ("salt", 99),
            ("takerAmount", "20000000"),
            ("timestamp", "1"),
            ("builder", "0x" + "01" * 32),
        ):
            body = desk.submission()
            body["order"][name] = value
            assert await desk.call("POST", "/order", body) == (400, {"error": "invalid signature"})
        body = desk.submission()
        body["order"]["signature"] = "0xzz"
        assert await desk.call("POST", "/order", body) == (400, {"error": "invalid signature"})


async def test_another_wallet_type_of_the_same_owner() -> None:
    async with http_desk() as desk:
        desk.core.register_wallet(desk.signer.address, WALLET, 2)
        status, reply = await desk.call("POST", "/order", desk.submission(maker=WALLET, signatureType=2))
        assert (status, reply["status"]) == (200, "live")
        assert [order.account for order in desk.core.open_orders([WALLET])] == [WALLET]
        desk.core.register_wallet(desk.signer.address, "0x" + "d1" * 20, 1)
        body = desk.submission(maker="0x" + "d1" * 20, signatureType=1)
        body["order"]["salt"] += 1
        assert await desk.call("POST", "/order", body) == (400, {"error": "invalid POLY_PROXY signature"})


@pytest.mark.parametrize("signature_type", [2, 3])
async def test_nobody_trades_from_a_strangers_wallet(signature_type: int) -> None:
    async with http_desk() as desk:
        desk.core.register_wallet(Signer(8).address, WALLET, signature_type)
        signer = WALLET if signature_type == 3 else desk.signer.address
        body = desk.submission(maker=WALLET, signer=signer, signatureType=signature_type)
        status, reply = await desk.call("POST", "/order", body)
        assert status == 400
        assert reply["error"] in {
            "maker address not allowed, please use the deposit wallet flow",
            "the order signer address has to be the address of the API KEY",
        }
        assert list(desk.core.open_orders([WALLET])) == []


async def test_an_order_of_the_old_struct_is_a_version_mismatch() -> None:
    async with http_desk() as desk:
        body = desk.submission()
        del body["order"]["timestamp"]
        body["order"] |= {"nonce": "0", "feeRateBps": "0", "taker": "0x" + "00" * 20}
        assert await desk.call("POST", "/order", body) == (400, {"error": "order_version_mismatch"})
        assert await desk.call("POST", "/order", {"order": 1}) == (400, {"error": "Invalid order payload"})


async def test_proof_covers_the_raw_body_and_ignores_the_query() -> None:
    async with http_desk() as desk:
        assert (await desk.call("GET", "/data/orders", query="?market=0x1"))[0] == 200
        desk.key = type(desk.key)(desk.key.address, 0, desk.key.key, "AAAA", desk.key.passphrase)
        assert await desk.call("GET", "/data/orders") == (401, {"error": "Unauthorized/Invalid api key"})
        assert await desk.get("/data/orders") == (401, {"error": "Unauthorized/Invalid api key"})


async def test_batch_keeps_the_order_of_its_legs() -> None:
    async with http_desk() as desk:
        malformed: dict[str, Any] = {"order": {}}
        legs = [desk.submission(), malformed, desk.submission(owner="x"), desk.submission()]
        status, replies = await desk.call("POST", "/orders", legs)
        assert status == 200
        assert [reply["status"] for reply in replies] == ["live", "", "", "live"]
        assert [reply["success"] for reply in replies] == [True] * 4
        assert replies[1]["errorMsg"] == "Invalid order payload"
        assert await desk.call("POST", "/orders", []) == (400, {"error": "Invalid order payload"})
        assert (await desk.call("POST", "/orders", {}))[0] == 400


async def test_taker_delay_holds_marketable_orders_only() -> None:
    async with http_desk(taker_delay_ms=50) as desk:
        desk.quote(DOWN, 50, 100)
        start = desk.clock.now
        await desk.call("POST", "/order", desk.submission())
        assert desk.clock.now == start
        body = desk.submission(makerAmount="5000000")
        status, reply = await desk.call("POST", "/order", body)
        assert (status, reply["status"], reply["takingAmount"]) == (200, "matched", "10")
        assert desk.clock.now == start + 50_000_000


async def test_held_legs_of_a_batch_wait_once_and_resting_ones_do_not() -> None:
    async with http_desk(taker_delay_ms=50) as desk:
        desk.quote(DOWN, 50, 100)
        start = desk.clock.now
        legs = [desk.submission(makerAmount=amount) for amount in ("5000000", "4000000", "5000000")]
        _, replies = await desk.call("POST", "/orders", legs)
        assert [reply["status"] for reply in replies] == ["matched", "live", "matched"]
        assert desk.clock.now == start + 50_000_000
        (resting,) = desk.core.open_orders([desk.signer.address])
        assert (resting.order_id, resting.created_ns) == (replies[1]["orderID"], start)


async def test_open_orders_come_in_pages() -> None:
    async with http_desk(config=CoreConfig(initial_cash=10**12, venue=VenueRules(signer_buckets="off"))) as desk:
        for _ in range(7):
            await desk.call("POST", "/orders", [desk.submission() for _ in range(15)])
        _, first = await desk.call("GET", "/data/orders", query="?next_cursor=MA==")
        assert (first["limit"], first["count"], first["next_cursor"]) == (100, 100, "MTAw")
        _, second = await desk.call("GET", "/data/orders", query=f"?next_cursor={first['next_cursor']}")
        assert (second["count"], second["next_cursor"]) == (5, "LTE=")
        assert len({row["id"] for row in first["data"] + second["data"]}) == 105
        one = first["data"][3]["id"]
        assert [row["id"] for row in (await desk.call("GET", "/data/orders", query=f"?id={one}"))[1]["data"]] == [one]
        _, none = await desk.call("GET", "/data/orders", query=f"?asset_id={DOWN}")
        assert none["data"] == []
        refused = (400, {"error": "invalid order params payload"})
        assert await desk.call("GET", "/data/orders", query="?next_cursor=nonsense") == refused


async def test_trades_are_filtered_and_show_own_role() -> None:
    async with http_desk() as desk:
        await desk.call("POST", "/order", desk.submission())
        desk.quote(DOWN, 60, 5)
        desk.settle()
        await desk.call("POST", "/order", desk.submission())
        desk.quote(DOWN, 50, 10)
        await desk.call("POST", "/order", desk.submission(makerAmount="5000000"))
        _, page = await desk.call("GET", "/data/trades")
        assert [row["trader_side"] for row in page["data"]] == ["TAKER", "MAKER"]
        assert [row["status"] for row in page["data"]] == ["MATCHED", "CONFIRMED"]
        assert (page["data"][0]["transaction_hash"] is None, page["data"][1]["transaction_hash"][:2]) == (True, "0x")
        for query, count in [
            (f"?after={T0_S + 5}", 1),
            (f"?before={T0_S + 5}", 1),
            (f"?id={page['data'][1]['id']}", 1),
            (f"?market={CONDITION}", 2),
            ("?market=0x1", 0),
            (f"?asset_id={DOWN}", 2),
            (f"?maker_address={desk.signer.address.upper().replace('0X', '0x')}", 2),
            ("?maker_address=0x" + "00" * 20, 0),
        ]:
            _, rows = await desk.call("GET", "/data/trades", query=query)
            assert (query, len(rows["data"])) == (query, count)
        refused = (400, {"error": "Invalid trade params payload"})
        assert await desk.call("GET", "/data/trades", query="?after=yesterday") == refused


async def test_balances_by_wallet_type() -> None:
    async with http_desk() as desk:
        path, collateral = "/balance-allowance", "?asset_type=COLLATERAL&signature_type="
        _, reply = await desk.call("GET", path, query=collateral + "0")
        assert reply["balance"] == "1000000000"
        assert len(reply["allowances"]) == 5  # three exchanges and two collateral adapters
        assert (await desk.call("GET", path, query=collateral + "1"))[1]["balance"] == "0"
        assert await desk.call("GET", path, query=collateral + "3") == (
            400,
            {"error": "no deposit wallet found for owner"},
        )
        desk.core.register_wallet(desk.signer.address, WALLET, 3)
        assert (await desk.call("GET", path, query=collateral + "3"))[1]["balance"] == "1000000000"
        assert await desk.call("GET", path, query=collateral + "7") == (400, {"error": "Invalid signature_type"})
        assert await desk.call("GET", path, query="?asset_type=GOLD") == (400, {"error": "Invalid asset type"})
        assert await desk.call("GET", path + "/update", query=collateral + "0") == (200, None)


async def test_cancel_refusals() -> None:
    async with http_desk() as desk:
        assert await desk.call("DELETE", "/order", {"orderID": ""}) == (400, {"error": "Invalid orderID"})
        assert await desk.call("DELETE", "/order", {}) == (400, {"error": "Invalid order payload"})
        assert await desk.call("DELETE", "/orders", {}) == (400, {"error": "Invalid order payload"})
        too_many = await desk.call("DELETE", "/orders", ["0x1"] * 1001)
        assert too_many == (400, {"error": "Too many orders in payload, max allowed: 1000"})
        assert await desk.call("DELETE", "/cancel-market-orders", {}) == (200, {"canceled": [], "not_canceled": {}})


async def test_a_foreign_order_is_neither_shown_nor_cancelled() -> None:
    async with http_desk() as desk:
        _, posted = await desk.call("POST", "/order", desk.submission())
        stranger = Signer(8)
        key = desk.core.create_key(stranger.address, 0)
        assert key is not None
        desk.signer, desk.key = stranger, key
        assert await desk.call("GET", f"/data/order/{posted['orderID']}") == (200, None)
        _, report = await desk.call("DELETE", "/order", {"orderID": posted["orderID"]})
        assert (report["canceled"], list(report["not_canceled"])) == ([], [posted["orderID"]])


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/book?token_id=abc", 400, "Invalid token id"),
        ("/book?token_id=5", 404, "No orderbook exists for the requested token id"),
        ("/tick-size?token_id=5", 404, "market not found"),
        (f"/price?token_id={UP}&side=UP", 400, "Invalid side"),
        ("/clob-markets/0x1", 400, "Invalid market"),
        ("/markets/0x" + "1" * 64, 404, "market not found"),
        ("/markets-by-token/5", 404, "market not found"),
    ],
)
async def test_refusals_of_open_reads(path: str, status: int, text: str) -> None:
    async with http_desk() as desk:
        assert await desk.get(path) == (status, {"error": text})


async def test_lists_of_tokens() -> None:
    async with http_desk() as desk:
        desk.quote(UP, 40, 10)
        desk.quote(DOWN, 50, 10)
        tokens = [{"token_id": UP, "side": "BUY"}, {"token_id": UP, "side": "SELL"}, {"token_id": "5", "side": "BUY"}]

        async def post(path: str, body: object) -> tuple[int, Any]:
            async with desk.client.post(path, json=body) as response:
                return response.status, await response.json()

        assert await post("/prices", tokens) == (200, {UP: {"BUY": 0.5, "SELL": 0.4}})
        assert await post("/midpoints", tokens) == (200, {UP: "0.45"})
        assert await post("/spreads", tokens) == (200, {UP: "0.1"})
        assert (await post("/last-trades-prices", tokens[:1]))[1] == [{"price": "0.5", "side": "", "token_id": UP}]
        assert [book["asset_id"] for book in (await post("/books", tokens[::2]))[1]] == [UP]
        assert await post("/books", [{"token_id": UP}] * 501) == (400, {"error": "Payload exceeds the limit"})
        assert await post("/books", {}) == (400, {"error": "Invalid payload"})


async def test_resolved_market_has_winner_and_no_book() -> None:
    async with http_desk() as desk:
        desk.core.resolve(CONDITION, 0, desk.clock.now)
        _, market = await desk.get(f"/markets/{CONDITION}")
        assert [(token["outcome"], token["winner"], token["price"]) for token in market["tokens"]] == [
            ("Up", False, 0.0),
            ("Down", True, 1.0),
        ]
        assert (market["closed"], market["accepting_orders"]) == (True, False)
        assert (await desk.get(f"/book?token_id={UP}"))[0] == 404
