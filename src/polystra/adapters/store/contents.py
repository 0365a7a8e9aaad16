"""What a database holds, as numbers that can be compared, and the copying of rows between engines.

What lives here: row counts, a digest of every row, the ledger's sums; the copy of all tables from one connection
to another. What must not: files, locks, whose database it is.

The digest does not depend on the order of rows or on the engine: each row is hashed alone, columns by name, and
the hashes are added. So two databases with the same digest hold the same rows, whichever engine they are on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, MetaData, Row, Table, inspect, select, text

from polystra.adapters.store import tables
from polystra.domain.units import MicroDollars, MicroShares

_BATCH: Final = 1_000
_DIGEST_BITS: Final = 128
_LEDGER: Final = tables.ledger.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All rows of one database at one moment. Sums are over the whole ledger, pending and settled."""

    rows: Mapping[str, int]
    digests: Mapping[str, str]
    ledger_cash: MicroDollars
    ledger_shares: MicroShares

    @property
    def total(self) -> int:
        """How many rows in all."""
        return sum(self.rows.values())


def contents(connection: Connection) -> Contents:
    """Read every row; the caller's transaction makes it one moment."""
    rows: dict[str, int] = {}
    digests: dict[str, str] = {}
    cash = shares = 0
    for table in ours(connection).sorted_tables:
        count = total = 0
        for row in _rows(connection, table):
            count += 1
            total += _hash(table, row)
            if table.name == _LEDGER:
                cash += row.pending_cash + row.settled_cash
                shares += row.pending_shares + row.settled_shares
        rows[table.name] = count
        digests[table.name] = f"{total % (1 << _DIGEST_BITS):032x}"
    return Contents(rows=rows, digests=digests, ledger_cash=cash, ledger_shares=shares)


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every row of our tables; `target` has the same schema and is empty. Nothing is committed here."""
    from_tables = ours(source).tables
    for table in ours(target).sorted_tables:
        for part in _parts(source, from_tables[table.name]):
            target.execute(table.insert(), [dict(row._mapping) for row in part])  # noqa: SLF001 - its public name
    if target.dialect.name == "postgresql":
        count_on(target)


def differences(one: Contents, other: Contents) -> list[str]:
    """Say what differs, table by table; empty when nothing does."""
    found = []
    for name in sorted(set(one.rows) | set(other.rows)):
        mine, theirs = one.rows.get(name), other.rows.get(name)
        if mine != theirs:
            found.append(f"{name} has {mine} rows here and {theirs} there")
        elif one.digests[name] != other.digests[name]:
            found.append(f"{name} has other rows")
    return found


def ours(connection: Connection) -> MetaData:
    """The tables of this program that the database has, as they are there; Alembic's own is not among them."""
    found = set(inspect(connection).get_table_names()) & set(tables.metadata.tables)
    metadata = MetaData()
    if found:
        metadata.reflect(bind=connection, only=sorted(found), resolve_fks=False)
    return metadata


def count_on(connection: Connection) -> None:
    """PostgreSQL's counters go on after the rows that were copied with their numbers."""
    for table in ours(connection).sorted_tables:
        for column in table.primary_key.columns:
            counter = connection.scalar(
                text("SELECT pg_get_serial_sequence(quote_ident(:table), :column)"),
                {"table": table.name, "column": column.name},
            )
            if counter is not None:
                newest = connection.scalar(select(column).order_by(column.desc()).limit(1))
                connection.execute(
                    text("SELECT setval(CAST(:counter AS regclass), :next, false)"),
                    {"counter": counter, "next": (newest or 0) + 1},
                )


# --- inside ---------------------------------------------------------------------------


def _rows(connection: Connection, table: Table) -> Iterator[Row[tuple[object, ...]]]:
    for part in _parts(connection, table):
        yield from part


def _parts(connection: Connection, table: Table) -> Iterator[list[Row[tuple[object, ...]]]]:
    columns = sorted(table.columns, key=lambda column: column.name)
    result = connection.execute(select(*columns), execution_options={"yield_per": _BATCH})
    for part in result.partitions():
        yield list(part)


def _hash(table: Table, row: Row[tuple[object, ...]]) -> int:
    shown = repr((table.name, tuple(_plain(value) for value in row)))
    return int.from_bytes(hashlib.sha256(shown.encode("utf-8", "surrogatepass")).digest()[: _DIGEST_BITS // 8])


def _plain(value: object) -> object:
    """The same value from either engine."""
    if isinstance(value, bool):
        return int(value)
    return bytes(value) if isinstance(value, memoryview | bytearray) else value
