"""The ledger: every share and every dollar is the sum of its postings.

A posting never changes and is never deleted; a correction is another posting. Each has a
unique `source_id`, so that telling the ledger the same thing twice changes nothing. Pending
amounts come from trades that the venue has matched but not confirmed; settled ones are
final. A settled winner is a *claim* until it is redeemed, and not cash before.

`Ledger` is an append-only sum. It knows nothing of orders, prices of the day or the venue.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from enum import StrEnum

from polystra.domain.errors import InvariantViolation
from polystra.domain.fills import Fill
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.orders import Side
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos


class PostingKind(StrEnum):
    """Why a posting was made."""

    TRANSFER = "TRANSFER"
    MATCHED = "MATCHED"
    FEE = "FEE"
    SETTLED = "SETTLED"
    REVERSED = "REVERSED"
    RESOLVED = "RESOLVED"
    REDEEMED = "REDEEMED"
    ADJUSTMENT = "ADJUSTMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One line of the ledger; all amounts are signed changes.

    `bought`, `bought_cost`, `sold`, `sold_proceeds`, `fee` and `payout` feed the position's
    projection; `pending_*`/`settled_*`/`claim` are balances.
    """

    source_id: str
    kind: PostingKind
    at_ns: Nanos
    reason: str
    condition_id: ConditionId | None = None
    token_id: TokenId | None = None
    position_id: PositionId | None = None
    pending_shares: MicroShares = 0
    settled_shares: MicroShares = 0
    pending_cash: MicroDollars = 0
    settled_cash: MicroDollars = 0
    claim: MicroDollars = 0
    bought: MicroShares = 0
    bought_cost: MicroDollars = 0
    sold: MicroShares = 0
    sold_proceeds: MicroDollars = 0
    fee: MicroDollars = 0
    resolved: MicroShares = 0
    payout: MicroDollars = 0
    price: MicroPrice | None = None
    evidence: str = ""


def matched_posting(fill: Fill, at_ns: Nanos) -> Posting:
    """The provisional effect of a fill: shares one way, dollars the other, the predicted fee out."""
    sign = 1 if fill.side is Side.BUY else -1
    return Posting(
        source_id=f"matched:{fill.key}",
        kind=PostingKind.MATCHED,
        at_ns=at_ns,
        reason=f"{fill.side} {fill.liquidity}",
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        position_id=fill.position_id,
        pending_shares=sign * fill.quantity,
        pending_cash=-sign * fill.cash - fill.fee,
        bought=fill.quantity if sign > 0 else 0,
        bought_cost=fill.cash if sign > 0 else 0,
        sold=fill.quantity if sign < 0 else 0,
        sold_proceeds=fill.cash if sign < 0 else 0,
        fee=fill.fee,
        price=fill.price,
        evidence=f"trade {fill.trade_id}",
    )


def settled_posting(fill: Fill, at_ns: Nanos) -> Posting:
    """Move a confirmed fill from pending to settled."""
    sign = 1 if fill.side is Side.BUY else -1
    cash = -sign * fill.cash - fill.fee
    return Posting(
        source_id=f"settled:{fill.key}",
        kind=PostingKind.SETTLED,
        at_ns=at_ns,
        reason="trade confirmed",
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        position_id=fill.position_id,
        pending_shares=-sign * fill.quantity,
        settled_shares=sign * fill.quantity,
        pending_cash=-cash,
        settled_cash=cash,
        evidence=fill.transaction_hash,
    )


def reversed_posting(fill: Fill, at_ns: Nanos) -> Posting:
    """Undo a failed fill, leaving both lines in the book."""
    made = matched_posting(fill, at_ns)
    return Posting(
        source_id=f"reversed:{fill.key}",
        kind=PostingKind.REVERSED,
        at_ns=at_ns,
        reason="trade failed on chain",
        condition_id=fill.condition_id,
        token_id=fill.token_id,
        position_id=fill.position_id,
        pending_shares=-made.pending_shares,
        pending_cash=-made.pending_cash,
        bought=-made.bought,
        bought_cost=-made.bought_cost,
        sold=-made.sold,
        sold_proceeds=-made.sold_proceeds,
        fee=-made.fee,
        price=fill.price,
        evidence=f"trade {fill.trade_id} FAILED",
    )


@dataclass(slots=True)
class Balance:
    """Sums over the postings of one token, or of cash (shares stay zero)."""

    pending_shares: MicroShares = 0
    settled_shares: MicroShares = 0
    claim: MicroDollars = 0

    @property
    def shares(self) -> MicroShares:
        """Held shares, provisional ones included."""
        return self.pending_shares + self.settled_shares


@dataclass(slots=True)
class Ledger:
    """Append-only book; `append` returns False for a line that is already in it."""

    pending_cash: MicroDollars = 0
    settled_cash: MicroDollars = 0
    claims: MicroDollars = 0
    tokens: dict[TokenId, Balance] = field(default_factory=dict)
    _seen: dict[str, Posting] = field(default_factory=dict)

    @property
    def cash(self) -> MicroDollars:
        """Dollars, provisional ones included."""
        return self.pending_cash + self.settled_cash

    def __contains__(self, source_id: str) -> bool:
        return source_id in self._seen

    def append(self, posting: Posting) -> bool:
        """Book a posting once.

        Raises:
            InvariantViolation: the source id is known with another content.
        """
        known = self._seen.get(posting.source_id)
        if known is not None:
            if _content(known) != _content(posting):
                raise InvariantViolation(f"ledger: source {posting.source_id} is already booked with other amounts")
            return False
        self._seen[posting.source_id] = posting
        self.pending_cash += posting.pending_cash
        self.settled_cash += posting.settled_cash
        self.claims += posting.claim
        if posting.token_id is not None:
            balance = self.tokens.setdefault(posting.token_id, Balance())
            balance.pending_shares += posting.pending_shares
            balance.settled_shares += posting.settled_shares
            balance.claim += posting.claim
        return True

    def balance(self, token_id: TokenId) -> Balance:
        """The sums of one token (zeros when it was never traded)."""
        return self.tokens.get(token_id, Balance())

    def forget(self, condition_id: ConditionId) -> None:
        """Drop the lines of a market whose business is done from memory; the sums stay.

        The database keeps every line. The caller makes sure that nothing of the market is told again.
        """
        for source_id, posting in list(self._seen.items()):
            if posting.condition_id == condition_id:
                del self._seen[source_id]
                token_id = posting.token_id
                if token_id is not None and self.balance(token_id) == Balance():
                    self.tokens.pop(token_id, None)

    def forget_before(self, at_ns: Nanos, kept: Container[ConditionId]) -> None:
        """Drop the lines of other markets than `kept` that are older than `at_ns` from memory; the sums stay."""
        for source_id, posting in list(self._seen.items()):
            if posting.at_ns < at_ns and posting.condition_id is not None and posting.condition_id not in kept:
                del self._seen[source_id]
                if posting.token_id is not None and self.balance(posting.token_id) == Balance():
                    self.tokens.pop(posting.token_id, None)


def _content(posting: Posting) -> tuple[object, ...]:
    """Everything that moves a sum; time, reason and evidence may differ between two tellings."""
    return (
        posting.kind,
        posting.condition_id,
        posting.token_id,
        posting.position_id,
        posting.pending_shares,
        posting.settled_shares,
        posting.pending_cash,
        posting.settled_cash,
        posting.claim,
        posting.bought,
        posting.bought_cost,
        posting.sold,
        posting.sold_proceeds,
        posting.fee,
        posting.resolved,
        posting.payout,
    )
