"""What the engine asks of the world. The shell carries effects out after the commit of the turn's facts.

`SignIntent` is the exception: it is answered inside the turn (signing is pure), so that the
intent is committed together with its order id and signed bytes. Nothing here does anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.orders import OrderTerms, Purpose, SignedOrder
from polystra.domain.units import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIntent:
    """Sign these terms now; answered by `OrderSigned` or `SigningFailed` before the commit."""

    terms: OrderTerms
    salt: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOrder:
    """Send the signed bytes of a committed intent."""

    signed: SignedOrder
    purpose: Purpose
    deadline_ns: Nanos = 0
    """After this time it must not be sent (again): the idea behind it is stale. 0: no deadline."""
    rank: int = 0
    """Of two entries the one with the higher rank leaves first (its edge in millionths)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel one order by the venue's id."""

    order_id: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEntries:
    """From now on no entry is sent, those that wait to be sent included; an empty reason lets them go again."""

    reason: str
    order_ids: tuple[OrderId, ...] = ()
    """Entries whose sending may still go on: they are not sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupOrder:
    """Ask what became of one order."""

    order_id: OrderId
    condition_id: ConditionId
    since_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAccount:
    """Read open orders, trades, cash and token balances in one go."""

    since_ns: Nanos
    tokens: tuple[TokenId, ...]
    trigger: str
    refresh: bool = False
    """Ask the venue to read the chain again before its balances are believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTokenBalance:
    """Read the balance of one token."""

    token_id: TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHoldings:
    """Read everything that the wallet holds from the second source (Data API)."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBook:
    """Fetch a book by REST because the local copy is in doubt."""

    token_id: TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResolution:
    """Ask for a market's verdict."""

    condition_id: ConditionId


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureClock:
    """Compare our clock with the venue's; answered by `ClockDriftMeasured`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNotices:
    """Read the venue's notices; answered by `NoticesRead`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissNotices:
    """Mark notices as read: what they led to is committed. Not answered; a failure is harmless, they come again."""

    notice_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverMarket:
    """Look for the market of one symbol, window and start."""

    symbol: str
    window_s: int
    opens_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTokens:
    """Subscribe to the books of these tokens."""

    token_ids: tuple[TokenId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnwatchTokens:
    """Drop the books of these tokens."""

    token_ids: tuple[TokenId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Fire `TimerFired(key)` at `due_ns`; a later call with the same key replaces it."""

    key: str
    due_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class StartHeartbeat:
    """Begin to beat: from the first accepted beat on our resting orders live only as long as we do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Everything that had to be done before a stop is done; `left_open` says in words what is not."""

    reason: str
    left_open: tuple[str, ...]


Effect: TypeAlias = (
    SignIntent
    | SubmitOrder
    | CancelOrder
    | HoldEntries
    | LookupOrder
    | ReadAccount
    | ReadTokenBalance
    | ReadHoldings
    | ReadBook
    | ReadResolution
    | MeasureClock
    | ReadNotices
    | DismissNotices
    | DiscoverMarket
    | WatchTokens
    | UnwatchTokens
    | SetTimer
    | StartHeartbeat
    | Finish
)
