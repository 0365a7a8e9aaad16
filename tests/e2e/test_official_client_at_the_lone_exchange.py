"""The venue's own Python client, unchanged, against the command `polystra exchange` with its live makers."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from py_clob_client_v2 import AssetType, BalanceAllowanceParams, ClobClient, MarketOrderArgs, OrderArgs, OrderType
from py_clob_client_v2.clob_types import PostOrdersV2Args
from py_clob_client_v2.exceptions import PolyApiException

KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
MAIN = "from polystra.app.cli import main; main()"


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("exchange")
    environ = {**os.environ, "DATA_DIR": str(folder), "SYMBOLS": "BTC", "WINDOWS": "15m"}
    command = [sys.executable, "-c", MAIN, "exchange", "--port", "0", "--speed", "1"]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def client(urls: dict[str, str]) -> ClobClient:
    client = ClobClient(urls["clob_url"], 137, key=KEY)
    client.set_api_creds(client.create_or_derive_api_key())
    return client


@pytest.fixture(scope="module")
def token(urls: dict[str, str], client: ClobClient) -> str:
    """The Up token of the open market, once its makers quote both sides."""
    now_s = client.get_server_time()
    slug = f"btc-updown-15m-{now_s - now_s % 900}"
    market = ask(f"{urls['gamma_url']}/markets/slug/{slug}")
    up = str(json.loads(market["clobTokenIds"])[json.loads(market["outcomes"]).index("Up")])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        book = client.get_order_book(up)
        if book["bids"] and book["asks"]:
            return up
    pytest.fail("the makers quoted nothing for 30 s")


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def refusal(error: pytest.ExceptionInfo[PolyApiException]) -> tuple[int, str]:
    assert isinstance(error.value.error_msg, dict)
    return error.value.status_code, error.value.error_msg["error"]


def test_orders_of_every_kind_are_placed_read_and_cancelled(client: ClobClient, token: str) -> None:
    resting = client.create_and_post_order(OrderArgs(token_id=token, price=0.01, size=10, side="BUY"))
    assert (resting["success"], resting["status"]) == (True, "live")
    far = client.get_server_time() + 10_000_000
    dated = client.create_order(OrderArgs(token_id=token, price=0.01, size=10, side="BUY", expiration=far))
    assert client.post_order(dated, OrderType.GTD)["status"] == "live"
    batch = client.post_orders(
        [
            PostOrdersV2Args(
                order=client.create_order(OrderArgs(token_id=token, price=0.02, size=size, side="BUY")),
                orderType=OrderType.GTC,
            )
            for size in (6, 7)
        ]
    )
    assert [leg["status"] for leg in batch] == ["live", "live"]
    assert {order["original_size"] for order in client.get_open_orders()} == {"10", "6", "7"}
    assert len(client.cancel_all()["canceled"]) == 4
    assert client.get_open_orders() == []


def test_market_orders_trade_and_balances_follow(client: ClobClient, token: str) -> None:
    params = BalanceAllowanceParams(asset_type=AssetType.COLLATERAL)
    before = int(client.get_balance_allowance(params)["balance"])
    bought = client.create_and_post_market_order(
        MarketOrderArgs(token_id=token, amount=2, side="BUY", price=0.99), order_type=OrderType.FAK
    )
    assert bought["status"] == "matched"
    assert before - 2_200_000 <= int(client.get_balance_allowance(params)["balance"]) < before
    assert bought["orderID"] in {trade["taker_order_id"] for trade in client.get_trades()}
    with pytest.raises(PolyApiException) as error:
        client.create_and_post_market_order(
            MarketOrderArgs(token_id=token, amount=5, side="BUY", price=0.01), order_type=OrderType.FOK
        )
    assert refusal(error) == (400, "order couldn't be fully filled. FOK orders are fully filled or killed.")


def test_documented_refusals(client: ClobClient, token: str) -> None:
    small = client.create_order(OrderArgs(token_id=token, price=0.02, size=1, side="BUY"))
    with pytest.raises(PolyApiException) as error:
        client.post_order(small)
    assert refusal(error)[1].endswith("is invalid. Size (1) lower than the minimum: 5")
    dear = client.create_order(OrderArgs(token_id=token, price=0.02, size=1_000_000, side="BUY"))
    with pytest.raises(PolyApiException) as error:
        client.post_order(dear)
    assert refusal(error)[1].startswith("not enough balance / allowance")


def test_the_books_are_told_and_written(urls: dict[str, str], client: ClobClient, tmp_path: Path) -> None:
    books = ask(f"{urls['control_url']}/books")
    assert client.get_address().lower() in json.dumps(books)
