"""The venue's own Python client, unchanged, against the built-in exchange on a real socket."""

import dataclasses
import time
from types import SimpleNamespace

import pytest
from py_clob_client_v2 import (
    ApiCreds,
    AssetType,
    BalanceAllowanceParams,
    ClobClient,
    MarketOrderArgs,
    OrderPayload,
    OrderType,
)
from py_clob_client_v2.clob_types import OpenOrderParams, OrderMarketCancelParams, PostOrdersV2Args, TradeParams
from py_clob_client_v2.exceptions import PolyApiException

from tests.e2e.official_desk import ADDRESS, CONDITION, DEPOSIT_WALLET, DOWN, KEY, POOR_KEY, UP, connect, limit, refusal


def test_credentials_are_created_then_derived_then_deleted(venue: SimpleNamespace) -> None:
    client = ClobClient(venue.url, 137, key=KEY)
    created = client.create_api_key()
    assert client.derive_api_key() == created
    assert client.create_or_derive_api_key() == created
    client.set_api_creds(created)
    assert client.get_api_keys() == {"apiKeys": [created.api_key]}
    assert client.get_closed_only_mode() == {"closed_only": False}
    assert client.delete_api_key() == "OK"
    with pytest.raises(PolyApiException) as error:
        client.get_open_orders()
    assert refusal(error) == (401, "Unauthorized/Invalid api key")
    with pytest.raises(PolyApiException) as error:
        client.derive_api_key()
    assert refusal(error) == (400, "Could not derive api key!")


def test_wrong_secret_is_unauthorized(venue: SimpleNamespace, client: ClobClient) -> None:
    good = client.creds
    client.set_api_creds(ApiCreds(good.api_key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", good.api_passphrase))
    with pytest.raises(PolyApiException) as error:
        client.cancel_all()
    assert refusal(error) == (401, "Unauthorized/Invalid api key")


def test_market_data_reads(client: ClobClient) -> None:
    assert client.get_ok() == "OK"
    assert client.get_version() == 2
    assert abs(client.get_server_time() - time.time()) < 5
    assert client.get_tick_size(UP) == "0.01"
    assert client.get_neg_risk(UP) is False
    assert client.get_fee_rate_bps(UP) == 1000
    book = client.get_order_book(UP)
    assert (book["bids"][-1], book["asks"][-1]) == ({"price": "0.5", "size": "200"}, {"price": "0.52", "size": "200"})
    assert client.get_order_book_hash(book) == book["hash"]
    assert client.get_order_book(DOWN)["bids"][-1] == {"price": "0.48", "size": "200"}
    assert client.get_midpoint(UP) == {"mid": "0.51"}
    assert client.get_spread(UP) == {"spread": "0.02"}
    assert client.get_price(UP, "BUY") == {"price": "0.52"}
    assert client.get_last_trade_price(UP) == {"price": "0.5", "side": ""}
    assert client.get_market(CONDITION)["tokens"][0]["token_id"] == UP
    assert client.get_clob_market_info(CONDITION)["fd"] == {"r": 0.07, "e": 1, "to": True}
    with pytest.raises(PolyApiException) as error:
        client.get_order_book("12345")
    assert refusal(error) == (404, "No orderbook exists for the requested token id")


def test_limit_order_rests_is_read_and_cancelled(client: ClobClient) -> None:
    order = client.create_order(limit(0.4, 10))
    posted = client.post_order(order, OrderType.GTC, post_only=True)
    assert (posted["success"], posted["errorMsg"], posted["status"]) == (True, "", "live")
    (shown,) = client.get_open_orders(OpenOrderParams(market=CONDITION))
    assert shown["id"] == posted["orderID"]
    assert (shown["price"], shown["original_size"], shown["size_matched"]) == ("0.4", "10", "0")
    assert client.get_order(posted["orderID"])["status"] == "LIVE"
    with pytest.raises(PolyApiException) as error:
        client.post_order(order, OrderType.GTC, post_only=True)
    assert refusal(error) == (400, f"order {posted['orderID']} is invalid. Duplicated.")
    assert client.cancel_order(OrderPayload(posted["orderID"])) == {
        "canceled": [posted["orderID"]],
        "not_canceled": {},
    }
    assert client.get_order(posted["orderID"]) is None
    again = client.cancel_orders([posted["orderID"], "0x" + "00" * 32])
    assert again["canceled"] == []
    assert set(again["not_canceled"]) == {posted["orderID"], "0x" + "00" * 32}


def test_good_till_date_needs_three_minutes(client: ClobClient) -> None:
    soon, later = int(time.time()) + 100, int(time.time()) + 600
    with pytest.raises(PolyApiException) as error:
        client.create_and_post_order(limit(0.4, 10, expiration=soon), order_type=OrderType.GTD)
    assert refusal(error) == (400, "invalid expiration")
    posted = client.create_and_post_order(limit(0.4, 10, expiration=later), order_type=OrderType.GTD)
    assert client.get_order(posted["orderID"])["expiration"] == str(later)
    assert client.cancel_all()["canceled"] == [posted["orderID"]]


def test_market_buy_fills_and_shows_in_trades_and_balances(venue: SimpleNamespace, client: ClobClient) -> None:
    posted = client.create_and_post_market_order(
        MarketOrderArgs(token_id=UP, amount=5.2, side="BUY", price=0.52), order_type=OrderType.FOK
    )
    assert (posted["status"], posted["makingAmount"], posted["takingAmount"]) == ("matched", "5.2", "10")
    assert len(posted["transactionsHashes"]) == 1
    (trade,) = client.get_trades(TradeParams(id=posted["tradeIDs"][0]))
    assert (trade["trader_side"], trade["price"], trade["size"], trade["status"]) == (
        "TAKER",
        "0.52",
        "10",
        "CONFIRMED",
    )
    (leg,) = trade["maker_orders"]
    assert (leg["side"], leg["asset_id"], leg["price"], leg["outcome"]) == ("BUY", DOWN, "0.48", "Down")
    cash = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    # 1 000 - 5.2 - 10 x 0.07 x 0.52 x 0.48
    assert cash["balance"] == str(1_000_000_000 - 5_200_000 - 174_720)
    client.update_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=UP))
    shares = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=UP))
    assert shares["balance"] == "10000000"
    sold = client.create_and_post_market_order(
        MarketOrderArgs(token_id=UP, amount=10, side="SELL", price=0.5), order_type=OrderType.FAK
    )
    assert (sold["makingAmount"], sold["takingAmount"]) == ("10", "5")
    assert venue.core.account(ADDRESS).cash == 1_000_000_000 - 5_200_000 - 174_720 + 5_000_000 - 175_000


def test_killed_market_orders_are_http_400(client: ClobClient) -> None:
    with pytest.raises(PolyApiException) as error:
        client.create_and_post_market_order(
            MarketOrderArgs(token_id=UP, amount=500, side="BUY", price=0.52), order_type=OrderType.FOK
        )
    assert refusal(error) == (400, "order couldn't be fully filled. FOK orders are fully filled or killed.")
    with pytest.raises(PolyApiException) as error:
        client.create_and_post_market_order(
            MarketOrderArgs(token_id=UP, amount=5, side="BUY", price=0.51), order_type=OrderType.FAK
        )
    assert refusal(error) == (
        400,
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
    )


def test_batch_answers_leg_by_leg(client: ClobClient) -> None:
    orders = [limit(0.4, 10), limit(0.52, 10), limit(0.41, 1)]
    legs = [PostOrdersV2Args(order=client.create_order(args), orderType=OrderType.GTC) for args in orders]
    resting, crossing, small = client.post_orders(legs, post_only=True)
    assert resting["status"] == "live"
    assert (crossing["success"], crossing["orderID"], crossing["errorMsg"]) == (
        True,
        "",
        "invalid post-only order: order crosses book",
    )
    assert small["errorMsg"].endswith("is invalid. Size (1) lower than the minimum: 5")
    report = client.cancel_market_orders(OrderMarketCancelParams(market=CONDITION, asset_id=UP))
    assert report["canceled"] == [resting["orderID"]]
    with pytest.raises(PolyApiException) as error:
        client.post_orders(legs[:1] * 16)
    assert refusal(error) == (400, "Too many orders in payload: 16, max allowed: 15")


def test_documented_refusals(venue: SimpleNamespace, client: ClobClient) -> None:
    fine = client.create_order(limit(0.4, 10))
    off_grid = client.builder.build_order(
        limit(0.405, 10), SimpleNamespace(tick_size="0.001", neg_risk=False), version=2
    )
    with pytest.raises(PolyApiException) as error:
        client.post_order(off_grid)
    status, text = refusal(error)
    assert status == 400
    assert text.endswith("is invalid. Price (0.405) breaks minimum tick size rule: 0.01")

    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(limit(0.4, 4)))
    assert refusal(error)[1].endswith("is invalid. Size (4) lower than the minimum: 5")

    with pytest.raises(PolyApiException) as error:
        client.post_order(dataclasses.replace(fine, takerAmount="20000000"))
    assert refusal(error) == (400, "invalid signature")

    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(limit(0.9, 2_000), None))
    assert refusal(error) == (
        400,
        "not enough balance / allowance: the balance is not enough -> balance: 1000000000, order amount: 1800000000",
    )
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(limit(0.9, 5, side="SELL")))
    assert refusal(error)[1].endswith("the balance is not enough -> balance: 0, order amount: 5000000")

    stranger = connect(venue.url, POOR_KEY)
    with pytest.raises(PolyApiException) as error:
        stranger.post_order(fine)
    assert refusal(error) == (400, "the order signer address has to be the address of the API KEY")
    assert client.get_open_orders() == []


def test_deposit_wallet_orders(venue: SimpleNamespace) -> None:
    client = connect(venue.url, KEY, signature_type=3, funder=DEPOSIT_WALLET)
    posted = client.create_and_post_order(limit(0.4, 10))
    assert posted["status"] == "live"
    assert client.get_order(posted["orderID"])["maker_address"] == DEPOSIT_WALLET
    balance = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    assert balance["balance"] == "1000000000"
    unknown = connect(venue.url, POOR_KEY, signature_type=3, funder="0x" + "d1" * 20)
    with pytest.raises(PolyApiException) as error:
        unknown.create_and_post_order(limit(0.4, 10))
    assert refusal(error) == (400, "the order signer address has to be the address of the API KEY")
