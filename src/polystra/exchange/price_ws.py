"""The price socket of the built-in exchange, in the protocol of the venue's live-data service.

What lives here: `/prices/ws` - login with API credentials, subscriptions, two-minute snapshots,
sequence numbers per connection and channel, error frames (Polymarket docs, live data). What must
not: where prices come from (`prices`), when a second is over (`builtin`).

Channels: `price.crypto` (the settlement feed, source chainlink, once a second) and
`price.crypto.twap` (its 60-second average). The wording of error frames is ours; their codes are
the venue's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from polystra.domain.units import E8, NS_PER_S, PriceE8
from polystra.exchange.assets import ASSETS
from polystra.exchange.auth import KeyRing
from polystra.exchange.faults.desk import stream_socket
from polystra.exchange.gamma import format_e8
from polystra.exchange.outbox import Outbox
from polystra.exchange.prices import AVERAGE_S, PricePath
from polystra.ports.clock import Clock

SPOT_CHANNEL: Final = "price.crypto"
AVERAGE_CHANNEL: Final = "price.crypto.twap"
SNAPSHOT_S: Final = 120
_QUEUE_LIMIT: Final = 512
_MAX_SUBSCRIPTIONS: Final = 64
_MAX_AUTH_FRAMES: Final = 8
_MAX_FRAMES_PER_S: Final = 20
_MAX_FRAME_BYTES: Final = 65_536
_PING_EVERY_S: Final = 25.0
_DRAINING: Final = 4003
_KNOWN_SYMBOLS: Final = frozenset(asset.feed_symbol for asset in ASSETS.values())
"""Every symbol may be subscribed to; those that are not simulated stay silent after an empty snapshot."""

Subscription = tuple[str, str]
"""Channel and feed symbol."""


class _Connection:
    """One client's state; frames wait as (channel, ts, flag, payload) until they get their number."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.authed = False
        self.auth_frames = 0
        self.subscriptions: set[Subscription] = set()
        self.outbox: Outbox[str | tuple[str, int, bool, str]] = Outbox(_QUEUE_LIMIT)
        self.sequence: dict[str, int] = {}
        self.window_started_ns = 0
        self.frames_in_window = 0

    def within_rate(self, now_ns: int) -> bool:
        """Count a subscription frame; False when there were too many in this second."""
        if now_ns - self.window_started_ns >= NS_PER_S:
            self.window_started_ns, self.frames_in_window = now_ns, 0
        self.frames_in_window += 1
        return self.frames_in_window <= _MAX_FRAMES_PER_S

    def encode(self, frame: str | tuple[str, int, bool, str]) -> str:
        """Number a data frame at the moment it is sent, telling what was skipped before it."""
        if isinstance(frame, str):
            return frame
        channel, ts, is_snapshot, payload = frame
        seq = self.sequence[channel] = self.sequence.get(channel, 0) + 1
        extra = '"snapshot":true,' if is_snapshot else ""
        if self.outbox.dropped:
            extra += f'"dropped":{self.outbox.dropped},'
            self.outbox.dropped = 0
        return f'{{"v":1,"channel":"{channel}","seq":{seq},"ts":{ts},{extra}"payload":{payload}}}'


class PriceSocket:
    """Serves the price channels; `publish` is called once per coin and second."""

    def __init__(self, paths: Mapping[str, PricePath], keys: KeyRing, clock: Clock) -> None:
        self._paths = {path.asset.feed_symbol: path for path in paths.values()}
        self._keys = keys
        self._clock = clock
        self._published: dict[str, int] = {}
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    def publish(self, path: PricePath, second: int) -> None:
        """Send the tick and the average of `second` to those who asked for them."""
        symbol = path.asset.feed_symbol
        self._published[symbol] = second
        if not self._connections:
            return
        for channel, value in ((SPOT_CHANNEL, path.feed(second)), (AVERAGE_CHANNEL, path.average(second))):
            if value is None:
                continue
            payload = None
            for connection in self._connections.values():
                if (channel, symbol) in connection.subscriptions:
                    payload = payload or _payload(channel, symbol, _point(value, second))
                    connection.outbox.put((channel, second * 1_000, False, payload))

    async def close(self) -> None:
        """Send every client away."""
        for connection in list(self._connections.values()):
            await connection.socket.close(code=_DRAINING)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        socket = stream_socket(request, "price", heartbeat=_PING_EVERY_S, max_msg_size=_MAX_FRAME_BYTES)
        await socket.prepare(request)
        connection = _Connection(socket)
        self._count += 1
        number = self._count
        self._connections[number] = connection
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(socket, connection))
                await self._read(socket, connection)
                writer.cancel()
        finally:
            del self._connections[number]
        return socket

    async def _read(self, socket: web.WebSocketResponse, connection: _Connection) -> None:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                frame = msgspec.json.decode(message.data)
            except msgspec.DecodeError:
                frame = None
            if not isinstance(frame, dict):
                connection.outbox.put(_error("bad_frame", None, "a frame must be a JSON object"))
                continue
            self._answer(connection, frame)

    def _answer(self, connection: _Connection, frame: dict[str, Any]) -> None:
        rid, op = frame.get("rid"), frame.get("op")
        if op == "ping":
            connection.outbox.put(_ack("pong", rid))
        elif op == "auth":
            self._login(connection, frame, rid)
        elif op not in ("subscribe", "unsubscribe"):
            connection.outbox.put(_error("bad_op", rid, "op must be auth, subscribe, unsubscribe or ping"))
        elif not connection.authed:
            connection.outbox.put(_error("auth_required", rid, "send an auth frame first"))
        elif not connection.within_rate(self._clock.now_ns()):
            connection.outbox.put(_error("rate_limited", rid, f"at most {_MAX_FRAMES_PER_S} frames a second"))
        else:
            wanted = frame.get("subscriptions")
            for entry in wanted if isinstance(wanted, list) else [None]:
                self._change(connection, op, entry, rid)

    def _login(self, connection: _Connection, frame: dict[str, Any], rid: object) -> None:
        connection.auth_frames += 1
        if connection.auth_frames > _MAX_AUTH_FRAMES:
            connection.outbox.put(_error("auth_attempts", rid, f"at most {_MAX_AUTH_FRAMES} auth frames"))
            return
        auth = frame.get("auth")
        auth = auth if isinstance(auth, dict) else {}
        key = self._keys.matches(auth.get("apiKey"), auth.get("secret"), auth.get("passphrase"))
        if key is None:
            connection.outbox.put(_error("auth_invalid", rid, "the API credentials are not known"))
            return
        connection.authed = True
        connection.outbox.put(_ack("authed", rid))

    def _change(self, connection: _Connection, op: str, entry: object, rid: object) -> None:
        subscription = self._subscription(entry)
        if subscription is None:
            problem = f"expected channel {SPOT_CHANNEL} or {AVERAGE_CHANNEL} (window_seconds {AVERAGE_S}) and a symbol"
            connection.outbox.put(_error("bad_filter", rid, problem))
            return
        channel, symbol = subscription
        if op == "unsubscribe":
            connection.subscriptions.discard(subscription)
            connection.outbox.put(_ack("unsubscribed", rid, channel))
            return
        is_new = subscription not in connection.subscriptions
        if is_new and len(connection.subscriptions) >= _MAX_SUBSCRIPTIONS:
            connection.outbox.put(_error("sub_limit", rid, f"at most {_MAX_SUBSCRIPTIONS} subscriptions"))
            return
        connection.subscriptions.add(subscription)
        connection.outbox.put(_ack("subscribed", rid, channel))
        if is_new:
            connection.outbox.put(self._snapshot(channel, symbol))

    def _subscription(self, entry: object) -> Subscription | None:
        if not isinstance(entry, dict) or not isinstance(entry.get("filter"), dict):
            return None
        channel, symbol = entry.get("channel"), entry["filter"].get("symbol")
        if not isinstance(symbol, str) or symbol not in _KNOWN_SYMBOLS:
            return None
        if channel == AVERAGE_CHANNEL:
            return (AVERAGE_CHANNEL, symbol) if entry["filter"].get("window_seconds") == AVERAGE_S else None
        return (SPOT_CHANNEL, symbol) if channel == SPOT_CHANNEL else None

    def _snapshot(self, channel: str, symbol: str) -> tuple[str, int, bool, str]:
        path, newest = self._paths.get(symbol), self._published.get(symbol)
        points: list[str] = []
        if path is not None and newest is not None:
            for second in range(newest - SNAPSHOT_S + 1, newest + 1):
                value = path.average(second) if channel == AVERAGE_CHANNEL else path.feed(second)
                if value is not None:
                    points.append("{" + _point(value, second) + "}")
        payload = _payload(channel, symbol, f'"data":[{",".join(points)}]')
        return channel, self._clock.now_ns() // 1_000_000, True, payload


async def _write(socket: web.WebSocketResponse, connection: _Connection) -> None:
    """Send what waits; ends quietly once the client is gone."""
    try:
        while True:
            await socket.send_str(connection.encode(await connection.outbox.get()))
    except ConnectionError:
        return


def _point(value: PriceE8, second: int) -> str:
    full = f"{value // E8}.{value % E8:08d}"
    return f'"value":{format_e8(value)},"full_accuracy_value":"{full}","timestamp":{second * 1_000}'


def _payload(channel: str, symbol: str, content: str) -> str:
    window = f'"window_seconds":{AVERAGE_S},' if channel == AVERAGE_CHANNEL else ""
    return f'{{"symbol":"{symbol}",{window}{content},"source":"chainlink"}}'


def _ack(op: str, rid: object, channel: str | None = None) -> str:
    frame: dict[str, object] = {"op": op}
    if channel is not None:
        frame["channel"] = channel
    if isinstance(rid, str):
        frame["rid"] = rid
    return msgspec.json.encode(frame).decode()


def _error(code: str, rid: object, message: str) -> str:
    frame: dict[str, object] = {"op": "error", "code": code, "message": message}
    if isinstance(rid, str):
        frame["rid"] = rid
    return msgspec.json.encode(frame).decode()
