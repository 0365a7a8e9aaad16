"""A websocket that stays: connect, talk, notice silence, come back.

What lives here: the life of one connection and the back-off between two. What must not: what
the messages mean (`streams`, `price_stream`). The server's pong proves only that the socket is
alive, so the watch counts any frame and the age of data is judged by whoever uses the data.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final, TypeAlias

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidURI

from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import StreamConnected, StreamLost, StreamName
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

PING_EVERY_S: Final = 10.0
DEAD_AFTER_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 30.0
MAX_FRAME: Final = 8 * 1024 * 1024
_CLOSE_TIMEOUT_S: Final = 2.0

Frame: TypeAlias = str | bytes

_log = structlog.get_logger(__name__)


class StreamBroken(Exception):
    """The connection must be given up and made anew; the text says why."""


class ReconnectingStream(ABC):
    """The shared life of all streams of the venue; subclasses say hello and read frames."""

    name: StreamName
    keep_alive: str = "PING"

    def __init__(self, *, url: str, clock: Clock, rng: Random) -> None:
        self._url = url
        self._clock = clock
        self._rng = rng
        self._heard_at: Nanos = 0
        self._attempt = 0
        self._announced = False
        self.unreadable = 0
        """Messages that could not be read since the start."""

    async def run(self, sink: Sink) -> None:
        """Connect, deliver, reconnect for ever; ends only by cancellation."""
        while True:
            await self._wait_until_wanted()
            reason = await self._live_once(sink)
            if self._announced:
                self._announced = False
                sink(StreamLost(stream=self.name, reason=reason))
            _log.warning("stream lost", stream=self.name.value, reason=reason, attempt=self._attempt)
            await self._clock.sleep(self._back_off())

    @abstractmethod
    async def _hello(self, socket: ClientConnection) -> Sequence[Frame]:
        """Prove who we are, subscribe, and return once the server has seen it, with the frames that came meanwhile."""

    @abstractmethod
    def _deliver(self, frame: Frame, sink: Sink) -> None:
        """Translate one frame; raises VenueProtocolError for an unreadable one, StreamBroken to reconnect."""

    async def _wait_until_wanted(self) -> None:  # noqa: B027 - most streams are always wanted
        """Return when there is something to connect for."""

    async def _while_connected(self, socket: ClientConnection) -> None:  # noqa: B027 - most streams only read
        """Extra work beside reading (changes of subscriptions)."""

    def _back_off(self) -> float:
        seconds = min(LONGEST_WAIT_S, math.ldexp(FIRST_WAIT_S, min(self._attempt, 16)))
        self._attempt += 1
        return seconds * self._rng.uniform(0.5, 1.0)

    async def _live_once(self, sink: Sink) -> str:
        """Live one connection to its end and say why it ended."""
        try:
            async with self._clock.timeout(CONNECT_TIMEOUT_S):
                socket = await connect(
                    self._url,
                    ping_interval=None,
                    open_timeout=None,
                    close_timeout=_CLOSE_TIMEOUT_S,
                    max_size=MAX_FRAME,
                    compression=None,
                    proxy=None,
                )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            return f"no connection to {self._url} ({error.__class__.__name__})"
        try:
            return await self._talk(socket, sink)
        except (StreamBroken, ConnectionClosed, OSError, TimeoutError) as error:
            return _reason(error)
        except ExceptionGroup as group:
            endings, bugs = group.split((StreamBroken, ConnectionClosed, OSError))
            if endings is None or bugs is not None:
                raise
            return _reason(endings.exceptions[0])
        finally:
            socket.transport.abort()

    async def _talk(self, socket: ClientConnection, sink: Sink) -> str:
        async with self._clock.timeout(CONNECT_TIMEOUT_S):
            early = await self._hello(socket)
        self._announced = True
        self._heard_at = self._clock.monotonic_ns()
        sink(StreamConnected(stream=self.name))
        for frame in early:
            self._heard(frame, sink)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(socket))
            tasks.create_task(self._while_connected(socket))
            # As bytes: the decoders take them as they are, so that no frame is made a text first.
            with suppress(ConnectionClosedOK):
                while True:
                    self._heard(await socket.recv(decode=False), sink)
            raise StreamBroken(f"closed by the server ({socket.close_code} {socket.close_reason or 'no reason'})")

    def _heard(self, frame: Frame, sink: Sink) -> None:
        self._heard_at = self._clock.monotonic_ns()
        self._attempt = 0
        try:
            self._deliver(frame, sink)
        except VenueProtocolError as error:
            self._count_unreadable(error)

    def _count_unreadable(self, error: VenueProtocolError) -> None:
        self.unreadable += 1
        _log.warning("unreadable message", stream=self.name.value, reason=str(error), count=self.unreadable)

    async def _watch(self, socket: ClientConnection) -> None:
        """Keep the connection alive and give it up after too long a silence."""
        while True:
            await self._clock.sleep(PING_EVERY_S)
            silence_s = (self._clock.monotonic_ns() - self._heard_at) / NS_PER_S
            if silence_s >= DEAD_AFTER_S:
                raise StreamBroken(f"silent for {silence_s:.0f} s")
            await socket.send(self.keep_alive)


def _reason(error: BaseException) -> str:
    if isinstance(error, StreamBroken):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"no answer to the first frames within {CONNECT_TIMEOUT_S:g} s"
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return f"closed by the server ({error.rcvd.code} {error.rcvd.reason or 'no reason'})"
    return f"connection broke ({error.__class__.__name__})"
