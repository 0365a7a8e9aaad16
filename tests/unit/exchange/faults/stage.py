"""A trader with a signing key beside a built-in exchange with faults, in virtual time."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from polystra.exchange.faults.injector import Injected
from polystra.exchange.faults.plan import read_plan
from polystra.exchange.state import Market
from polystra.exchange.typed_data import domain_separator
from tests.unit.exchange.http_desk import HttpDesk, Signer
from tests.unit.exchange.running import Running, play

T = TypeVar("T")
FAR_BELOW = {"makerAmount": "50000", "takerAmount": "5000000"}
"""Five shares at one cent: rests."""

AT_ONCE = {"makerAmount": "5000000", "takerAmount": "5050500", "orderType": "FAK"}
"""Five dollars at 0.99 at most: filled by whoever sells."""


class _Now:
    def __init__(self, stage: Running) -> None:
        self._stage = stage

    @property
    def now(self) -> int:
        return self._stage.clock.now_ns()


class _Client:
    def __init__(self, stage: Running) -> None:
        self._stage = stage

    def request(self, method: str, path: str, **more: Any) -> Any:
        return self._stage.session.request(method, self._stage.urls.clob_url + path, **more)

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def ws_connect(self, path: str) -> Any:
        return self._stage.session.ws_connect(self._stage.urls.clob_url.replace("http", "ws") + path)


class Trader(HttpDesk):
    """The desk of other tests, at a running exchange."""

    def __init__(self, stage: Running) -> None:
        self.stage = stage
        self.core = stage.exchange.core
        self.clock = _Now(stage)  # type: ignore[assignment]
        self.client = _Client(stage)  # type: ignore[assignment]
        self.signer = Signer(7)
        self.key = stage.exchange.open_account(self.signer.address)
        self.domain = domain_separator("v1", neg_risk=False)
        self._salt = 0

    @property
    def market(self) -> Market:
        """The market whose window is on."""
        now_s = self.stage.clock.now_ns() // 1_000_000_000
        return next(m for m in self.core.markets.values() if m.spec.opens_at_s <= now_s < m.spec.closes_at_s)

    def order(self, **changes: Any) -> dict[str, Any]:
        return self.submission(**{"tokenId": self.market.spec.up_token, **FAR_BELOW, **changes})

    async def post(self, **changes: Any) -> tuple[int, Any]:
        return await self.call("POST", "/order", self.order(**changes))

    async def raw(self, method: str, path: str) -> tuple[int, str, str]:
        async with self.client.request(method, path) as response:
            return response.status, response.content_type, await response.text()

    def open_orders(self) -> int:
        return len(list(self.core.open_orders([self.signer.address])))

    def add(self, kind: str, *, params: Mapping[str, Any] | None = None, **entry: Any) -> str:
        """Arm a fault."""
        known = {name.removesuffix("_"): value for name, value in entry.items()}
        plan = read_plan({"fault": kind, "with": params or {}, **known}, "the test's fault")
        return self.stage.exchange.faults.injector.add(plan)

    @property
    def injected(self) -> list[Injected]:
        return self.stage.exchange.faults.injector.log

    @property
    def struck(self) -> list[str]:
        return [entry.kind for entry in self.injected]


def trade(scene: Callable[[Trader], Awaitable[T]]) -> T:
    """Play a scene five seconds into the first window."""

    async def with_trader(stage: Running) -> T:
        await stage.until(5)
        return await scene(Trader(stage))

    return play(with_trader)


async def frames_for(socket: aiohttp.ClientWebSocketResponse, trader: Trader, seconds: float) -> list[Any]:
    """Return the data messages that arrive within some simulated seconds, arrays flattened."""
    frames: list[Any] = []
    end_ns = trader.clock.now + round(seconds * 1e9)
    while (left_ns := end_ns - trader.clock.now) > 0:
        try:
            async with trader.stage.clock.timeout(left_ns / 1e9):
                message = await socket.receive()
        except TimeoutError:
            break
        if message.type is not aiohttp.WSMsgType.TEXT:
            break
        if message.data.startswith(("{", "[")):
            frame = json.loads(message.data)
            frames.extend(frame if isinstance(frame, list) else [frame])
    return frames
