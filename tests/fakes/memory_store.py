"""A store in memory that keeps the contract of `ports.store`, for tests of the engine and its shell.

`journal` lists every fact in the order of its commit; `fail_next` makes the next commit fail.
`reopened` is the same data behind a new store, as after a restart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from polystra.adapters.store.encode import Values, encode, order_number
from polystra.domain.errors import InvariantViolation, StoreConflict, StoreError
from polystra.domain.facts import (
    DecisionRecorded,
    DoubtRecorded,
    Fact,
    FillRecorded,
    IntentDenied,
    IntentRecorded,
    MarketRecorded,
    OrderChanged,
    PositionRecorded,
    PostingRecorded,
    RequestAnswered,
    SettlementRecorded,
    SwitchChanged,
    VenueModeChanged,
)
from polystra.domain.fills import Fill
from polystra.domain.ledger import Posting
from polystra.domain.orders import LIVE_STATUSES, Order, OrderStatus, SignedOrder
from polystra.domain.positions import PositionStatus
from polystra.domain.venue import VenueMode
from polystra.domain.wishes import SIGNAL_PREFIX
from polystra.ports.store import StoredMarket, StoredOrder, StoredState

_UNCHANGING = {
    "ledger": ("source_id", ("at_ns", "reason", "evidence", "price", "condition_id")),
    "order_intents": ("client_order_id", ("at_ns", "decision_id", "quantity", "maker_amount", "taker_amount")),
}


@dataclass(slots=True)
class _Data:
    markets: dict[str, MarketRecorded] = field(default_factory=dict)
    settled: dict[str, SettlementRecorded] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    intents: dict[str, IntentRecorded] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    postings: dict[str, Posting] = field(default_factory=dict)
    positions: dict[str, PositionRecorded] = field(default_factory=dict)
    decisions: dict[int, DecisionRecorded] = field(default_factory=dict)
    switches: dict[tuple[str, str], SwitchChanged] = field(default_factory=dict)
    doubts: dict[str, DoubtRecorded] = field(default_factory=dict)
    signals: dict[str, int] = field(default_factory=dict)
    venue_mode: dict[str, VenueModeChanged] = field(default_factory=dict)

    def copy(self) -> _Data:
        return _Data(*(dict(getattr(self, column.name)) for column in fields(self)))

    def take(self, other: _Data) -> None:
        for column in fields(self):
            setattr(self, column.name, getattr(other, column.name))


class MemoryStore:
    """See the module docstring."""

    def __init__(self, data: _Data | None = None) -> None:
        self._data = data or _Data()
        self._failures: list[StoreError] = []
        self._closed = False
        self.journal: list[Fact] = []

    def fail_next(self, error: StoreError) -> None:
        """Let the next commit fail, with nothing written."""
        self._failures.append(error)

    def reopened(self) -> MemoryStore:
        """A new store on the same data, as a new process sees it."""
        return MemoryStore(self._data)

    async def commit(self, facts: Sequence[Fact]) -> None:
        if self._closed:
            raise InvariantViolation("facts were committed after the store was closed")
        if self._failures:
            raise self._failures.pop(0)
        trial = self._data.copy()
        for fact in facts:
            self._check(fact, trial)
            self._apply(fact, trial)
        self._data.take(trial)
        self.journal.extend(facts)

    async def prune(self, now_ns: int, keep_ns: int) -> int:
        """Keep everything: memory is short-lived."""
        del now_ns, keep_ns
        return 0

    async def load(self) -> StoredState:
        data = self._data
        wanted = self._loaded()
        decided = [intent.decision_id or 0 for intent in data.intents.values()]
        return StoredState(
            markets=tuple(
                StoredMarket(market=m.market, price_to_beat=m.price_to_beat, resolved=key in data.settled)
                for key, m in sorted(data.markets.items(), key=lambda item: (item[1].market.opens_at_s, item[0]))
                if key in wanted
            ),
            orders=tuple(
                StoredOrder(order=order, signed=self._signed(key))
                for key, order in sorted(
                    data.orders.items(), key=lambda item: (item[1].created_at_ns, order_number(item[0]), item[0])
                )
                if order.terms.condition_id in wanted
            ),
            fills=tuple(
                fill
                for fill in sorted(data.fills.values(), key=lambda f: (f.matched_at_ns, f.trade_id, f.order_id))
                if fill.condition_id in wanted
            ),
            postings=tuple(data.postings.values()),
            positions=tuple(
                position
                for position in sorted(data.positions.values(), key=lambda p: (p.opened_at_ns, p.position_id))
                if position.condition_id in wanted
            ),
            next_order_number=max((order_number(key) for key in data.orders), default=0) + 1,
            next_decision_id=max([*data.decisions, *decided], default=0) + 1,
            settled_markets=len(data.settled),
            last_fill_ns=max((fill.matched_at_ns for fill in data.fills.values()), default=0),
            switches=tuple(each for _, each in sorted(data.switches.items())),
            venue_mode=data.venue_mode["last"].mode if data.venue_mode else VenueMode.NORMAL,
            doubts=tuple(
                each
                for each in sorted(data.doubts.values(), key=lambda d: (d.since_ns, d.client_order_id))
                if each.next_lookup_ns
            ),
            signals=tuple(sorted(data.signals.items(), key=lambda each: (each[1], each[0]))),
        )

    async def close(self) -> None:
        self._closed = True

    def _signed(self, client_order_id: str) -> SignedOrder | None:
        intent = self._data.intents.get(client_order_id)
        return None if intent is None or not intent.signed.body else intent.signed

    def _loaded(self) -> set[str]:
        data = self._data
        wanted = {str(key) for key in data.markets if key not in data.settled}
        wanted.update(order.terms.condition_id for order in data.orders.values() if order.status in LIVE_STATUSES)
        wanted.update(fill.condition_id for fill in data.fills.values() if not fill.status.is_final)
        wanted.update(
            position.condition_id
            for position in data.positions.values()
            if position.pending_shares or position.settled_shares or position.status is PositionStatus.FROZEN
        )
        claims: dict[tuple[str, str | None], int] = defaultdict(int)
        for posting in data.postings.values():
            if posting.condition_id is not None:
                claims[posting.condition_id, posting.token_id] += posting.claim
        wanted.update(condition_id for (condition_id, _), claim in claims.items() if claim)
        return wanted

    @staticmethod
    def _check(fact: Fact, data: _Data) -> None:
        match fact:
            case PostingRecorded():
                known: Any = data.postings.get(fact.posting.source_id)
                _same("ledger", known and PostingRecorded(posting=known), fact)
            case IntentRecorded():
                key = fact.signed.client_order_id
                told = data.intents.get(key)
                erased = told is not None and not told.signed.body
                _same("order_intents", told, replace(fact, signed=replace(fact.signed, body=b"")) if erased else fact)
                for other, intent in data.intents.items():
                    if other != key and intent.signed.order_id == fact.signed.order_id:
                        raise StoreConflict(f"order id {fact.signed.order_id} belongs to {other}")
            case FillRecorded():
                before = data.fills.get(fact.fill.key)
                if before and (before.quantity, before.price) != (fact.fill.quantity, fact.fill.price):
                    raise StoreConflict(f"fill {fact.fill.key} is known with another content")
            case DecisionRecorded():
                decided = data.decisions.get(fact.decision_id)
                if decided and decided != fact:
                    raise StoreConflict(f"decision {fact.decision_id} is known with another content")
            case _:
                pass

    @staticmethod
    def _apply(fact: Fact, data: _Data) -> None:
        match fact:
            case IntentRecorded():
                data.intents.setdefault(fact.signed.client_order_id, fact)
                _put_order(fact.order, data)
            case OrderChanged():
                _put_order(fact.order, data)
            case IntentDenied():
                _put_order(_denied(fact), data)
            case FillRecorded():
                known = data.fills.get(fact.fill.key)
                if known is None or not known.status.is_final or known.status is fact.fill.status:
                    data.fills[fact.fill.key] = fact.fill
            case PostingRecorded():
                data.postings.setdefault(fact.posting.source_id, fact.posting)
            case _:
                _project(fact, data)


def _project(fact: Fact, data: _Data) -> None:
    match fact:
        case MarketRecorded():
            data.markets[fact.market.condition_id] = fact
        case PositionRecorded():
            data.positions[fact.position_id] = fact
        case SettlementRecorded():
            data.settled[fact.condition_id] = fact
        case DecisionRecorded():
            data.decisions[fact.decision_id] = fact
        case SwitchChanged():
            data.switches[fact.name, fact.subject] = fact
        case DoubtRecorded():
            data.doubts[fact.client_order_id] = fact
        case VenueModeChanged():
            data.venue_mode["last"] = fact
        case RequestAnswered() if fact.request_id.startswith(SIGNAL_PREFIX):
            data.signals.setdefault(fact.request_id, fact.at_ns)
        case _:
            pass


def _denied(fact: IntentDenied) -> Order:
    return Order(
        terms=fact.terms,
        status=OrderStatus.DENIED,
        created_at_ns=fact.at_ns,
        updated_at_ns=fact.at_ns,
        detail=fact.reason,
    )


def _put_order(order: Order, data: _Data) -> None:
    """Take the new value, except that nothing but NEW leads to SUBMITTED."""
    known = data.orders.get(order.terms.client_order_id)
    early = (OrderStatus.NEW, OrderStatus.SUBMITTED)
    if known is None or order.status is not OrderStatus.SUBMITTED or known.status in early:
        data.orders[order.terms.client_order_id] = order
    intent = data.intents.get(order.terms.client_order_id)
    if intent is not None and not order.is_live:
        data.intents[order.terms.client_order_id] = replace(intent, signed=replace(intent.signed, body=b""))


def _same(table: str, known: Fact | None, fact: Fact) -> None:
    if known is None:
        return
    key, free = _UNCHANGING[table]

    def content(of: Fact) -> Values:
        (row,) = encode([of])[table]
        return {name: value for name, value in row.items() if name not in free}

    if content(known) != content(fact):
        raise StoreConflict(f"{table} has {content(fact)[key]} already with another content")
