"""A fill, and how it settles.

A fill is one execution of one of our orders in one venue trade: its identity is (trade
id, order id). It settles later: MATCHED and MINED are provisional, CONFIRMED is final,
FAILED is void and reversed (Polymarket CLOB docs, trade states). The same fill is told by
several channels, in any order and often; `advance` answers what is new in a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.orders import Side
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos


class FillStatus(StrEnum):
    """Settlement states of a fill."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    RETRYING = "RETRYING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """True for CONFIRMED and FAILED."""
        return self in (FillStatus.CONFIRMED, FillStatus.FAILED)


class Liquidity(StrEnum):
    """Whether our order rested or took."""

    MAKER = "MAKER"
    TAKER = "TAKER"


_F = FillStatus

SETTLEMENT: Final = MappingProxyType(
    {
        (_F.MATCHED, _F.MATCHED): _F.MATCHED,
        (_F.MATCHED, _F.MINED): _F.MINED,
        (_F.MATCHED, _F.RETRYING): _F.RETRYING,
        (_F.MATCHED, _F.CONFIRMED): _F.CONFIRMED,
        (_F.MATCHED, _F.FAILED): _F.FAILED,
        (_F.MINED, _F.MATCHED): _F.MINED,
        (_F.MINED, _F.MINED): _F.MINED,
        (_F.MINED, _F.RETRYING): _F.RETRYING,
        (_F.MINED, _F.CONFIRMED): _F.CONFIRMED,
        (_F.MINED, _F.FAILED): _F.FAILED,
        (_F.RETRYING, _F.MATCHED): _F.RETRYING,
        (_F.RETRYING, _F.MINED): _F.MINED,
        (_F.RETRYING, _F.RETRYING): _F.RETRYING,
        (_F.RETRYING, _F.CONFIRMED): _F.CONFIRMED,
        (_F.RETRYING, _F.FAILED): _F.FAILED,
        (_F.CONFIRMED, _F.MATCHED): _F.CONFIRMED,
        (_F.CONFIRMED, _F.MINED): _F.CONFIRMED,
        (_F.CONFIRMED, _F.RETRYING): _F.CONFIRMED,
        (_F.CONFIRMED, _F.CONFIRMED): _F.CONFIRMED,
        (_F.FAILED, _F.MATCHED): _F.FAILED,
        (_F.FAILED, _F.MINED): _F.FAILED,
        (_F.FAILED, _F.RETRYING): _F.FAILED,
        (_F.FAILED, _F.FAILED): _F.FAILED,
    }
)
"""(known, reported) -> known. CONFIRMED and FAILED contradict each other: absent, so refused and the market freezes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReport:
    """One of our legs in a venue trade, as any channel tells it. `matched_at_ns` is venue time."""

    trade_id: TradeId
    order_id: OrderId
    condition_id: ConditionId
    token_id: TokenId
    side: Side
    price: MicroPrice
    quantity: MicroShares
    liquidity: Liquidity
    status: FillStatus
    matched_at_ns: Nanos
    transaction_hash: str = ""
    cash: MicroDollars | None = None
    """Exact dollars exchanged where the channel tells them; else price x quantity is used."""
    legs: tuple[tuple[MicroPrice, MicroShares], ...] = ()
    """(price, quantity) of each maker leg that a taker fill consists of: the fee is charged per leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A fill of a known order, with the fee that the market's schedule predicts."""

    trade_id: TradeId
    order_id: OrderId
    client_order_id: ClientOrderId
    position_id: PositionId
    condition_id: ConditionId
    token_id: TokenId
    side: Side
    price: MicroPrice
    quantity: MicroShares
    cash: MicroDollars
    """Dollars exchanged without the fee, always positive."""
    fee: MicroDollars
    liquidity: Liquidity
    status: FillStatus
    matched_at_ns: Nanos
    updated_at_ns: Nanos
    transaction_hash: str = ""

    @property
    def key(self) -> str:
        """Identity of the fill, for the ledger's source ids."""
        return f"{self.trade_id}:{self.order_id}"


def advance(known: FillStatus, reported: FillStatus, subject: str) -> FillStatus:
    """Return the status after a report.

    Raises:
        IllegalTransition: CONFIRMED after FAILED or the reverse.
    """
    status = SETTLEMENT.get((known, reported))
    if status is None:
        raise IllegalTransition("fill", known, reported, subject)
    return status
