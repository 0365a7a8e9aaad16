"""What the streams have told so far, so that a file of a recording can begin with it and stand alone.

What lives here: the markets that are watched, their books, which streams are up. What must not: files (`recordings`),
sockets, decisions.
"""

from __future__ import annotations

from polystra.domain.book import OrderBook
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    MarketsListed,
    StreamConnected,
    StreamLost,
    StreamName,
    TickSizeChanged,
    WorldEvent,
)
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import MicroPrice, Nanos


class Scene:
    """Told of every input; `opening` says it all again in few."""

    def __init__(self) -> None:
        self._markets: dict[ConditionId, Market] = {}
        self._books: dict[TokenId, OrderBook] = {}
        self._ticks: dict[TokenId, MicroPrice] = {}
        self._up: dict[StreamName, None] = {}

    def saw(self, event: WorldEvent, now_ns: Nanos) -> list[TokenId]:
        """Take an input; returns tokens whose book does not agree with what the venue says of it: to be read anew."""
        match event:
            case BookChanged():
                return self._changed(event, now_ns)
            case BookSnapshot():
                book = self._books.get(event.token_id)
                if book is not None:
                    book.replace(event.bids, event.asks, now_ns)
                    if event.tick_size is not None:
                        self._ticks[event.token_id] = event.tick_size
            case TickSizeChanged():
                self._ticks[event.token_id] = event.tick_size
            case MarketsListed():
                for market in event.markets:
                    self._listed(market)
            case StreamConnected():
                self._up[event.stream] = None
            case StreamLost():
                self._lost(event)
            case _:
                pass
        return []

    def forget(self, market: Market) -> None:
        """Its business is done."""
        self._markets.pop(market.condition_id, None)
        for token in (market.up_token, market.down_token):
            self._books.pop(token, None)
            self._ticks.pop(token, None)

    def opening(self, now_ns: Nanos) -> list[WorldEvent]:
        """What somebody who begins to listen now has to be told."""
        told: list[WorldEvent] = [StreamConnected(stream=stream) for stream in self._up]
        if self._markets:
            told.append(MarketsListed(markets=tuple(self._markets.values())))
        told += [
            BookSnapshot(
                token_id=token,
                bids=tuple(sorted(book.bids.items(), reverse=True)),
                asks=tuple(sorted(book.asks.items())),
                at_ns=now_ns,
                tick_size=self._ticks.get(token),
            )
            for token, book in self._books.items()
            if book.in_sync
        ]
        return told

    # --- inside -----------------------------------------------------------------------

    def _listed(self, market: Market) -> None:
        self._markets[market.condition_id] = market
        for token in (market.up_token, market.down_token):
            self._books.setdefault(token, OrderBook())

    def _changed(self, event: BookChanged, now_ns: Nanos) -> list[TokenId]:
        torn: dict[TokenId, None] = {}
        tops: dict[TokenId, tuple[OrderBook, MicroPrice | None, MicroPrice | None]] = {}
        for token, side, price, size, best_bid, best_ask in event.changes:
            book = self._books.get(token)
            if book is None:
                continue
            if not book.in_sync:
                if book.updated_at_ns:
                    torn[token] = None
                continue
            book.set_level(side, price, size, now_ns)
            tops[token] = (book, best_bid, best_ask)
        for token, (book, told_bid, told_ask) in tops.items():
            if not book.agrees_with(told_bid, told_ask):
                book.in_sync = False
                torn[token] = None
        return list(torn)

    def _lost(self, event: StreamLost) -> None:
        self._up.pop(event.stream, None)
        if event.stream is StreamName.MARKET:
            for book in self._books.values():
                book.in_sync = False
