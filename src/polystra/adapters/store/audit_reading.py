"""Questions for `audit` and `orders`: requests to the venue, and the life of one order; read-only.

What lives here: the statements and the mapping of their rows. What must not: writing, words for people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, exists, not_, or_, select

from polystra.adapters.store import queries, tables
from polystra.adapters.store.audit_writing import is_good_routine
from polystra.adapters.store.decode import decision_of, doubt_of, fill_of, order_of, posting_of
from polystra.domain.facts import DecisionRecorded, DoubtRecorded
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.ledger import Posting
from polystra.domain.market import Outcome
from polystra.domain.orders import LIVE_STATUSES, Order, OrderEvent, OrderStatus
from polystra.domain.units import MicroDollars, MicroShares, Nanos
from polystra.ports.audit import GOOD_OUTCOMES, ApiCall

MOST_CANDIDATES: Final = 6
_AT_ONCE: Final = 500
_SOURCES: Final = ("matched", "settled", "reversed")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """A call with its number in the table."""

    sequence: int
    call: ApiCall


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One step of an order. `filled` is in micro-shares, after the step."""

    at_ns: Nanos
    event: OrderEvent
    status: OrderStatus
    filled: MicroShares
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLife:
    """Everything that is known of one order, each part in the order of its happening.

    `signed_at_ns` is when its intent was committed, None for a wish that was denied. `calls` are the
    requests that were about it, `ours` the own ids of all orders in them; `postings` the lines of the ledger
    that its fills made; `siblings` the other orders of the same position.
    """

    order: Order
    market: str
    outcome: Outcome | None
    decision: DecisionRecorded | None
    signed_at_ns: Nanos | None
    calls: tuple[StoredCall, ...]
    ours: Mapping[OrderId, ClientOrderId]
    events: tuple[StoredEvent, ...]
    fills: tuple[Fill, ...]
    postings: tuple[Posting, ...]
    doubt: DoubtRecorded | None
    exit_reason: str
    siblings: tuple[Order, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order with what it traded: cash and shares of the fills that did not fail, in micro-units."""

    order: Order
    market: str
    traded: MicroShares
    cash: MicroDollars


def latest_calls(
    connection: Connection, *, limit: int, failed: bool = False, routine: bool = True, before: int | None = None
) -> tuple[StoredCall, ...]:
    """The newest requests, newest first; with `before` those of lower numbers.

    Only those of which something went wrong when `failed`; without routine that went well unless `routine`.
    """
    calls, legs = tables.api_calls, tables.api_call_orders
    query = select(calls).order_by(calls.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(calls.c.sequence < before)
    if failed:
        of_call = legs.c.call_sequence == calls.c.sequence
        bad_leg = exists().where(of_call, legs.c.outcome.not_in(GOOD_OUTCOMES))
        bad_call = and_(calls.c.outcome.not_in(GOOD_OUTCOMES), not_(exists().where(of_call)))
        query = query.where(or_(bad_leg, bad_call))
    if not routine:
        query = query.where(not_(is_good_routine()))
    return _calls(connection, connection.execute(query).all())


def client_ids(connection: Connection, order_ids: Collection[OrderId]) -> dict[OrderId, ClientOrderId]:
    """Our own ids of the orders that the venue knows by these."""
    orders, wanted = tables.orders, sorted(order_ids)
    found: dict[OrderId, ClientOrderId] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        chunk = wanted[start : start + _AT_ONCE]
        query = select(orders.c.order_id, orders.c.client_order_id).where(orders.c.order_id.in_(chunk))
        found.update({OrderId(row.order_id): ClientOrderId(row.client_order_id) for row in connection.execute(query)})
    return found


def candidates(connection: Connection, wanted: str) -> tuple[ClientOrderId, ...]:
    """Our ids of the orders that `wanted` may mean, at most `MOST_CANDIDATES`, by number.

    The one with exactly this id (ours or the venue's), else those whose id begins so.
    """
    orders = tables.orders
    ours, theirs = orders.c.client_order_id, orders.c.order_id
    venue = wanted.lower()
    exact = connection.scalars(select(ours).where(or_(ours == wanted, theirs == venue))).all()
    if exact:
        return tuple(ClientOrderId(found) for found in exact)
    begins = or_(ours.startswith(wanted, autoescape=True), theirs.startswith(venue, autoescape=True))
    query = select(ours).where(begins).order_by(orders.c.number, ours).limit(MOST_CANDIDATES)
    return tuple(ClientOrderId(found) for found in connection.scalars(query))


def order_life(connection: Connection, client_order_id: ClientOrderId) -> OrderLife:
    """Everything about an order that exists."""
    t = tables
    order = order_of(_one(connection, t.orders, t.orders.c.client_order_id == client_order_id))
    intent = _maybe(connection, t.order_intents, t.order_intents.c.client_order_id == client_order_id)
    market = _maybe(connection, t.markets, t.markets.c.condition_id == order.terms.condition_id)
    doubt = _maybe(connection, t.doubts, t.doubts.c.client_order_id == client_order_id)
    position = _maybe(connection, t.positions, t.positions.c.position_id == order.terms.position_id)
    fills = _fills(connection, client_order_id)
    calls = _calls_about(connection, order.order_id)
    return OrderLife(
        order=order,
        market=order.terms.condition_id if market is None else market.slug,
        outcome=_outcome(market, order),
        decision=_decision(connection, order) if intent is None else _decision_by_id(connection, intent.decision_id),
        signed_at_ns=None if intent is None else intent.at_ns,
        calls=calls,
        ours=client_ids(connection, {order_id for stored in calls for order_id, _ in stored.call.orders}),
        events=_events(connection, client_order_id),
        fills=fills,
        postings=_postings(connection, fills),
        doubt=None if doubt is None else doubt_of(doubt),
        siblings=tuple(each for each in _of_position(connection, order) if each.terms != order.terms),
        exit_reason="" if position is None or not order.terms.purpose.is_exit else position.exit_reason,
    )


def order_rows(connection: Connection, *, only_open: bool = False) -> tuple[OrderRow, ...]:
    """Every order, or those that may still trade, newest first."""
    orders, markets = tables.orders, tables.markets
    query = (
        select(orders, markets.c.slug)
        .join(markets, markets.c.condition_id == orders.c.condition_id)
        .order_by(orders.c.created_at_ns.desc(), orders.c.number.desc())
    )
    if only_open:
        query = query.where(orders.c.status.in_(sorted(LIVE_STATUSES)))
    traded: defaultdict[str, int] = defaultdict(int)
    cash: defaultdict[str, int] = defaultdict(int)
    for fill in queries.all_fills(connection):
        if fill.status is not FillStatus.FAILED:
            traded[fill.client_order_id] += fill.quantity
            cash[fill.client_order_id] += fill.cash
    return tuple(
        OrderRow(
            order=order_of(row), market=row.slug, traded=traded[row.client_order_id], cash=cash[row.client_order_id]
        )
        for row in connection.execute(query)
    )


# --- inside ---------------------------------------------------------------------------


def _maybe(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> Row[Any] | None:
    return connection.execute(select(table).where(*conditions)).one_or_none()


def _one(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> Row[Any]:
    return connection.execute(select(table).where(*conditions)).one()


def _outcome(market: Row[Any] | None, order: Order) -> Outcome | None:
    if market is None:
        return None
    return Outcome.UP if order.terms.token_id == market.up_token else Outcome.DOWN


def _of_position(connection: Connection, order: Order) -> tuple[Order, ...]:
    orders = tables.orders
    same = (orders.c.condition_id == order.terms.condition_id, orders.c.position_id == order.terms.position_id)
    query = select(orders).where(*same).order_by(orders.c.number)
    return tuple(order_of(row) for row in connection.execute(query))


def _decision(connection: Connection, order: Order) -> DecisionRecorded | None:
    """The decision behind an entry that was denied, and so never named it: the one of the same moment."""
    if order.terms.purpose.is_exit:
        return None
    decisions = tables.decisions
    row = connection.execute(
        select(decisions)
        .where(decisions.c.condition_id == order.terms.condition_id, decisions.c.at_ns == order.created_at_ns)
        .where(decisions.c.action == "ENTER")
        .limit(1)
    ).one_or_none()
    return None if row is None else decision_of(row)


def _decision_by_id(connection: Connection, decision_id: int | None) -> DecisionRecorded | None:
    row = _maybe(connection, tables.decisions, tables.decisions.c.decision_id == decision_id)
    return None if row is None else decision_of(row)


def _calls_about(connection: Connection, order_id: OrderId | None) -> tuple[StoredCall, ...]:
    calls, legs = tables.api_calls, tables.api_call_orders
    query = (
        select(calls)
        .join(legs, legs.c.call_sequence == calls.c.sequence)
        .where(legs.c.order_id == order_id)
        .order_by(calls.c.sequence)
    )
    return _calls(connection, connection.execute(query).all())


def _calls(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[StoredCall, ...]:
    legs = _legs(connection, [row.sequence for row in rows])
    return tuple(
        StoredCall(
            sequence=row.sequence,
            call=ApiCall(
                at_ns=row.at_ns,
                method=row.method,
                path=row.path,
                latency_ns=row.latency_ns,
                status=row.status,
                request=row.request,
                reply=row.reply,
                outcome=row.outcome,
                orders=tuple(legs[row.sequence]),
            ),
        )
        for row in rows
    )


def _legs(connection: Connection, sequences: Sequence[int]) -> defaultdict[int, list[tuple[OrderId, str]]]:
    legs = tables.api_call_orders
    found: defaultdict[int, list[tuple[OrderId, str]]] = defaultdict(list)
    for start in range(0, len(sequences), _AT_ONCE):
        chunk = sequences[start : start + _AT_ONCE]
        query = select(legs).where(legs.c.call_sequence.in_(chunk)).order_by(legs.c.call_sequence, legs.c.order_id)
        for row in connection.execute(query):
            found[row.call_sequence].append((OrderId(row.order_id), row.outcome))
    return found


def _events(connection: Connection, client_order_id: ClientOrderId) -> tuple[StoredEvent, ...]:
    events = tables.order_events
    query = select(events).where(events.c.client_order_id == client_order_id).order_by(events.c.sequence)
    return tuple(
        StoredEvent(
            at_ns=row.at_ns,
            event=OrderEvent(row.event),
            status=OrderStatus(row.status),
            filled=row.filled,
            detail=row.detail,
        )
        for row in connection.execute(query)
    )


def _fills(connection: Connection, client_order_id: ClientOrderId) -> tuple[Fill, ...]:
    fills = tables.fills
    query = (
        select(fills)
        .where(fills.c.client_order_id == client_order_id)
        .order_by(fills.c.matched_at_ns, fills.c.trade_id)
    )
    return tuple(fill_of(row) for row in connection.execute(query))


def _postings(connection: Connection, fills: Iterable[Fill]) -> tuple[Posting, ...]:
    """The lines of the ledger that these fills made; their sources are named by `domain.ledger`."""
    ledger = tables.ledger
    sources = [f"{word}:{fill.key}" for fill in fills for word in _SOURCES]
    query = select(ledger).where(ledger.c.source_id.in_(sources)).order_by(ledger.c.sequence)
    return tuple(posting_of(row) for row in connection.execute(query))
