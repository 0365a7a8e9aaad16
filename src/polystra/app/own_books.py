"""Our own books as a report reads them, and whether they agree with themselves.

What lives here: the values of one reading, and the sums that must come out equal inside our
database: fills with postings, postings with positions, orders with fills. What must not: the
exchange's books (`reconciliation`), statements, printing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from polystra.domain.facts import BalanceObserved, PositionRecorded, SettlementRecorded
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId
from polystra.domain.ledger import Ledger, Posting, matched_posting, reversed_posting, settled_posting
from polystra.domain.orders import Order
from polystra.domain.positions import Position
from polystra.domain.units import MicroDollars, MicroShares, Nanos, format_micros

_AMOUNTS: Final = (
    "pending_shares",
    "settled_shares",
    "pending_cash",
    "settled_cash",
    "claim",
    "bought",
    "bought_cost",
    "sold",
    "sold_proceeds",
    "fee",
    "resolved",
    "payout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBooks:
    """Everything that our database says of one account. `last_entry_ns` is when it was last written to."""

    mode: str
    account: str
    orders: tuple[Order, ...] = ()
    intents: Mapping[ClientOrderId, OrderId]
    fills: tuple[Fill, ...] = ()
    postings: tuple[Posting, ...] = ()
    positions: tuple[PositionRecorded, ...] = ()
    settlements: tuple[SettlementRecorded, ...] = ()
    balances: tuple[BalanceObserved, ...] = ()
    last_entry_ns: Nanos = 0

    def ledger(self) -> Ledger:
        """The sum of all postings; raises InvariantViolation when one is booked twice with other amounts."""
        ledger = Ledger()
        for posting in self.postings:
            ledger.append(posting)
        return ledger

    def resolved_shares(self) -> dict[TokenId, MicroShares]:
        """Shares per token that left the ledger because their market resolved."""
        shares: dict[TokenId, MicroShares] = defaultdict(int)
        for posting in self.postings:
            if posting.token_id is not None and posting.resolved:
                shares[posting.token_id] += posting.resolved
        return dict(shares)


def own_discrepancies(books: OwnBooks) -> list[str]:
    """Say in a sentence each what does not add up inside our own books; amounts in dollars and shares."""
    return [
        *_orders(books),
        *_intents(books),
        *_fills(books),
        *_positions(books),
        *_settlements(books),
        *_balances(books),
    ]


def _orders(books: OwnBooks) -> Iterator[str]:
    """Each order that left has one intent, and its filled quantity is the sum of its fills."""
    filled: dict[ClientOrderId, MicroShares] = defaultdict(int)
    for fill in books.fills:
        if fill.status is not FillStatus.FAILED:
            filled[fill.client_order_id] += fill.quantity
    for order in books.orders:
        client_order_id = order.terms.client_order_id
        if order.order_id is not None and client_order_id not in books.intents:
            yield f"Order {client_order_id} has the venue's id {order.order_id} but no intent was recorded."
        if order.filled != filled[client_order_id]:
            yield (
                f"Order {client_order_id} says {format_micros(order.filled)} shares filled, "
                f"its fills sum to {format_micros(filled[client_order_id])}."
            )


def _intents(books: OwnBooks) -> Iterator[str]:
    """An intent has one id at the venue, wherever it is written."""
    ids: dict[ClientOrderId, set[OrderId]] = defaultdict(set)
    for client_order_id, order_id in books.intents.items():
        ids[client_order_id].add(order_id)
    for fill in books.fills:
        ids[fill.client_order_id].add(fill.order_id)
    for order in books.orders:
        if order.order_id is not None:
            ids[order.terms.client_order_id].add(order.order_id)
    known = {order.terms.client_order_id for order in books.orders}
    for client_order_id, found in ids.items():
        if len(found) > 1:
            yield f"Intent {client_order_id} has {len(found)} orders at the venue: {', '.join(sorted(found))}."
        if client_order_id not in known:
            yield f"Order {client_order_id} has an intent or fills but is not in the table of orders."


def _fills(books: OwnBooks) -> Iterator[str]:
    """Each fill is booked once, with its amounts, as far as it has settled; nothing else is booked as a fill."""
    booked = {posting.source_id: posting for posting in books.postings}
    expected: set[str] = set()
    for fill in books.fills:
        wanted = [matched_posting(fill, 0)]
        if fill.status is FillStatus.CONFIRMED:
            wanted.append(settled_posting(fill, 0))
        elif fill.status is FillStatus.FAILED:
            if f"matched:{fill.key}" not in booked:
                continue
            wanted.append(reversed_posting(fill, 0))
        for posting in wanted:
            expected.add(posting.source_id)
            found = booked.get(posting.source_id)
            if found is None:
                yield f"Fill {fill.key} is {fill.status} but the ledger has no posting {posting.source_id}."
            else:
                yield from _amounts(posting, found)
    for source_id in booked:
        if source_id.split(":", 1)[0] in ("matched", "settled", "reversed") and source_id not in expected:
            yield f"Posting {source_id} belongs to no fill that is in that state."


def _amounts(wanted: Posting, found: Posting) -> Iterator[str]:
    for name in _AMOUNTS:
        expected, booked = getattr(wanted, name), getattr(found, name)
        if expected != booked:
            yield (
                f"Posting {found.source_id} has {name} {format_micros(booked)}, "
                f"its fill says {format_micros(expected)}."
            )


def _positions(books: OwnBooks) -> Iterator[str]:
    """Each position is the sum of its postings."""
    sums: dict[PositionId, Position] = {}
    for recorded in books.positions:
        sums[recorded.position_id] = Position(
            position_id=recorded.position_id,
            condition_id=recorded.condition_id,
            token_id=recorded.token_id,
            opened_at_ns=recorded.opened_at_ns,
        )
    for posting in books.postings:
        if posting.position_id is None:
            continue
        position = sums.get(posting.position_id)
        if position is None:
            yield f"Posting {posting.source_id} belongs to position {posting.position_id}, which is not recorded."
            continue
        position.add(posting)
    for recorded in books.positions:
        position = sums[recorded.position_id]
        for name, told, summed in (
            ("realised PnL", recorded.realised_pnl, position.realised_pnl),
            ("fees", recorded.fees, position.fees),
            ("pending shares", recorded.pending_shares, position.pending_shares),
            ("settled shares", recorded.settled_shares, position.settled_shares),
        ):
            if told != summed:
                yield (
                    f"Position {recorded.position_id} says {name} {format_micros(told)}, "
                    f"its postings sum to {format_micros(summed)}."
                )


def _settlements(books: OwnBooks) -> Iterator[str]:
    """A market's result is the sum of its positions."""
    results: dict[ConditionId, tuple[MicroDollars, MicroDollars]] = defaultdict(lambda: (0, 0))
    for position in books.positions:
        pnl, fees = results[position.condition_id]
        results[position.condition_id] = (pnl + position.realised_pnl, fees + position.fees)
    for settlement in books.settlements:
        pnl, fees = results[settlement.condition_id]
        if (settlement.realised_pnl, settlement.fees) != (pnl, fees):
            yield (
                f"Market {settlement.slug} was settled with PnL {format_micros(settlement.realised_pnl)} "
                f"and fees {format_micros(settlement.fees)}, "
                f"its positions sum to {format_micros(pnl)} and {format_micros(fees)}."
            )


def _balances(books: OwnBooks) -> Iterator[str]:
    """What the ledger was said to hold when the venue's cash was read is what its postings summed to then."""
    for observed in books.balances:
        cash = 0
        seen = set()
        for posting in books.postings:
            if posting.at_ns >= observed.at_ns:
                seen.add(cash)
            if posting.at_ns > observed.at_ns:
                break
            cash += posting.pending_cash + posting.settled_cash
        seen.add(cash)
        if observed.ledger_cash not in seen:
            yield (
                f"The ledger was noted with {format_micros(observed.ledger_cash)} dollars at {observed.at_ns} ns, "
                f"its postings up to then sum to {format_micros(cash)}."
            )
