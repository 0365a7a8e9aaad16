"""How often the daemon began to trade: one small reading, beside a daemon that writes.

What lives here: the statement. What must not: the words. Every run reconciles once under the cause "start".
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from polystra.adapters.store import queries
from polystra.adapters.store.tables import reconciliations
from polystra.domain.units import Nanos

START_CAUSE: Final = "start"


def starts_since(url: str, at_ns: Nanos) -> int:
    """How many runs began to trade at or after a moment.

    Raises:
        StoreError: the database cannot be read.
    """
    statement = (
        select(func.count())
        .select_from(reconciliations)
        .where(reconciliations.c.cause == START_CAUSE, reconciliations.c.at_ns >= at_ns)
    )
    with queries.reading(url) as connection:
        return int(connection.execute(statement).scalar_one())
