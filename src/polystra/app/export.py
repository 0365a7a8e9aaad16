"""`polystra export trades|fills|ledger --csv`: the books as tables for other programs.

What lives here: the columns and their text. What must not: statements. RFC 4180: CRLF, a header line, quotes where
they are needed. Amounts are exact decimals with six places, times UTC with microseconds. Columns are only ever
added, at the end: a test holds their names and order (`docs/repair.md` explains them).
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.book_reading import database_url
from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, Nanos

TRADES: Final = (
    "position_id",
    "market",
    "symbol",
    "outcome",
    "status",
    "opened_at",
    "changed_at",
    "bought",
    "bought_cost",
    "average_price",
    "sold",
    "sold_proceeds",
    "resolved",
    "payout",
    "fees",
    "realised_pnl",
    "held",
    "exit_reason",
    "exit_mode",
    "token_id",
    "condition_id",
)
FILLS: Final = (
    "matched_at",
    "trade_id",
    "order_id",
    "client_order_id",
    "position_id",
    "market",
    "side",
    "price",
    "quantity",
    "cash",
    "fee",
    "liquidity",
    "status",
    "purpose",
    "rule",
    "transaction_hash",
    "token_id",
    "condition_id",
)
LEDGER: Final = (
    "sequence",
    "booked_at",
    "source_id",
    "kind",
    "reason",
    "position_id",
    "condition_id",
    "token_id",
    "pending_shares",
    "settled_shares",
    "pending_cash",
    "settled_cash",
    "claim",
    "bought",
    "bought_cost",
    "sold",
    "sold_proceeds",
    "fee",
    "resolved",
    "payout",
    "price",
    "evidence",
)
_NS_PER_US: Final = 1_000
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"-?[0-9]+\.[0-9]{6}")


class Table(StrEnum):
    """What can be exported."""

    TRADES = "trades"
    """One line a position."""
    FILLS = "fills"
    LEDGER = "ledger"


def export(settings: Settings, table: Table, out: Path | None, since: str | None) -> None:
    """Write one table to a file, or to standard output.

    Raises:
        ConfigError: `since` is no time, or the file cannot be written.
        StoreError: the database cannot be read.
    """
    since_ns = 0 if since is None else parse_since(since)
    text = table_text(read_account(database_url(settings)), table, since_ns)
    if out is None:
        typer.echo(text, nl=False)
        return
    unfinished = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        unfinished.replace(out)
    except OSError as error:
        raise ConfigError(f"--out: {out} cannot be written ({error.strerror}); check the path") from error


def parse_since(text: str) -> Nanos:
    """Read a date or a time, UTC unless it says otherwise, as UTC nanoseconds.

    Raises:
        ConfigError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(
            f"--since is {text[:40]!r}, expected a date or a time: write 2026-11-21 or 2026-11-21T14:30:00"
        ) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * NS_PER_S + moment.microsecond * _NS_PER_US


def table_text(account: AccountReading, table: Table, since_ns: Nanos = 0) -> str:
    """Return one table as CSV, whole; `since_ns` leaves out what is older."""
    rows: dict[Table, tuple[tuple[str, ...], Callable[[AccountReading, Nanos], Iterator[list[str]]]]] = {
        Table.TRADES: (TRADES, _trades),
        Table.FILLS: (FILLS, _fills),
        Table.LEDGER: (LEDGER, _ledger),
    }
    names, make = rows[table]
    out = io.StringIO(newline="")
    _write(out, [list(names), *make(account, since_ns)])
    return out.getvalue()


def _write(out: io.StringIO, rows: Iterable[list[str]]) -> None:
    csv.writer(out, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: str) -> str:
    """The venue's words are text: a spreadsheet must not take them for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULAS) and _NUMBER.fullmatch(cell) is None else cell


# --- rows -----------------------------------------------------------------------------


def _trades(account: AccountReading, since_ns: Nanos) -> Iterator[list[str]]:
    slugs = _slugs(account)
    sums: dict[PositionId, Position] = {}
    for record in account.positions:
        sums[record.position_id] = Position(
            position_id=record.position_id,
            condition_id=record.condition_id,
            token_id=record.token_id,
            opened_at_ns=record.opened_at_ns,
        )
    for posting in account.postings:
        if posting.position_id in sums:
            sums[posting.position_id].add(posting)
    for record in account.positions:
        if record.at_ns < since_ns:
            continue
        position = sums[record.position_id]
        yield [
            record.position_id,
            slugs.get(record.condition_id, ""),
            record.symbol,
            record.outcome,
            record.status,
            _time(record.opened_at_ns),
            _time(record.at_ns),
            _amount(position.bought),
            _amount(position.bought_cost),
            _amount(position.average_price),
            _amount(position.sold),
            _amount(position.sold_proceeds),
            _amount(position.resolved),
            _amount(position.payout),
            _amount(position.fees),
            _amount(position.realised_pnl),
            _amount(position.shares),
            record.exit_reason,
            record.exit_mode,
            record.token_id,
            record.condition_id,
        ]


def _fills(account: AccountReading, since_ns: Nanos) -> Iterator[list[str]]:
    slugs = _slugs(account)
    terms = {order.terms.client_order_id: order.terms for order in account.orders}
    for fill in account.fills:
        if fill.matched_at_ns < since_ns:
            continue
        order = terms.get(fill.client_order_id)
        yield [
            _time(fill.matched_at_ns),
            fill.trade_id,
            fill.order_id,
            fill.client_order_id,
            fill.position_id,
            slugs.get(fill.condition_id, ""),
            fill.side,
            _amount(fill.price),
            _amount(fill.quantity),
            _amount(fill.cash),
            _amount(fill.fee),
            fill.liquidity,
            fill.status,
            "" if order is None else order.purpose,
            "" if order is None else order.rule,
            fill.transaction_hash,
            fill.token_id,
            fill.condition_id,
        ]


def _ledger(account: AccountReading, since_ns: Nanos) -> Iterator[list[str]]:
    for number, posting in enumerate(account.postings, start=1):
        if posting.at_ns < since_ns:
            continue
        yield [
            str(number),
            _time(posting.at_ns),
            posting.source_id,
            posting.kind,
            posting.reason,
            posting.position_id or "",
            posting.condition_id or "",
            posting.token_id or "",
            _amount(posting.pending_shares),
            _amount(posting.settled_shares),
            _amount(posting.pending_cash),
            _amount(posting.settled_cash),
            _amount(posting.claim),
            _amount(posting.bought),
            _amount(posting.bought_cost),
            _amount(posting.sold),
            _amount(posting.sold_proceeds),
            _amount(posting.fee),
            _amount(posting.resolved),
            _amount(posting.payout),
            "" if posting.price is None else _amount(posting.price),
            posting.evidence,
        ]


def _slugs(account: AccountReading) -> dict[ConditionId, str]:
    return {ConditionId(market.condition_id): market.slug for market in account.markets}


def _amount(value: int) -> str:
    """Millionths as a decimal with six places."""
    whole, fraction = divmod(abs(value), MICRO)
    return f"{'-' if value < 0 else ''}{whole}.{fraction:06d}"


def _time(at_ns: Nanos) -> str:
    seconds, rest = divmod(at_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{rest // _NS_PER_US:06d}Z"
