"""A spot exchange's trades: the price that leads the settlement feed by a second or two.

What lives here: the raw trade stream in Binance's shape (Binance Spot API docs, websocket
streams), its connection and its throttling. What must not: averages, signals. Only the latest
price matters, so that at most one tick per symbol and 250 ms goes on; the rest is dropped.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, StreamName
from polystra.domain.units import NS_PER_MS, NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

THROTTLE_NS: Final[Nanos] = 250 * NS_PER_MS
DEAD_AFTER_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 30.0
QUOTE: Final = "USDT"
_PRICE: Final = re.compile(r"(\d{1,20})(?:\.(\d{0,30}))?", re.ASCII)

_log = structlog.get_logger(__name__)


class Trade(msgspec.Struct):
    """A trade as it is sent; fields that we do not use are left out."""

    e: str = ""
    s: str = ""
    p: str = ""
    T: int = 0


class Combined(msgspec.Struct):
    """A trade inside the envelope of a combined stream."""

    data: Trade = msgspec.field(default_factory=Trade)


_DECODER: Final = msgspec.json.Decoder(Trade)
_COMBINED: Final = msgspec.json.Decoder(Combined)


class SpotSilent(Exception):
    """No frame came for too long."""


def trade_tick(frame: str | bytes) -> PriceTicked | None:
    """Return the price in a frame, None when it is no trade (an acknowledgement).

    The price is cut to 10^-8 dollars towards zero.

    Raises:
        VenueProtocolError: the frame cannot be read.
    """
    try:
        trade = _DECODER.decode(frame)
        if not trade.e:
            trade = _COMBINED.decode(frame).data
    except (ValueError, RecursionError) as error:
        raise VenueProtocolError(f"spot frame cannot be read ({error.__class__.__name__})") from error
    if trade.e != "trade":
        return None
    match = _PRICE.fullmatch(trade.p)
    price = int(match.group(1) + (match.group(2) or "")[:8].ljust(8, "0")) if match else 0
    symbol = trade.s.upper().removesuffix(QUOTE)
    if not price or not symbol or symbol == trade.s.upper() or trade.T <= 0:
        raise VenueProtocolError(f"spot trade has symbol {trade.s[:20]!r}, price {trade.p[:30]!r}, time {trade.T}")
    return PriceTicked(symbol=symbol, source=PriceSource.SPOT, price=price, at_ns=trade.T * NS_PER_MS)


class SpotStream:
    """Trades of `symbols` ("BTC") as price ticks (`ports.venue.EventStream`)."""

    def __init__(self, *, url: str, symbols: Sequence[str], clock: Clock, rng: Random) -> None:
        self._url = url
        self._symbols = tuple(symbols)
        self._clock = clock
        self._rng = rng
        self._attempt = 0
        self._heard_at: Nanos = 0
        self._delivered_at: dict[str, Nanos] = {}
        self._announced = False
        self.unreadable = 0
        """Frames that could not be read since the start."""

    async def run(self, sink: Sink) -> None:
        """Connect, deliver, reconnect for ever; ends only by cancellation."""
        while True:
            reason = await self._live_once(sink)
            if self._announced:
                self._announced = False
                sink(StreamLost(stream=StreamName.SPOT, reason=reason))
            _log.warning("stream lost", stream=StreamName.SPOT.value, reason=reason, attempt=self._attempt)
            seconds = min(LONGEST_WAIT_S, math.ldexp(FIRST_WAIT_S, min(self._attempt, 16)))
            self._attempt += 1
            await self._clock.sleep(seconds * self._rng.uniform(0.5, 1.0))

    async def _live_once(self, sink: Sink) -> str:
        try:
            async with self._clock.timeout(CONNECT_TIMEOUT_S):
                socket = await connect(
                    self._url, ping_interval=None, open_timeout=None, close_timeout=2.0, compression=None, proxy=None
                )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            return f"no connection to {self._url} ({error.__class__.__name__})"
        try:
            return await self._talk(socket, sink)
        except (ConnectionClosed, OSError) as error:
            return f"connection broke ({error.__class__.__name__})"
        except ExceptionGroup as group:
            endings, bugs = group.split((SpotSilent, ConnectionClosed, OSError))
            if endings is None or bugs is not None:
                raise
            return str(endings.exceptions[0]) or "connection broke"
        finally:
            socket.transport.abort()

    async def _talk(self, socket: ClientConnection, sink: Sink) -> str:
        names = [f"{symbol}{QUOTE}@trade".lower() for symbol in self._symbols]
        await socket.send(msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": 1}).decode())
        self._heard_at = self._clock.monotonic_ns()
        self._announced = True
        sink(StreamConnected(stream=StreamName.SPOT))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            async for frame in socket:
                self._heard(frame, sink)
            raise SpotSilent(f"closed by the server ({socket.close_code} {socket.close_reason or 'no reason'})")

    def _heard(self, frame: str | bytes, sink: Sink) -> None:
        now_ns = self._clock.monotonic_ns()
        self._heard_at = now_ns
        self._attempt = 0
        try:
            tick = trade_tick(frame)
        except VenueProtocolError as error:
            self.unreadable += 1
            _log.warning("unreadable message", stream=StreamName.SPOT.value, reason=str(error), count=self.unreadable)
            return
        if tick is None:
            return
        last = self._delivered_at.get(tick.symbol)
        if last is None or now_ns - last >= THROTTLE_NS:
            self._delivered_at[tick.symbol] = now_ns
            sink(tick)

    async def _watch(self) -> None:
        """Give the connection up after too long a silence."""
        while True:
            await self._clock.sleep(DEAD_AFTER_S / 3)
            silence_s = (self._clock.monotonic_ns() - self._heard_at) / NS_PER_S
            if silence_s >= DEAD_AFTER_S:
                raise SpotSilent(f"silent for {silence_s:.0f} s")
