"""Statements that keep and drop the audit of requests.

What lives here: the rows of `api_calls` and `api_call_orders`, pruning. What must not: connections,
transactions (`session`), questions (`audit_reading`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select

from polystra.adapters.store.encode import clean
from polystra.adapters.store.tables import api_call_orders, api_calls
from polystra.domain.units import Nanos
from polystra.ports.audit import ROUTINE_PATHS, ApiCall


def insert_calls(connection: Connection, calls: Sequence[ApiCall]) -> None:
    """Add calls in their order, inside the caller's transaction; the one writer counts their numbers itself."""
    first = (connection.scalar(select(func.max(api_calls.c.sequence))) or 0) + 1
    numbered = list(enumerate(calls, start=first))
    connection.execute(
        insert(api_calls),
        [
            {
                "sequence": number,
                "at_ns": call.at_ns,
                "method": call.method,
                "path": clean(call.path),
                "latency_ns": call.latency_ns,
                "status": call.status,
                "request": clean(call.request),
                "reply": clean(call.reply),
                "outcome": clean(call.outcome),
            }
            for number, call in numbered
        ],
    )
    orders = [
        {"call_sequence": number, "order_id": clean(order_id), "outcome": clean(outcome)}
        for number, call in numbered
        for order_id, outcome in dict(call.orders).items()
    ]
    if orders:
        connection.execute(insert(api_call_orders), orders)


def is_good_routine() -> ColumnElement[bool]:
    """The condition of a call that is routine and went well."""
    paths = (api_calls.c.path.startswith(path, autoescape=True) for path in ROUTINE_PATHS)
    return and_(api_calls.c.outcome == "ok", or_(*paths))


def delete_calls(connection: Connection, before_ns: Nanos, routine_before_ns: Nanos, limit: int) -> int:
    """Delete at most `limit` calls that are older than they are kept for, with their orders; returns how many went."""
    old_routine = and_(api_calls.c.at_ns < routine_before_ns, is_good_routine())
    old = (
        select(api_calls.c.sequence)
        .where(or_(api_calls.c.at_ns < before_ns, old_routine))
        .order_by(api_calls.c.at_ns)
        .limit(limit)
    )
    numbers = list(connection.scalars(old))
    if numbers:
        connection.execute(delete(api_call_orders).where(api_call_orders.c.call_sequence.in_(numbers)))
        connection.execute(delete(api_calls).where(api_calls.c.sequence.in_(numbers)))
    return len(numbers)
