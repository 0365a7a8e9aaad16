"""The official client as bots use it: calls that sign, on either of its two back ends.

What lives here: `py-clob-client-v2` in this process. What must not: bots with sockets (`bots`).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from py_clob_client_v2 import client as official
from py_clob_client_v2.clob_types import ApiCreds, OrderArgsV2, OrderType, PartialCreateOrderOptions
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2

from polystra.domain.orders import OrderTerms
from polystra.domain.units import MICRO

CREDS = ApiCreds(
    api_key="00000000-0000-0000-0000-000000000001",
    api_secret=base64.b64encode(b"s" * 32).decode(),
    api_passphrase="phrase",
)
_NATIVE = "eth_keys.backends.NativeECCBackend"
_COINCURVE = "eth_keys.backends.CoinCurveECCBackend"
OPTIONS = PartialCreateOrderOptions(tick_size="0.01", neg_risk=False)


def client(key: str, host: str = "http://127.0.0.1:1") -> official.ClobClient:
    """A client that need not ask for the version of orders."""
    made = official.ClobClient(host=host, chain_id=137, key=key, creds=CREDS)
    made._ClobClient__cached_version = 2
    return made


def use_backend(*, native: bool) -> None:
    """Have every later signature of this process made by plain Python or by coincurve."""
    os.environ["ECC_BACKEND_CLASS"] = _NATIVE if native else _COINCURVE  # read whenever a key is made


def tell_ticks(made: official.ClobClient, tokens: Iterable[str]) -> None:
    """Give a client the tick sizes that it would ask a server for."""
    made._ClobClient__tick_sizes.update(dict.fromkeys(tokens, "0.01"))


def args_of(terms: OrderTerms) -> OrderArgsV2:
    """The same order in the client's own words."""
    return OrderArgsV2(
        token_id=str(terms.token_id), price=terms.price / MICRO, size=terms.quantity / MICRO, side=terms.side.value
    )


def sign_call(key: str, orders: Iterator[OrderTerms], *, native: bool) -> Callable[[], object]:
    """A call that does what its `create_order` and `post_order` do before the request."""
    made = client(key)

    def call() -> Any:
        use_backend(native=native)
        terms = next(orders)
        tell_ticks(made, (terms.token_id,))
        signed = made.create_order(args_of(terms), OPTIONS)
        payload = order_to_json_v2(signed, CREDS.api_key, OrderType.GTC, False, False)
        serialized = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        return made._l2_headers("POST", "/order", body=payload, serialized_body=serialized)

    return call
