"""How every documented refusal of the order book's REST interface is brought about.

A table for `test_error_catalogue`: endpoint, status and text as documented, and what to do for it.
`{x}` in a text stands for a part that varies. Texts that no state of the exchange leads to are
ordered by `force_refusal`; they are marked FORCED.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from polystra.exchange.balances import Standing
from polystra.exchange.model import DOLLAR
from polystra.exchange.modes import Mode
from polystra.exchange.typed_data import CTF_EXCHANGE_V2, login_digest
from tests.unit.exchange.conftest import DOWN, T0_S, UP
from tests.unit.exchange.http_desk import HttpDesk

Answer = tuple[int, Any]
How = Callable[[HttpDesk], Awaitable[Answer]]
MISSING_CONDITION = "0x" + "1" * 64
WALLET = "0x" + "d0" * 20


@dataclass(frozen=True)
class Case:
    """One refusal; `text` None where no text is documented."""

    endpoint: str
    status: int
    text: str | None
    how: How
    market: dict[str, Any] = field(default_factory=dict)


def get(path: str) -> How:
    async def how(desk: HttpDesk) -> Answer:
        return await desk.get(path)

    return how


def call(method: str, path: str, body: object = None, query: str = "") -> How:
    async def how(desk: HttpDesk) -> Answer:
        return await desk.call(method, path, body, query)

    return how


def post(path: str, body: str) -> How:
    async def how(desk: HttpDesk) -> Answer:
        async with desk.client.post(path, data=body) as response:
            return response.status, await response.json()

    return how


def order(prepare: Callable[[HttpDesk], object] | None = None, **changes: Any) -> How:
    async def how(desk: HttpDesk) -> Answer:
        if prepare is not None:
            prepare(desk)
        return await desk.call("POST", "/order", desk.submission(**changes))

    return how


def forced(text: str, status: int = 400) -> How:
    """FORCED, at the placement of an order."""

    async def how(desk: HttpDesk) -> Answer:
        desk.core.force_refusal(text, status)
        return await desk.call("POST", "/order", desk.submission())

    return how


def forced_at(method: str, route: str, text: str, status: int, path: str = "") -> How:
    """FORCED, in front of a route."""

    async def how(desk: HttpDesk) -> Answer:
        desk.core.force_refusal(text, status, route=f"{method} {route}")
        return await desk.call(method, path or route)

    return how


def in_mode(mode: Mode) -> How:
    return order(lambda desk: desk.core.modes.enter(mode, desk.clock.now))


async def with_a_broken_body(desk: HttpDesk) -> Answer:
    return await desk.call("POST", "/order", {"order": {}})


async def twice(desk: HttpDesk) -> Answer:
    body = desk.submission()
    await desk.call("POST", "/order", body)
    return await desk.call("POST", "/order", body)


async def canceled_on_chain(desk: HttpDesk) -> Answer:
    body = desk.submission()
    desk.core.cancel_on_chain(desk.order_id)
    return await desk.call("POST", "/order", body)


async def with_an_old_struct(desk: HttpDesk) -> Answer:
    body = desk.submission()
    del body["order"]["timestamp"]
    return await desk.call("POST", "/order", {**body, "order": {**body["order"], "nonce": "0", "feeRateBps": "0"}})


async def with_a_flipped_bit(desk: HttpDesk) -> Answer:
    body = desk.submission()
    body["order"]["salt"] += 1
    return await desk.call("POST", "/order", body)


async def with_a_flipped_bit_of_a_proxy(desk: HttpDesk) -> Answer:
    desk.core.register_wallet(desk.signer.address, WALLET, 1)
    body = desk.submission(maker=WALLET, signatureType=1)
    body["order"]["salt"] += 1
    return await desk.call("POST", "/order", body)


async def without_proof(desk: HttpDesk) -> Answer:
    return await desk.get("/data/orders")


async def beyond_the_bucket(desk: HttpDesk) -> Answer:
    for _ in range(60):
        await desk.call("POST", "/order", {})
    return await desk.call("POST", "/order", {})


def standing(**flags: bool) -> Callable[[HttpDesk], object]:
    return lambda desk: desk.core.desk.set_standing(desk.signer.address, Standing(**flags), desk.clock.now)


def without_approval(desk: HttpDesk) -> None:
    desk.core.desk.approve(desk.signer.address, "COLLATERAL", CTF_EXCHANGE_V2, DOLLAR, desk.clock.now)


def login(method: str, path: str, nonce: int) -> How:
    async def how(desk: HttpDesk) -> Answer:
        stamp = str(T0_S)
        headers = {
            "POLY_ADDRESS": desk.signer.address,
            "POLY_TIMESTAMP": stamp,
            "POLY_NONCE": str(nonce),
            "POLY_SIGNATURE": desk.signer.sign(login_digest(desk.signer.address, stamp, nonce)),
        }
        async with desk.client.request(method, path, headers=headers) as response:
            return response.status, await response.json()

    return how


def open_login(method: str, path: str) -> How:
    async def how(desk: HttpDesk) -> Answer:
        async with desk.client.request(method, path) as response:
            return response.status, await response.json()

    return how


def many(number: int) -> list[dict[str, str]]:
    return [{"token_id": UP, "side": "BUY"} for _ in range(number)]


TOO_MANY_TOKENS = "Payload exceeds the limit"
LIMIT = f"{UP}&startTs=0&limit=1001"
INTERNAL = "Internal server error"
FAK_KILLED = "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
BUILDER_500 = "could not revoke the builder api key: {key}"
DISCREPANCY = "the price of the taker's order has a discrepancy greater than allowed with the worst maker order"

READS = [
    *(
        Case(f"GET {name}", 400, "Invalid token id", get(f"/{name}?token_id=nonsense"))
        for name in ("book", "price", "midpoint", "spread", "last-trade-price", "tick-size", "neg-risk")
    ),
    *(
        Case(f"GET {name}", 404, "No orderbook exists for the requested token id", get(f"/{name}?token_id=5&side=BUY"))
        for name in ("book", "price", "midpoint", "spread")
    ),
    *(Case(f"GET {name}", 404, "market not found", get(f"/{name}?token_id=5")) for name in ("tick-size", "neg-risk")),
    Case("GET price", 400, "Invalid side", get(f"/price?token_id={UP}&side=UP")),
    *(
        Case(f"POST {name}", 400, "Invalid payload", post(f"/{name}", "{}"))
        for name in ("books", "prices", "midpoints", "spreads", "last-trades-prices")
    ),
    *(
        Case(f"POST {name}", 400, TOO_MANY_TOKENS, call("POST", f"/{name}", many(501)))
        for name in ("books", "prices", "midpoints", "spreads", "last-trades-prices")
    ),
    Case("POST prices", 400, "Invalid side", call("POST", "/prices", [{"token_id": UP, "side": "UP"}])),
    Case("GET market by condition ID", 400, "Invalid market", get("/markets/0x1")),
    Case("GET market by condition ID", 404, "market not found", get(f"/markets/{MISSING_CONDITION}")),
    Case("GET last-trade-price", 500, INTERNAL, forced_at("GET", "/last-trade-price", INTERNAL, 500)),
    Case("GET prices-history", 400, None, get(f"/prices-history?market={UP}&fidelity=fine")),
    Case("GET ohlc", 400, "startTs is required", get(f"/ohlc?asset_id={UP}")),
    Case("GET ohlc", 400, "asset_id is required", get("/ohlc?startTs=0")),
    Case("GET ohlc", 400, "invalid fidelity: {val}", get(f"/ohlc?asset_id={UP}&startTs=0&fidelity=2m")),
    Case("GET ohlc", 400, "limit cannot exceed 1000", get(f"/ohlc?asset_id={LIMIT}")),
    Case("GET orderbook-history", 400, "startTs is required", get("/orderbook-history?market=0x1")),
    Case(
        "GET orderbook-history", 400, "either market or asset_id must be provided", get("/orderbook-history?startTs=0")
    ),
    Case("GET orderbook-history", 400, "limit cannot exceed 1000", get(f"/orderbook-history?asset_id={LIMIT}")),
    Case("GET order by ID", 400, "Invalid orderID", call("GET", "/data/order/nonsense")),
    Case(
        "GET order by ID", 500, INTERNAL, forced_at("GET", "/data/order/{order_id}", INTERNAL, 500, "/data/order/0x1")
    ),
    Case("GET orders", 400, "invalid order params payload", call("GET", "/data/orders", query="?next_cursor=nonsense")),
    Case("GET orders", 500, INTERNAL, forced_at("GET", "/data/orders", INTERNAL, 500)),
    Case("GET trades", 400, "Invalid trade params payload", call("GET", "/data/trades", query="?after=yesterday")),
    Case("GET trades", 500, INTERNAL, forced_at("GET", "/data/trades", INTERNAL, 500)),
    Case(
        "GET balance-allowance", 400, "Invalid asset type", call("GET", "/balance-allowance", query="?asset_type=GOLD")
    ),
    Case(
        "GET balance-allowance",
        400,
        "Invalid signature_type",
        call("GET", "/balance-allowance", query="?asset_type=COLLATERAL&signature_type=9"),
    ),
]
KEYS = [
    Case("", 401, "Unauthorized/Invalid api key", without_proof),
    Case("", 401, "Invalid L1 Request headers", open_login("POST", "/auth/api-key")),
    Case("POST auth api-key", 401, "Invalid L1 Request headers", open_login("POST", "/auth/api-key")),
    Case("POST auth api-key", 400, "Could not create api key", login("POST", "/auth/api-key", 0)),
    Case("GET auth derive-api-key", 401, "Invalid L1 Request headers", open_login("GET", "/auth/derive-api-key")),
    Case("GET auth derive-api-key", 400, "Could not derive api key!", login("GET", "/auth/derive-api-key", 9)),
    *(
        Case(f"{method} auth {name}", 500, text, forced_at(method, f"/auth/{name}", text, 500))
        for method, name, text in (
            ("GET", "api-keys", "Could not retrieve API keys"),
            ("DELETE", "api-key", "Could not delete API key"),
            ("POST", "builder-api-key", "could not create builder api key"),
            ("GET", "builder-api-key", "could not get builder api keys"),
        )
    ),
    Case(
        "DELETE auth builder-api-key",
        400,
        "invalid revoke builder api key body",
        call("DELETE", "/auth/builder-api-key", {}),
    ),
    Case(
        "DELETE auth builder-api-key",
        400,
        "invalid revoke builder api key headers",
        call("DELETE", "/auth/builder-api-key"),
    ),
    Case("DELETE auth builder-api-key", 500, BUILDER_500, call("DELETE", "/auth/builder-api-key", {"key": "mine"})),
    Case("GET builder trades", 400, "invalid builder trade params", get("/builder/trades?after=yesterday")),
    Case(
        "GET builder trades",
        500,
        "could not fetch builder trades",
        forced_at("GET", "/builder/trades", "could not fetch builder trades", 500),
    ),
]
MODES = [
    Case("", 503, "Trading is currently disabled. Check polymarket.com for updates", in_mode(Mode.DISABLED)),
    Case(
        "",
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        in_mode(Mode.CANCEL_ONLY),
    ),
    Case("", 503, "post-only mode: only post-only orders and cancels are allowed", in_mode(Mode.POST_ONLY)),
    Case("", 425, None, in_mode(Mode.RESTARTING)),
    Case("", 425, "service not ready", in_mode(Mode.RESTARTING)),
    Case("", 429, "Too Many Requests", beyond_the_bucket),
]
PLACEMENTS = [
    Case("POST order", 400, "Invalid order payload", with_a_broken_body),
    Case("POST order", 400, "the order owner has to be the owner of the API KEY", order(owner="someone")),
    Case("POST order", 400, "the order signer address has to be the address of the API KEY", order(signer=WALLET)),
    Case("POST order", 400, "'{address}' address banned", order(standing(banned=True))),
    Case("POST order", 400, "'{address}' address in closed only mode", order(standing(closed_only=True))),
    Case("POST order", 400, "maker address not allowed, please use the deposit wallet flow", order(maker=WALLET)),
    Case("POST order", 400, "invalid signature", with_a_flipped_bit),
    Case("POST order", 400, "invalid POLY_PROXY signature", with_a_flipped_bit_of_a_proxy),
    Case("POST order", 400, "order_version_mismatch", with_an_old_struct),
    Case("POST orders", 400, "Too many orders in payload: {N}, max allowed: {M}", call("POST", "/orders", [{}] * 16)),
    Case("POST orders", 400, "Invalid order payload", call("POST", "/orders", [])),
    Case(
        "",
        400,
        "invalid post-only order: order crosses book",
        order(lambda desk: desk.quote(DOWN, 60, 100), postOnly=True),
    ),
    Case("", 400, "INVALID_POST_ONLY_ORDER_TYPE", order(orderType="FOK", postOnly=True)),
    Case(
        "",
        400,
        "order {id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}",
        order(makerAmount="4010000"),
    ),
    Case(
        "",
        400,
        "order {id} is invalid. Size ({size}) lower than the minimum: {min}",
        order(makerAmount="1600000", takerAmount="4000000"),
    ),
    Case(
        "",
        400,
        "invalid amount for a marketable BUY order (${x}), min size: $1",
        order(lambda desk: desk.quote(DOWN, 90, 100), makerAmount="600000", takerAmount="5000000"),
    ),
    Case("", 400, "order {id} is invalid. Duplicated.", twice),
    Case("", 400, "not enough balance / allowance{tail}", order(makerAmount="4000000000", takerAmount="10000000000")),
    Case("", 400, "not enough balance / allowance: the allowance is not enough -> {tail}", order(without_approval)),
    Case("", 400, "invalid expiration", order(orderType="GTD", expiration=str(T0_S + 179))),
    Case("", 400, "order canceled in the CTF exchange contract", canceled_on_chain),
    Case(
        "",
        400,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        order(orderType="FOK"),
    ),
    Case("", 400, FAK_KILLED, order(orderType="FAK")),
    Case(
        "",
        400,
        "the market is not yet ready to process new orders",
        order(),
        market={"accepts_from_s": T0_S + 60},
    ),
    Case("", 404, "No orderbook exists for the requested token id", order(tokenId="5")),
    Case(
        "",
        400,
        "invalid amounts, the buy orders maker amount supports a max accuracy of {x} decimals,"
        " taker amount a max of {x} decimals",
        order(makerAmount="4000001"),
    ),
    Case(
        "",
        400,
        "invalid amounts, the market buy orders maker amount supports a max accuracy of {x} decimals,"
        " taker amount a max of {x} decimals",
        order(makerAmount="4010000", takerAmount="10025001", orderType="FAK"),
    ),
    Case(
        "",
        400,
        "invalid amounts, the maker amount for a ${x} order of size {x} should be '{x}'"
        " but the value submited is '{x}'",
        order(makerAmount="4330000", takerAmount="19690000"),
    ),
    *(
        Case("", 400, text, forced(text))
        for text in (
            "invalid nonce",
            "order {id} crosses the book",
            "order match delayed due to market conditions",
            "invalid order version, please use the latest clob-client",
            "rpc error: context canceled",
        )
    ),
    *(
        Case("", 500, text, forced(text, 500))
        for text in (
            "there are no matching orders",
            "FOK orders are filled or killed",
            "the trade contains rounding issues",
            DISCREPANCY,
            "order timed out",
            "could not insert order",
            "could not run the execution",
            INTERNAL,
        )
    ),
    *(
        Case("insert status", 400, text, forced(text))
        for text in (
            "INVALID_ORDER_MIN_TICK_SIZE",
            "INVALID_ORDER_MIN_SIZE",
            "INVALID_ORDER_DUPLICATED",
            "INVALID_ORDER_NOT_ENOUGH_BALANCE",
            "INVALID_ORDER_EXPIRATION",
            "INVALID_POST_ONLY_ORDER",
            "FOK_ORDER_NOT_FILLED_ERROR",
            "INVALID_ORDER_ERROR",
            "EXECUTION_ERROR",
            "ORDER_DELAYED",
            "DELAYING_ORDER_ERROR",
            "MARKET_NOT_READY",
        )
    ),
]
CANCELS = [
    Case("DELETE order", 400, "Invalid order payload", call("DELETE", "/order", {})),
    Case("DELETE order", 400, "Invalid orderID", call("DELETE", "/order", {"orderID": "nonsense"})),
    Case("DELETE orders", 400, "Invalid order payload", call("DELETE", "/orders", {})),
    Case("DELETE orders", 400, "Invalid orderID", call("DELETE", "/orders", ["0x1", "nonsense"])),
    Case(
        "DELETE orders",
        400,
        "Too many orders in payload, max allowed: {N}",
        call("DELETE", "/orders", ["0x1"] * 1_001),
    ),
    Case("DELETE cancel-market-orders", 400, "Invalid order payload", call("DELETE", "/cancel-market-orders", [])),
]
CASES = [*READS, *KEYS, *MODES, *PLACEMENTS, *CANCELS]
