"""The venue port: commands, questions and streams, in the domain's words.

Contract of `TradingVenue`:
1. `submit` and `cancel` never raise for anything that happens after the first byte may
   have left: every order gets exactly one outcome, in the order asked, and whatever is
   not a clear yes or no is `SubmitUnknown`/`CancelUnknown`.
2. `submit` sends the signed bytes as they are and never signs. It sends the *same* bytes again, with
   pauses, only when the venue said a definite "not now" or the first send did not leave, and never
   after the order's deadline: an order that has not left by then is refused as stale. Once one send
   of an order may have arrived, no later answer turns it into a refusal. An outcome is told as soon
   as it is known, while other orders of the same call are still being sent again.
3. Questions (`account`, `lookup`, ...) retry by themselves with back-off within a deadline
   and then raise `VenueError`; `lookup` and `account` instead say `complete=False`.
4. `account` reads every page of open orders and of trades since `since_ns`, then balances.

Contract of the streams:
5. `run` is eternal: it connects, subscribes, delivers decoded events to the sink in the
   order received, reconnects with back-off and jitter, and reports `StreamConnected` after
   every subscription and `StreamLost` after every break. Only cancellation ends it.
6. A message that cannot be read is counted and logged, never fatal, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from polystra.domain.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelOutcome,
    ClockDriftMeasured,
    HoldingsRead,
    MarketResolved,
    NoticesRead,
    OrderLookedUp,
    OrderReport,
    SubmitOutcome,
    WorldEvent,
)
from polystra.domain.fills import FillReport
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.market import Market
from polystra.domain.orders import SignedOrder
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos
from polystra.ports.rate import RateBudget, Traffic

Sink: TypeAlias = Callable[[WorldEvent], None]


OutcomeSink: TypeAlias = Callable[[SubmitOutcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One order to be sent."""

    signed: SignedOrder
    deadline_ns: Nanos = 0
    """It must not leave (again) at or after this UTC time; 0: no deadline but the adapter's patience."""
    traffic: Traffic = Traffic.ENTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendableBalance:
    """What the wallet holds of one asset and what the venue's contracts may take of it, in millionths."""

    balance: int
    allowances: tuple[tuple[str, int], ...] = ()
    """By the contract's address; empty when the venue does not say."""

    @property
    def most_allowed(self) -> int | None:
        """The largest allowance: an order above it cannot be settled by any contract."""
        return max((amount for _, amount in self.allowances), default=None)

    @property
    def least_allowed(self) -> int | None:
        """The smallest allowance: an order within it can be settled by every contract."""
        return min((amount for _, amount in self.allowances), default=None)


class VenueQuestions(Protocol):
    """What a person or a tool may ask at any time; each raises `VenueError` when there is no answer."""

    async def order(self, order_id: OrderId) -> OrderReport | None:
        """One order, None when it is not open."""
        ...

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every open order, all pages."""
        ...

    async def trades(self, since_ns: Nanos) -> Sequence[FillReport]:
        """Our trades since then, all pages."""
        ...

    async def spendable(self, token_id: TokenId | None = None, *, refresh: bool = False) -> SpendableBalance:
        """Balance and allowance of the collateral, or of a token; `refresh` has the chain read again first."""
        ...

    async def book(self, token_id: TokenId) -> BookSnapshot:
        """The book of one token."""
        ...

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        """The middle of the best bid and ask."""
        ...

    async def spread(self, token_id: TokenId) -> MicroPrice:
        """Best ask less best bid."""
        ...

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        """The price grid in force."""
        ...

    async def server_time_ns(self) -> Nanos:
        """The venue's clock (whole seconds)."""
        ...


class TradingVenue(VenueQuestions, Protocol):
    """Commands and questions; see the module docstring."""

    @property
    def budget(self) -> RateBudget:
        """How much may leave; whoever calls `submit` or `cancel` has taken for the first send."""
        ...

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[SubmitOutcome]:
        """Send 1 to 15 signed orders; one outcome each, told when it is known and returned in the order asked."""
        ...

    async def cancel(self, order_ids: Sequence[OrderId]) -> Sequence[CancelOutcome]:
        """Cancel orders by id, one outcome each."""
        ...

    def withdraw(self, order_ids: Sequence[OrderId]) -> None:
        """From now on none of these is sent (again) by a `submit` that runs; says nothing to the venue."""
        ...

    async def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos) -> OrderLookedUp:
        """Ask for one order among open orders and trades since `since_ns`."""
        ...

    async def account(self, *, since_ns: Nanos, tokens: Iterable[TokenId], refresh: bool = False) -> AccountSnapshot:
        """Read open orders, trades since `since_ns`, cash and the balances of `tokens`, refreshed if asked."""
        ...

    async def cash(self) -> MicroDollars:
        """The collateral balance."""
        ...

    async def token_balance(self, token_id: TokenId) -> MicroShares:
        """The venue's (cached) balance of a token, after asking it to refresh."""
        ...

    async def resolution(self, condition_id: ConditionId) -> MarketResolved | None:
        """The verdict of a market, None while there is none."""
        ...

    async def measure_clock(self) -> ClockDriftMeasured:
        """Compare our clock with the venue's; from then on requests are stamped by the venue's time."""
        ...

    async def notices(self) -> NoticesRead:
        """The venue's notices to this account and key that have not been dismissed."""
        ...

    async def dismiss(self, ids: Iterable[int]) -> None:
        """Mark notices as read; doing it again is harmless."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class HoldingsSource(Protocol):
    """What the wallet holds, from a source that does not share the order book's cache."""

    async def holdings(self) -> HoldingsRead:
        """Every token held, all pages; a failed page or call says `complete=False` and never raises."""
        ...


class MarketDiscovery(Protocol):
    """Finds tradable up/down markets; refuses those whose resolution rule it does not know."""

    async def find(self, symbol: str, window_s: int, opens_at_s: int) -> Market | None:
        """The market of one symbol, window and start, None when it is not listed (yet)."""
        ...


class EventStream(Protocol):
    """A stream that delivers events for ever."""

    async def run(self, sink: Sink) -> None:
        """Connect, deliver, reconnect; ends only by cancellation."""
        ...


class TokenStream(EventStream, Protocol):
    """The market stream: its subscriptions change while it runs."""

    def subscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Add tokens; a snapshot of each follows."""
        ...

    def unsubscribe(self, token_ids: Iterable[TokenId]) -> None:
        """Drop tokens."""
        ...
