"""The exchange's books on disk: one SQLite file to resume from and for reports to read.

What lives here: the file's tables, what is written after each change, and the snapshot that a
report compares a ledger with. What must not: rules of trading, sockets.

House accounts are written with their pending receipts counted as received, and neither their orders
nor trades among themselves are kept: market makers quote anew after a restart.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from polystra.domain.errors import ConfigError
from polystra.exchange.auth import ApiKey
from polystra.exchange.model import MarketSpec, OrderView, TradeView

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS markets (condition_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (address TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS api_keys (key TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS known_orders (order_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trades (trade_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, name)
);
"""
_FORMAT: Final = "2"


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is kept; micro-dollars and micro-shares."""

    address: str
    owner: str
    signature_type: int
    house: bool
    cash: int
    pending_cash: int
    tokens: dict[str, int]
    pending_tokens: dict[str, int]
    fees_paid: int
    redeemed: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An open order with what the book needs to put it back."""

    view: OrderView
    rest_size: int
    rest_filled: int
    rest_cash: int


class MarketRow(msgspec.Struct, frozen=True, kw_only=True):
    """A market with its state; `collateral` is what backs its outstanding pairs."""

    spec: MarketSpec
    tick_size: int
    accepting_orders: bool
    up_payout: int | None
    resolved_ns: int | None
    last_trade_price: int | None
    last_trade_side: str
    collateral: int


class BookOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An open order in a snapshot."""

    order_id: str
    token_id: str
    side: str
    price: int
    original_size: int
    remaining: int


class BookTrade(msgspec.Struct, frozen=True, kw_only=True):
    """One account's part of a trade: its own order, token, price; `fee` is zero for makers."""

    trade_id: str
    order_id: str
    condition_id: str
    token_id: str
    side: str
    price: int
    size: int
    cash: int
    fee: int
    status: str
    role: str
    matched_ns: int


class AccountBooks(msgspec.Struct, frozen=True, kw_only=True):
    """One account in a snapshot; `pending_*` is matched and not yet mined."""

    address: str
    owner: str
    house: bool
    cash: int
    pending_cash: int
    tokens: dict[str, int]
    pending_tokens: dict[str, int]
    open_orders: list[BookOrder]
    trades: list[BookTrade]
    fees_paid: int
    redeemed: int


class ExchangeBooks(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the exchange holds, by account address."""

    simulated_ns: int
    fee_pot: int
    accounts: dict[str, AccountBooks]
    markets: dict[str, MarketRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one change of the exchange left to write."""

    now_ns: int
    fee_pot: int
    accounts: Sequence[AccountRow] = ()
    markets: Sequence[MarketRow] = ()
    keys: Sequence[ApiKey] = ()
    open_orders: Sequence[OrderRow] = ()
    closed_orders: Sequence[str] = ()
    known_orders: Sequence[str] = ()
    trades: Sequence[TradeView] = ()
    records: Sequence[tuple[str, str, bytes | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The content of a file."""

    salt: bytes
    generation: int
    now_ns: int
    fee_pot: int
    accounts: list[AccountRow] = field(default_factory=list)
    markets: list[MarketRow] = field(default_factory=list)
    keys: list[ApiKey] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    known_orders: list[str] = field(default_factory=list)
    trades: list[TradeView] = field(default_factory=list)
    records: list[tuple[str, str, bytes]] = field(default_factory=list)


class BookStore:
    """Writes the books; one transaction per batch. Not shared between processes for writing."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file (None: nothing is kept, because nobody could resume from memory).

        Raises:
            ConfigError: the file cannot be opened or is not an exchange's books.
        """
        self.keeps: Final = path is not None
        self.closed = False
        self._connection = _connect(":memory:" if path is None else str(path))
        weakref.finalize(self, self._connection.close)

    def load(self) -> Saved | None:
        """Return what the file holds, None when it is new."""
        return _load(self._connection)

    def begin(self, salt: bytes, generation: int) -> None:
        """Note the identity of the exchange and how often it was started."""
        with self._connection:
            self._set_meta({"format": _FORMAT, "salt": salt.hex(), "generation": str(generation)})

    def write(self, batch: Batch) -> None:
        """Write one batch in one transaction."""
        encode = msgspec.json.encode
        with self._connection:
            self._run(_upsert("accounts", "address"), [(row.address, encode(row)) for row in batch.accounts])
            markets = [(row.spec.condition_id, encode(row)) for row in batch.markets]
            self._run(_upsert("markets", "condition_id"), markets)
            self._run(_upsert("api_keys", "key"), [(key.key, encode(key)) for key in batch.keys])
            self._run(_upsert("orders", "order_id"), [(row.view.order_id, encode(row)) for row in batch.open_orders])
            self._run("DELETE FROM orders WHERE order_id = ?", [(order_id,) for order_id in batch.closed_orders])
            self._run("INSERT OR IGNORE INTO known_orders VALUES (?)", [(each,) for each in batch.known_orders])
            self._run(_upsert("trades", "trade_id"), [(trade.trade_id, encode(trade)) for trade in batch.trades])
            for kind, name, body in batch.records:
                if body is None:
                    self._connection.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))
                else:
                    self._connection.execute(_UPSERT_RECORD, (kind, name, body))
            self._set_meta({"simulated_ns": str(batch.now_ns), "fee_pot": str(batch.fee_pot)})

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._connection.close()

    def _run(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)

    def _set_meta(self, values: dict[str, str]) -> None:
        self._connection.executemany("REPLACE INTO meta VALUES (?, ?)", list(values.items()))


_UPSERT_RECORD: Final = (
    "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body"
)
"""Keeps the row's place too."""


def _upsert(table: str, column: str) -> str:
    """Keep the row's place, so that a restart finds rows in the order of their creation."""
    return f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT ({column}) DO UPDATE SET body = excluded.body"  # noqa: S608


def _connect(target: str) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(target, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise ConfigError(f"exchange books {target} cannot be opened ({error}); give another path") from error
    return connection


def _load(connection: sqlite3.Connection) -> Saved | None:
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if "salt" not in meta:
        return None
    if meta["format"] not in {"1", _FORMAT}:
        raise ConfigError(f"exchange books have format {meta['format']}, expected {_FORMAT}; start with a new file")

    def rows(table: str) -> Iterable[bytes]:
        return (body for (body,) in connection.execute(f"SELECT CAST(body AS BLOB) FROM {table} ORDER BY rowid"))  # noqa: S608

    decode = msgspec.json.decode
    return Saved(
        salt=bytes.fromhex(meta["salt"]),
        generation=int(meta["generation"]),
        now_ns=int(meta.get("simulated_ns", "0")),
        fee_pot=int(meta.get("fee_pot", "0")),
        accounts=[decode(body, type=AccountRow) for body in rows("accounts")],
        markets=[decode(body, type=MarketRow) for body in rows("markets")],
        keys=[decode(body, type=ApiKey) for body in rows("api_keys")],
        orders=[decode(body, type=OrderRow) for body in rows("orders")],
        known_orders=[order_id for (order_id,) in connection.execute("SELECT order_id FROM known_orders")],
        trades=[_trade(body) for body in rows("trades")],
        records=_records(connection),
    )


def _records(connection: sqlite3.Connection) -> list[tuple[str, str, bytes]]:
    """Return the account side's rows; books of format 1 have none."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone() is None:
        return []
    return list(connection.execute("SELECT kind, name, body FROM records ORDER BY rowid"))


def _trade(body: bytes) -> TradeView:
    """Read a trade; rows of format 1 told by the status whether it was settled."""
    trade = msgspec.json.decode(body, type=TradeView)
    return trade if b'"settled"' in body else replace(trade, settled=trade.status != "MATCHED")


def read_books(path: Path) -> ExchangeBooks:
    """Read a file of books, also while an exchange writes it.

    Raises:
        ConfigError: there is no such file, or it is not an exchange's books.
    """
    if not path.is_file():
        raise ConfigError(f"exchange books {path} do not exist; give the file that the exchange was started with")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            saved = _load(connection)
        finally:
            connection.close()
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise ConfigError(f"exchange books {path} cannot be read ({error}); give another path") from error
    if saved is None:
        raise ConfigError(f"exchange books {path} are empty; start the exchange with them first")
    return snapshot(
        now_ns=saved.now_ns,
        fee_pot=saved.fee_pot,
        accounts=saved.accounts,
        markets=saved.markets,
        orders=[row.view for row in saved.orders],
        trades=saved.trades,
    )


def snapshot(
    *,
    now_ns: int,
    fee_pot: int,
    accounts: Sequence[AccountRow],
    markets: Sequence[MarketRow],
    orders: Iterable[OrderView],
    trades: Iterable[TradeView],
) -> ExchangeBooks:
    """Arrange rows by account."""
    open_orders: dict[str, list[BookOrder]] = {row.address: [] for row in accounts}
    parts: dict[str, list[BookTrade]] = {row.address: [] for row in accounts}
    for order in orders:
        open_orders[order.account].append(
            BookOrder(
                order_id=order.order_id,
                token_id=order.token_id,
                side=order.side,
                price=order.price,
                original_size=order.original_size,
                remaining=order.remaining,
            )
        )
    for trade in trades:
        for address, part in _parts(trade):
            parts[address].append(part)
    return ExchangeBooks(
        simulated_ns=now_ns,
        fee_pot=fee_pot,
        accounts={row.address: _account(row, open_orders[row.address], parts[row.address]) for row in accounts},
        markets={row.spec.condition_id: row for row in markets},
    )


def _account(row: AccountRow, orders: list[BookOrder], trades: list[BookTrade]) -> AccountBooks:
    return AccountBooks(
        address=row.address,
        owner=row.owner,
        house=row.house,
        cash=row.cash,
        pending_cash=row.pending_cash,
        tokens=row.tokens,
        pending_tokens=row.pending_tokens,
        open_orders=orders,
        trades=trades,
        fees_paid=row.fees_paid,
        redeemed=row.redeemed,
    )


def _parts(trade: TradeView) -> Iterable[tuple[str, BookTrade]]:
    yield (
        trade.taker_account,
        BookTrade(
            trade_id=trade.trade_id,
            order_id=trade.taker_order_id,
            condition_id=trade.condition_id,
            token_id=trade.token_id,
            side=trade.side,
            price=trade.price,
            size=trade.size,
            cash=trade.cash,
            fee=trade.fee,
            status=trade.status,
            role="TAKER",
            matched_ns=trade.matched_ns,
        ),
    )
    for leg in trade.legs:
        yield (
            leg.account,
            BookTrade(
                trade_id=trade.trade_id,
                order_id=leg.order_id,
                condition_id=trade.condition_id,
                token_id=leg.token_id,
                side=leg.side,
                price=leg.price,
                size=leg.size,
                cash=leg.cash,
                fee=0,
                status=trade.status,
                role="MAKER",
                matched_ns=trade.matched_ns,
            ),
        )
