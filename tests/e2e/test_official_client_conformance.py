"""Every public method of the venue's own Python client against the exchange, happy and refused.

`METHODS` holds, for each method, a happy call and a refused one, or why the exchange does not serve
it. A test demands that the table names every public method of the installed client, and each case is
watched: it must really call the method that it is about.
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
from py_clob_client_v2 import ApiCreds, AssetType, BalanceAllowanceParams, ClobClient, MarketOrderArgs, OrderPayload
from py_clob_client_v2 import OrderType as Kind
from py_clob_client_v2.clob_types import (
    BookParams,
    BuilderTradeParams,
    DropNotificationParams,
    OpenOrderParams,
    OrderMarketCancelParams,
    OrderScoringParams,
    OrdersScoringParams,
    PostOrdersV2Args,
    PricesHistoryParams,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException, PolyException

from polystra.exchange.validation import FAK_KILLED, FOK_KILLED
from tests.e2e.official_desk import ADDRESS, CONDITION, DOWN, KEY, POOR_KEY, UP, connect, limit, refusal

BOTH = [BookParams(token_id=UP, side="BUY"), BookParams(token_id=DOWN, side="SELL")]
UNKNOWN_ORDER = "0x" + "00" * 32
UNKNOWN_MARKET = "0x" + "99" * 32
BUILDER = "0x" + "b1" * 32
OTHER_SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NO_BOOK = (404, "No orderbook exists for the requested token id")
NO_MARKET = (404, "market not found")
UNAUTHORIZED = (401, "Unauthorized/Invalid api key")


@dataclass
class Stand:
    """What a case has to work with."""

    venue: SimpleNamespace
    client: ClobClient

    def order(self, **changes: Any) -> Any:
        """Return a signed order that rests."""
        return self.client.create_order(limit(**{"price": 0.4, "size": 10, **changes}))

    def resting(self) -> str:
        """Rest an order and return its id."""
        return str(self.client.post_order(self.order())["orderID"])

    def filled(self) -> str:
        """Buy at once and return the trade's id."""
        args = MarketOrderArgs(token_id=UP, amount=5.2, side="BUY", price=0.52)
        return str(self.client.create_and_post_market_order(args, order_type=Kind.FOK)["tradeIDs"][0])


Case = Callable[[Stand], None]


@dataclass(frozen=True)
class Served:
    """A happy call and a refused one."""

    happy: Case
    refused: Case


@dataclass(frozen=True)
class NotServed:
    """Why a method has no counterpart, and how it is called so that a test can tell."""

    reason: str
    call: Case


@contextmanager
def refuses(status: int, text: str) -> Iterator[None]:
    """Demand a refusal; a text that ends in … is a beginning, one that starts with … an end."""
    with pytest.raises(PolyApiException) as error:
        yield
    found_status, found = refusal(error)
    assert found_status == status
    if text.startswith("…"):
        assert found.endswith(text[1:]), found
    else:
        assert found == text


def needs_credentials(call: Callable[[ClobClient], Any]) -> Case:
    """A case: the call with a wrong secret is refused."""

    def case(stand: Stand) -> None:
        good = stand.client.creds
        stand.client.set_api_creds(ApiCreds(good.api_key, OTHER_SECRET, good.api_passphrase))
        with refuses(*UNAUTHORIZED):
            call(stand.client)

    return case


def refused_with(status: int, text: str, call: Callable[[ClobClient], Any]) -> Case:
    """A case: the call is refused as it is."""

    def case(stand: Stand) -> None:
        with refuses(status, text):
            call(stand.client)

    return case


def ordered_refusal(route: str, call: Callable[[ClobClient], Any]) -> Case:
    """A case: a call that has no refusal of its own is refused on request."""

    def case(stand: Stand) -> None:
        stand.venue.core.force_refusal("Too Many Requests", 429, route=route)
        with refuses(429, "Too Many Requests"):
            call(stand.client)
        call(stand.client)

    return case


def gives(expected: Any, call: Callable[[ClobClient], Any]) -> Case:
    """A case: the call's result equals `expected`."""

    def case(stand: Stand) -> None:
        assert call(stand.client) == expected

    return case


# -- keys ------------------------------------------------------------------------------------------


def creates_key(stand: Stand) -> None:
    key = stand.client.create_api_key(nonce=5)
    assert stand.client.derive_api_key(nonce=5) == key
    assert key.api_key != stand.client.creds.api_key


def derives_key(stand: Stand) -> None:
    assert stand.client.derive_api_key() == stand.client.creds


def creates_or_derives(stand: Stand) -> None:
    first = stand.client.create_or_derive_api_key(nonce=9)
    assert stand.client.create_or_derive_api_key(nonce=9) == first


def refuses_login(stand: Stand) -> None:
    stand.venue.core.force_refusal("Invalid L1 Request headers", 401, route="GET /auth/derive-api-key")
    with refuses(401, "Invalid L1 Request headers"):
        stand.client.create_or_derive_api_key()


def deletes_key(stand: Stand) -> None:
    assert stand.client.delete_api_key() == "OK"
    with refuses(*UNAUTHORIZED):
        stand.client.get_api_keys()


def lists_keys(stand: Stand) -> None:
    other = stand.client.create_api_key(nonce=1)
    assert stand.client.get_api_keys() == {"apiKeys": [stand.client.creds.api_key, other.api_key]}


def readonly_creds(answer: dict[str, str]) -> ApiCreds:
    return ApiCreds(answer["apiKey"], answer["secret"], answer["passphrase"])


def creates_readonly_key(stand: Stand) -> None:
    """It reads, and may not trade."""
    order = stand.order()
    stand.client.set_api_creds(readonly_creds(stand.client.create_readonly_api_key()))
    assert stand.client.get_trades() == []
    with pytest.raises(PolyApiException) as error:
        stand.client.post_order(order)
    assert refusal(error)[0] in {400, 401, 403}


def lists_readonly_keys(stand: Stand) -> None:
    made = [stand.client.create_readonly_api_key()["apiKey"] for _ in range(2)]
    assert stand.client.get_readonly_api_keys() == {"readonlyApiKeys": made}


def deletes_readonly_key(stand: Stand) -> None:
    made = stand.client.create_readonly_api_key()
    assert stand.client.delete_readonly_api_key(made["apiKey"]) == "OK"
    stand.client.set_api_creds(readonly_creds(made))
    with refuses(*UNAUTHORIZED):
        stand.client.get_trades()


def keeps_builder_keys(stand: Stand) -> None:
    made = stand.client.create_builder_api_key()
    assert made.keys() == {"key", "secret", "passphrase"}
    assert stand.client.get_builder_api_keys() == [{"key": made["key"]}]


def revokes_builder_key(stand: Stand) -> None:
    """The client sends no key with a revocation, so the venue cannot know which one is meant."""
    made = stand.client.create_builder_api_key()
    with refuses(400, "invalid revoke builder api key headers"):
        stand.client.revoke_builder_api_key()
    assert stand.client.get_builder_api_keys() == [{"key": made["key"]}]


# -- orders ----------------------------------------------------------------------------------------


def posts_order(stand: Stand) -> None:
    posted = stand.client.post_order(stand.order(), Kind.GTC, post_only=True)
    assert (posted["success"], posted["errorMsg"], posted["status"]) == (True, "", "live")


def refuses_order(stand: Stand) -> None:
    order = stand.order(price=0.52)
    with refuses(400, "invalid post-only order: order crosses book"):
        stand.client.post_order(order, Kind.GTC, post_only=True)
    with refuses(400, "invalid signature"):
        stand.client.post_order(replace(order, makerAmount="1000000"))


def posts_orders(stand: Stand) -> None:
    legs = [PostOrdersV2Args(order=stand.order(price=price)) for price in (0.4, 0.41)]
    assert [leg["status"] for leg in stand.client.post_orders(legs)] == ["live", "live"]


def refuses_orders(stand: Stand) -> None:
    small = PostOrdersV2Args(order=stand.order(size=1))
    (leg,) = stand.client.post_orders([small])
    assert (leg["success"], leg["orderID"]) == (True, "")
    assert leg["errorMsg"].endswith("is invalid. Size (1) lower than the minimum: 5")
    with refuses(400, "Too many orders in payload: 16, max allowed: 15"):
        stand.client.post_orders([small] * 16)
    with refuses(400, "Invalid order payload"):
        stand.client.post_orders([])


def creates_and_posts_order(stand: Stand) -> None:
    later = int(time.time()) + 600
    posted = stand.client.create_and_post_order(limit(0.4, 10, expiration=later), order_type=Kind.GTD)
    assert stand.client.get_order(posted["orderID"])["order_type"] == "GTD"


def refuses_created_order(stand: Stand) -> None:
    soon = int(time.time()) + 100
    with refuses(400, "invalid expiration"):
        stand.client.create_and_post_order(limit(0.4, 10, expiration=soon), order_type=Kind.GTD)


def creates_and_posts_market_order(stand: Stand) -> None:
    args = MarketOrderArgs(token_id=UP, amount=5.2, side="BUY", price=0.52)
    posted = stand.client.create_and_post_market_order(args, order_type=Kind.FAK)
    assert (posted["status"], posted["makingAmount"], posted["takingAmount"]) == ("matched", "5.2", "10")


def refuses_market_order(stand: Stand) -> None:
    large = MarketOrderArgs(token_id=UP, amount=500, side="BUY", price=0.52)
    with refuses(400, FOK_KILLED):
        stand.client.create_and_post_market_order(large, order_type=Kind.FOK)
    low = MarketOrderArgs(token_id=UP, amount=5, side="BUY", price=0.51)
    with refuses(400, FAK_KILLED):
        stand.client.create_and_post_market_order(low, order_type=Kind.FAK)


def creates_order(stand: Stand) -> None:
    """The amounts that the client computes are those that the exchange accepts."""
    order = stand.order(price=0.37, size=12.34)
    assert (order.makerAmount, order.takerAmount) == ("4565800", "12340000")
    assert stand.client.post_order(order)["status"] == "live"


def refuses_to_create_order(stand: Stand) -> None:
    with refuses(*NO_MARKET):
        stand.client.create_order(limit(0.4, 10, token="12345"))


def creates_market_order(stand: Stand) -> None:
    order = stand.client.create_market_order(MarketOrderArgs(token_id=UP, amount=5.2, side="BUY"))
    assert stand.client.post_order(order, Kind.FOK)["status"] == "matched"


def refuses_to_create_market_order(stand: Stand) -> None:
    with pytest.raises(Exception, match="no match"):
        stand.client.create_market_order(MarketOrderArgs(token_id=UP, amount=5_000, side="BUY"))


def cancels_order(stand: Stand) -> None:
    order_id = stand.resting()
    assert stand.client.cancel_order(OrderPayload(order_id)) == {"canceled": [order_id], "not_canceled": {}}


def cancels_orders(stand: Stand) -> None:
    order_ids = [stand.resting(), stand.resting()]
    report = stand.client.cancel_orders([*order_ids, order_ids[0], UNKNOWN_ORDER])
    assert report["canceled"] == order_ids
    assert report["not_canceled"].keys() == {UNKNOWN_ORDER}


def refuses_to_cancel_too_many(stand: Stand) -> None:
    with refuses(400, "Too many orders in payload, max allowed: 1000"):
        stand.client.cancel_orders([UNKNOWN_ORDER] * 1_001)


def cancels_all(stand: Stand) -> None:
    order_ids = [stand.resting(), stand.resting()]
    assert stand.client.cancel_all() == {"canceled": order_ids, "not_canceled": {}}


def refuses_to_cancel_all(stand: Stand) -> None:
    stand.venue.core.force_refusal(
        "Trading is currently disabled. Check polymarket.com for updates", 503, route="DELETE /cancel-all"
    )
    with refuses(503, "Trading is currently disabled. Check polymarket.com for updates"):
        stand.client.cancel_all()


def cancels_market_orders(stand: Stand) -> None:
    order_id = stand.resting()
    assert stand.client.cancel_market_orders(OrderMarketCancelParams(market=UNKNOWN_MARKET))["canceled"] == []
    chosen = OrderMarketCancelParams(market=CONDITION, asset_id=UP)
    assert stand.client.cancel_market_orders(chosen)["canceled"] == [order_id]


# -- account reads ---------------------------------------------------------------------------------


def shows_order(stand: Stand) -> None:
    order_id = stand.resting()
    order = stand.client.get_order(order_id)
    assert (order["id"], order["status"], order["price"], order["size_matched"]) == (order_id, "LIVE", "0.4", "0")
    assert stand.client.get_order(UNKNOWN_ORDER) is None


def shows_open_orders(stand: Stand) -> None:
    order_ids = [stand.resting(), stand.resting()]
    assert [order["id"] for order in stand.client.get_open_orders(OpenOrderParams(asset_id=UP))] == order_ids
    assert stand.client.get_open_orders(OpenOrderParams(market=UNKNOWN_MARKET)) == []


def shows_trades(stand: Stand) -> None:
    trade_id = stand.filled()
    (trade,) = stand.client.get_trades(TradeParams(id=trade_id, maker_address=ADDRESS, after=int(time.time()) - 60))
    assert (trade["id"], trade["trader_side"], trade["status"]) == (trade_id, "TAKER", "CONFIRMED")


def shows_trade_pages(stand: Stand) -> None:
    trade_id = stand.filled()
    page = stand.client.get_trades_paginated()
    assert [trade["id"] for trade in page["trades"]] == [trade_id]
    assert (page["next_cursor"], page["count"]) == ("LTE=", 1)


def shows_balance(stand: Stand) -> None:
    answer = stand.client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    assert answer["balance"] == "1000000000"
    assert all(amount.isdigit() for amount in answer["allowances"].values())


def refreshes_balance(stand: Stand) -> None:
    stand.filled()
    params = BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=UP)
    assert not stand.client.update_balance_allowance(params)
    assert stand.client.get_balance_allowance(params)["balance"] == "10000000"


def shows_notifications(stand: Stand) -> None:
    stand.filled()
    filled = [notice for notice in stand.client.get_notifications() if notice["type"] == 2]
    assert [notice["payload"]["asset_id"] for notice in filled] == [UP]


def drops_notifications(stand: Stand) -> None:
    stand.filled()
    ids = [str(notice["id"]) for notice in stand.client.get_notifications()]
    assert stand.client.drop_notifications(DropNotificationParams(ids=ids)) == "OK"
    assert stand.client.get_notifications() == []


def beats(stand: Stand) -> None:
    first = stand.client.post_heartbeat()["heartbeat_id"]
    assert stand.client.post_heartbeat(first)["heartbeat_id"] != first


def refuses_beat(stand: Stand) -> None:
    expected = stand.client.post_heartbeat()["heartbeat_id"]
    with pytest.raises(PolyApiException) as error:
        stand.client.post_heartbeat("00000000-0000-4000-8000-000000000000")
    assert error.value.status_code == 400
    assert error.value.error_msg == {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": expected}


def scores(stand: Stand) -> None:
    order_id = stand.resting()
    assert stand.client.is_order_scoring(OrderScoringParams(order_id)) == {"scoring": True}
    assert stand.client.is_order_scoring(OrderScoringParams(UNKNOWN_ORDER)) == {"scoring": False}


def scores_many(stand: Stand) -> None:
    order_id = stand.resting()
    assert stand.client.are_orders_scoring(OrdersScoringParams([order_id, UNKNOWN_ORDER])) == {
        order_id: True,
        UNKNOWN_ORDER: False,
    }


def shows_closed_only(stand: Stand) -> None:
    assert stand.client.get_closed_only_mode() == {"closed_only": False}


# -- market data -----------------------------------------------------------------------------------


def shows_book(stand: Stand) -> None:
    book = stand.client.get_order_book(UP)
    assert (book["bids"][-1], book["asks"][-1]) == ({"price": "0.5", "size": "200"}, {"price": "0.52", "size": "200"})


def shows_books(stand: Stand) -> None:
    assert [book["asset_id"] for book in stand.client.get_order_books(BOTH)] == [UP, DOWN]


def hashes_book(stand: Stand) -> None:
    book = stand.client.get_order_book(UP)
    assert stand.client.get_order_book_hash(book) == book["hash"]


def refuses_other_hash(stand: Stand) -> None:
    book = stand.client.get_order_book(UP)
    assert stand.client.get_order_book_hash({**book, "timestamp": "1"}) != book["hash"]


def shows_server_time(stand: Stand) -> None:
    assert abs(stand.client.get_server_time() - time.time()) < 5


def keeps_version_two(stand: Stand) -> None:
    """The client takes any refusal here for version 2."""
    stand.venue.core.force_refusal("service not ready", 425, route="GET /version")
    assert stand.client.get_version() == 2


def shows_history(stand: Stand) -> None:
    history = stand.client.get_prices_history(PricesHistoryParams(market=UP, interval="1h", fidelity=1))
    assert all(point.keys() == {"t", "p"} for point in history["history"])


def refuses_history(stand: Stand) -> None:
    with pytest.raises(PolyApiException) as error:
        stand.client.get_prices_history(PricesHistoryParams(market=UP, interval="1h", fidelity=-1))
    assert refusal(error)[0] == 400


def quotes_market_price(stand: Stand) -> None:
    assert stand.client.calculate_market_price(UP, "BUY", 5.2, Kind.FOK) == 0.52
    assert stand.client.calculate_market_price(UP, "SELL", 10, Kind.FOK) == 0.5


def finds_no_market_price(stand: Stand) -> None:
    with pytest.raises(Exception, match="no match"):
        stand.client.calculate_market_price(UP, "BUY", 5_000, Kind.FOK)


def lists_markets(name: str) -> Case:
    def case(stand: Stand) -> None:
        page = getattr(stand.client, name)()
        assert page.keys() == {"limit", "count", "next_cursor", "data"}
        assert [market["condition_id"] for market in page["data"]] == [CONDITION]
        assert page["next_cursor"] == "LTE="

    return case


def refuses_cursor(name: str) -> Case:
    return refused_with(400, "invalid next_cursor", lambda c: getattr(c, name)("no cursor"))


# -- the client alone ------------------------------------------------------------------------------


def asserts_level_one(stand: Stand) -> None:
    stand.client.assert_level_1_auth()


def lacks_level_one(stand: Stand) -> None:
    stand.client = watched(ClobClient(stand.venue.url, 137))
    with pytest.raises(PolyException):
        stand.client.assert_level_1_auth()


def asserts_level_two(stand: Stand) -> None:
    stand.client.assert_level_2_auth()


def lacks_level_two(stand: Stand) -> None:
    stand.client = watched(ClobClient(stand.venue.url, 137, key=POOR_KEY))
    with pytest.raises(PolyException):
        stand.client.assert_level_2_auth()


def knows_address(stand: Stand) -> None:
    assert stand.client.get_address().lower() == ADDRESS


def has_no_address(stand: Stand) -> None:
    stand.client = watched(ClobClient(stand.venue.url, 137))
    with pytest.raises(PolyException, match="private key"):
        stand.client.get_address()


def takes_credentials(stand: Stand) -> None:
    stand.client.set_api_creds(stand.client.derive_api_key())
    assert stand.client.get_open_orders() == []


REWARDS = "rewards are the venue's programme for makers; the exchange has none to show"
METHODS: dict[str, Served | NotServed] = {
    "are_orders_scoring": Served(scores_many, needs_credentials(lambda c: c.are_orders_scoring())),
    "assert_level_1_auth": Served(asserts_level_one, lacks_level_one),
    "assert_level_2_auth": Served(asserts_level_two, lacks_level_two),
    "calculate_market_price": Served(quotes_market_price, finds_no_market_price),
    "cancel_all": Served(cancels_all, refuses_to_cancel_all),
    "cancel_market_orders": Served(
        cancels_market_orders, needs_credentials(lambda c: c.cancel_market_orders(OrderMarketCancelParams()))
    ),
    "cancel_order": Served(
        cancels_order, refused_with(400, "Invalid orderID", lambda c: c.cancel_order(OrderPayload("")))
    ),
    "cancel_orders": Served(cancels_orders, refuses_to_cancel_too_many),
    "create_and_post_market_order": Served(creates_and_posts_market_order, refuses_market_order),
    "create_and_post_order": Served(creates_and_posts_order, refuses_created_order),
    "create_api_key": Served(creates_key, refused_with(400, "Could not create api key", lambda c: c.create_api_key())),
    "create_builder_api_key": Served(keeps_builder_keys, needs_credentials(lambda c: c.create_builder_api_key())),
    "create_market_order": Served(creates_market_order, refuses_to_create_market_order),
    "create_or_derive_api_key": Served(creates_or_derives, refuses_login),
    "create_order": Served(creates_order, refuses_to_create_order),
    "create_readonly_api_key": Served(creates_readonly_key, needs_credentials(lambda c: c.create_readonly_api_key())),
    "delete_api_key": Served(deletes_key, needs_credentials(lambda c: c.delete_api_key())),
    "delete_readonly_api_key": Served(
        deletes_readonly_key,
        refused_with(500, "Could not delete API key", lambda c: c.delete_readonly_api_key("no such key")),
    ),
    "derive_api_key": Served(
        derives_key, refused_with(400, "Could not derive api key!", lambda c: c.derive_api_key(nonce=77))
    ),
    "drop_notifications": Served(
        drops_notifications,
        refused_with(400, "Invalid ids", lambda c: c.drop_notifications(DropNotificationParams(ids=["x"]))),
    ),
    "get_address": Served(knows_address, has_no_address),
    "get_api_keys": Served(lists_keys, needs_credentials(lambda c: c.get_api_keys())),
    "get_balance_allowance": Served(
        shows_balance, refused_with(400, "Invalid asset type", lambda c: c.get_balance_allowance())
    ),
    "get_builder_api_keys": Served(keeps_builder_keys, needs_credentials(lambda c: c.get_builder_api_keys())),
    "get_builder_trades": Served(
        gives(
            {"trades": [], "next_cursor": "LTE=", "limit": 100, "count": 0},
            lambda c: c.get_builder_trades(BuilderTradeParams(builder_code=BUILDER)),
        ),
        refused_with(
            400,
            "invalid builder trade params",
            lambda c: c.get_builder_trades(BuilderTradeParams(builder_code=BUILDER, after="x")),
        ),
    ),
    "get_clob_market_info": Served(
        gives({"r": 0.07, "e": 1, "to": True}, lambda c: c.get_clob_market_info(CONDITION)["fd"]),
        refused_with(*NO_MARKET, lambda c: c.get_clob_market_info(UNKNOWN_MARKET)),
    ),
    "get_closed_only_mode": Served(shows_closed_only, needs_credentials(lambda c: c.get_closed_only_mode())),
    "get_current_rewards": NotServed(REWARDS, lambda stand: stand.client.get_current_rewards()),
    "get_earnings_for_user_for_day": NotServed(
        REWARDS, lambda stand: stand.client.get_earnings_for_user_for_day("2026-11-01")
    ),
    "get_fee_exponent": Served(
        gives(1, lambda c: c.get_fee_exponent(UP)), refused_with(*NO_MARKET, lambda c: c.get_fee_exponent("12345"))
    ),
    "get_fee_rate_bps": Served(
        gives(1000, lambda c: c.get_fee_rate_bps(UP)), refused_with(*NO_MARKET, lambda c: c.get_fee_rate_bps("12345"))
    ),
    "get_last_trade_price": Served(
        gives({"price": "0.5", "side": ""}, lambda c: c.get_last_trade_price(UP)),
        refused_with(*NO_MARKET, lambda c: c.get_last_trade_price("12345")),
    ),
    "get_last_trades_prices": Served(
        gives(
            [{"token_id": token, "price": "0.5", "side": ""} for token in (UP, DOWN)],
            lambda c: c.get_last_trades_prices(BOTH),
        ),
        refused_with(400, "Payload exceeds the limit", lambda c: c.get_last_trades_prices(BOTH * 251)),
    ),
    "get_market": Served(
        gives([UP, DOWN], lambda c: [token["token_id"] for token in c.get_market(CONDITION)["tokens"]]),
        refused_with(*NO_MARKET, lambda c: c.get_market(UNKNOWN_MARKET)),
    ),
    "get_market_trades_events": NotServed(
        "the live activity of a market is for web pages; its reply is not documented",
        lambda stand: stand.client.get_market_trades_events(CONDITION),
    ),
    "get_markets": Served(lists_markets("get_markets"), refuses_cursor("get_markets")),
    "get_midpoint": Served(
        gives({"mid": "0.51"}, lambda c: c.get_midpoint(UP)),
        refused_with(*NO_BOOK, lambda c: c.get_midpoint("12345")),
    ),
    "get_midpoints": Served(
        gives({UP: "0.51", DOWN: "0.49"}, lambda c: c.get_midpoints(BOTH)),
        refused_with(400, "Payload exceeds the limit", lambda c: c.get_midpoints(BOTH * 251)),
    ),
    "get_neg_risk": Served(
        gives(False, lambda c: c.get_neg_risk(UP)), refused_with(*NO_MARKET, lambda c: c.get_neg_risk("12345"))
    ),
    "get_notifications": Served(shows_notifications, needs_credentials(lambda c: c.get_notifications())),
    "get_ok": Served(gives("OK", lambda c: c.get_ok()), ordered_refusal("GET /ok", lambda c: c.get_ok())),
    "get_open_orders": Served(
        shows_open_orders,
        refused_with(400, "invalid order params payload", lambda c: c.get_open_orders(next_cursor="no cursor")),
    ),
    "get_order": Served(shows_order, needs_credentials(lambda c: c.get_order(UNKNOWN_ORDER))),
    "get_order_book": Served(shows_book, refused_with(400, "Invalid token id", lambda c: c.get_order_book("x"))),
    "get_order_book_hash": Served(hashes_book, refuses_other_hash),
    "get_order_books": Served(
        shows_books, refused_with(400, "Payload exceeds the limit", lambda c: c.get_order_books(BOTH * 251))
    ),
    "get_pre_migration_orders": Served(
        gives([], lambda c: c.get_pre_migration_orders()),
        refused_with(
            400, "invalid order params payload", lambda c: c.get_pre_migration_orders(next_cursor="no cursor")
        ),
    ),
    "get_price": Served(
        gives({"price": "0.52"}, lambda c: c.get_price(UP, "BUY")),
        refused_with(400, "Invalid side", lambda c: c.get_price(UP, "HOLD")),
    ),
    "get_prices": Served(
        gives({UP: {"BUY": 0.52}, DOWN: {"SELL": 0.48}}, lambda c: c.get_prices(BOTH)),
        refused_with(400, "Payload exceeds the limit", lambda c: c.get_prices(BOTH * 251)),
    ),
    "get_prices_history": Served(shows_history, refuses_history),
    "get_raw_rewards_for_market": NotServed(REWARDS, lambda stand: stand.client.get_raw_rewards_for_market(CONDITION)),
    "get_readonly_api_keys": Served(lists_readonly_keys, needs_credentials(lambda c: c.get_readonly_api_keys())),
    "get_reward_percentages": NotServed(REWARDS, lambda stand: stand.client.get_reward_percentages()),
    "get_sampling_markets": Served(lists_markets("get_sampling_markets"), refuses_cursor("get_sampling_markets")),
    "get_sampling_simplified_markets": Served(
        lists_markets("get_sampling_simplified_markets"),
        refuses_cursor("get_sampling_simplified_markets"),
    ),
    "get_server_time": Served(shows_server_time, ordered_refusal("GET /time", lambda c: c.get_server_time())),
    "get_simplified_markets": Served(lists_markets("get_simplified_markets"), refuses_cursor("get_simplified_markets")),
    "get_spread": Served(
        gives({"spread": "0.02"}, lambda c: c.get_spread(UP)), refused_with(*NO_BOOK, lambda c: c.get_spread("12345"))
    ),
    "get_spreads": Served(
        gives({UP: "0.02", DOWN: "0.02"}, lambda c: c.get_spreads(BOTH)),
        refused_with(400, "Payload exceeds the limit", lambda c: c.get_spreads(BOTH * 251)),
    ),
    "get_tick_size": Served(
        gives("0.01", lambda c: c.get_tick_size(UP)), refused_with(*NO_MARKET, lambda c: c.get_tick_size("12345"))
    ),
    "get_total_earnings_for_user_for_day": NotServed(
        REWARDS, lambda stand: stand.client.get_total_earnings_for_user_for_day("2026-11-01")
    ),
    "get_trades": Served(
        shows_trades,
        refused_with(400, "Invalid trade params payload", lambda c: c.get_trades(TradeParams(after="yesterday"))),
    ),
    "get_trades_paginated": Served(
        shows_trade_pages,
        refused_with(400, "Invalid trade params payload", lambda c: c.get_trades_paginated(next_cursor="no cursor")),
    ),
    "get_user_earnings_and_markets_config": NotServed(
        REWARDS, lambda stand: stand.client.get_user_earnings_and_markets_config("2026-11-01")
    ),
    "get_version": Served(gives(2, lambda c: c.get_version()), keeps_version_two),
    "is_order_scoring": Served(scores, refused_with(400, "Invalid orderID", lambda c: c.is_order_scoring())),
    "post_heartbeat": Served(beats, refuses_beat),
    "post_order": Served(posts_order, refuses_order),
    "post_orders": Served(posts_orders, refuses_orders),
    "revoke_builder_api_key": Served(
        revokes_builder_key,
        refused_with(400, "invalid revoke builder api key headers", lambda c: c.revoke_builder_api_key()),
    ),
    "set_api_creds": Served(takes_credentials, needs_credentials(lambda c: c.get_api_keys())),
    "update_balance_allowance": Served(
        refreshes_balance, refused_with(400, "Invalid asset type", lambda c: c.update_balance_allowance())
    ),
}


CALLED: set[str] = set()


def _noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        CALLED.add(name)
        return method(*args, **named)

    return call


def watched(client: ClobClient) -> ClobClient:
    """Note the names of the public methods that are called."""
    for name in public_methods():
        setattr(client, name, _noting(name, getattr(client, name)))
    return client


def public_methods() -> list[str]:
    """Return the names of the client's public methods."""
    return [name for name, _ in inspect.getmembers(ClobClient, callable) if not name.startswith("_")]


@pytest.fixture
def stand(venue: SimpleNamespace) -> Stand:
    client = connect(venue.url, KEY)
    CALLED.clear()
    return Stand(venue, watched(client))


SERVED = {name: case for name, case in METHODS.items() if isinstance(case, Served)}
NOT_SERVED = {name: case for name, case in METHODS.items() if isinstance(case, NotServed)}


def test_the_table_names_every_public_method() -> None:
    assert sorted(METHODS) == public_methods()
    assert all(case.reason for case in NOT_SERVED.values())


@pytest.mark.parametrize("name", SERVED)
def test_happy(name: str, stand: Stand) -> None:
    SERVED[name].happy(stand)
    assert name in CALLED


@pytest.mark.parametrize("name", SERVED)
def test_refused(name: str, stand: Stand) -> None:
    SERVED[name].refused(stand)
    assert name in CALLED


@pytest.mark.parametrize("name", NOT_SERVED)
def test_what_is_not_served_is_no_route(name: str, stand: Stand) -> None:
    with pytest.raises(PolyApiException) as error:
        NOT_SERVED[name].call(stand)
    assert error.value.status_code == 404
    assert name in CALLED
