"""The statements that write facts, compiled once per engine.

What lives here: for each table, how a row joins what is there, and which columns of a known
row may never differ. What must not: connections, rows.

Append-only tables insert and leave a known row alone; projections take the new values.
Two laws of the state machines keep a fact that is told again from turning time back: no
state but NEW leads to SUBMITTED, and a fill that is CONFIRMED or FAILED stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, Table, TextClause, text
from sqlalchemy.dialects import postgresql, sqlite

from polystra.adapters.store import tables


@dataclass(frozen=True, slots=True)
class Write:
    """One compiled statement. `content` names the columns that a known row must share."""

    table: Table
    sql: str
    key: tuple[str, ...]
    content: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How rows of one table join. `updated` is empty for append-only tables."""

    table: Table
    key: tuple[str, ...]
    content: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


_ORDER_TERMS: Final = (
    "condition_id",
    "token_id",
    "position_id",
    "purpose",
    "side",
    "price",
    "quantity",
    "budget",
    "time_in_force",
)
_FILL_TERMS: Final = ("client_order_id", "position_id", "token_id", "side", "price", "quantity", "cash")


def _all_but(table: Table, *names: str) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name not in names)


_RULES: Final = (
    _Rule(
        tables.markets,
        ("condition_id",),
        ("up_token", "down_token"),
        _all_but(tables.markets, "condition_id", "up_token", "down_token"),
    ),
    _Rule(tables.decisions, ("decision_id",), ("condition_id", "at_ns", "action")),
    _Rule(
        tables.orders, ("client_order_id",), _ORDER_TERMS, ("order_id", "status", "filled", "updated_at_ns", "detail")
    ),
    _Rule(tables.order_intents, ("client_order_id",), ("order_id", "body", "salt", "timestamp_ms")),
    _Rule(tables.order_events, ("client_order_id", "digest")),
    _Rule(
        tables.fills,
        ("trade_id", "order_id"),
        _FILL_TERMS,
        ("fee", "liquidity", "status", "matched_at_ns", "updated_at_ns", "transaction_hash"),
    ),
    _Rule(tables.ledger, ("source_id",), ("kind", "token_id", "position_id", *tables.POSTING_AMOUNTS)),
    _Rule(
        tables.positions,
        ("position_id",),
        ("condition_id", "token_id"),
        _all_but(tables.positions, "position_id", "condition_id", "token_id"),
    ),
    _Rule(
        tables.settlements,
        ("condition_id",),
        (),
        _all_but(tables.settlements, "condition_id"),
    ),
    _Rule(tables.balances, ("digest",)),
    _Rule(tables.reconciliations, ("digest",)),
    _Rule(tables.notices, ("digest",)),
    _Rule(tables.switches, ("name", "subject"), (), _all_but(tables.switches, "name", "subject")),
    _Rule(tables.doubts, ("client_order_id",), (), _all_but(tables.doubts, "client_order_id")),
)
"""In the order of writing: rows that others refer to come first."""


def _guard(rule: _Rule) -> TextClause | None:
    """When a known row takes the new values: same content, and time does not run back."""
    table = rule.table.name
    conditions = [f"{table}.{name} = excluded.{name}" for name in rule.content]
    if rule.table is tables.orders:
        conditions.append("(orders.order_id IS NULL OR orders.order_id = excluded.order_id)")
        conditions.append("(excluded.status <> 'SUBMITTED' OR orders.status IN ('NEW', 'SUBMITTED'))")
    elif rule.table is tables.fills:
        conditions.append("(fills.status NOT IN ('CONFIRMED', 'FAILED') OR fills.status = excluded.status)")
    return text(" AND ".join(conditions)) if conditions else None


def _columns(table: Table) -> Sequence[str]:
    return [column.name for column in table.columns if column.name != "sequence"]


def erasure(engine: Engine) -> str:
    """The statement that erases the signed bytes of an order that has ended; it is given `client_order_id`."""
    if engine.dialect.name == "sqlite":
        return "UPDATE order_intents SET body = x'' WHERE client_order_id = :client_order_id AND body <> x''"
    return "UPDATE order_intents SET body = ''::bytea WHERE client_order_id = %(client_order_id)s AND body <> ''::bytea"


def compile_writes(engine: Engine) -> tuple[Write, ...]:
    """Return the statements for `engine`'s dialect, in the order of writing."""
    writes = []
    for rule in _RULES:
        insert = sqlite.insert(rule.table) if engine.dialect.name == "sqlite" else postgresql.insert(rule.table)
        if rule.updated:
            insert = insert.on_conflict_do_update(
                index_elements=rule.key,
                set_={name: insert.excluded[name] for name in rule.updated},
                where=_guard(rule),
            )
        else:
            insert = insert.on_conflict_do_nothing(index_elements=rule.key)
        compiled = insert.compile(dialect=engine.dialect, column_keys=_columns(rule.table))
        writes.append(Write(rule.table, str(compiled), rule.key, rule.content))
    return tuple(writes)
