"""What the tests with the venue's own Python client share: one exchange on a real socket, and its words."""

import contextlib
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from py_clob_client_v2 import ClobClient, OrderArgs
from py_clob_client_v2.exceptions import PolyApiException

from polystra.exchange.core import CoreConfig, ExchangeCore, MarketSpec, PlaceRequest
from polystra.exchange.rest import routes
from tests.fakes.threaded_server import WallClock, serving

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # public development key
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
POOR_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
DEPOSIT_WALLET = "0x" + "d0" * 20
UP = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
DOWN = "52114319501245915516055106046884209969926127482827954674443846427813813222426"
CONDITION = "0x" + "ab" * 32


def five_minute_market(now_s: int, **changes: object) -> MarketSpec:
    """Return the market that is open now, with changes."""
    start = now_s - now_s % 300
    fields: dict[str, Any] = {
        "condition_id": CONDITION,
        "slug": f"btc-updown-5m-{start}",
        "question": "Bitcoin Up or Down",
        "symbol": "btc",
        "window": "5m",
        "up_token": UP,
        "down_token": DOWN,
        "opens_at_s": start,
        "closes_at_s": start + 300,
        "listed_at_s": start - 86_400,
    }
    return MarketSpec(**{**fields, **changes})


@contextlib.contextmanager
def official_venue() -> Iterator[SimpleNamespace]:
    """Serve an exchange with one market that the house quotes at 0.50 and 0.52, 200 shares a side."""
    clock = WallClock()
    core = ExchangeCore(rng=random.Random(1), config=CoreConfig(mined_after_ms=0, confirmed_after_ms=0))
    core.list_market(five_minute_market(clock.now_ns() // 1_000_000_000), clock.now_ns())
    house = core.open_house_account("maker")
    for token, price in ((UP, 500_000), (DOWN, 480_000)):
        core.place(house, PlaceRequest.limit(token, "BUY", price=price, size=200_000_000), clock.now_ns())
    core.register_wallet(ADDRESS, DEPOSIT_WALLET, 3)
    with serving(routes(core, clock)) as url:
        yield SimpleNamespace(url=url, core=core, clock=clock)


def connect(url: str, key: str, **more: object) -> ClobClient:
    """Return a client with credentials."""
    client = ClobClient(url, 137, key=key, **more)
    client.set_api_creds(client.create_or_derive_api_key())
    return client


def limit(price: float, size: float, side: str = "BUY", token: str = UP, **more: object) -> OrderArgs:
    """Return the arguments of a limit order."""
    return OrderArgs(token_id=token, price=price, size=size, side=side, **more)


def refusal(error: pytest.ExceptionInfo[PolyApiException]) -> tuple[int, str]:
    """Return the status and the text of a refused call."""
    assert isinstance(error.value.error_msg, dict)
    return error.value.status_code, error.value.error_msg["error"]
