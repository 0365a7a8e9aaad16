"""A desk behind aiohttp's test server: signs, sends, listens; written from the protocol for tests only."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import ClientWebSocketResponse, web
from aiohttp.test_utils import TestClient, TestServer
from coincurve import PrivateKey
from tiny_keccak import keccak256

from polystra.exchange.auth import ApiKey
from polystra.exchange.core import CoreConfig, ExchangeCore, PlaceRequest
from polystra.exchange.rest import SocketLimits, routes
from polystra.exchange.typed_data import SignedOrder, domain_separator, order_digest
from tests.unit.exchange.conftest import T0, UP, spec


class HandClock:
    """A `Clock` that the test moves; sleeping moves it too, deadlines are real seconds."""

    def __init__(self) -> None:
        self.now = T0

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)
        await asyncio.sleep(0)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


class Signer:
    """A private key with its address."""

    def __init__(self, number: int) -> None:
        self.key = PrivateKey(number.to_bytes(32, "big"))
        self.address = "0x" + bytes(keccak256(self.key.public_key.format(compressed=False)[1:]))[-20:].hex()

    def sign(self, digest: bytes) -> str:
        raw = self.key.sign_recoverable(digest, hasher=None)
        return "0x" + (raw[:64] + bytes([raw[64] + 27])).hex()


class HttpDesk:
    """One client of an exchange on a loopback socket."""

    def __init__(self, core: ExchangeCore, clock: HandClock, client: TestClient[web.Request, web.Application]) -> None:
        self.core = core
        self.clock = clock
        self.client = client
        self.signer = Signer(7)
        key = core.create_key(self.signer.address, 0)
        assert key is not None
        self.key: ApiKey = key
        self.house = core.open_house_account("maker")
        self._salt = 0
        self.headers: dict[str, str] = {}
        self.order_id = ""
        self.domain = domain_separator("v1", neg_risk=False)

    def quote(self, token: str, cents: int, shares: int) -> None:
        """Let the house buy a token."""
        self.core.place(
            self.house, PlaceRequest.limit(token, "BUY", price=cents * 10_000, size=shares * 1_000_000), self.clock.now
        )

    def submission(self, **changes: Any) -> dict[str, Any]:
        """Return a signed GTC BUY of 10 Up at 0.40 with changes to the order (`order_*`) or the body."""
        self._salt += 1
        order: dict[str, Any] = {
            "salt": self._salt,
            "maker": self.signer.address,
            "signer": self.signer.address,
            "tokenId": UP,
            "makerAmount": "4000000",
            "takerAmount": "10000000",
            "side": "BUY",
            "signatureType": 0,
            "timestamp": "1782753357257",
            "expiration": "0",
            "metadata": "0x" + "00" * 32,
            "builder": "0x" + "00" * 32,
        }
        body = {"owner": self.key.key, "orderType": "GTC", "postOnly": False, "deferExec": False}
        for name, value in changes.items():
            (order if name in order else body)[name] = value
        signed = SignedOrder(
            salt=order["salt"],
            maker=order["maker"],
            signer=order["signer"],
            token_id=int(order["tokenId"]),
            maker_amount=int(order["makerAmount"]),
            taker_amount=int(order["takerAmount"]),
            side=0 if order["side"] == "BUY" else 1,
            signature_type=order["signatureType"],
            timestamp_ms=int(order["timestamp"]),
            metadata=bytes(32),
            builder=bytes(32),
        )
        digest = order_digest(signed, self.domain)
        self.order_id = "0x" + digest.hex()
        order["signature"] = self.signer.sign(digest)
        return {"order": order, **body}

    async def call(self, method: str, path: str, body: object = None, query: str = "") -> tuple[int, Any]:
        """Send a request with its proof; returns status and JSON (None for an empty body)."""
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        stamp = str(self.clock.now // 1_000_000_000)
        secret = base64.urlsafe_b64decode(self.key.secret)
        mac = hmac.new(secret, f"{stamp}{method}{path}".encode() + raw, hashlib.sha256).digest()
        headers = {
            "POLY_ADDRESS": self.signer.address,
            "POLY_API_KEY": self.key.key,
            "POLY_PASSPHRASE": self.key.passphrase,
            "POLY_TIMESTAMP": stamp,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(mac).decode(),
        }
        async with self.client.request(method, path + query, data=raw or None, headers=headers) as response:
            text = await response.text()
            self.headers = dict(response.headers)
            return response.status, json.loads(text) if text else None

    async def get(self, path: str) -> tuple[int, Any]:
        """Send an open request."""
        async with self.client.get(path) as response:
            return response.status, json.loads(await response.text())

    async def user_socket(self, **more: Any) -> ClientWebSocketResponse:
        """Open an authenticated user channel."""
        socket = await self.client.ws_connect("/ws/user")
        auth = {"apiKey": self.key.key, "secret": self.key.secret, "passphrase": self.key.passphrase}
        await socket.send_json({"auth": auth, "type": "user", **more})
        return await synced(socket)

    async def market_socket(self, *tokens: str, **more: Any) -> ClientWebSocketResponse:
        """Open a market channel."""
        socket = await self.client.ws_connect("/ws/market")
        await socket.send_json({"assets_ids": list(tokens), "type": "market", **more})
        return socket

    def settle(self) -> Self:
        """Let all trades be confirmed."""
        self.clock.now += 10_000_000_000
        self.core.advance(self.clock.now)
        return self


async def synced(socket: ClientWebSocketResponse) -> ClientWebSocketResponse:
    """Wait until the server has read everything sent before."""
    await socket.send_str("PING")
    assert await socket.receive_str() == "PONG"
    return socket


async def drain(socket: ClientWebSocketResponse) -> list[Any]:
    """Return every frame sent so far, arrays flattened."""
    await socket.send_str("PING")
    frames: list[Any] = []
    while (text := await socket.receive_str()) != "PONG":
        frame = json.loads(text)
        frames.extend(frame if isinstance(frame, list) else [frame])
    return frames


@asynccontextmanager
async def http_desk(
    *, config: CoreConfig | None = None, limits: SocketLimits | None = None, **market: object
) -> AsyncIterator[HttpDesk]:
    """Run an exchange with one market while the block runs."""
    clock = HandClock()
    core = ExchangeCore(rng=random.Random(7), config=config or CoreConfig())
    core.list_market(spec(**market), T0)
    app = web.Application()
    app.add_routes(routes(core, clock, limits))
    async with TestClient(TestServer(app)) as client:
        yield HttpDesk(core, clock, client)
