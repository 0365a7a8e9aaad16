"""The user channel: an API key's own order and trade events.

What lives here: the authentication by first frame, the market filter and the translation of core
events into frames. What must not: market data, HTTP.

Frames: Polymarket CLOB docs, user channel. Bad credentials close the connection without a word.
Events go by API key, as on the venue; a trade goes once to each key that took part in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.auth import ApiKey
from polystra.exchange.core import CoreEvent, ExchangeCore, OrderEvent, TradeEvent
from polystra.exchange.sockets import Connection
from polystra.ports.clock import Clock


class _Auth(msgspec.Struct, frozen=True, rename="camel"):
    api_key: str
    secret: str
    passphrase: str


class _FirstFrame(msgspec.Struct, frozen=True):
    auth: _Auth
    markets: list[str] | None = None


class _Change(msgspec.Struct, frozen=True):
    operation: str
    markets: list[str] = []


@dataclass(eq=False, slots=True)
class _Listener:
    connection: Connection
    key: ApiKey
    markets: dict[str, None] | None

    def wants(self, condition_id: str) -> bool:
        """Tell whether the market filter lets an event through; no filter lets all."""
        return self.markets is None or condition_id in self.markets


class UserChannel:
    """All user-channel connections of one exchange."""

    def __init__(self, core: ExchangeCore, clock: Clock, *, queued_frames: int, silence_s: float) -> None:
        self._core = core
        self._clock = clock
        self._queued_frames = queued_frames
        self._silence_s = silence_s
        self._listeners: dict[_Listener, None] = {}
        core.add_listener(self._on_event, OrderEvent, TradeEvent)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        connection = Connection(
            request, self._clock, stream="user", queued_frames=self._queued_frames, silence_s=self._silence_s
        )
        await connection.accept()
        first = await connection.receive()
        listener = None if first is None else self._authenticate(connection, first)
        if listener is not None:
            self._listeners[listener] = None
            try:
                await connection.serve(lambda text: _on_text(listener, text))
            finally:
                del self._listeners[listener]
        return await connection.close()

    def _authenticate(self, connection: Connection, text: str) -> _Listener | None:
        try:
            frame = msgspec.json.decode(text, type=_FirstFrame)
        except msgspec.MsgspecError:
            return None
        key = self._core.keys.matches(frame.auth.api_key, frame.auth.secret, frame.auth.passphrase)
        if key is None:
            return None
        return _Listener(connection, key, dict.fromkeys(frame.markets) if frame.markets else None)

    def _on_event(self, event: CoreEvent) -> None:
        if not self._listeners:
            return
        match event:
            case OrderEvent():
                for listener in self._interested(event.order.owner, event.order.condition_id):
                    listener.connection.send(payloads.order_event(event))
            case TradeEvent():
                self._on_trade(event)
            case _:
                pass

    def _on_trade(self, event: TradeEvent) -> None:
        trade = event.trade
        parties = {trade.taker_owner: trade.taker_account}
        for leg in trade.legs:
            parties.setdefault(leg.owner, leg.account)
        for owner, account in parties.items():
            for listener in self._interested(owner, trade.condition_id):
                payload = payloads.trade_event(trade, owner=owner, account=account, at_ns=event.at_ns)
                listener.connection.send(payload)

    def _interested(self, owner: str, condition_id: str) -> list[_Listener]:
        return [listener for listener in self._listeners if listener.key.key == owner and listener.wants(condition_id)]


def _on_text(listener: _Listener, text: str) -> None:
    """Change the market filter; the first subscription to a market ends listening to all."""
    try:
        change = msgspec.json.decode(text, type=_Change)
    except msgspec.MsgspecError:
        return
    if change.operation == "subscribe":
        listener.markets = {**(listener.markets or {}), **dict.fromkeys(change.markets)}
    elif change.operation == "unsubscribe" and listener.markets is not None:
        for condition_id in change.markets:
            listener.markets.pop(condition_id, None)
