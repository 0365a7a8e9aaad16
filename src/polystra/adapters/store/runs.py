"""The daemon's runs: when each began to trade, and whether it ended in order.

What lives here: statements, inside the caller's transaction. What must not: what follows from crashes (`app`).
A run without an end crashed: nobody writes down a death.
"""

from __future__ import annotations

import os
import platform
from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from polystra.adapters.store.tables import runs, switches
from polystra.domain.events import SwitchName
from polystra.domain.units import Nanos

COUNTED: Final = "crashed; counted in a crash loop"
"""The reason of a crash that has stopped entries once and does not do so again."""


def begin_run(connection: Connection, epoch: int, now_ns: Nanos) -> None:
    """Write down that a run begins to trade."""
    values = {"epoch": epoch, "host": platform.node(), "pid": os.getpid(), "started_ns": now_ns, "reason": ""}
    connection.execute(insert(runs).values(ended_ns=None, **values))


def end_run(connection: Connection, epoch: int, now_ns: Nanos, reason: str) -> None:
    """Write down that a run ended in order."""
    connection.execute(update(runs).where(runs.c.epoch == epoch).values(ended_ns=now_ns, reason=reason))


def crashes_since(connection: Connection, epoch: int, since_ns: Nanos) -> int:
    """How many runs before `epoch` that began at or after a moment crashed and were not counted yet.

    While the switch of the crash loop stands, all are counted: it cannot be set twice.
    """
    stands = select(switches.c.is_on).where(switches.c.name == SwitchName.CRASH_LOOP.value, switches.c.subject == "")
    if connection.scalar(stands):
        count_crashes(connection, epoch)
    statement = (
        select(func.count())
        .select_from(runs)
        .where(runs.c.epoch < epoch, runs.c.ended_ns.is_(None), runs.c.reason == "", runs.c.started_ns >= since_ns)
    )
    return int(connection.execute(statement).scalar_one())


def count_crashes(connection: Connection, epoch: int) -> None:
    """Mark the crashes before `epoch` as counted."""
    crashed = update(runs).where(runs.c.epoch < epoch, runs.c.ended_ns.is_(None))
    connection.execute(crashed.values(reason=COUNTED))
