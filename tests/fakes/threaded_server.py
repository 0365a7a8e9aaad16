"""An aiohttp application on a real loopback socket in a thread of its own, for blocking clients."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

from aiohttp import web


class WallClock:
    """A `Clock` on the real time, shifted by nothing; for servers that real clients talk to."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


@contextlib.contextmanager
def serving(routes: list[web.RouteDef]) -> Iterator[str]:
    """Serve `routes` while the block runs; yields the base URL."""
    loop = asyncio.new_event_loop()
    started: threading.Event = threading.Event()
    urls: list[str] = []

    async def start() -> web.AppRunner:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not started.wait(10):
        raise RuntimeError("the test server did not start within 10 s")
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
