"""Public questions: a book, a market's verdict, the venue's clock.

What lives here: unauthenticated CLOB reads. What must not: discovery (`discovery`), anything
about our account. A verdict is only what the venue marks as final.
"""

from __future__ import annotations

from typing import Final

from polystra.adapters.polymarket.decode_market import PAYOUT_OF_WINNER, book_snapshot
from polystra.adapters.polymarket.transport import HttpTransport, json_object
from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    decode_json,
    floor_micros,
    outcome_price,
    parse_instant,
    text,
    truth,
)
from polystra.domain.errors import VenueProtocolError, VenueRefused
from polystra.domain.events import BookSnapshot, MarketResolved
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice, Nanos
from polystra.ports.clock import Clock

EVEN: Final = "even"
EVEN_PAYOUT: Final[MicroPrice] = MICRO // 2
EARLIEST_S: Final = 1_600_000_000
"""No clock of the venue has ever shown an earlier second (13 September 2020)."""


class MarketQueries:
    """Public reads over one transport."""

    def __init__(self, transport: HttpTransport, *, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token."""
        reply = await self._transport.read("/book", {"token_id": token_id})
        return book_snapshot(json_object(reply, "book"), self._clock.now_ns())

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        return await self._price("/midpoint", token_id, "mid")

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        return await self._price("/spread", token_id, "spread")

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        return await self._price("/tick-size", token_id, "minimum_tick_size")

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        """The verdict: a winner's flag, or the mark of an even split; None while there is neither."""
        try:
            reply = await self._transport.read(f"/markets/{condition_id}")
        except VenueRefused as error:
            if error.status == 404:
                return None
            raise
        payout = up_payout(json_object(reply, "market"))
        if payout is None:
            return None
        return MarketResolved(condition_id=condition_id, up_payout=payout, at_ns=self._clock.now_ns())

    async def server_time_ns(self) -> Nanos:
        """The venue's clock, whole seconds in nanoseconds.

        Raises:
            VenueProtocolError: no time of this age: a number that broke off is one too, and every proof would
                carry it.
        """
        reply = await self._transport.read("/time")
        told_ns = parse_instant(decode_json(reply.body), "time")
        if told_ns < EARLIEST_S * NS_PER_S:
            raise VenueProtocolError(f"time is {told_ns // NS_PER_S}, expected UTC seconds after {EARLIEST_S}")
        return told_ns

    async def _price(self, path: str, token_id: TokenId, name: str) -> MicroPrice:
        reply = await self._transport.read(path, {"token_id": token_id})
        return outcome_price(floor_micros(json_object(reply, name), name), name)


def up_payout(market: JsonObject) -> MicroPrice | None:
    """Return what an Up share pays by the market's verdict, None while the market is undecided.

    Raises:
        VenueProtocolError: as `verdict`, or a winner that is neither Up nor Down.
    """
    winner = verdict(market)
    if winner is None:
        return None
    if winner == EVEN:
        return EVEN_PAYOUT
    if winner not in PAYOUT_OF_WINNER:
        raise VenueProtocolError(f"winner of the market is {winner!r}, expected Up or Down")
    return PAYOUT_OF_WINNER[winner]


def verdict(market: JsonObject) -> str | None:
    """Return the winning outcome in lower case, `EVEN` for an even split, None while there is neither.

    Raises:
        VenueProtocolError: some but not all of more than two outcomes have won.
    """
    tokens = [as_object(item, "token") for item in as_list(market.get("tokens"), "tokens")]
    winners = [text(token, "outcome").strip().lower() for token in tokens if truth(token, "winner", default=False)]
    if not winners:
        even = truth(market, "is_50_50_outcome", default=False) and truth(market, "closed", default=False)
        return EVEN if even else None
    if len(winners) == len(tokens) == 2:
        return EVEN
    if len(winners) > 1:
        raise VenueProtocolError(f"winners of the market are {winners}, expected one")
    return winners[0]
