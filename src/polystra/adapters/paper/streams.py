"""What the simulated account of paper mode hears before the daemon does: books, trades, markets, and its orders' terms.

What lives here: thin wrappers around the market stream, discovery and the signer. What must not: matching, sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from polystra.domain.events import WorldEvent
from polystra.domain.ids import TokenId
from polystra.domain.market import Market
from polystra.domain.orders import OrderTerms, SignedOrder
from polystra.ports.signing import TermsSigner
from polystra.ports.venue import MarketDiscovery, Sink, TokenStream

SawEvent: TypeAlias = Callable[[WorldEvent], None]
SawMarket: TypeAlias = Callable[[Market], None]
SawTerms: TypeAlias = Callable[[SignedOrder, OrderTerms], None]


class OverheardStream:
    """Fulfils `TokenStream`: another one, whose words `saw` hears first."""

    def __init__(self, stream: TokenStream, saw: SawEvent) -> None:
        self._stream = stream
        self._saw = saw

    async def run(self, sink: Sink) -> None:
        """Deliver; ends only by cancellation."""

        def both(event: WorldEvent) -> None:
            self._saw(event)
            sink(event)

        await self._stream.run(both)

    def subscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Add tokens."""
        self._stream.subscribe(token_ids)

    def unsubscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Drop tokens."""
        self._stream.unsubscribe(token_ids)


class OverheardDiscovery:
    """Fulfils `MarketDiscovery`: another one, whose finds `saw` hears of."""

    def __init__(self, discovery: MarketDiscovery, saw: SawMarket) -> None:
        self._discovery = discovery
        self._saw = saw

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        """The market of one symbol, window and start."""
        market = await self._discovery.find(symbol, window_s, opens_at_s)
        if market is not None:
            self._saw(market)
        return market


class OverheardSigner:
    """Fulfils `TermsSigner`: another one, whose orders `saw` hears of with their terms."""

    def __init__(self, signer: TermsSigner, saw: SawTerms) -> None:
        self._signer = signer
        self._saw = saw

    def sign(self, terms: OrderTerms, *, salt: int, timestamp_ms: int) -> SignedOrder:
        """Make the order of these terms."""
        signed = self._signer.sign(terms, salt=salt, timestamp_ms=timestamp_ms)
        self._saw(signed, terms)
        return signed
