"""The venue's public questions over HTTP, without an account: for recorders and for paper.

What lives here: construction and delegation. What must not: credentials, orders, anything that is signed.
"""

from __future__ import annotations

from random import Random

from polystra.adapters.polymarket.clock_drift import measure_drift
from polystra.adapters.polymarket.market_data import MarketQueries
from polystra.adapters.polymarket.transport import HttpTransport, SessionFactory, default_session
from polystra.domain.events import BookSnapshot, ClockDriftMeasured, MarketResolved
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.units import MicroPrice, Nanos
from polystra.ports.clock import Clock


class PublicVenue:
    """Whatever anybody may ask; each raises `VenueError` when there is no answer."""

    def __init__(self, *, base_url: str, clock: Clock, rng: Random, session: SessionFactory = default_session) -> None:
        self._clock = clock
        self._transport = HttpTransport(base_url=base_url, clock=clock, rng=rng, session=session)
        self._markets = MarketQueries(self._transport, clock=clock)

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token."""
        return await self._markets.book(token_id)

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        return await self._markets.midpoint(token_id)

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        return await self._markets.spread(token_id)

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        return await self._markets.tick_size(token_id)

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        """The verdict of a market, None while there is none."""
        return await self._markets.resolution(condition_id)

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds)."""
        return await self._markets.server_time_ns()

    async def measure_clock(self) -> ClockDriftMeasured:
        """Compare our clock with the venue's."""
        return await measure_drift(self._markets.server_time_ns, self._clock)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()
