"""Questions about a database, for `status`, `positions` and `report`: read-only, beside a running daemon.

`reading(url)` gives a connection inside one read transaction, so that the answers of one
block agree with each other; the functions below take it. Amounts are micro-units. What must
not live here: writing, formatting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, case, func, or_, select

from polystra.adapters.store import tables
from polystra.adapters.store.database import make_engine, parse_url, translated
from polystra.adapters.store.decode import fill_of, order_of, position_of
from polystra.adapters.store.migrations import require_file, require_head
from polystra.domain.facts import PositionRecorded
from polystra.domain.fills import Fill
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import LIVE_STATUSES, Order, Purpose
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S, MicroDollars, MicroShares, Nanos

_HELD: Final = "RESOLUTION"
_OPEN: Final = (PositionStatus.OPEN.value, PositionStatus.EXITING.value, PositionStatus.FROZEN.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose database it is."""

    mode: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow:
    """One market with what was done in it. `winner` is None until it resolved, or when it was split."""

    condition_id: str
    slug: str
    symbol: str
    opens_at_s: int
    closes_at_s: int
    settled: bool
    winner: Outcome | None
    decisions: int
    entries: int
    orders: int
    fills: int
    fees: MicroDollars
    realised_pnl: MicroDollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the whole database; see `totals` for what counts."""

    markets_settled: int
    orders: int
    fills: int
    take_profits: int
    stop_losses: int
    held_to_resolution: int
    fees: MicroDollars
    realised_pnl: MicroDollars


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSum:
    """The ledger's sums of one token."""

    token_id: str
    pending_shares: MicroShares
    settled_shares: MicroShares
    claim: MicroDollars


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSums:
    """The ledger's sums: cash, and every token that was ever traded."""

    pending_cash: MicroDollars
    settled_cash: MicroDollars
    claim: MicroDollars
    fees: MicroDollars
    tokens: tuple[TokenSum, ...]

    @property
    def cash(self) -> MicroDollars:
        """Dollars, provisional ones included."""
        return self.pending_cash + self.settled_cash


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRow:
    """One order that was signed and may have been sent."""

    client_order_id: str
    order_id: str
    at_ns: Nanos


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Open an existing, up-to-date database for reading; the block sees one moment of it.

    Raises:
        StoreCorrupt: missing, unreadable, or of another schema.
        StoreBusy: cannot be reached for now.
        ConfigError: the URL names no database.
    """
    parsed = parse_url(url)
    require_file(parsed)
    engine = make_engine(parsed, read_only=True)
    try:
        with translated(parsed), engine.connect() as connection:
            if parsed.get_backend_name() == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            require_head(connection, parsed)
            yield connection
    finally:
        engine.dispose()


def owner(connection: Connection) -> Owner | None:
    """Mode and account of the database, None before the first run."""
    row = connection.execute(select(tables.store_meta)).one_or_none()
    return None if row is None else Owner(mode=row.mode, account=row.account)


def market_rows(connection: Connection) -> tuple[MarketRow, ...]:
    """Every market that was decided on or traded, oldest first."""
    decisions = _count_by_market(connection, tables.decisions)
    entries = _counts(
        connection.execute(
            select(tables.decisions.c.condition_id, func.count())
            .where(tables.decisions.c.action == "ENTER")
            .group_by(tables.decisions.c.condition_id)
        )
    )
    orders = _counts(
        connection.execute(
            select(tables.orders.c.condition_id, func.count())
            .join(tables.order_intents, tables.order_intents.c.client_order_id == tables.orders.c.client_order_id)
            .group_by(tables.orders.c.condition_id)
        )
    )
    fills = _count_by_market(connection, tables.fills, tables.fills.c.status != "FAILED")
    fees = _sum_by_market(connection, tables.ledger, "fee")
    pnl = _sum_by_market(connection, tables.positions, "realised_pnl")
    markets, settlements = tables.markets, tables.settlements
    query = (
        select(markets, settlements.c.at_ns.label("settled_at_ns"), settlements.c.winner)
        .outerjoin(settlements, settlements.c.condition_id == markets.c.condition_id)
        .order_by(markets.c.opens_at_ns, markets.c.condition_id)
    )
    return tuple(
        MarketRow(
            condition_id=row.condition_id,
            slug=row.slug,
            symbol=row.symbol,
            opens_at_s=row.opens_at_ns // NS_PER_S,
            closes_at_s=row.closes_at_ns // NS_PER_S,
            settled=row.settled_at_ns is not None,
            winner=None if row.winner is None else Outcome(row.winner),
            decisions=decisions[row.condition_id],
            entries=entries[row.condition_id],
            orders=orders[row.condition_id],
            fills=fills[row.condition_id],
            fees=fees[row.condition_id],
            realised_pnl=pnl[row.condition_id],
        )
        for row in connection.execute(query)
        if row.settled_at_ns is not None or decisions[row.condition_id] or orders[row.condition_id]
    )


def totals(connection: Connection) -> Totals:
    """The figures of a whole database.

    An order counts when it was signed, a fill when it did not fail. A position counts once:
    as held to resolution when at least 0.01 share was paid out by the market, else by the
    purpose of the sale that closed it. Fees are the ledger's, PnL is the positions'.
    """
    closings = Counter(_endings(connection).values())
    return Totals(
        markets_settled=_count(connection, tables.settlements),
        orders=_count(connection, tables.order_intents),
        fills=connection.scalar(select(func.count()).select_from(tables.fills).where(tables.fills.c.status != "FAILED"))
        or 0,
        take_profits=closings[Purpose.TAKE_PROFIT.value],
        stop_losses=closings[Purpose.STOP_LOSS.value],
        held_to_resolution=closings[_HELD],
        fees=int(connection.scalar(select(func.sum(tables.ledger.c.fee))) or 0),
        realised_pnl=int(connection.scalar(select(func.sum(tables.positions.c.realised_pnl))) or 0),
    )


def open_positions(connection: Connection) -> tuple[PositionRecorded, ...]:
    """Positions that hold shares or wait for a decision, oldest first."""
    positions = tables.positions
    query = (
        select(positions)
        .where(
            or_(positions.c.status.in_(_OPEN), positions.c.pending_shares != 0, positions.c.settled_shares != 0),
        )
        .order_by(positions.c.opened_at_ns, positions.c.position_id)
    )
    return tuple(position_of(row) for row in connection.execute(query))


def open_orders(connection: Connection) -> tuple[Order, ...]:
    """Orders that may still trade, oldest first."""
    orders = tables.orders
    query = (
        select(orders)
        .where(orders.c.status.in_(sorted(LIVE_STATUSES)))
        .order_by(orders.c.created_at_ns, orders.c.number)
    )
    return tuple(order_of(row) for row in connection.execute(query))


def ledger_sums(connection: Connection) -> LedgerSums:
    """The sums over all postings."""
    ledger = tables.ledger
    names = ("pending_cash", "settled_cash", "claim", "fee")
    cash = connection.execute(select(*(func.sum(ledger.c[name]) for name in names))).one()
    shares = ("pending_shares", "settled_shares", "claim")
    by_token = connection.execute(
        select(ledger.c.token_id, *(func.sum(ledger.c[name]).label(name) for name in shares))
        .where(ledger.c.token_id.is_not(None))
        .group_by(ledger.c.token_id)
        .order_by(ledger.c.token_id)
    )
    return LedgerSums(
        pending_cash=int(cash[0] or 0),
        settled_cash=int(cash[1] or 0),
        claim=int(cash[2] or 0),
        fees=int(cash[3] or 0),
        tokens=tuple(
            TokenSum(
                token_id=row.token_id,
                pending_shares=int(row.pending_shares),
                settled_shares=int(row.settled_shares),
                claim=int(row.claim),
            )
            for row in by_token
        ),
    )


def all_fills(connection: Connection) -> tuple[Fill, ...]:
    """Every fill, failed ones included, by time of match."""
    fills = tables.fills
    query = select(fills).order_by(fills.c.matched_at_ns, fills.c.trade_id, fills.c.order_id)
    return tuple(fill_of(row) for row in connection.execute(query))


def all_intents(connection: Connection) -> tuple[IntentRow, ...]:
    """Every order that was signed, in the order of their numbers."""
    intents, orders = tables.order_intents, tables.orders
    query = (
        select(intents.c.client_order_id, intents.c.order_id, intents.c.at_ns)
        .join(orders, orders.c.client_order_id == intents.c.client_order_id)
        .order_by(orders.c.number, intents.c.client_order_id)
    )
    return tuple(
        IntentRow(client_order_id=row.client_order_id, order_id=row.order_id, at_ns=row.at_ns)
        for row in connection.execute(query)
    )


# --- inside ---------------------------------------------------------------------------


def _endings(connection: Connection) -> dict[str, str]:
    """How each ended position ended: held to resolution, or the purpose of its last sale."""
    ledger, fills, orders = tables.ledger, tables.fills, tables.orders
    sums = connection.execute(
        select(
            ledger.c.position_id,
            func.sum(ledger.c.pending_shares + ledger.c.settled_shares).label("held"),
            func.sum(case((ledger.c.kind == "RESOLVED", ledger.c.resolved), else_=0)).label("resolved"),
        )
        .where(ledger.c.position_id.is_not(None))
        .group_by(ledger.c.position_id)
    )
    sales = connection.execute(
        select(fills.c.position_id, orders.c.purpose)
        .join(orders, orders.c.client_order_id == fills.c.client_order_id)
        .where(orders.c.purpose != Purpose.ENTRY.value, fills.c.status != "FAILED")
        .order_by(fills.c.matched_at_ns, orders.c.number)
    )
    last_sale = {row.position_id: row.purpose for row in sales}
    endings: dict[str, str] = {}
    for row in sums:
        if row.resolved >= SIZE_STEP:
            endings[row.position_id] = _HELD
        elif row.held < SIZE_STEP and row.position_id in last_sale:
            endings[row.position_id] = last_sale[row.position_id]
    return endings


def _count(connection: Connection, table: FromClause) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _counts(rows: Iterable[Row[str, int]]) -> Counter[str]:
    return Counter({row[0]: row[1] for row in rows})


def _count_by_market(connection: Connection, table: FromClause, *conditions: ColumnElement[bool]) -> Counter[str]:
    column = table.c.condition_id
    return _counts(connection.execute(select(column, func.count()).where(*conditions).group_by(column)))


def _sum_by_market(connection: Connection, table: FromClause, name: str) -> defaultdict[str, int]:
    column = table.c.condition_id
    rows = connection.execute(select(column, func.sum(table.c[name])).group_by(column))
    return defaultdict(int, {key: int(total or 0) for key, total in rows if key is not None})
