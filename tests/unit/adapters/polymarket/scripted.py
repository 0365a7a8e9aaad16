"""A server that answers by script, on the deterministic loop: for what an honest exchange never does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.orders import DEFAULT_RETRIES, Retries
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.signing import L2Credentials
from polystra.runtime.deterministic import run

T = TypeVar("T")

ONCE = Retries(patience_s=0.0)
"""Nothing is sent again: what one answer means."""

START_NS = 1_782_753_357 * 10**9
CREDENTIALS = L2Credentials("my-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "pass")
ACCOUNT = VenueAccount(credentials=CREDENTIALS, signer="0xSigner", wallet="0xWallet", signature_type=3)


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = web.Response | Exception | float
"""A response, a broken connection, or seconds of silence before an empty 200."""


@dataclass
class Script:
    """What the server was asked and what it will answer: a list per path, its last answer for ever."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    async def handle(self, request: web.Request) -> web.Response:
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
        self.asked.append(asked)
        waiting = self.answers.get(request.path, [web.Response(status=404, text='{"error":"not found"}')])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, web.Response):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        if isinstance(answer, Exception):
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(1)
            return web.Response()
        await asyncio.sleep(answer)
        return web.Response()


def says(body: str, status: int = 200, **headers: str) -> web.Response:
    return web.Response(status=status, text=body, headers={name.replace("_", "-"): v for name, v in headers.items()})


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def with_venue(
    scene: Callable[[PolymarketVenue, Script, LoopClock], Awaitable[T]], *, retries: Retries = DEFAULT_RETRIES
) -> T:
    """Run a scene with a venue adapter that talks to a script."""

    async def main() -> T:
        script, clock = Script(), LoopClock(START_NS)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", script.handle)
        async with served(app) as host:
            venue = PolymarketVenue(
                base_url=f"http://{host}", account=ACCOUNT, clock=clock, rng=random.Random(1), retries=retries
            )
            try:
                return await scene(venue, script, clock)
            finally:
                await venue.close()

    return play(main())


def play(main: Coroutine[Any, Any, T]) -> T:
    return run(main, seed=1, start_ns=START_NS)


Conversation = Callable[[web.WebSocketResponse, "Sockets"], Awaitable[None]]


@dataclass
class Sockets:
    """Websocket connections by script: one conversation per connection, the last one for ever."""

    conversations: list[Conversation]
    frames: list[list[str]] = field(default_factory=list)
    opened_at: list[float] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.frames.append([])
        self.opened_at.append(asyncio.get_running_loop().time())
        number = min(len(self.frames), len(self.conversations)) - 1
        await self.conversations[number](socket, self)
        if not socket.closed:
            await socket.close()
        return socket

    async def receive(self, socket: web.WebSocketResponse) -> str | None:
        """Return the next frame and remember it; answers PING; None when the client is gone."""
        while True:
            message = await socket.receive()
            if message.type is not WSMsgType.TEXT:
                return None
            self.frames[-1].append(message.data)
            if message.data != "PING":
                return str(message.data)
            await socket.send_str("PONG")

    async def listen(self, socket: web.WebSocketResponse) -> None:
        """Read until the client leaves."""
        while await self.receive(socket) is not None:
            pass


@asynccontextmanager
async def sockets(*conversations: Conversation) -> AsyncIterator[tuple[str, Sockets]]:
    script = Sockets(list(conversations))
    app = web.Application()
    app.router.add_get("/", script.handle)
    async with served(app) as host:
        yield f"ws://{host}/", script
