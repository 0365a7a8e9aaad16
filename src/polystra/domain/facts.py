"""What the engine has decided or accepted as true: the rows of the journal.

Facts are committed before any effect leaves; the log is a view of them and the tables are
their projection. A fact carries the whole new value, so that writing it twice is harmless.
Probabilities are floats and stay in decisions; money never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from polystra.domain.events import SwitchName
from polystra.domain.fills import Fill
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting
from polystra.domain.market import Market, Outcome
from polystra.domain.orders import Order, OrderEvent, OrderTerms, SignedOrder
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos, PriceE8
from polystra.domain.venue import VenueMode


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRecorded:
    """A market is known (or changed: grid, accepting orders, price to beat)."""

    market: Market
    price_to_beat: PriceE8 | None
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecorded:
    """One evaluation of one market, with what it looked at. `action` is ENTER or SKIP, `reason` says why.

    Biases are signed in [-1, 1] towards Up, confidences in [0, 1], probabilities in (0, 1).
    `inputs` is a JSON object of the inputs used.
    """

    decision_id: int
    condition_id: ConditionId
    symbol: str
    at_ns: Nanos
    action: str
    reason: str
    outcome: Outcome | None
    fair_value_up: float
    market_prior_p_up: float
    additive_bias: float
    additive_confidence: float
    bayesian_bias: float
    bayesian_confidence: float
    p_up: float
    edge: float
    price: MicroPrice | None
    quantity: MicroShares | None
    inputs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDenied:
    """A wish that was refused before anything was signed."""

    terms: OrderTerms
    reason: str
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded:
    """An order is about to be sent: its terms, its id and the very bytes. Committed before the send."""

    order: Order
    signed: SignedOrder
    decision_id: int | None
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """An order moved by `event`; `order` is its new value."""

    order: Order
    event: OrderEvent
    at_ns: Nanos
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRecorded:
    """A fill is new or its settlement advanced."""

    fill: Fill
    is_new: bool
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingRecorded:
    """A line was booked in the ledger."""

    posting: Posting


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRecorded:
    """The projection of one position after its last change."""

    position_id: PositionId
    condition_id: ConditionId
    token_id: TokenId
    outcome: Outcome
    symbol: str
    status: PositionStatus
    pending_shares: MicroShares
    settled_shares: MicroShares
    average_price: MicroPrice
    realised_pnl: MicroDollars
    fees: MicroDollars
    take_profit_price: MicroPrice | None
    stop_price: MicroPrice | None
    opened_at_ns: Nanos
    at_ns: Nanos
    exit_reason: str = ""
    exit_mode: str = ""
    high_water: MicroPrice = 0
    """The highest best bid seen while shares were held: what a trailing stop hangs from."""
    exits: str = ""
    """The rest of the exits' memory as a JSON object, for a restart and for people."""
    mark: MicroPrice | None = None
    """The midpoint of the token's book while shares are held, None when none was known."""
    mark_at_ns: Nanos = 0
    """When the mark was taken; it is taken anew at most once a minute unless something else changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRecorded:
    """A market resolved; what it paid on what we held, and our realised result in it."""

    condition_id: ConditionId
    slug: str
    symbol: str
    winner: Outcome | None
    up_payout: MicroPrice
    shares_held: MicroShares
    payout: MicroDollars
    realised_pnl: MicroDollars
    fees: MicroDollars
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceObserved:
    """The venue's cash and what the ledger says; equal when the account is quiet."""

    cash: MicroDollars
    ledger_cash: MicroDollars
    at_ns: Nanos
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileCompleted:
    """Orders, fills and balances were compared with the venue; `differences` says what was found, in words."""

    at_ns: Nanos
    open_orders: int
    fills_applied: int
    differences: tuple[str, ...]
    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchChanged:
    """A switch was set or cleared. (name, subject) has one value: the last."""

    name: SwitchName
    subject: str
    on: bool
    reason: str
    source: str
    until_ns: Nanos
    """0: until cleared."""
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueModeChanged:
    """The venue was seen in another mode; `until_ns` is when it is expected to end, 0 when nobody knows."""

    mode: VenueMode
    previous: VenueMode
    reason: str
    until_ns: Nanos
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered:
    """A request for orders or cancels was taken: the orders that it is about, and in words what was refused."""

    request_id: str
    orders: tuple[ClientOrderId, ...]
    refusal: str
    source: str
    at_ns: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtRecorded:
    """Where the search for an order in doubt stands: the schedule goes on from here after a restart."""

    client_order_id: ClientOrderId
    since_ns: Nanos
    lookups: int
    absences: int
    next_lookup_ns: Nanos
    """0: the doubt is over."""
    outcome: str
    at_ns: Nanos


class NoticeKind(StrEnum):
    """Things worth a log line that change no money."""

    ENTRIES_BLOCKED = "entries.blocked"
    ENTRIES_ALLOWED = "entries.allowed"
    STREAM_CONNECTED = "stream.connected"
    STREAM_LOST = "stream.lost"
    BOOK_RESYNCED = "book.resynced"
    STOP_ARMED = "stop.armed"
    STOP_FIRED = "stop.fired"
    EXIT_SKIPPED = "exit.skipped"
    EXIT_HEALED = "exit.healed"
    EXIT_FROZEN = "exit.frozen"
    MARKET_FROZEN = "market.frozen"
    MARKET_THAWED = "market.thawed"
    POSITION_ADOPTED = "position.adopted"
    ORDER_STRANGE = "order.strange"
    FILL_STRANGE = "fill.strange"
    TRADING_HALTED = "trading.halted"
    STRATEGY_FAILED = "strategy.failed"
    REQUEST_REFUSED = "request.refused"
    DOUBT_LASTS = "order.doubt_lasted"
    REDEMPTION_SEEN = "redemption.seen"
    SHUTDOWN_STARTED = "shutdown.started"
    VENUE_NOTICE = "venue.notice"
    HEARTBEAT_ARMED = "heartbeat.armed"
    HEARTBEAT_FAILED = "heartbeat.failed"
    HEARTBEAT_RECOVERED = "heartbeat.recovered"
    CLOCK_DRIFTED = "clock.drifted"
    CLOCK_AGREED = "clock.agreed"
    CLOCK_CORRECTED = "clock.corrected"
    BALANCE_JUDGED = "balance.judged"
    BALANCE_LOW = "balance.low"
    FEE_MISMATCHED = "fee.mismatched"
    RETRY_SKIPPED = "retry.skipped"
    SCALE_IN_PLACED = "scale_in.placed"
    SCALE_IN_SKIPPED = "scale_in.skipped"
    REVERSAL_STARTED = "reversal.started"
    REVERSAL_ENDED = "reversal.ended"
    REPAIRED = "operator.repaired"
    CONFIG_CHANGED = "config.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact for people; `subject` is the id that it is about."""

    kind: NoticeKind
    subject: str
    message: str
    at_ns: Nanos


Fact: TypeAlias = (
    MarketRecorded
    | DecisionRecorded
    | IntentDenied
    | IntentRecorded
    | OrderChanged
    | FillRecorded
    | PostingRecorded
    | PositionRecorded
    | SettlementRecorded
    | BalanceObserved
    | ReconcileCompleted
    | SwitchChanged
    | VenueModeChanged
    | RequestAnswered
    | DoubtRecorded
    | Notice
)
