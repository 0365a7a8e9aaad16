"""Reading the state of the last run, as `ports.store.StoredState` describes it.

A market is loaded when it has no settlement yet, or when business of it is open: an order
that may trade, a provisional fill, shares held, a claim not redeemed. All orders, fills and
positions of loaded markets come with it. Orders are given in the state in which they were
stored; the engine decides what a crash means for them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, func, or_, select, union

from polystra.adapters.store import tables
from polystra.adapters.store.decode import (
    doubt_of,
    fill_of,
    market_of,
    order_of,
    position_of,
    posting_of,
    signed_of,
    switch_of,
    venue_mode_of,
)
from polystra.adapters.store.encode import REQUEST_KINDS, VENUE_MODE
from polystra.domain.facts import PositionRecorded, SwitchChanged
from polystra.domain.fills import Fill
from polystra.domain.orders import LIVE_STATUSES
from polystra.domain.units import NS_PER_S
from polystra.domain.wishes import SIGNAL_PREFIX, SIGNALS_KEPT_S
from polystra.ports.store import StoredMarket, StoredOrder, StoredState

PROVISIONAL: Final = ("MATCHED", "MINED", "RETRYING")


def load_state(connection: Connection) -> StoredState:
    """Read everything inside the caller's transaction."""
    loaded = _loaded_markets()
    return StoredState(
        markets=_markets(connection, loaded),
        orders=_orders(connection, loaded),
        fills=_fills(connection, loaded),
        postings=tuple(
            posting_of(row) for row in connection.execute(select(tables.ledger).order_by(tables.ledger.c.sequence))
        ),
        positions=_positions(connection, loaded),
        next_order_number=_newest(connection, tables.orders.c.number) + 1,
        next_decision_id=max(
            _newest(connection, tables.decisions.c.decision_id), _newest(connection, tables.order_intents.c.decision_id)
        )
        + 1,
        settled_markets=connection.scalar(select(func.count()).select_from(tables.settlements)) or 0,
        last_fill_ns=_newest(connection, tables.fills.c.matched_at_ns),
        switches=_switches(connection),
        venue_mode=venue_mode_of(read_venue_mode(connection)),
        doubts=tuple(
            doubt_of(row)
            for row in connection.execute(
                select(tables.doubts)
                .where(tables.doubts.c.next_lookup_ns > 0)
                .order_by(tables.doubts.c.since_ns, tables.doubts.c.client_order_id)
            )
        ),
        signals=_signals(connection),
    )


def _signals(connection: Connection) -> tuple[tuple[str, int], ...]:
    """Ids of the outside signals that were answered lately."""
    notices = tables.notices
    of_hooks = notices.c.kind.in_(REQUEST_KINDS) & notices.c.subject.like(f"{SIGNAL_PREFIX}%")
    newest = connection.scalar(select(func.max(notices.c.at_ns)).where(of_hooks)) or 0
    query = (
        select(notices.c.subject, func.min(notices.c.at_ns).label("at_ns"))
        .where(of_hooks, notices.c.at_ns >= newest - SIGNALS_KEPT_S * NS_PER_S)
        .group_by(notices.c.subject)
        .order_by(func.min(notices.c.at_ns), notices.c.subject)
    )
    return tuple((row.subject, row.at_ns) for row in connection.execute(query))


def _switches(connection: Connection) -> tuple[SwitchChanged, ...]:
    """The last value of each switch, without the venue's mode, which stands there too."""
    switches = tables.switches
    query = select(switches).where(switches.c.name != VENUE_MODE).order_by(switches.c.name, switches.c.subject)
    return tuple(switch_of(row) for row in connection.execute(query))


def read_venue_mode(connection: Connection) -> Row[Any] | None:
    """The row of the mode that the venue was last seen in."""
    return connection.execute(select(tables.switches).where(tables.switches.c.name == VENUE_MODE)).one_or_none()


def _newest(connection: Connection, column: ColumnElement[int] | ColumnElement[int | None]) -> int:
    return connection.scalar(select(func.max(column))) or 0


def _loaded_markets() -> Subquery:
    """Ids of markets that are unresolved or have open business."""
    markets, orders, fills = tables.markets, tables.orders, tables.fills
    positions, ledger, settlements = tables.positions, tables.ledger, tables.settlements
    unresolved = select(markets.c.condition_id).where(
        ~select(settlements.c.condition_id).where(settlements.c.condition_id == markets.c.condition_id).exists()
    )
    claims = (
        select(ledger.c.condition_id)
        .where(ledger.c.condition_id.is_not(None))
        .group_by(ledger.c.condition_id, ledger.c.token_id)
        .having(func.sum(ledger.c.claim) != 0)
    )
    return union(
        unresolved,
        select(orders.c.condition_id).where(orders.c.status.in_(sorted(LIVE_STATUSES))),
        select(fills.c.condition_id).where(fills.c.status.in_(PROVISIONAL)),
        select(positions.c.condition_id).where(
            or_(positions.c.pending_shares != 0, positions.c.settled_shares != 0, positions.c.status == "FROZEN")
        ),
        claims,
    ).subquery("loaded")


def _in(column: ColumnElement[str], loaded: Subquery) -> ColumnElement[bool]:
    return column.in_(select(loaded.c.condition_id))


def _markets(connection: Connection, loaded: Subquery) -> tuple[StoredMarket, ...]:
    markets, settlements = tables.markets, tables.settlements
    query = (
        select(markets, settlements.c.at_ns.label("settled_at_ns"))
        .outerjoin(settlements, settlements.c.condition_id == markets.c.condition_id)
        .where(_in(markets.c.condition_id, loaded))
        .order_by(markets.c.opens_at_ns, markets.c.condition_id)
    )
    return tuple(
        StoredMarket(market=market_of(row), price_to_beat=row.price_to_beat_e8, resolved=row.settled_at_ns is not None)
        for row in connection.execute(query)
    )


def _orders(connection: Connection, loaded: Subquery) -> tuple[StoredOrder, ...]:
    orders = tables.orders
    wanted: Select[tuple[str]] = select(orders.c.client_order_id).where(_in(orders.c.condition_id, loaded))
    intents = tables.order_intents
    signed = {
        row.client_order_id: signed_of(row)
        for row in connection.execute(select(intents).where(intents.c.client_order_id.in_(wanted)))
        if row.body  # erased, or never known: such an order is not sent again
    }
    query = (
        select(orders)
        .where(_in(orders.c.condition_id, loaded))
        .order_by(orders.c.created_at_ns, orders.c.number, orders.c.client_order_id)
    )
    return tuple(
        StoredOrder(order=order_of(row), signed=signed.get(row.client_order_id)) for row in connection.execute(query)
    )


def _fills(connection: Connection, loaded: Subquery) -> tuple[Fill, ...]:
    fills = tables.fills
    query = (
        select(fills)
        .where(_in(fills.c.condition_id, loaded))
        .order_by(fills.c.matched_at_ns, fills.c.trade_id, fills.c.order_id)
    )
    return tuple(fill_of(row) for row in connection.execute(query))


def _positions(connection: Connection, loaded: Subquery) -> tuple[PositionRecorded, ...]:
    positions = tables.positions
    query = (
        select(positions)
        .where(_in(positions.c.condition_id, loaded))
        .order_by(positions.c.opened_at_ns, positions.c.position_id)
    )
    return tuple(position_of(row) for row in connection.execute(query))
