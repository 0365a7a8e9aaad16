"""The venue's notices to an account, as far as they concern trading.

What lives here: what a notice can be about, and its value. What must not: what is done about it. A
notice is a hint to look, never a fact: it may be late, repeated or missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from polystra.domain.ids import ConditionId, OrderId, TradeId


class NoticeTopic(StrEnum):
    """What a notice is about (Polymarket CLOB docs, notifications, and the official client's list)."""

    ORDER_CANCELLED = "order cancelled"
    ORDER_FILLED = "order filled"
    FILL_FAILED = "fill failed"
    MARKET_LISTED = "market listed"
    MARKET_RESOLVED = "market resolved"
    REDEEMED = "shares redeemed"
    PERSONAL = "for the account's owner"
    """Rewards, replies to comments, yield, tiers: nothing that trading has to know."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueNotice:
    """One notice. `kind` is the venue's number of its type; what a type does not carry is None."""

    notice_id: int
    topic: NoticeTopic
    kind: int
    order_id: OrderId | None = None
    condition_id: ConditionId | None = None
    trade_id: TradeId | None = None
