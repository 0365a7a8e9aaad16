"""The spot venue's trade stream as the built-in exchange offers it.

What lives here: `/spot/ws` in the shape of Binance's raw trade streams (Binance Spot API docs,
websocket streams): SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and `e: trade` frames. What must
not: how the spot moves (`prices`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from polystra.domain.units import E8, PriceE8
from polystra.exchange.assets import Asset
from polystra.exchange.faults.desk import stream_socket
from polystra.exchange.outbox import Outbox

_QUEUE_LIMIT: Final = 1_024
_PING_EVERY_S: Final = 20.0
_GOING_AWAY: Final = 1001


class _Connection:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.streams: dict[str, None] = {}
        self.outbox: Outbox[str] = Outbox(_QUEUE_LIMIT)


class SpotSocket:
    """Serves trade streams; `publish` is called for every print."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._trade_ids = dict.fromkeys(assets, 0)
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    def publish(self, asset: Asset, price: PriceE8, size: int, at_ms: int) -> None:
        """Send one trade: price in 10^-8 dollars, size in 10^-8 coins."""
        self._trade_ids[asset.symbol] += 1
        if not self._connections:
            return
        stream = f"{asset.spot_symbol.lower()}@trade"
        frame = None
        for connection in self._connections.values():
            if stream in connection.streams:
                frame = frame or _trade(asset, price, size, at_ms, self._trade_ids[asset.symbol])
                connection.outbox.put(frame)

    async def close(self) -> None:
        """Send every client away."""
        for connection in list(self._connections.values()):
            await connection.socket.close(code=_GOING_AWAY)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves; a stream may be named in the path."""
        socket = stream_socket(request, "spot", heartbeat=_PING_EVERY_S)
        await socket.prepare(request)
        connection = _Connection(socket)
        if "stream" in request.match_info:
            connection.streams[request.match_info["stream"].lower()] = None
        self._count += 1
        number = self._count
        self._connections[number] = connection
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(socket, connection))
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        connection.outbox.put(_answer(connection, message.data))
                writer.cancel()
        finally:
            del self._connections[number]
        return socket


async def _write(socket: web.WebSocketResponse, connection: _Connection) -> None:
    """Send what waits; ends quietly once the client is gone."""
    try:
        while True:
            await socket.send_str(await connection.outbox.get())
    except ConnectionError:
        return


def _answer(connection: _Connection, text: str) -> str:
    try:
        frame: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        frame = None
    if not isinstance(frame, dict):
        return _refused(3, "Invalid JSON: expected an object", None)
    method, params, rid = frame.get("method"), frame.get("params", []), frame.get("id")
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        return _refused(2, "Invalid request: params must be a list of stream names", rid)
    result: object = None
    if method == "SUBSCRIBE":
        connection.streams.update((name.lower(), None) for name in params)
    elif method == "UNSUBSCRIBE":
        for name in params:
            connection.streams.pop(name.lower(), None)
    elif method == "LIST_SUBSCRIPTIONS":
        result = list(connection.streams)
    else:
        return _refused(2, f"Invalid request: unknown method {str(method)[:40]}", rid)
    return msgspec.json.encode({"result": result, "id": rid}).decode()


def _refused(code: int, message: str, rid: object) -> str:
    return msgspec.json.encode({"error": {"code": code, "msg": message}, "id": rid}).decode()


def _trade(asset: Asset, price: PriceE8, size: int, at_ms: int, trade_id: int) -> str:
    whole, fraction = divmod(price, E8)
    digits = f"{fraction:08d}"[: asset.spot_decimals]
    quantity = f"{size // E8}.{size % E8:08d}"
    maker = "true" if trade_id % 2 else "false"
    return (
        f'{{"e":"trade","E":{at_ms},"s":"{asset.spot_symbol}","t":{trade_id},"p":"{whole}.{digits}",'
        f'"q":"{quantity}","T":{at_ms},"m":{maker},"M":true}}'
    )
