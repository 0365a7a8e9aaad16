"""The CLOB's two websockets: the market channel (books) and the user channel (our orders and fills).

What lives here: their subscriptions and the delivery of decoded events. What must not: the
life of a connection (`reconnect`), the meaning of messages (`decode_*`), books.

Neither channel acknowledges, numbers or replays (Polymarket CLOB docs, websockets): after
every break a snapshot of each book follows the subscription; orders and fills that were missed
must be read over HTTP by whoever hears `StreamLost` and `StreamConnected`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection

from polystra.adapters.polymarket.decode_account import Identity, user_events
from polystra.adapters.polymarket.decode_levels import Unfit, book_message
from polystra.adapters.polymarket.decode_market import market_events
from polystra.adapters.polymarket.reconnect import Frame, ReconnectingStream, StreamBroken
from polystra.adapters.polymarket.signing import L2Credentials
from polystra.adapters.polymarket.wire import JsonObject, as_object, messages
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import StreamName, WorldEvent
from polystra.domain.ids import TokenId
from polystra.ports.clock import Clock
from polystra.ports.venue import Sink

MAX_TOKENS_PER_FRAME: Final = 200
PING: Final = "PING"
PONG: Final = "PONG"
_JSON_STARTS: Final = ("{", "[", b"{", b"[")
"""Frames that begin otherwise are the server's plain words: PONG, NO NEW ASSETS."""


class _ClobStream(ReconnectingStream):
    """What both channels share: frames hold one message or an array, read one by one."""

    @abstractmethod
    def _events(self, message: JsonObject) -> list[WorldEvent]:
        """Translate one message."""

    @abstractmethod
    async def _subscribe(self, socket: ClientConnection) -> None:
        """Send the first frames."""

    async def _hello(self, socket: ClientConnection) -> Sequence[Frame]:
        """Subscribe, then wait for a pong: frames are worked off in order, so the server has seen the subscription.

        What is read over HTTP after that cannot miss an event that the stream does not tell.
        """
        await self._subscribe(socket)
        await socket.send(PING)
        early: list[Frame] = []
        async for frame in socket:
            if frame in (PONG, PONG.encode()):
                return early
            early.append(frame)
        raise StreamBroken(f"closed after the subscription ({socket.close_code} {socket.close_reason or 'no reason'})")

    def _deliver(self, frame: Frame, sink: Sink) -> None:
        if not frame.strip()[:1] or frame.strip()[:1] not in _JSON_STARTS:
            return
        for message in messages(frame):
            try:
                events = self._events(as_object(message, "message"))
            except VenueProtocolError as error:
                self._count_unreadable(error)
                continue
            for event in events:
                sink(event)


class MarketStream(_ClobStream):
    """Books of the tokens asked for (`ports.venue.TokenStream`).

    Connects when the first token is asked for: a connection that subscribes to nothing is closed.
    """

    name = StreamName.MARKET

    def __init__(self, *, url: str, clock: Clock, rng: Random) -> None:
        super().__init__(url=url, clock=clock, rng=rng)
        self._wanted: dict[TokenId, None] = {}
        self._subscribed: set[TokenId] = set()
        self._changed = asyncio.Event()

    def subscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Add tokens; a snapshot of each follows."""
        self._wanted.update(dict.fromkeys(token_ids))
        self._changed.set()

    def unsubscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Drop tokens."""
        for token_id in token_ids:
            self._wanted.pop(token_id, None)
        self._changed.set()

    async def _wait_until_wanted(self) -> None:
        while not self._wanted:
            self._changed.clear()
            await self._changed.wait()

    async def _subscribe(self, socket: ClientConnection) -> None:
        tokens = list(self._wanted)
        self._subscribed = set(tokens)
        first, *others = _slices(tokens)
        await _send(socket, {"assets_ids": first, "type": "market", "custom_feature_enabled": True})
        for part in others:
            await _send(socket, _change("subscribe", part))

    async def _while_connected(self, socket: ClientConnection) -> None:
        """Send the difference between what is wanted and what is subscribed whenever it changes."""
        while True:
            self._changed.clear()
            added = [token for token in self._wanted if token not in self._subscribed]
            dropped = [token for token in self._subscribed if token not in self._wanted]
            self._subscribed.difference_update(dropped)
            self._subscribed.update(added)
            for part in _slices(sorted(dropped)):
                await _send(socket, _change("unsubscribe", part))
            for part in _slices(added):
                await _send(socket, _change("subscribe", part))
            await self._changed.wait()

    def _deliver(self, frame: Frame, sink: Sink) -> None:
        """Nearly every frame holds a book or its changes: that is read at once, all else as on both channels."""
        try:
            told = book_message(frame)
        except Unfit:
            super()._deliver(frame, sink)
            return
        if told is not None:
            sink(told)

    def _events(self, message: JsonObject) -> list[WorldEvent]:
        return market_events(message, self._clock.now_ns())


class UserStream(_ClobStream):
    """Orders and fills of one API key, all markets (`ports.venue.EventStream`)."""

    name = StreamName.USER

    def __init__(self, *, url: str, credentials: L2Credentials, identity: Identity, clock: Clock, rng: Random) -> None:
        super().__init__(url=url, clock=clock, rng=rng)
        self._credentials = credentials
        self._identity = identity

    async def _subscribe(self, socket: ClientConnection) -> None:
        await _send(socket, {"auth": auth_fields(self._credentials), "type": "user"})

    def _events(self, message: JsonObject) -> list[WorldEvent]:
        return user_events(message, self._identity, self._clock.now_ns())


def auth_fields(credentials: L2Credentials) -> dict[str, str]:
    """Return the credentials as the sockets want them; never to be logged."""
    return {"apiKey": credentials.api_key, "secret": credentials.secret, "passphrase": credentials.passphrase}


def _change(operation: str, tokens: Sequence[TokenId]) -> dict[str, object]:
    frame: dict[str, object] = {"operation": operation, "assets_ids": tokens}
    if operation == "subscribe":
        frame["custom_feature_enabled"] = True
    return frame


def _slices(tokens: Sequence[TokenId]) -> Iterator[Sequence[TokenId]]:
    for start in range(0, len(tokens), MAX_TOKENS_PER_FRAME):
        yield tokens[start : start + MAX_TOKENS_PER_FRAME]


async def _send(socket: ClientConnection, frame: dict[str, object]) -> None:
    await socket.send(msgspec.json.encode(frame).decode())
