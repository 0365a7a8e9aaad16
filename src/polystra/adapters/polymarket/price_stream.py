"""The venue's live price socket (PolyBolt): the settlement feed and its 60-second average.

What lives here: login, subscription and the numbering of its frames. What must not: averages,
opinions about staleness. Frames are numbered per connection and channel; a gap means that
prices are missing, so the connection is made anew and the snapshot fills in two minutes
(Polymarket docs, live data).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NoReturn

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from polystra.adapters.polymarket.decode_prices import (
    AVERAGE_WINDOW_S,
    CHANNEL_AVERAGE,
    CHANNEL_SPOT,
    PriceFrame,
    price_frame,
)
from polystra.adapters.polymarket.reconnect import Frame, ReconnectingStream, StreamBroken
from polystra.adapters.polymarket.signing import L2Credentials
from polystra.adapters.polymarket.streams import auth_fields
from polystra.adapters.polymarket.wire import JsonObject, objects, text
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import StreamName
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

AUTH_RID: Final = "auth"
SUBSCRIBE_RID: Final = "prices"

_log = structlog.get_logger(__name__)


class PriceStream(ReconnectingStream):
    """Prices of `symbols` ("BTC") from the settlement feed, once a second (`ports.venue.EventStream`)."""

    name = StreamName.PRICES
    keep_alive = '{"op":"ping"}'

    def __init__(
        self, *, url: str, credentials: L2Credentials, symbols: Sequence[str], clock: Clock, rng: Random
    ) -> None:
        super().__init__(url=url, clock=clock, rng=rng)
        self._credentials = credentials
        self._symbols = tuple(symbols)
        self._sequence: dict[str, int] = {}

    async def _hello(self, socket: ClientConnection) -> Sequence[Frame]:
        """Log in, subscribe to both channels of every symbol, and wait for the first acknowledgement."""
        self._sequence.clear()
        early: list[Frame] = []
        await _send(socket, {"op": "auth", "rid": AUTH_RID, "auth": auth_fields(self._credentials)})
        await self._until(socket, "authed", early)
        await _send(socket, {"op": "subscribe", "rid": SUBSCRIBE_RID, "subscriptions": subscriptions(self._symbols)})
        await self._until(socket, "subscribed", early)
        return early

    async def _until(self, socket: ClientConnection, wanted: str, early: list[Frame]) -> None:
        async for frame in socket:
            early.append(frame)
            for message in _readable(frame):
                if _is_error(message):
                    self._refused(message)
                if message.get("op") == wanted:
                    return
        raise StreamBroken(f"closed before {wanted!r} ({socket.close_code} {socket.close_reason or 'no reason'})")

    def _deliver(self, frame: Frame, sink: Sink) -> None:
        for message in objects(frame):
            if _is_error(message):
                self._refused(message)
            found = price_frame(message, self._clock.now_ns())
            if found is None:
                continue
            for tick in found.ticks:
                sink(tick)
            self._check_order(found)

    def _refused(self, message: JsonObject) -> NoReturn:
        """An error frame: the socket stays open, but without login or subscription it is of no use."""
        words = text(message, "code") or text(message, "error") or "error"
        _log.warning("price stream refused", code=words, detail=text(message, "message"))
        raise StreamBroken(f"the server answered {words!r}")

    def _check_order(self, frame: PriceFrame) -> None:
        if frame.dropped:
            raise StreamBroken(f"the server skipped {frame.dropped} frames of {frame.channel}")
        if frame.sequence is None:
            return
        last = self._sequence.get(frame.channel)
        self._sequence[frame.channel] = frame.sequence
        if last is not None and frame.sequence != last + 1:
            raise StreamBroken(f"frame {frame.sequence} of {frame.channel} followed frame {last}")


def _is_error(message: JsonObject) -> bool:
    return message.get("op") == "error" or "error" in message


def _readable(frame: Frame) -> list[JsonObject]:
    """The objects in a frame of the first exchange; one that cannot be read is counted when it is delivered."""
    try:
        return objects(frame)
    except VenueProtocolError:
        return []


def subscriptions(symbols: Sequence[str]) -> list[dict[str, object]]:
    """Return one subscription per channel and symbol."""
    wanted: list[dict[str, object]] = []
    for symbol in symbols:
        pair = f"{symbol.lower()}usd"
        wanted.append({"channel": CHANNEL_SPOT, "filter": {"symbol": pair}})
        wanted.append(
            {"channel": CHANNEL_AVERAGE, "filter": {"symbol": pair, "window_seconds": AVERAGE_WINDOW_S}},
        )
    return wanted


async def _send(socket: ClientConnection, frame: dict[str, object]) -> None:
    await socket.send(msgspec.json.encode(frame).decode())
