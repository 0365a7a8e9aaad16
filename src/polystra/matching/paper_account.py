"""What the paper venue knows of its one account: orders, and how an account of an earlier run is handed over.

What lives here: plain values. What must not: matching, delays (`paper_venue`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from polystra.domain.events import VenueOrderStatus
from polystra.domain.fills import FillReport
from polystra.domain.ids import TokenId
from polystra.domain.orders import OrderTerms, Side, SignedOrder
from polystra.domain.units import MICRO, MicroDollars, MicroShares


@dataclass(slots=True)
class PaperOrder:
    """One of our orders at the paper venue."""

    signed: SignedOrder
    terms: OrderTerms
    outcome: int
    status: VenueOrderStatus = VenueOrderStatus.LIVE
    matched: MicroShares = 0
    detail: str = ""
    fills: list[FillReport] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status is VenueOrderStatus.LIVE

    @property
    def quantity(self) -> MicroShares:
        """Shares that it asks for."""
        return self.signed.quantity

    def reserve(self) -> int:
        """Micro-dollars (buy) or micro-shares (sell) that the open rest needs."""
        left = max(0, self.quantity - self.matched)
        if not self.is_open:
            return 0
        return left if self.terms.side is Side.SELL else -(-left * self.terms.price // MICRO)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedOrder:
    """An order of an earlier run with its fills, confirmed or under way, each with the fee that is booked for it."""

    signed: SignedOrder
    terms: OrderTerms
    is_open: bool
    fills: tuple[tuple[FillReport, MicroDollars], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAccount:
    """An account of an earlier run: what has settled, and its orders."""

    cash: MicroDollars
    tokens: Mapping[TokenId, MicroShares]
    orders: tuple[CarriedOrder, ...] = ()
