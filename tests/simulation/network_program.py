"""A program with every kind of connection that the daemon uses, whose events are hashed.

Run as `python -m tests.simulation.network_program SEED [shuffle]` it prints the hash, so that
processes can be compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys

import aiohttp
import websockets
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from polystra.runtime.deterministic import NumberedTask, run

WEB_PORT = 8080
FEED_PORT = 8081


class EventLog:
    """What happened, when (virtual nanoseconds) and in which of our tasks."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, *what: object) -> None:
        task = asyncio.current_task()
        now = round(asyncio.get_running_loop().time() * 1e9)
        # aiohttp makes tasks past the loop, whose default names are counted over the whole process.
        name = task.get_name() if isinstance(task, NumberedTask) else "-"
        self.lines.append(" ".join(map(str, (now, name, *what))))

    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


async def start_web(log: EventLog) -> web.AppRunner:
    """Serve POST /order and a websocket on /ws."""

    async def order(request: web.Request) -> web.Response:
        body = await request.json()
        log.note("order", body, request.remote)
        await asyncio.sleep(body["work_ms"] / 1000)
        return web.json_response({"accepted": body["id"]})

    async def stream(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            log.note("ws server got", message.data)
            await ws.send_json({"echo": message.data})
        log.note("ws server closed", ws.close_code)
        return ws

    app = web.Application()
    app.router.add_post("/order", order)
    app.router.add_get("/ws", stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", WEB_PORT).start()
    return runner


async def post_orders(log: EventLog) -> None:
    """Send ten orders over at most three connections."""
    connector = aiohttp.TCPConnector(limit=3, keepalive_timeout=3600)
    async with aiohttp.ClientSession(f"http://localhost:{WEB_PORT}", connector=connector) as session:

        async def post(number: int) -> None:
            async with session.post("/order", json={"id": number, "work_ms": number % 4}) as response:
                log.note("reply", response.status, await response.json(), sorted(response.headers))

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(post(number))


async def follow_feed(log: EventLog, name: str) -> None:
    """Read a websockets server until it closes."""
    async with connect(f"ws://localhost:{FEED_PORT}/{name}", proxy=None) as ws:
        await ws.send(name)
        try:
            while True:
                log.note(name, await ws.recv())
        except websockets.ConnectionClosedOK as end:
            log.note(name, "closed", end.rcvd and end.rcvd.code)


async def publish(log: EventLog, ws: ServerConnection) -> None:
    name = await ws.recv()
    log.note("subscriber", name)
    for number in range(20):
        await ws.send(f"tick {number}")
        await asyncio.sleep(0.05)


async def talk(log: EventLog) -> None:
    """Use a websockets client with the aiohttp server."""
    async with connect(f"ws://127.0.0.1:{WEB_PORT}/ws", proxy=None) as ws:
        for number in range(10):
            await ws.send(f"hello {number}")
            log.note("ws client got", await ws.recv())


async def abandon_siblings(log: EventLog) -> None:
    """Let a task group cancel many tasks at once: their order must not come from addresses."""

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.note("abandoned", number)

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise LookupError

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(wait(number))
            group.create_task(fail())
    except* LookupError:
        log.note("group over")


async def program(log: EventLog) -> None:
    runner = await start_web(log)
    async with serve(lambda ws: publish(log, ws), "localhost", FEED_PORT), asyncio.TaskGroup() as group:
        group.create_task(post_orders(log), name="orders")
        group.create_task(talk(log), name="talk")
        group.create_task(abandon_siblings(log))
        for number in range(4):
            group.create_task(follow_feed(log, f"feed{number}"))
    await runner.cleanup()
    log.note("end")


def events(seed: int, *, shuffle_tasks: bool = False) -> EventLog:
    """Run the program and return what happened."""
    log = EventLog()
    run(program(log), seed=seed, shuffle_tasks=shuffle_tasks)
    return log


if __name__ == "__main__":
    print(events(int(sys.argv[1]), shuffle_tasks="shuffle" in sys.argv[2:]).hash())  # noqa: T201 - its purpose
