"""One consistent reading of a whole account, for reports: read-only, also while a daemon writes.

What lives here: the statements and the mapping of their rows to domain values. What must
not: sums and comparisons, which belong to who asks.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, inspect, select, text

from polystra.adapters.store import queries, tables
from polystra.adapters.store.database import make_engine, parse_url, sqlite_path, translated
from polystra.adapters.store.decode import order_of, position_of, posting_of, switch_of
from polystra.adapters.store.encode import VENUE_MODE
from polystra.adapters.store.load import read_venue_mode
from polystra.adapters.store.lock import ADVISORY_KEY
from polystra.adapters.store.migrations import require_file
from polystra.adapters.store.queries import MarketRow, Totals
from polystra.domain.errors import StoreCorrupt
from polystra.domain.facts import (
    BalanceObserved,
    PositionRecorded,
    ReconcileCompleted,
    SettlementRecorded,
    SwitchChanged,
)
from polystra.domain.fills import Fill
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.ledger import Posting
from polystra.domain.market import Outcome
from polystra.domain.orders import Order
from polystra.domain.units import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReading:
    """Everything that is kept of one account. `entries_blocked` is the reason, empty when entries are made.

    `intents` maps our order ids to the venue's; tuples are in the order of their happening.
    `last_entry_ns` is the newest time in the database.
    """

    mode: str
    account: str
    schema: str
    markets: tuple[MarketRow, ...]
    totals: Totals
    orders: tuple[Order, ...]
    intents: Mapping[ClientOrderId, OrderId]
    fills: tuple[Fill, ...]
    postings: tuple[Posting, ...]
    positions: tuple[PositionRecorded, ...]
    settlements: tuple[SettlementRecorded, ...]
    balances: tuple[BalanceObserved, ...]
    last_reconcile: ReconcileCompleted | None
    entries_blocked: str
    venue_mode: str
    switches: tuple[SwitchChanged, ...]
    """The last value of each, on or off."""
    last_entry_ns: Nanos


def read_account(url: str) -> AccountReading:
    """Read the database in one transaction.

    Raises:
        StoreCorrupt: missing, unreadable, of another schema, or never opened by a daemon.
        StoreBusy: cannot be reached for now.
        ConfigError: the URL names no database.
    """
    with queries.reading(url) as connection:
        return account_on(connection)


def account_on(connection: Connection) -> AccountReading:
    """The same on an open connection; raises StoreCorrupt when the database was never opened by a daemon."""
    owner = queries.owner(connection)
    if owner is None:
        raise StoreCorrupt("the database holds no account yet; start polystra run first")
    return _read(connection, owner)


def owner_of(url_text: str) -> queries.Owner | None:
    """Whose database it is, of whatever schema; None when it is nobody's yet.

    Raises:
        StoreCorrupt: missing or unreadable.
        StoreBusy: cannot be reached for now.
        ConfigError: the URL names no database.
    """
    url = parse_url(url_text)
    require_file(url)
    engine = make_engine(url, read_only=True)
    try:
        with translated(url), engine.connect() as connection:
            known = inspect(connection).has_table(tables.store_meta.name)
            return queries.owner(connection) if known else None
    finally:
        engine.dispose()


def is_in_use(url_text: str) -> bool:
    """Tell whether a daemon holds the database's lock now.

    Raises:
        StoreCorrupt: it cannot be read.
        StoreBusy: cannot be reached for now.
    """
    url = parse_url(url_text)
    path = sqlite_path(url)
    if path is None:
        return _advisory_lock_is_held(url_text)
    try:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreCorrupt(f"the lock of {path} cannot be read: {error.strerror}; check its permissions") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def last_reconcile(connection: Connection) -> ReconcileCompleted | None:
    """The last comparison with the venue."""
    table = tables.reconciliations
    row = _last(connection, select(table).order_by(table.c.sequence.desc()))
    return None if row is None else _reconcile_of(row)


def entries_blocked(connection: Connection) -> str:
    """Why no entries were made when the database was last written to, empty when they were."""
    notices = tables.notices
    last = _last(
        connection,
        select(notices)
        .where(notices.c.kind.in_(("entries.blocked", "entries.allowed", "trading.halted")))
        .order_by(notices.c.sequence.desc()),
    )
    return "" if last is None or last.kind == "entries.allowed" else str(last.message)


def _advisory_lock_is_held(url_text: str) -> bool:
    url = parse_url(url_text)
    engine = make_engine(url, read_only=True)
    query = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = :key "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    try:
        with translated(url), engine.connect() as connection:
            return bool(connection.scalar(query, {"key": ADVISORY_KEY}))
    finally:
        engine.dispose()


def _read(connection: Connection, owner: queries.Owner) -> AccountReading:
    t = tables
    return AccountReading(
        mode=owner.mode,
        account=owner.account,
        schema=str(connection.scalar(text("SELECT version_num FROM alembic_version"))),
        markets=queries.market_rows(connection),
        totals=queries.totals(connection),
        orders=tuple(map(order_of, _rows(connection, t.orders, t.orders.c.created_at_ns, t.orders.c.number))),
        intents={
            ClientOrderId(intent.client_order_id): OrderId(intent.order_id)
            for intent in queries.all_intents(connection)
        },
        fills=queries.all_fills(connection),
        postings=tuple(map(posting_of, _rows(connection, t.ledger, t.ledger.c.sequence))),
        positions=tuple(
            map(position_of, _rows(connection, t.positions, t.positions.c.opened_at_ns, t.positions.c.position_id))
        ),
        settlements=tuple(
            map(_settlement_of, _rows(connection, t.settlements, t.settlements.c.at_ns, t.settlements.c.slug))
        ),
        balances=tuple(
            BalanceObserved(cash=row.cash, ledger_cash=row.ledger_cash, at_ns=row.at_ns, source=row.source)
            for row in _rows(connection, t.balances, t.balances.c.sequence)
        ),
        last_reconcile=last_reconcile(connection),
        entries_blocked=entries_blocked(connection),
        switches=tuple(
            switch_of(row)
            for row in _rows(connection, t.switches, t.switches.c.at_ns, t.switches.c.name, t.switches.c.subject)
            if row.name != VENUE_MODE
        ),
        venue_mode=_venue_mode(connection),
        last_entry_ns=_newest(connection),
    )


def _venue_mode(connection: Connection) -> str:
    """The mode that the venue was last seen in and why; empty while it takes everything."""
    row = read_venue_mode(connection)
    return row.reason if row is not None and row.is_on else ""


def _rows(connection: Connection, table: Table, *order: ColumnElement[Any]) -> list[Row[Any]]:
    return list(connection.execute(select(table).order_by(*order)))


def _last(connection: Connection, query: Select[Any]) -> Row[Any] | None:
    return connection.execute(query.limit(1)).one_or_none()


def _newest(connection: Connection) -> Nanos:
    t = tables
    times = (
        t.decisions.c.at_ns,
        t.orders.c.updated_at_ns,
        t.fills.c.updated_at_ns,
        t.ledger.c.at_ns,
        t.markets.c.updated_at_ns,
        t.notices.c.at_ns,
        t.reconciliations.c.at_ns,
    )
    return max(connection.scalar(select(func.max(column))) or 0 for column in times)


def _settlement_of(row: Row[Any]) -> SettlementRecorded:
    return SettlementRecorded(
        condition_id=row.condition_id,
        slug=row.slug,
        symbol=row.symbol,
        winner=None if row.winner is None else Outcome(row.winner),
        up_payout=row.up_payout,
        shares_held=row.shares_held,
        payout=row.payout,
        realised_pnl=row.realised_pnl,
        fees=row.fees,
        at_ns=row.at_ns,
    )


def _reconcile_of(row: Row[Any]) -> ReconcileCompleted:
    return ReconcileCompleted(
        at_ns=row.at_ns,
        open_orders=row.open_orders,
        fills_applied=row.fills_applied,
        differences=tuple(json.loads(row.differences)),
        trigger=row.cause,
    )
