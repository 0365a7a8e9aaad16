"""The venue's older price socket (RTDS), where the current one cannot be had.

What lives here: its subscriptions and its frames, as the same ticks that `price_stream` delivers.
What must not: when to use it, opinions about staleness.

Nobody logs in and nothing is numbered; some seconds never arrive. What is observed there and not
described shapes the requests: filters are compact JSON, because a space silences them, and every
subscription is a frame of its own, because one unknown topic silences its whole frame. A PING is not
answered, so that only data keeps the connection (Polymarket docs, real-time data, and clients' reports).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from polystra.adapters.polymarket.reconnect import Frame, ReconnectingStream, StreamBroken
from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    instant,
    objects,
    price_e8,
    required_text,
    text,
)
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import PriceSource, PriceTicked, StreamName
from polystra.domain.units import Nanos, PriceE8
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

TOPIC_FEED: Final = "crypto_prices_chainlink"
TOPIC_AVERAGE: Final = "crypto_prices_twap_sixty"
_TOPIC_SPOT: Final = "crypto_prices"
_QUOTE: Final = "/usd"
_SOURCES: Final = MappingProxyType(
    {
        TOPIC_FEED: PriceSource.SETTLEMENT,
        TOPIC_AVERAGE: PriceSource.AVERAGE,
        # The feed's backfill carries the spot topic's name; its symbols tell it apart (`btc/usd`, not `btcusdt`).
        _TOPIC_SPOT: PriceSource.SETTLEMENT,
    },
)
_SCALE: Final = 10**18
"""`full_accuracy_value` of the feed is an integer of 10^-18 dollars."""
_TOLERANCE: Final = 1_000
"""`value` and `full_accuracy_value` may differ by one part in this many; more means another scale."""

_log = structlog.get_logger(__name__)


class RtdsStream(ReconnectingStream):
    """Prices of `symbols` ("BTC") from the older socket, once a second (`ports.venue.EventStream`)."""

    name = StreamName.PRICES
    keep_alive = "PING"

    def __init__(self, *, url: str, symbols: Sequence[str], clock: Clock, rng: Random) -> None:
        super().__init__(url=url, clock=clock, rng=rng)
        self._symbols = tuple(symbols)

    async def _hello(self, socket: ClientConnection) -> Sequence[Frame]:
        """Subscribe to feed and average of every symbol, and wait for the first answer."""
        for frame in subscription_frames(self._symbols):
            await socket.send(frame)
        async for answer in socket:
            if answer:
                return [answer]
        raise StreamBroken(f"closed before the first price ({socket.close_code} {socket.close_reason or 'no reason'})")

    def _deliver(self, frame: Frame, sink: Sink) -> None:
        if not frame or frame == "PONG":
            return
        for message in objects(frame):
            if "statusCode" in message:
                _log.warning("price stream refused", detail=_refusal(message))
                raise StreamBroken("the server knows no such topic")
            for tick in rtds_ticks(message, self._clock.now_ns()):
                sink(tick)


def subscription_frames(symbols: Sequence[str]) -> list[str]:
    """Return one compact frame per topic and symbol."""
    frames: list[str] = []
    for symbol in symbols:
        filters = msgspec.json.encode({"symbol": f"{symbol.lower()}{_QUOTE}"}).decode()
        for topic in (TOPIC_FEED, TOPIC_AVERAGE):
            entry = {"topic": topic, "type": "*", "filters": filters}
            frames.append(msgspec.json.encode({"action": "subscribe", "subscriptions": [entry]}).decode())
    return frames


def rtds_ticks(message: JsonObject, received_ns: Nanos) -> list[PriceTicked]:
    """Return the prices of a frame, backfill or update; none for other topics and the spot venue's symbols.

    Raises:
        VenueProtocolError: the frame cannot be read.
    """
    source = _SOURCES.get(text(message, "topic"))
    if source is None or "payload" not in message:
        return []
    payload = as_object(message["payload"], "payload")
    symbol = required_text(payload, "symbol").lower()
    if not symbol.endswith(_QUOTE):
        return []
    points = [payload]
    if "data" in payload:
        points = [as_object(item, "point of a backfill") for item in as_list(payload["data"], "data")]
    return [
        PriceTicked(
            symbol=symbol.removesuffix(_QUOTE).upper(),
            source=source,
            price=_price(point),
            at_ns=instant(point, "timestamp", default=received_ns),
        )
        for point in points
    ]


def _price(point: JsonObject) -> PriceE8:
    full = text(point, "full_accuracy_value")
    if not full:
        return price_e8(point.get("value"), "value")
    exact = price_e8(full, "full_accuracy_value")
    if "." not in full:
        exact //= _SCALE
    rough = price_e8(point.get("value"), "value")
    if abs(exact - rough) * _TOLERANCE > rough:
        raise VenueProtocolError("full_accuracy_value and value differ: the feed has changed its scale")
    return exact


def _refusal(message: JsonObject) -> str:
    body = message.get("body")
    return text(body, "message") if isinstance(body, dict) else ""
