"""The built-in exchange on real time and real sockets, in a thread, for commands in live mode."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from tests.fakes.threaded_server import WallClock


@contextlib.contextmanager
def exchange_in_real_time() -> Iterator[tuple[BuiltInExchange, dict[str, str]]]:
    """Serve while the block runs; yields the exchange and the settings that point to it.

    Its markets are those of the present windows. Nothing of it may be changed from outside but through
    its control endpoint.
    """
    clock = WallClock()
    start_ns = clock.now_ns() // 900_000_000_000 * 900_000_000_000
    config = BuiltInConfig(seed=5, symbols=("BTC",), windows=("15m",), start_ns=start_ns, speed=1.0)
    exchange = BuiltInExchange(config, clock)
    started = threading.Event()
    urls: dict[str, str] = {}
    stopping = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        told = await exchange.start()
        for name in ("clob", "gamma", "data_api"):
            urls[f"{name}_url".upper()] = getattr(told, f"{name}_url")
        for name in ("market", "user", "price", "spot"):
            urls[f"{name}_ws_url".upper()] = getattr(told, f"{name}_ws_url")
        urls["CONTROL"] = told.control_url
        async with asyncio.TaskGroup() as tasks:
            world = tasks.create_task(exchange.run())
            while not _is_quoted(exchange):
                await clock.sleep(0.05)
            started.set()
            await stopping.wait()
            world.cancel()
        await exchange.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not started.wait(60):
        raise RuntimeError("the exchange did not start within 60 s")
    try:
        yield exchange, urls
    finally:
        loops[0].call_soon_threadsafe(stopping.set)
        thread.join(30)


def _is_quoted(exchange: BuiltInExchange) -> bool:
    """True when the crowd has orders in the books."""
    return any(account.open_orders for account in exchange.core.books().accounts.values())
