"""What the venue says about an account and a caller besides trading: its standing, keys, tier and region.

What lives here: questions that are asked before money moves, each within a short deadline. What must not:
what an answer means for trading (`app`), orders.

Sources: Polymarket CLOB docs (API keys, ban status, balance and allowance, rate limits) and geographic
restrictions. The reply of the rate tier is not documented: the first text in it is taken for the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from random import Random
from typing import Final

from polystra.adapters.polymarket.account import AccountQueries
from polystra.adapters.polymarket.market_data import MarketQueries
from polystra.adapters.polymarket.rest import VenueAccount
from polystra.adapters.polymarket.signing import l2_headers
from polystra.adapters.polymarket.transport import HttpTransport, SessionFactory, default_session, json_object
from polystra.adapters.polymarket.wire import as_list, text, truth
from polystra.domain.errors import VenueRefused
from polystra.domain.events import BookSnapshot
from polystra.domain.ids import TokenId
from polystra.domain.units import NS_PER_S, MicroPrice, Nanos
from polystra.ports.clock import Clock
from polystra.ports.venue import SpendableBalance

DEADLINE_S: Final = 3.0
"""Retries of one question end after this long; a check is a look, not a vigil."""

WEBSITE: Final = "https://polymarket.com"
VENUE_HOST: Final = "polymarket.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the venue thinks that we are, and whether orders from there are refused."""

    blocked: bool
    country: str
    region: str


class PublicChecks:
    """Questions without credentials to one base URL."""

    def __init__(self, *, base_url: str, clock: Clock, rng: Random, session: SessionFactory = default_session) -> None:
        self._transport = HttpTransport(
            base_url=base_url, clock=clock, rng=rng, session=session, read_deadline_s=DEADLINE_S
        )
        self._markets = MarketQueries(self._transport, clock=clock)

    async def answers(self, path: str, params: Mapping[str, str] | None = None) -> None:
        """Return when the path answers with 200; raises VenueError."""
        await self._transport.read(path, params)

    async def server_time_ns(self) -> Nanos:
        """The venue's clock, whole seconds in nanoseconds."""
        return await self._markets.server_time_ns()

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force, in micro-dollars."""
        return await self._markets.tick_size(token_id)

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token."""
        return await self._markets.book(token_id)

    async def region(self) -> Region | None:
        """The verdict on our address; None when this server has no such check."""
        try:
            reply = await self._transport.read("/api/geoblock")
        except VenueRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        body = json_object(reply, "geoblock")
        return Region(
            blocked=truth(body, "blocked", default=False), country=text(body, "country"), region=text(body, "region")
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()


class AccountChecks:
    """Questions with credentials. `correction_ns` is added to our clock in proofs (venue time minus ours)."""

    def __init__(
        self,
        *,
        base_url: str,
        account: VenueAccount,
        clock: Clock,
        rng: Random,
        session: SessionFactory = default_session,
        correction_ns: int = 0,
    ) -> None:
        self._account = account
        self._clock = clock
        self._correction_ns = correction_ns
        self._transport = HttpTransport(
            base_url=base_url, clock=clock, rng=rng, session=session, read_deadline_s=DEADLINE_S
        )

    async def api_keys(self) -> Sequence[str]:
        """The API keys of the signer; raises AuthFailed when ours is not accepted."""
        body = json_object(await self._transport.read("/auth/api-keys", None, self._headers), "API keys")
        return [str(key) for key in as_list(body.get("apiKeys"), "apiKeys")]

    async def closed_only(self) -> bool:
        """True when the account may only close; no record means that it may trade."""
        try:
            reply = await self._transport.read("/auth/ban-status/closed-only", None, self._headers)
        except VenueRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return truth(json_object(reply, "ban status"), "closed_only", default=False)

    async def rate_tier(self) -> str:
        """The name of the signer's rate tier, empty when the venue does not say."""
        try:
            reply = await self._transport.read("/v1/user/rate-limit-tier", None, self._headers)
        except VenueRefused as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ""
            raise
        body = json_object(reply, "rate tier")
        named = text(body, "tier", "name")
        return named or next((value for value in body.values() if isinstance(value, str)), "")

    async def spendable(self, signature_type: int, token_id: TokenId | None = None) -> SpendableBalance:
        """Balance and allowances of the wallet that a signature type stands for."""
        account = replace(self._account, signature_type=signature_type)
        queries = AccountQueries(
            self._transport,
            self._headers,
            clock=self._clock,
            identity=account.identity(),
            signature_type=signature_type,
        )
        return await queries.spendable(token_id)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    def _headers(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        timestamp_s = (self._clock.now_ns() + self._correction_ns) // NS_PER_S
        return l2_headers(self._account.credentials, self._account.signer, method, path, body, timestamp_s)


def geoblock_host(clob_url: str) -> str:
    """The server that tells the region: the venue's website for its own API, else the server itself."""
    host = clob_url.split("//", 1)[-1].split("/", 1)[0].split(":", 1)[0].lower()
    return WEBSITE if host == VENUE_HOST or host.endswith(f".{VENUE_HOST}") else clob_url
