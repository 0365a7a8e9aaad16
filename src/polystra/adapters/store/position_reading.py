"""Questions about positions: which one an id means, and the requests that positions cost. Read-only.

What lives here: the statements and the mapping of their rows. What must not: sums of money, words for people.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, or_, select

from polystra.adapters.store import tables
from polystra.domain.ids import PositionId
from polystra.ports.audit import GOOD_OUTCOMES

MOST_POSITIONS: Final = 6


@dataclass(slots=True)
class Requests:
    """What was sent to the venue for the orders of some positions, as far as the audit keeps it.

    `sent` counts requests, one that was about several orders once; `failed` maps the words of what went
    wrong to how often they came back, per order.
    """

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def position_candidates(connection: Connection, wanted: str) -> tuple[PositionId, ...]:
    """The positions that `wanted` may mean, at most `MOST_POSITIONS`: the one so called, else those that begin so."""
    ids = tables.positions.c.position_id
    begins = or_(ids == wanted, ids.startswith(wanted, autoescape=True))
    found = connection.scalars(select(ids).where(begins).order_by(ids).limit(MOST_POSITIONS)).all()
    exact = [each for each in found if each == wanted]
    return tuple(PositionId(each) for each in exact or found)


def requests_by_mode(connection: Connection) -> dict[str, Requests]:
    """The requests for the orders of all positions, by the exit mode of the position."""
    orders, positions, legs = tables.orders, tables.positions, tables.api_call_orders
    query = (
        select(positions.c.exit_mode, legs.c.call_sequence, legs.c.outcome)
        .join(orders, orders.c.order_id == legs.c.order_id)
        .join(positions, positions.c.position_id == orders.c.position_id)
    )
    found: dict[str, Requests] = {}
    seen: set[tuple[str, int]] = set()
    for row in connection.execute(query):
        of_mode = found.setdefault(row.exit_mode, Requests())
        if (row.exit_mode, row.call_sequence) not in seen:
            seen.add((row.exit_mode, row.call_sequence))
            of_mode.sent += 1
        if row.outcome not in GOOD_OUTCOMES:
            of_mode.failed[row.outcome] += 1
    return found
