"""A position: a projection of the ledger, never a number of its own.

All figures are sums over postings, so that the order in which facts arrive cannot change
them. Average price is total cost bought over total shares bought, without fees. Realised
PnL counts proceeds and payouts, less the cost of what was sold or resolved, less all fees.

States: FLAT (nothing yet) -> OPEN -> EXITING (an exit works) -> CLOSED (sold out) or
RESOLVED (the market paid); FROZEN from any of them when the venue contradicts us: only
reconciliation, an operator or the market's resolution leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.errors import IllegalTransition
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting
from polystra.domain.units import MICRO, MicroDollars, MicroPrice, MicroShares, Nanos

EXTERNAL_POSITION: Final = "external:"
"""How the id of a position begins whose shares were bought elsewhere (another tool, the website)."""


class PositionStatus(StrEnum):
    """The life of a position."""

    FLAT = "FLAT"
    OPEN = "OPEN"
    EXITING = "EXITING"
    CLOSED = "CLOSED"
    RESOLVED = "RESOLVED"
    FROZEN = "FROZEN"


class PositionEvent(StrEnum):
    """What moves a position from state to state."""

    SHARES_HELD = "SHARES_HELD"
    EXIT_STARTED = "EXIT_STARTED"
    EXIT_ENDED = "EXIT_ENDED"
    SOLD_OUT = "SOLD_OUT"
    MARKET_RESOLVED = "MARKET_RESOLVED"
    VENUE_DISAGREED = "VENUE_DISAGREED"
    RECONCILED_OPEN = "RECONCILED_OPEN"
    RECONCILED_FLAT = "RECONCILED_FLAT"


_P = PositionStatus
_V = PositionEvent

TRANSITIONS: Final = MappingProxyType(
    {
        (_P.FLAT, _V.SHARES_HELD): _P.OPEN,
        (_P.FLAT, _V.SOLD_OUT): _P.FLAT,
        (_P.FLAT, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.FLAT, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.OPEN, _V.SHARES_HELD): _P.OPEN,
        (_P.OPEN, _V.EXIT_STARTED): _P.EXITING,
        (_P.OPEN, _V.EXIT_ENDED): _P.OPEN,
        (_P.OPEN, _V.SOLD_OUT): _P.CLOSED,
        (_P.OPEN, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.OPEN, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.EXITING, _V.SHARES_HELD): _P.EXITING,
        (_P.EXITING, _V.EXIT_STARTED): _P.EXITING,
        (_P.EXITING, _V.EXIT_ENDED): _P.OPEN,
        (_P.EXITING, _V.SOLD_OUT): _P.CLOSED,
        (_P.EXITING, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.EXITING, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.CLOSED, _V.SHARES_HELD): _P.OPEN,
        (_P.CLOSED, _V.EXIT_ENDED): _P.CLOSED,
        (_P.CLOSED, _V.SOLD_OUT): _P.CLOSED,
        (_P.CLOSED, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.CLOSED, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.RESOLVED, _V.SHARES_HELD): _P.RESOLVED,
        (_P.RESOLVED, _V.EXIT_ENDED): _P.RESOLVED,
        (_P.RESOLVED, _V.SOLD_OUT): _P.RESOLVED,
        (_P.RESOLVED, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.RESOLVED, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.FROZEN, _V.SHARES_HELD): _P.FROZEN,
        (_P.FROZEN, _V.EXIT_ENDED): _P.FROZEN,
        (_P.FROZEN, _V.SOLD_OUT): _P.FROZEN,
        (_P.FROZEN, _V.MARKET_RESOLVED): _P.RESOLVED,
        (_P.FROZEN, _V.VENUE_DISAGREED): _P.FROZEN,
        (_P.FROZEN, _V.RECONCILED_OPEN): _P.OPEN,
        (_P.FROZEN, _V.RECONCILED_FLAT): _P.CLOSED,
    }
)


def move(status: PositionStatus, event: PositionEvent, position_id: PositionId) -> PositionStatus:
    """Return the state after `event`; raises IllegalTransition when the table has no row."""
    after = TRANSITIONS.get((status, event))
    if after is None:
        raise IllegalTransition("position", status, event, position_id)
    return after


@dataclass(slots=True, kw_only=True)
class Position:
    """Sums over the postings of one position, and its state."""

    position_id: PositionId
    condition_id: ConditionId
    token_id: TokenId
    opened_at_ns: Nanos
    status: PositionStatus = PositionStatus.FLAT
    pending_shares: MicroShares = 0
    settled_shares: MicroShares = 0
    bought: MicroShares = 0
    bought_cost: MicroDollars = 0
    sold: MicroShares = 0
    sold_proceeds: MicroDollars = 0
    fees: MicroDollars = 0
    resolved: MicroShares = 0
    payout: MicroDollars = 0
    adjusted: MicroShares = 0
    """Net shares by adjustments, trades made elsewhere included: what no fill of ours brought or took."""
    unexplained: MicroShares = 0
    """The part of `adjusted` for which no trade is known."""

    @property
    def external(self) -> bool:
        """True when the shares were bought elsewhere; `bought` is 0 while their cost is not known."""
        return self.position_id.startswith(EXTERNAL_POSITION)

    @property
    def shares(self) -> MicroShares:
        """Shares held now, provisional ones included."""
        return self.pending_shares + self.settled_shares

    @property
    def average_price(self) -> MicroPrice:
        """Micro-dollars paid per share bought, fees excluded, rounded up; 0 before the first buy."""
        return -(-self.bought_cost * MICRO // self.bought) if self.bought > 0 else 0

    @property
    def released_cost(self) -> MicroDollars:
        """Cost of the shares that were sold or resolved; all of it when nothing is left."""
        gone = self.sold + self.resolved - min(0, self.unexplained)
        if self.bought <= 0:
            return 0
        return self.bought_cost if gone >= self.bought else self.bought_cost * gone // self.bought

    @property
    def realised_pnl(self) -> MicroDollars:
        """Micro-dollars locked in, net of every fee paid so far."""
        return self.sold_proceeds + self.payout - self.released_cost - self.fees

    def unrealised_pnl(self, mark: MicroPrice) -> MicroDollars:
        """Value of the held shares at `mark` less their cost."""
        return mark * self.shares // MICRO - (self.bought_cost - self.released_cost)

    def add(self, posting: Posting) -> None:
        """Add one posting of this position to the sums."""
        self.pending_shares += posting.pending_shares
        self.settled_shares += posting.settled_shares
        self.bought += posting.bought
        self.bought_cost += posting.bought_cost
        self.sold += posting.sold
        self.sold_proceeds += posting.sold_proceeds
        self.fees += posting.fee
        self.resolved += posting.resolved
        self.payout += posting.payout
        if posting.kind == "ADJUSTMENT":
            net = posting.pending_shares + posting.settled_shares
            self.adjusted += net
            self.unexplained += net - (posting.bought - posting.sold)
