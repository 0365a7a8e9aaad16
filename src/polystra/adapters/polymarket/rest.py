"""The venue over HTTP: the trading port, put together from its parts.

What lives here: construction, authentication headers, delegation. What must not: the meaning
of messages (`decode_*`, `errors`) or the rules of sending (`transport`, `orders`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from polystra.adapters.polymarket.account import AccountQueries
from polystra.adapters.polymarket.call_audit import CallAudit
from polystra.adapters.polymarket.clock_drift import measure_drift
from polystra.adapters.polymarket.decode_account import Identity
from polystra.adapters.polymarket.errors import UnknownAnswers
from polystra.adapters.polymarket.heartbeats import Heartbeat
from polystra.adapters.polymarket.market_data import MarketQueries
from polystra.adapters.polymarket.notifications import NotificationQueries, VenueNotification, notice_of
from polystra.adapters.polymarket.orders import DEFAULT_RETRIES, OrderCommands, Retries
from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.adapters.polymarket.redaction import Redaction
from polystra.adapters.polymarket.signing import L2Credentials, l2_headers
from polystra.adapters.polymarket.transport import HttpTransport, SessionFactory, default_session
from polystra.domain.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelOutcome,
    ClockDriftMeasured,
    MarketResolved,
    NoticesRead,
    OrderLookedUp,
    OrderReport,
    SubmitOutcome,
)
from polystra.domain.fills import FillReport
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.ports.audit import ApiAudit
from polystra.ports.clock import Clock
from polystra.ports.venue import OutcomeSink, SpendableBalance, Submission


def _nobody(_order_id: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAccount:
    """Whose orders these are. `signer` is the address of the key, `wallet` the funder that holds the money."""

    credentials: L2Credentials
    signer: str
    wallet: str
    signature_type: int

    def identity(self, is_ours: Callable[[str], bool] = _nobody) -> Identity:
        """Return how we are recognised on the wire."""
        return Identity(api_key=self.credentials.api_key, wallet=self.wallet, is_ours=is_ours)


class PolymarketVenue:
    """`ports.venue.TradingVenue` over aiohttp."""

    def __init__(
        self,
        *,
        base_url: str,
        account: VenueAccount,
        clock: Clock,
        rng: Random,
        session: SessionFactory = default_session,
        audit: ApiAudit | None = None,
        retries: Retries = DEFAULT_RETRIES,
    ) -> None:
        self._account = account
        self._clock = clock
        self._clock_offset_ns = 0
        own = account.credentials
        redaction = Redaction(keys=(own.api_key,), secrets=(own.secret, own.passphrase))
        self._audit = CallAudit(audit, redaction)
        self.budget = VenueBudget(clock)
        """How much may leave; the outbox takes from it."""
        self._transport = HttpTransport(
            base_url=base_url,
            clock=clock,
            rng=rng,
            session=session,
            observe=self._audit.observe,
            budget=self.budget,
        )
        self.unknown_answers = UnknownAnswers(redaction)
        """The count of answers to commands that are in no table."""
        self._orders = OrderCommands(
            self._transport,
            self._headers,
            clock=clock,
            rng=rng,
            budget=self.budget,
            unknown_answers=self.unknown_answers,
            retries=retries,
        )
        self._queries = AccountQueries(
            self._transport,
            self._headers,
            clock=clock,
            identity=account.identity(),
            signature_type=account.signature_type,
        )
        self._markets = MarketQueries(self._transport, clock=clock)
        self.heartbeat = Heartbeat(self._transport, self._headers)
        """The key's dead man's switch; it does nothing until somebody beats."""
        self._notices = NotificationQueries(self._transport, self._headers, signature_type=account.signature_type)

    def set_clock_offset(self, offset_ns: int) -> None:
        """Set what is added to our clock for the venue's proofs (venue time minus ours, nanoseconds)."""
        self._clock_offset_ns = offset_ns

    @asynccontextmanager
    async def own_heartbeat(self, rng: Random, session: SessionFactory) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Open a connection for heartbeats alone, on whichever loop enters this; its proofs follow our clock offset."""
        transport = HttpTransport(
            base_url=self._transport.base_url,
            clock=self._clock,
            rng=rng,
            session=session,
            observe=self._audit.observe,
        )
        try:
            yield Heartbeat(transport, self._headers).beat
        finally:
            await transport.close()

    def _headers(self, method: str, path: str, body: bytes) -> Mapping[str, str]:
        timestamp_s = (self._clock.now_ns() + self._clock_offset_ns) // NS_PER_S
        return l2_headers(self._account.credentials, self._account.signer, method, path, body, timestamp_s)

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[SubmitOutcome]:
        """Send 1 to 15 signed orders; one outcome each, told when it is known and returned in the order asked."""
        with self._audit.trace({order.signed.order_id: order.signed.body for order in orders}) as trace:

            def tell(outcome: SubmitOutcome) -> None:
                trace.outcomes.append(outcome)
                if told is not None:
                    told(outcome)

            return await self._orders.submit(orders, tell)

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        """Cancel orders by id, one outcome each."""
        with self._audit.trace({order_id: order_id.encode() for order_id in order_ids}) as trace:
            outcomes = await self._orders.cancel(order_ids)
            trace.outcomes.extend(outcomes)
            return outcomes

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        """From now on none of these is sent (again)."""
        self._orders.withdraw(order_ids)

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos) -> OrderLookedUp:
        """Ask for one order among open orders and trades since `since_ns`."""
        return await self._queries.lookup(order_id, condition_id, since_ns)

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> AccountSnapshot:
        """Read open orders, trades since `since_ns`, cash and the balances of `tokens`, refreshed if asked."""
        return await self._queries.account(since_ns=since_ns, tokens=tokens, refresh=refresh)

    async def order(self, order_id: OrderId) -> OrderReport | None:
        """One order, None when it is not open."""
        return await self._queries.order(order_id)

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every open order, all pages."""
        return await self._queries.open_orders()

    async def trades(self, since_ns: Nanos) -> Sequence[FillReport]:
        """Our trades since then, all pages."""
        return await self._queries.trades(since_ns)

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        """Balance and allowances of the collateral, or of a token; `refresh` has the chain read again first."""
        return await self._queries.spendable(token_id, refresh=refresh)

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        return await self._markets.midpoint(token_id)

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        return await self._markets.spread(token_id)

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        return await self._markets.tick_size(token_id)

    async def cash(self) -> MicroDollars:
        """The collateral balance."""
        return await self._queries.cash()

    async def token_balance(self, token_id: TokenId) -> MicroShares:
        """The venue's (cached) balance of a token, after asking it to refresh."""
        return await self._queries.token_balance(token_id)

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token."""
        return await self._markets.book(token_id)

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        """The verdict of a market, None while there is none."""
        return await self._markets.resolution(condition_id)

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds)."""
        return await self._markets.server_time_ns()

    async def measure_clock(self) -> ClockDriftMeasured:
        """Compare our clock with the venue's; proofs carry the venue's time from then on."""
        drift = await measure_drift(self._markets.server_time_ns, self._clock)
        self.set_clock_offset(drift.correction_ns)
        return drift

    async def notifications(self) -> tuple[VenueNotification, ...]:
        """The venue's notices to the account that have not been dismissed."""
        return await self._notices.notifications()

    async def notices(self) -> NoticesRead:
        """The notices as the engine takes them; those that name another API key's owner are not ours to dismiss."""
        mine = ("", self._account.credentials.api_key)
        found = await self._notices.notifications()
        return NoticesRead(notices=tuple(notice_of(each) for each in found if each.owner in mine))

    async def dismiss(self, ids: Iterable[int]) -> None:
        """Dismiss notices by id."""
        await self._notices.dismiss(ids)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()
