"""A built-in exchange on the deterministic loop, for tests of its wire."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from polystra.adapters.clock import LoopClock
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, ExchangeUrls, planned_start_ns
from polystra.exchange.simulation import DEFAULT_EPOCH_S
from polystra.ports.clock import Clock
from polystra.runtime.deterministic import run

T = TypeVar("T")
T0_S = DEFAULT_EPOCH_S
OWNER = "0x" + "ab" * 20


@dataclass
class Running:
    """A running exchange with a client session and its clock."""

    exchange: BuiltInExchange
    urls: ExchangeUrls
    session: aiohttp.ClientSession
    clock: Clock

    async def get(self, url: str, *, status: int = 200, **params: str) -> Any:
        async with self.session.get(url, params=params) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def post(self, url: str, body: object, *, status: int = 200) -> Any:
        async with self.session.post(url, json=body) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def until(self, second: int) -> None:
        """Let simulated time pass up to `second` after T0."""
        await self.clock.sleep((T0_S + second) - self.clock.now_ns() / NS_PER_S)


@asynccontextmanager
async def running(config: BuiltInConfig, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Start an exchange on the current loop, by default in its virtual time, and stop it at the end."""
    clock = clock or LoopClock(planned_start_ns(config))
    exchange = BuiltInExchange(config, clock)
    urls = await exchange.start()
    driver = asyncio.get_running_loop().create_task(exchange.run())
    connector = aiohttp.TCPConnector(keepalive_timeout=1e9, ttl_dns_cache=10**9)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Running(exchange, urls, session, clock)
    finally:
        driver.cancel()
        await exchange.close()


def play(
    scene: Callable[[Running], Awaitable[T]],
    *,
    seed: int = 7,
    symbols: tuple[str, ...] = ("BTC",),
    windows: tuple[str, ...] = ("5m",),
) -> T:
    """Run a scene against a fresh exchange in virtual time."""

    async def main() -> T:
        config = BuiltInConfig(seed=seed, symbols=symbols, windows=windows, speed=None)
        async with running(config) as stage:
            return await scene(stage)

    return run(main(), seed=seed, start_ns=T0_S * NS_PER_S)
