"""Pages of what a database holds, newest first: for lists that are shown piece by piece. Read-only.

What lives here: statements with a bound, each with the key that the next page begins below. What must not: words
for people, sums of money. Amounts are micro-units.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from polystra.adapters.store import tables
from polystra.adapters.store.audit_reading import OrderRow
from polystra.adapters.store.decode import decision_of, fill_of, order_of, position_of
from polystra.domain.facts import DecisionRecorded, PositionRecorded
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.market import Outcome
from polystra.domain.orders import LIVE_STATUSES
from polystra.domain.positions import PositionStatus
from polystra.domain.units import MicroDollars, MicroPrice, MicroShares, Nanos

_ENDED: Final = (PositionStatus.CLOSED.value, PositionStatus.RESOLVED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """A fill with its market's name."""

    fill: Fill
    market: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """A position with its market and the sums of its postings."""

    position: PositionRecorded
    market: str
    closes_at_ns: Nanos
    bought: MicroShares
    bought_cost: MicroDollars
    sold: MicroShares
    sold_proceeds: MicroDollars
    resolved: MicroShares
    payout: MicroDollars
    fees: MicroDollars


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A decision with its market's name, and who won where that is known."""

    decision: DecisionRecorded
    market: str
    winner: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPageRow:
    """One market and its verdict, if there is one."""

    condition_id: str
    slug: str
    symbol: str
    opens_at_ns: Nanos
    closes_at_ns: Nanos
    price_to_beat_e8: int | None
    settled_at_ns: Nanos | None
    winner: Outcome | None
    up_payout: MicroPrice | None
    realised_pnl: MicroDollars | None
    fees: MicroDollars | None


def orders_page(
    connection: Connection, *, limit: int, before: int | None = None, only_open: bool = False, position_id: str = ""
) -> tuple[OrderRow, ...]:
    """Orders by number, newest first; the next page begins below the number of the last one."""
    orders, markets = tables.orders, tables.markets
    query = (
        select(orders, markets.c.slug)
        .join(markets, markets.c.condition_id == orders.c.condition_id)
        .order_by(orders.c.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(orders.c.number < before)
    if only_open:
        query = query.where(orders.c.status.in_(sorted(LIVE_STATUSES)))
    if position_id:
        query = query.where(orders.c.position_id == position_id)
    rows = connection.execute(query).all()
    traded = _traded(connection, [row.client_order_id for row in rows])
    return tuple(
        OrderRow(
            order=order_of(row),
            market=row.slug,
            traded=traded[row.client_order_id][0],
            cash=traded[row.client_order_id][1],
        )
        for row in rows
    )


def order_number(connection: Connection, client_order_id: str) -> int | None:
    """The number of an order of ours, None when there is no such order."""
    orders = tables.orders
    return connection.scalar(select(orders.c.number).where(orders.c.client_order_id == client_order_id))


def fills_page(
    connection: Connection, *, limit: int, before: tuple[Nanos, str, str] | None = None
) -> tuple[FillRow, ...]:
    """Fills by the time of their match, newest first; `before` is (time, trade id, order id) of the last one."""
    fills, markets = tables.fills, tables.markets
    keys = (fills.c.matched_at_ns, fills.c.trade_id, fills.c.order_id)
    query = (
        select(fills, markets.c.slug)
        .join(markets, markets.c.condition_id == fills.c.condition_id, isouter=True)
        .order_by(*(key.desc() for key in keys))
        .limit(limit)
    )
    if before is not None:
        query = query.where(_below(keys, before))
    return tuple(FillRow(fill=fill_of(row), market=row.slug or row.condition_id) for row in connection.execute(query))


def trades_page(
    connection: Connection,
    *,
    limit: int,
    before: tuple[Nanos, str] | None = None,
    ended: bool | None = None,
    position_id: str = "",
) -> tuple[TradeRow, ...]:
    """Positions that ever held a share, newest first; `before` is (opened, id) of the last one.

    `ended`: True for those that are over, False for the others, None for all.
    """
    positions, markets = tables.positions, tables.markets
    keys = (positions.c.opened_at_ns, positions.c.position_id)
    query = (
        select(positions, markets.c.slug, markets.c.closes_at_ns)
        .join(markets, markets.c.condition_id == positions.c.condition_id)
        .order_by(*(key.desc() for key in keys))
        .limit(limit)
    )
    if before is not None:
        query = query.where(_below(keys, before))
    if ended is not None:
        over = positions.c.status.in_(_ENDED)
        query = query.where(over if ended else ~over)
    if ended:
        ledger = tables.ledger
        query = query.where(
            select(ledger.c.sequence).where(ledger.c.position_id == positions.c.position_id).limit(1).exists()
        )
    if position_id:
        query = query.where(positions.c.position_id == position_id)
    rows = connection.execute(query).all()
    sums = _sums(connection, [row.position_id for row in rows])
    return tuple(_trade(row, sums.get(row.position_id)) for row in rows)


def decisions_page(
    connection: Connection, *, limit: int, before: int | None = None, action: str = "", condition_id: str = ""
) -> tuple[DecisionRow, ...]:
    """Decisions by number, newest first."""
    decisions, markets, settlements = tables.decisions, tables.markets, tables.settlements
    query = (
        select(decisions, markets.c.slug, settlements.c.winner)
        .join(markets, markets.c.condition_id == decisions.c.condition_id, isouter=True)
        .join(settlements, settlements.c.condition_id == decisions.c.condition_id, isouter=True)
        .order_by(decisions.c.decision_id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(decisions.c.decision_id < before)
    if action:
        query = query.where(decisions.c.action == action)
    if condition_id:
        query = query.where(decisions.c.condition_id == condition_id)
    return tuple(
        DecisionRow(
            decision=decision_of(row),
            market=row.slug or row.condition_id,
            winner=None if row.winner is None else Outcome(row.winner),
        )
        for row in connection.execute(query)
    )


def markets_page(
    connection: Connection, *, limit: int, before: tuple[Nanos, str] | None = None
) -> tuple[MarketPageRow, ...]:
    """Markets by the time that they open at, latest first; `before` is (opens, condition id) of the last one."""
    markets, settlements = tables.markets, tables.settlements
    keys = (markets.c.opens_at_ns, markets.c.condition_id)
    query: Select[Any] = (
        select(
            markets,
            settlements.c.at_ns.label("settled_at_ns"),
            settlements.c.winner,
            settlements.c.up_payout,
            settlements.c.realised_pnl,
            settlements.c.fees,
        )
        .join(settlements, settlements.c.condition_id == markets.c.condition_id, isouter=True)
        .order_by(*(key.desc() for key in keys))
        .limit(limit)
    )
    if before is not None:
        query = query.where(_below(keys, before))
    return tuple(
        MarketPageRow(
            condition_id=row.condition_id,
            slug=row.slug,
            symbol=row.symbol,
            opens_at_ns=row.opens_at_ns,
            closes_at_ns=row.closes_at_ns,
            price_to_beat_e8=row.price_to_beat_e8,
            settled_at_ns=row.settled_at_ns,
            winner=None if row.winner is None else Outcome(row.winner),
            up_payout=row.up_payout,
            realised_pnl=row.realised_pnl,
            fees=row.fees,
        )
        for row in connection.execute(query)
    )


def entry_decision(connection: Connection, position_id: str) -> DecisionRecorded | None:
    """The decision behind the first order of a position; None when nobody decided, or it is not kept any more."""
    orders, intents, decisions = tables.orders, tables.order_intents, tables.decisions
    row = connection.execute(
        select(decisions)
        .join(intents, intents.c.decision_id == decisions.c.decision_id)
        .join(orders, orders.c.client_order_id == intents.c.client_order_id)
        .where(orders.c.position_id == position_id)
        .order_by(orders.c.number)
        .limit(1)
    ).one_or_none()
    return None if row is None else decision_of(row)


def decisions_of(
    connection: Connection, condition_id: str, *, since_ns: Nanos, until_ns: Nanos
) -> tuple[DecisionRecorded, ...]:
    """What was thought of a market in a span of time, oldest first; at most 2000 thoughts."""
    decisions = tables.decisions
    query = (
        select(decisions)
        .where(decisions.c.condition_id == condition_id, decisions.c.at_ns.between(since_ns, until_ns))
        .order_by(decisions.c.at_ns, decisions.c.decision_id)
        .limit(2_000)
    )
    return tuple(decision_of(row) for row in connection.execute(query))


def market_of_slug(connection: Connection, name: str) -> str | None:
    """The condition id of a market by that id or by its slug; None when there is none."""
    markets = tables.markets
    query = select(markets.c.condition_id).where(or_(markets.c.condition_id == name, markets.c.slug == name)).limit(1)
    return connection.scalar(query)


def judged_entries(connection: Connection, *, limit: int) -> tuple[DecisionRow, ...]:
    """The newest decisions to enter in markets whose winner is known."""
    decisions, settlements, markets = tables.decisions, tables.settlements, tables.markets
    query = (
        select(decisions, settlements.c.winner, markets.c.slug)
        .join(settlements, settlements.c.condition_id == decisions.c.condition_id)
        .join(markets, markets.c.condition_id == decisions.c.condition_id)
        .where(decisions.c.action == "ENTER", settlements.c.winner.is_not(None))
        .order_by(decisions.c.decision_id.desc())
        .limit(limit)
    )
    return tuple(
        DecisionRow(decision=decision_of(row), market=row.slug, winner=Outcome(row.winner))
        for row in connection.execute(query)
    )


def settled_markets(connection: Connection) -> int:
    """How many markets were settled."""
    return connection.scalar(select(func.count()).select_from(tables.settlements)) or 0


# --- inside ---------------------------------------------------------------------------


def _below(keys: Sequence[ColumnElement[Any]], values: Sequence[object]) -> ColumnElement[bool]:
    """Rows that come after `values` when the keys fall."""
    conditions = []
    for number, key in enumerate(keys):
        same = [before == value for before, value in zip(keys[:number], values[:number], strict=True)]
        conditions.append(and_(*same, key < values[number]))
    return or_(*conditions)


def _traded(connection: Connection, names: Sequence[str]) -> defaultdict[str, tuple[MicroShares, MicroDollars]]:
    fills = tables.fills
    query = (
        select(fills.c.client_order_id, func.sum(fills.c.quantity), func.sum(fills.c.cash))
        .where(fills.c.client_order_id.in_(names), fills.c.status != FillStatus.FAILED.value)
        .group_by(fills.c.client_order_id)
    )
    found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    found.update({row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)})
    return found


_SUMMED: Final = ("bought", "bought_cost", "sold", "sold_proceeds", "resolved", "payout", "fee")


def _sums(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    ledger = tables.ledger
    query = (
        select(ledger.c.position_id, *(func.sum(ledger.c[name]).label(name) for name in _SUMMED))
        .where(ledger.c.position_id.in_(list(ids)))
        .group_by(ledger.c.position_id)
    )
    return {row.position_id: row for row in connection.execute(query)}


def _trade(row: Row[Any], sums: Row[Any] | None) -> TradeRow:
    def amount(name: str) -> int:
        return 0 if sums is None else int(getattr(sums, name) or 0)

    return TradeRow(
        position=position_of(row),
        market=row.slug,
        closes_at_ns=row.closes_at_ns,
        bought=amount("bought"),
        bought_cost=amount("bought_cost"),
        sold=amount("sold"),
        sold_proceeds=amount("sold_proceeds"),
        resolved=amount("resolved"),
        payout=amount("payout"),
        fees=amount("fee"),
    )
