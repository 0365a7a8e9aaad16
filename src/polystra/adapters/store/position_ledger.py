"""Every line of one position: its postings with what became of them, and its fills. Read-only.

What lives here: the statements and which posting is provisional, final or reversed. What must not: words
for people, sums (the domain's `Position` adds postings up).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from polystra.adapters.store import tables
from polystra.adapters.store.decode import fill_of, position_of, posting_of
from polystra.adapters.store.queries import reading
from polystra.domain.facts import PositionRecorded
from polystra.domain.fills import Fill
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting, PostingKind


class Finality(StrEnum):
    """What a posting is worth."""

    PROVISIONAL = "provisional"
    """Of a trade that the venue has matched and not confirmed."""
    FINAL = "final"
    REVERSED = "reversed"
    """Of a trade that failed; another posting takes it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One posting and what became of its trade."""

    posting: Posting
    finality: Finality


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLedger:
    """One position with every posting, in the order of booking, and every fill, in the order of matching."""

    position: PositionRecorded
    lines: tuple[LedgerLine, ...]
    fills: tuple[Fill, ...]


def read_position_ledger(url: str, position_id: str) -> PositionLedger | None:
    """Read one position in one transaction; None when the database does not know it.

    Raises:
        StoreCorrupt: missing, unreadable, or of another schema.
        StoreBusy: cannot be reached for now.
        ConfigError: the URL names no database.
    """
    with reading(url) as connection:
        return position_ledger(connection, PositionId(position_id))


def position_ledger(connection: Connection, position_id: PositionId) -> PositionLedger | None:
    """The same on an open connection."""
    positions, ledger, fills = tables.positions, tables.ledger, tables.fills
    row = connection.execute(select(positions).where(positions.c.position_id == position_id)).one_or_none()
    if row is None:
        return None
    postings = [
        posting_of(line)
        for line in connection.execute(
            select(ledger).where(ledger.c.position_id == position_id).order_by(ledger.c.sequence)
        )
    ]
    booked = {posting.source_id for posting in postings}
    return PositionLedger(
        position=position_of(row),
        lines=tuple(LedgerLine(posting=posting, finality=_finality(posting, booked)) for posting in postings),
        fills=tuple(
            fill_of(line)
            for line in connection.execute(
                select(fills)
                .where(fills.c.position_id == position_id)
                .order_by(fills.c.matched_at_ns, fills.c.trade_id, fills.c.order_id)
            )
        ),
    )


def _finality(posting: Posting, booked: set[str]) -> Finality:
    if posting.kind is not PostingKind.MATCHED:
        return Finality.FINAL
    key = posting.source_id.partition(":")[2]
    if f"reversed:{key}" in booked:
        return Finality.REVERSED
    return Finality.FINAL if f"settled:{key}" in booked else Finality.PROVISIONAL
