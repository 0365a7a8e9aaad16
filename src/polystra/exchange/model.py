"""What the built-in exchange is told and what it tells: market specs, requests, results, events.

Frozen values only; the rules that use them live in `core`. Kept apart so that market makers,
listings and websocket handlers can name these types without the machinery behind them.

The few of which a simulated second makes dozens are msgspec structs, whose making costs a tenth of a frozen
dataclass's.

Units: prices and sizes in millionths (10^-6 dollars per share, 10^-6 shares), cash in
micro-dollars, instants in UTC nanoseconds unless the name ends in `_s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import msgspec

from polystra.exchange.account_rules import AccountRules
from polystra.exchange.venue_rules import VenueRules
from polystra.matching.fees import FeeRounding

Side: TypeAlias = Literal["BUY", "SELL"]
OrderType: TypeAlias = Literal["GTC", "GTD", "FOK", "FAK"]
TradeStatus: TypeAlias = Literal["MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED"]
OrderStatus: TypeAlias = Literal["LIVE", "MATCHED", "CANCELED"]

FINAL: Final = ("CONFIRMED", "FAILED")
"""Statuses of a trade that nothing follows."""

DOLLAR = 1_000_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """Knobs of the exchange; money in micro-dollars, delays in milliseconds of its clock."""

    initial_cash: int = 1_000 * DOLLAR
    house_cash: int = 1_000_000_000 * DOLLAR
    mined_after_ms: int = 2_000
    confirmed_after_ms: int = 5_000
    redeem_after_ms: int = 3_000
    fee_rounding: FeeRounding = "half_up"
    fee_per_leg: bool = False
    fee_charged_ppm: int | None = None
    """The rate that is charged where it is not the one that the market tells."""
    clock_tolerance_s: int = 30
    gtd_minimum_s: int = 180
    gtd_removed_early_s: int = 60
    closed_trades_kept: int = 50_000
    venue: VenueRules = field(default_factory=VenueRules)
    rules: AccountRules = field(default_factory=AccountRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """One up/down market as it is listed; the first token is Up, the second Down.

    `taker_delay_ms` holds marketable orders while their sender waits, `seconds_delay` answers them
    first and matches later. The order book does not know the market before `hydrated_at_s` and takes
    no orders before `accepts_from_s`. `rule` names what it resolves on.
    """

    condition_id: str
    slug: str
    question: str
    symbol: str
    window: str
    up_token: str
    down_token: str
    opens_at_s: int
    closes_at_s: int
    listed_at_s: int
    tick_size: int = 10_000
    min_size: int = 5_000_000
    neg_risk: bool = False
    version: str = "v1"
    fee_rate_ppm: int = 70_000
    taker_delay_ms: int = 0
    seconds_delay: int = 0
    hydrated_at_s: int = 0
    accepts_from_s: int = 0
    rule: str = "average_60"


class PlaceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order after its proof was checked: what the maker gives and what it wants, in millionths.

    BUY gives dollars (`maker_amount`) for shares (`taker_amount`), SELL the reverse. `order_id`
    is the order hash of a signed order; None (house orders) lets the exchange number it.
    """

    token_id: str
    side: Side
    order_type: OrderType
    maker_amount: int
    taker_amount: int
    post_only: bool = False
    expiration_s: int = 0
    order_id: str | None = None
    owner: str = ""

    @classmethod
    def limit(
        cls,
        token_id: str,
        side: Side,
        *,
        price: int,
        size: int,
        order_type: OrderType = "GTC",
        post_only: bool = False,
        expiration_s: int = 0,
    ) -> PlaceRequest:
        """Build a house order from a price on the tick and a size with at most two decimals."""
        notional = price * size // DOLLAR
        maker, taker = (notional, size) if side == "BUY" else (size, notional)
        return cls(
            token_id=token_id,
            side=side,
            order_type=order_type,
            maker_amount=maker,
            taker_amount=taker,
            post_only=post_only,
            expiration_s=expiration_s,
        )

    @classmethod
    def market(
        cls, token_id: str, side: Side, *, amount: int, worst_price: int, order_type: OrderType = "FAK"
    ) -> PlaceRequest:
        """Build a house FAK/FOK: `amount` is dollars for BUY and shares for SELL, at most two decimals."""
        counter = amount * DOLLAR // worst_price if side == "BUY" else amount * worst_price // DOLLAR
        return cls(
            token_id=token_id,
            side=side,
            order_type=order_type,
            maker_amount=amount,
            taker_amount=counter - counter % 100,
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definitive no in the venue's words; `status` is the HTTP status of a single order.

    `code` and `retry_after_s` travel beside the text where the venue sends them.
    """

    text: str
    status: int = 400
    code: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The answer to `place`; amounts are what this order exchanged at once, in millionths."""

    order_id: str
    status: Literal["live", "matched", "delayed", "unmatched", ""] = ""
    making_amount: int = 0
    taking_amount: int = 0
    trade_ids: tuple[str, ...] = ()
    refusal: Refusal | None = None

    @property
    def accepted(self) -> bool:
        """Tell whether the order was taken."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class CancelReport:
    """Ids that were cancelled now, and the others with the reason."""

    canceled: tuple[str, ...] = ()
    not_canceled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order as others may see it; `size_matched` is cumulative, in micro-shares."""

    order_id: str
    account: str
    owner: str
    condition_id: str
    token_id: str
    outcome: str
    side: Side
    order_type: OrderType
    price: int
    original_size: int
    size_matched: int
    created_ns: int
    expiration_s: int
    trade_ids: tuple[str, ...]
    status: OrderStatus

    @property
    def remaining(self) -> int:
        """Micro-shares still open."""
        return self.original_size - self.size_matched


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerLeg:
    """One resting order's part of a trade, in the maker's own token and price."""

    order_id: str
    account: str
    owner: str
    token_id: str
    outcome: str
    outcome_index: int
    side: Side
    size: int
    price: int
    cash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """One taker order's trade with all its maker legs; `cash` is notional without fee.

    `settled` says that its receipts were delivered, `attempt` counts its lost transactions.
    """

    trade_id: str
    condition_id: str
    token_id: str
    outcome: str
    outcome_index: int
    side: Side
    size: int
    price: int
    cash: int
    fee: int
    taker_order_id: str
    taker_account: str
    taker_owner: str
    legs: tuple[MakerLeg, ...]
    status: TradeStatus
    matched_ns: int
    updated_ns: int
    transaction_hash: str | None
    bucket_index: int = 0
    settled: bool = False
    attempt: int = 0
    error: str = ""


class LevelChange(msgspec.Struct, frozen=True):
    """New aggregate of one level in the Up token's terms; zero removes it."""

    side: Side
    price: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketListed:
    """A market became visible."""

    spec: MarketSpec
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingStopped:
    """A market takes no new orders any more."""

    condition_id: str
    at_ns: int


class LevelsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The book moved; Up-token terms. `traded` says that a match caused it."""

    condition_id: str
    changes: tuple[LevelChange, ...]
    best_bid: int | None
    best_ask: int | None
    top_changed: bool
    traded: bool
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTraded:
    """One match of one price level in the taker's token and price."""

    condition_id: str
    token_id: str
    side: Side
    price: int
    size: int
    at_ns: int


OrderNews: TypeAlias = Literal["PLACEMENT", "UPDATE", "CANCELLATION"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """A user-channel order event. `killed` marks an order that never reached the book."""

    type: OrderNews
    order: OrderView
    status: str
    at_ns: int
    killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeEvent:
    """A trade was made or its settlement moved on."""

    trade: TradeView
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSizeChanged:
    """A market's price grid became finer."""

    condition_id: str
    old_tick_size: int
    new_tick_size: int
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResolved:
    """A market paid out; `winner` is None for a 50/50 resolution."""

    condition_id: str
    up_payout_micros: int
    winner: str | None
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed:
    """Shares of a resolved market became cash."""

    account: str
    condition_id: str
    token_id: str
    size: int
    cash: int
    at_ns: int


CoreEvent: TypeAlias = (
    MarketListed
    | TradingStopped
    | LevelsChanged
    | BookTraded
    | OrderEvent
    | TradeEvent
    | TickSizeChanged
    | MarketResolved
    | Redeemed
)
