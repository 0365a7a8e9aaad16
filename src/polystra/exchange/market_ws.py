"""The market channel: books, level changes, trades and market news to whoever subscribed.

What lives here: subscriptions per connection and the translation of core events into frames. What
must not: order data of accounts, HTTP.

Frames and gating: Polymarket CLOB docs, market channel; a frame is one message or an array of them.
There are no acknowledgements; the first `book` frames are the only sign of success. News about tops,
new and resolved markets need the custom flag.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from polystra.exchange import payloads
from polystra.exchange.core import (
    BookTraded,
    CoreEvent,
    ExchangeCore,
    LevelsChanged,
    MarketListed,
    MarketResolved,
    MarketSpec,
    TickSizeChanged,
)
from polystra.exchange.model import NS_PER_S
from polystra.exchange.payloads import Payload
from polystra.exchange.sockets import Connection
from polystra.ports.clock import Clock

NOTHING_NEW = "NO NEW ASSETS"


class _Frame(msgspec.Struct, frozen=True):
    assets_ids: list[str] = []
    operation: str = ""
    custom_feature_enabled: bool | None = None
    initial_dump: bool = True


@dataclass(eq=False, slots=True)
class _Subscriber:
    connection: Connection
    tokens: dict[str, None] = field(default_factory=dict)
    custom: bool = False


class MarketChannel:
    """All market-channel connections of one exchange."""

    def __init__(self, core: ExchangeCore, clock: Clock, *, queued_frames: int, silence_s: float) -> None:
        self._core = core
        self._clock = clock
        self._queued_frames = queued_frames
        self._silence_s = silence_s
        self._subscribers: dict[_Subscriber, None] = {}
        core.add_listener(self._on_event, LevelsChanged, BookTraded, TickSizeChanged, MarketListed, MarketResolved)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        connection = Connection(
            request,
            self._clock,
            stream="market",
            queued_frames=self._queued_frames,
            silence_s=self._silence_s,
            arrays=self._core.config.venue.market_arrays,
        )
        await connection.accept()
        subscriber = _Subscriber(connection)
        self._subscribers[subscriber] = None
        try:
            await connection.serve(lambda text: self._on_text(subscriber, text))
        finally:
            del self._subscribers[subscriber]
        return await connection.close()

    def _on_text(self, subscriber: _Subscriber, text: str) -> None:
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except msgspec.MsgspecError:
            return
        if frame.custom_feature_enabled is not None:
            subscriber.custom = frame.custom_feature_enabled
        if frame.operation == "unsubscribe":
            for token_id in frame.assets_ids:
                subscriber.tokens.pop(token_id, None)
            return
        fresh = [token_id for token_id in dict.fromkeys(frame.assets_ids) if token_id not in subscriber.tokens]
        if frame.assets_ids and not fresh:
            subscriber.connection.send_text(NOTHING_NEW)
            return
        subscriber.tokens.update(dict.fromkeys(fresh))
        if frame.initial_dump:
            self._dump(subscriber, fresh)

    def _dump(self, subscriber: _Subscriber, tokens: list[str]) -> None:
        now_ns = self._clock.now_ns()
        books = [self._book(token_id, now_ns) for token_id in tokens if self._has_book(token_id)]
        if books:
            subscriber.connection.send(books)

    def _has_book(self, token_id: str) -> bool:
        market = self._core.market_of_token(token_id)
        if market is None or market.closed:
            return False
        return self._clock.now_ns() >= market.spec.hydrated_at_s * NS_PER_S

    def _book(self, token_id: str, at_ns: int) -> Payload:
        market = self._core.market_of_token(token_id)
        assert market is not None
        return payloads.book_event(market, token_id, self._core.depth(token_id), at_ns)

    def _on_event(self, event: CoreEvent) -> None:
        if not self._subscribers:
            return
        match event:
            case LevelsChanged():
                self._on_levels(event, self._core.market(event.condition_id).spec)
            case BookTraded():
                self._to_token(event.token_id, payloads.last_trade_price(event))
            case TickSizeChanged():
                spec = self._core.market(event.condition_id).spec
                for token_id in (spec.up_token, spec.down_token):
                    self._to_token(token_id, payloads.tick_size_change(event, token_id))
            case MarketListed():
                self._to_all(payloads.new_market(event.spec, event.at_ns))
            case MarketResolved():
                spec = self._core.market(event.condition_id).spec
                self._to_market(spec, payloads.market_resolved(event, spec), custom=True)
            case _:
                pass

    def _on_levels(self, event: LevelsChanged, spec: MarketSpec) -> None:
        """After a match whole books go out, otherwise one message with the changed levels of both tokens."""
        if event.traded:
            for token_id in (spec.up_token, spec.down_token):
                if self._wanted(token_id):
                    self._to_token(token_id, self._book(token_id, event.at_ns))
        else:
            self._to_market(spec, payloads.price_change(event, spec), custom=False)
        if event.top_changed:
            for outcome, token_id in enumerate((spec.up_token, spec.down_token)):
                self._to_token(token_id, payloads.best_bid_ask(event, spec, outcome), custom=True)

    def _wanted(self, token_id: str) -> bool:
        return any(token_id in subscriber.tokens for subscriber in self._subscribers)

    def _to_token(self, token_id: str, payload: Payload, *, custom: bool = False) -> None:
        self._send([s for s in self._subscribers if token_id in s.tokens and (s.custom or not custom)], payload)

    def _to_market(self, spec: MarketSpec, payload: Payload, *, custom: bool) -> None:
        self._send(
            [
                s
                for s in self._subscribers
                if (spec.up_token in s.tokens or spec.down_token in s.tokens) and (s.custom or not custom)
            ],
            payload,
        )

    def _to_all(self, payload: Payload) -> None:
        self._send([s for s in self._subscribers if s.custom], payload)

    def _send(self, subscribers: list[_Subscriber], payload: Payload) -> None:
        if not subscribers:
            return
        text = payloads.encode(payload).decode()
        for subscriber in subscribers:
            subscriber.connection.send_text(text)
