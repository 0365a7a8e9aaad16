"""The venue's Data API, version 2: positions, resolutions and worth of a wallet.

What lives here: its questions, paging and decoding. What must not: decisions. Answers are seconds to
minutes old, so that they serve slow comparisons and never as a fill feed (Polymarket docs, Data API v2).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from polystra.adapters.polymarket.transport import HttpTransport, SessionFactory, default_session, json_object
from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    exact_micros,
    floor_micros,
    outcome_price,
    required_text,
    text,
    truth,
)
from polystra.domain.errors import VenueError, VenueProtocolError
from polystra.domain.events import Holding, HoldingsRead
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, format_micros
from polystra.ports.clock import Clock

MAX_PAGES: Final = 1_000
PAGE_SIZE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPosition:
    """Shares held now, in micro-shares; prices in micro-dollars per share, rounded down."""

    token_id: str
    condition_id: str
    size: MicroShares
    average_price: MicroPrice
    current_price: MicroPrice
    status: str
    redeemable: bool
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataResolution:
    """Where a market's resolution stands; `payouts` per outcome only once it is resolved."""

    condition_id: str
    status: str
    payouts: tuple[MicroPrice, ...] | None


class DataApiQueries:
    """Public questions; 429 and 5xx are retried within the transport's deadline, then raised by type."""

    def __init__(self, *, base_url: str, clock: Clock, rng: Random, session: SessionFactory = default_session) -> None:
        self._transport = HttpTransport(base_url=base_url, clock=clock, rng=rng, session=session)

    async def positions(
        self,
        user: str,
        *,
        status: str = "",
        filter_type: str = "TOKENS",
        filter_amount: int = 0,
        page_size: int = PAGE_SIZE,
    ) -> tuple[DataPosition, ...]:
        """Return all pages of a wallet's positions of at least `filter_amount` (millionths of shares or dollars).

        Raises:
            VenueError: no answer within the deadline, a refusal, or an answer that cannot be read.
        """
        asked = {
            "user": user,
            "filter_type": filter_type,
            "filter_amount": format_micros(filter_amount),
            "limit": str(page_size),
        }
        if status:
            asked["status"] = status
        found: list[DataPosition] = []
        seen = {""}
        for _ in range(MAX_PAGES):
            reply = json_object(await self._transport.read("/v2/positions", asked), "positions")
            found += [_position(as_object(item, "position")) for item in as_list(reply.get("data"), "data")]
            pagination = as_object(reply.get("pagination"), "pagination")
            if not truth(pagination, "has_more", default=False):
                return tuple(found)
            cursor = required_text(pagination, "next_cursor")
            if cursor in seen:
                raise VenueProtocolError(f"/v2/positions gave the cursor {cursor[:40]!r} twice")
            seen.add(cursor)
            asked["cursor"] = cursor
        raise VenueProtocolError(f"/v2/positions has more than {MAX_PAGES} pages")

    async def resolution(self, condition_id: str) -> DataResolution | None:
        """Return a market's resolution, None for an unknown market; raises VenueError."""
        reply = json_object(await self._transport.read("/v2/resolutions", {"condition": condition_id}), "resolution")
        data = reply.get("data")
        if data is None or data == []:
            return None
        return _resolution(as_object(data, "data"))

    async def value(self, user: str) -> MicroDollars:
        """Return what a wallet's shares are worth, rounded down; raises VenueError."""
        reply = json_object(await self._transport.read("/v2/value", {"user": user}), "value")
        return floor_micros(as_object(reply.get("data"), "data"), "value")

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()


class WalletHoldings:
    """`ports.venue.HoldingsSource` for one wallet."""

    def __init__(self, queries: DataApiQueries, *, wallet: str, clock: Clock) -> None:
        self._queries = queries
        self._wallet = wallet
        self._clock = clock

    async def holdings(self) -> HoldingsRead:
        """Every token held; rows without shares are left out, a failure makes the answer incomplete."""
        asked_at_ns = self._clock.now_ns()
        rows: tuple[DataPosition, ...] = ()
        detail = ""
        try:
            rows = await self._queries.positions(self._wallet)
        except VenueError as error:
            detail = str(error)
        return HoldingsRead(
            asked_at_ns=asked_at_ns,
            at_ns=self._clock.now_ns(),
            complete=not detail,
            holdings=tuple(
                Holding(
                    token_id=TokenId(row.token_id),
                    condition_id=ConditionId(row.condition_id),
                    shares=row.size,
                    average_price=row.average_price,
                    redeemable=row.redeemable,
                )
                for row in rows
                if row.size > 0
            ),
            detail=detail,
        )


def _position(row: JsonObject) -> DataPosition:
    return DataPosition(
        token_id=required_text(row, "token_id"),
        condition_id=required_text(row, "condition_id"),
        size=floor_micros(row, "current_size"),
        average_price=floor_micros(row, "avg_price"),
        current_price=floor_micros(row, "current_price"),
        status=required_text(row, "status"),
        redeemable=truth(row, "redeemable", default=False),
        outcome=text(row, "outcome"),
    )


def _resolution(row: JsonObject) -> DataResolution:
    status = required_text(row, "status")
    payouts: tuple[MicroPrice, ...] | None = None
    if status == "resolved":
        shares = as_list(row.get("payouts"), "payouts")
        payouts = tuple(outcome_price(exact_micros(share, "payout"), "payout") for share in shares)
        if sum(payouts) != MICRO:
            raise VenueProtocolError(f"payouts are {payouts}, expected a sum of {MICRO} micro-dollars")
    return DataResolution(condition_id=required_text(row, "condition_id"), status=status, payouts=payouts)
