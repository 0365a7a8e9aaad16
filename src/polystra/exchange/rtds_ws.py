"""The venue's older price socket, with the ways in which it differs from its description.

What lives here: `/rtds` - topics, filters, backfill, envelopes, and one switch per observed quirk.
What must not: where prices come from (`prices`), when a second is over (`simulation`).

Topics (Polymarket docs, real-time data): `crypto_prices` (spot venue, `btcusdt`),
`crypto_prices_chainlink` (the settlement feed, `btc/usd`), `crypto_prices_twap_sixty` and
`crypto_prices_twap_thirty` (its averages). One update per topic, symbol and second; a subscription
with a symbol is answered with a backfill. A subscription without filters gets every symbol and no
backfill, which is our choice. Nobody has to log in.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from polystra.domain.units import E8, PriceE8
from polystra.exchange.assets import ASSETS, Asset
from polystra.exchange.faults.desk import stream_socket
from polystra.exchange.gamma import format_e8
from polystra.exchange.outbox import Outbox
from polystra.exchange.prices import AVERAGE_S, PricePath
from polystra.ports.clock import Clock

SPOT_TOPIC: Final = "crypto_prices"
FEED_TOPIC: Final = "crypto_prices_chainlink"
AVERAGE_TOPICS: Final = {"crypto_prices_twap_sixty": AVERAGE_S, "crypto_prices_twap_thirty": 30}
SILENT_TOPICS: Final = frozenset({"equity_prices", "comments"})
TOPICS: Final = frozenset({SPOT_TOPIC, FEED_TOPIC, *AVERAGE_TOPICS, *SILENT_TOPICS})
SPOT_BACKFILL: Final = 120
FEED_BACKFILL: Final = 59
_QUEUE_LIMIT: Final = 1_024
_GOING_AWAY: Final = 1001
_WEI_PER_E8: Final = 10**10
"""Feed values are written as integers of 10^-18 dollars."""

Subscription = tuple[str, str]
"""Topic and symbol in the topic's spelling; an empty symbol stands for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtdsQuirks:
    """What clients observed against the description; each can be switched off.

    `mute_spaced_filters`: a filter with a space is answered with the backfill and nothing more.
    `poisoned_batches`: one unknown topic silences all subscriptions of its frame.
    `ignore_ping`: a PING is not answered. `empty_first_frame`: an empty text frame comes first.
    `mislabelled_backfill`: the settlement feed's backfill names the spot topic.
    `lost_percent`: share of updates that never arrive.
    """

    mute_spaced_filters: bool = True
    poisoned_batches: bool = True
    ignore_ping: bool = True
    empty_first_frame: bool = True
    mislabelled_backfill: bool = True
    lost_percent: int = 3


@dataclass(frozen=True, slots=True)
class _Point:
    at_ms: int
    value: PriceE8


class _Connection:
    def __init__(self, socket: web.WebSocketResponse, name: str) -> None:
        self.socket = socket
        self.name = name
        self.subscriptions: dict[Subscription, None] = {}
        self.outbox: Outbox[str] = Outbox(_QUEUE_LIMIT)

    def wants(self, topic: str, symbol: str) -> bool:
        return (topic, symbol) in self.subscriptions or (topic, "") in self.subscriptions


class RtdsSocket:
    """Serves the older price topics; `publish` is called once per coin and second, `note_spot` per print."""

    def __init__(
        self, paths: Mapping[str, PricePath], clock: Clock, *, seed: int, quirks: RtdsQuirks | None = None
    ) -> None:
        self._paths = {_feed_symbol(path.asset): path for path in paths.values()}
        self._clock = clock
        self._quirks = quirks or RtdsQuirks()
        self._losses = random.Random(f"{seed}:rtds")
        self._published: dict[str, int] = {}
        self._latest: dict[str, PriceE8] = {}
        self._spots: dict[str, deque[_Point]] = {}
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    def note_spot(self, asset: Asset, price: PriceE8, size: int, at_ms: int) -> None:
        """Remember the spot venue's last print."""
        del size, at_ms
        self._latest[asset.spot_symbol.lower()] = price

    def publish(self, path: PricePath, second: int) -> None:
        """Send what every topic says about a coin at the end of a second."""
        symbol = _feed_symbol(path.asset)
        self._published[symbol] = second
        spot_symbol = path.asset.spot_symbol.lower()
        spot = self._latest.get(spot_symbol)
        if spot is not None:
            self._spots.setdefault(spot_symbol, deque(maxlen=SPOT_BACKFILL)).append(_Point(second * 1_000, spot))
            self._send(SPOT_TOPIC, spot_symbol, _Point(second * 1_000, spot))
        for topic in (FEED_TOPIC, *AVERAGE_TOPICS):
            value = _value(path, topic, second)
            if value is not None:
                self._send(topic, symbol, _Point(second * 1_000, value))

    async def close(self) -> None:
        """Send every client away."""
        for connection in list(self._connections.values()):
            await connection.socket.close(code=_GOING_AWAY)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one client until it leaves."""
        socket = stream_socket(request, "price")
        await socket.prepare(request)
        self._count += 1
        number = self._count
        connection = _Connection(socket, f"rtds-{number}")
        if self._quirks.empty_first_frame:
            connection.outbox.put("")
        self._connections[number] = connection
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(socket, connection))
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        self._answer(connection, message.data)
                writer.cancel()
        finally:
            del self._connections[number]
        return socket

    def _send(self, topic: str, symbol: str, point: _Point) -> None:
        lost = self._losses.randrange(100) < self._quirks.lost_percent
        if lost or not self._connections:
            return
        payload = _payload(topic, symbol, point)
        now_ms = self._clock.now_ns() // 1_000_000
        for connection in self._connections.values():
            if connection.wants(topic, symbol):
                connection.outbox.put(
                    f'{{"connection_id":"{connection.name}","payload":{payload},"timestamp":{now_ms},'
                    f'"topic":"{topic}","type":"update"}}'
                )

    def _answer(self, connection: _Connection, text: str) -> None:
        if text.strip().upper() == "PING":
            if not self._quirks.ignore_ping:
                connection.outbox.put("PONG")
            return
        try:
            frame: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return
        wanted = frame.get("subscriptions") if isinstance(frame, dict) else None
        if not isinstance(wanted, list) or not all(isinstance(entry, dict) for entry in wanted):
            return
        if frame.get("action") == "unsubscribe":
            for entry in wanted:
                self._leave(connection, entry)
        elif frame.get("action") == "subscribe":
            self._join(connection, wanted)

    def _join(self, connection: _Connection, wanted: Sequence[dict[str, Any]]) -> None:
        unknown = [entry.get("topic") for entry in wanted if entry.get("topic") not in TOPICS]
        if unknown:
            refusal = {"body": {"message": f"{str(unknown[0])[:60]} not found"}, "statusCode": 401}
            connection.outbox.put(msgspec.json.encode(refusal).decode())
            if self._quirks.poisoned_batches:
                return
        for entry in wanted:
            topic, filters = entry.get("topic"), entry.get("filters") or ""
            if topic not in TOPICS or entry.get("type") not in {"*", "update"} or not isinstance(filters, str):
                continue
            symbol = _filtered_symbol(filters)
            if symbol is None:
                continue
            if symbol:
                self._backfill(connection, topic, symbol)
            if not (self._quirks.mute_spaced_filters and " " in filters):
                connection.subscriptions[topic, symbol] = None

    def _leave(self, connection: _Connection, entry: dict[str, Any]) -> None:
        filters = entry.get("filters") or ""
        symbol = _filtered_symbol(filters) if isinstance(filters, str) else None
        for known in list(connection.subscriptions):
            if known[0] == entry.get("topic") and symbol in {"", known[1]}:
                del connection.subscriptions[known]

    def _backfill(self, connection: _Connection, topic: str, symbol: str) -> None:
        if topic in SILENT_TOPICS:
            return
        points = list(self._spots.get(symbol, ())) if topic == SPOT_TOPIC else self._history(topic, symbol)
        data = ",".join(f'{{"timestamp":{point.at_ms},"value":{format_e8(point.value)}}}' for point in points)
        label = SPOT_TOPIC if self._quirks.mislabelled_backfill and topic == FEED_TOPIC else topic
        payload = f'{{"symbol":{msgspec.json.encode(symbol).decode()},"data":[{data}]}}'
        now_ms = self._clock.now_ns() // 1_000_000
        connection.outbox.put(f'{{"payload":{payload},"timestamp":{now_ms},"topic":"{label}","type":"subscribe"}}')

    def _history(self, topic: str, symbol: str) -> list[_Point]:
        path, newest = self._paths.get(symbol), self._published.get(symbol)
        if path is None or newest is None:
            return []
        found: list[_Point] = []
        for second in range(newest - FEED_BACKFILL + 1, newest + 1):
            value = _value(path, topic, second)
            if value is not None:
                found.append(_Point(second * 1_000, value))
        return found


async def _write(socket: web.WebSocketResponse, connection: _Connection) -> None:
    """Send what waits; ends quietly once the client is gone."""
    try:
        while True:
            await socket.send_str(await connection.outbox.get())
    except ConnectionError:
        return


def _feed_symbol(asset: Asset) -> str:
    return f"{asset.symbol.lower()}/usd"


_SPELLINGS: Final = frozenset(
    spelling for asset in ASSETS.values() for spelling in (_feed_symbol(asset), asset.spot_symbol.lower())
)


def _filtered_symbol(filters: str) -> str | None:
    """Return the symbol that a filter names, "" when there is none, None when the filter yields nothing."""
    if not filters:
        return ""
    try:
        content: Any = msgspec.json.decode(filters)
    except msgspec.DecodeError:
        return None
    symbol = content.get("symbol") if isinstance(content, dict) else None
    return symbol if isinstance(symbol, str) and symbol in _SPELLINGS else None


def _value(path: PricePath, topic: str, second: int) -> PriceE8 | None:
    if topic == FEED_TOPIC:
        return path.feed(second)
    window_s = AVERAGE_TOPICS.get(topic)
    if window_s is None:
        return None
    if window_s == AVERAGE_S:
        return path.average(second)
    total = sum(path.held(each) for each in range(second - window_s + 1, second + 1))
    return (2 * total + window_s) // (2 * window_s)


def _payload(topic: str, symbol: str, point: _Point) -> str:
    full = f"{point.value // E8}.{point.value % E8:08d}" if topic == SPOT_TOPIC else str(point.value * _WEI_PER_E8)
    window = f',"window_s":{AVERAGE_TOPICS[topic]}' if topic in AVERAGE_TOPICS else ""
    return (
        f'{{"full_accuracy_value":"{full}","symbol":"{symbol}","timestamp":{point.at_ms},'
        f'"value":{format_e8(point.value)}{window}}}'
    )
