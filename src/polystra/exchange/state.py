"""The core's memory: markets with their books, trades, known ids, and what is still to be written.

What lives here: the mutable containers of `core`, their indexes, their rows for the file, and
their revival from it. What must not: rules, events, sockets.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from polystra.exchange.accounts import Account, Ledger, Order
from polystra.exchange.auth import ApiKey, KeyRing
from polystra.exchange.books import (
    AccountRow,
    Batch,
    BookStore,
    ExchangeBooks,
    MarketRow,
    OrderRow,
    Saved,
    snapshot,
)
from polystra.exchange.model import FINAL, MarketSpec, Side, TradeView
from polystra.matching.book import DOWN, ONE, UP, ComplementBook, RestingOrder

_QUIET_FOR_NS: Final = 1_000_000_000
"""How long the books may wait for what the house's traders did among themselves."""


@dataclass(slots=True, kw_only=True)
class Market:
    """One listed market; `last_trade_price` is in the Up token's terms, `up_payout` set at resolution."""

    spec: MarketSpec
    tick_size: int
    accepting_orders: bool = True
    up_payout: int | None = None
    resolved_ns: int | None = None
    last_trade_price: int | None = None
    last_trade_side: str = ""
    book: ComplementBook = field(default_factory=ComplementBook)
    last_top: tuple[int | None, int | None] = (None, None)

    @property
    def closed(self) -> bool:
        """Tell whether the market is resolved."""
        return self.up_payout is not None

    @property
    def winner(self) -> str | None:
        """Return "Up" or "Down" once resolved; None before, and for a 50/50 resolution."""
        if self.up_payout == ONE:
            return "Up"
        return "Down" if self.up_payout == 0 else None

    def outcome_of(self, token_id: str) -> int:
        """Return the index of one of the market's two tokens."""
        return UP if token_id == self.spec.up_token else DOWN

    def last_price_of(self, token_id: str) -> tuple[int | None, str]:
        """Return the last trade's price in a token's own terms and the taker's side in it."""
        if self.last_trade_price is None or self.outcome_of(token_id) == UP:
            return self.last_trade_price, self.last_trade_side
        return ONE - self.last_trade_price, "SELL" if self.last_trade_side == "BUY" else "BUY"

    def note_trade(self, outcome: int, side: Side, price: int) -> None:
        """Remember a match given in the taker's token."""
        if outcome == UP:
            self.last_trade_price, self.last_trade_side = price, side
        else:
            self.last_trade_price, self.last_trade_side = ONE - price, "SELL" if side == "BUY" else "BUY"


class State:
    """Everything that a restart has to bring back, with the marks of what changed since the last write."""

    def __init__(self, store: BookStore, rng: random.Random, *, trades_kept: int) -> None:
        self._store = store
        self._trades_kept = trades_kept
        saved = store.load()
        salt = rng.randbytes(32) if saved is None else saved.salt
        generation = 1 if saved is None else saved.generation + 1
        store.begin(salt, generation)
        self._id_salt = hashlib.sha256(salt + generation.to_bytes(8, "big")).digest()
        self._ids = 0
        self.resumed_ns = None if saved is None else saved.now_ns
        self.keys = KeyRing(salt)
        self.ledger = Ledger()
        self.markets: dict[str, Market] = {}
        self.by_token: dict[str, Market] = {}
        self.orders: dict[str, Order] = {}
        self.known: set[str] = set()
        self.trades: dict[str, TradeView] = {}
        self.dirty_markets: dict[str, None] = {}
        self.quiet_markets: dict[str, None] = {}
        self._written_ns = 0
        self._flushed_ns = self.resumed_ns or 0
        self.dirty_orders: dict[str, None] = {}
        self.dirty_trades: dict[str, None] = {}
        self.new_keys: list[ApiKey] = []
        self.new_known: list[str] = []
        self._records: dict[str, dict[str, bytes]] = {}
        self._new_records: dict[tuple[str, str], bytes | None] = {}
        if saved is not None:
            self._revive(saved)

    def next_digest(self) -> bytes:
        """Return 32 bytes that no earlier call and no earlier run returned."""
        self._ids += 1
        return hashlib.sha256(self._id_salt + self._ids.to_bytes(8, "big")).digest()

    def next_order_id(self) -> str:
        """Return an id for an order of the house: as unlike all others as a digest, and cheaper."""
        self._ids += 1
        return f"0x{self._id_salt[:24].hex()}{self._ids:016x}"

    def next_uuid(self) -> str:
        """Return a fresh id in the form of a UUID."""
        return str(UUID(bytes=self.next_digest()[:16], version=4))

    def know(self, order_id: str) -> None:
        """Refuse this id from now on as duplicated."""
        self.known.add(order_id)
        self.new_known.append(order_id)

    def add_market(self, market: Market) -> None:
        """Index a market by its ids."""
        self.markets[market.spec.condition_id] = market
        self.by_token[market.spec.up_token] = market
        self.by_token[market.spec.down_token] = market
        self.ledger.collateral.setdefault(market.spec.condition_id, 0)
        self.dirty_markets[market.spec.condition_id] = None

    def is_house(self, address: str) -> bool:
        """Tell whether an account belongs to the exchange's own traders."""
        return self.ledger.accounts[address].house

    def house_only(self, trade: TradeView) -> bool:
        """Tell whether nobody but the exchange's own traders took part."""
        return self.is_house(trade.taker_account) and all(self.is_house(leg.account) for leg in trade.legs)

    def forget_old_trades(self) -> None:
        """Drop the oldest final trades from memory beyond the limit; the file keeps them."""
        while len(self.trades) > self._trades_kept:
            oldest = next(iter(self.trades))
            if self.trades[oldest].status not in FINAL:
                return
            del self.trades[oldest]

    def put_record(self, kind: str, name: str, body: bytes) -> None:
        """Keep a row of the account side."""
        self._records.setdefault(kind, {})[name] = body
        self._new_records[kind, name] = body

    def drop_record(self, kind: str, name: str) -> None:
        """Forget a row of the account side."""
        if self._records.get(kind, {}).pop(name, None) is not None:
            self._new_records[kind, name] = None

    def records_of(self, kind: str) -> list[tuple[str, bytes]]:
        """Return the account side's rows of one kind as (name, body), oldest first."""
        return list(self._records.get(kind, {}).items())

    def flush(self, now_ns: int) -> None:
        """Write what changed, if anything did and the books are kept.

        What concerns a client is written at once and takes all else with it. What the exchange's own traders did
        among themselves waits for that, at most a second (a fiftieth of a simulation's time): a process that is
        killed in between resumes from the moment of its last write.
        """
        self._flushed_ns = max(now_ns, self._flushed_ns)
        concerns_client = (
            self.dirty_markets
            or self.dirty_orders
            or self.dirty_trades
            or self.new_keys
            or self.new_known
            or self._new_records
        )
        if not concerns_client:
            if not (self.ledger.dirty or self.quiet_markets):
                return
            waits = self._store.keeps and now_ns < self._written_ns + _QUIET_FOR_NS
            if waits and all(map(self.is_house, self.ledger.dirty)):
                return
        if self._store.keeps:
            self.dirty_markets.update(self.quiet_markets)
            self._write(now_ns)
            self._written_ns = now_ns
        self._new_records.clear()
        marked = (self.ledger.dirty, self.dirty_markets, self.quiet_markets, self.dirty_orders, self.dirty_trades)
        for marks in marked:
            marks.clear()
        self.new_keys.clear()
        self.new_known.clear()

    def _write(self, now_ns: int) -> None:
        open_orders, closed = self._split_orders()
        self._store.write(
            Batch(
                now_ns=now_ns,
                fee_pot=self.ledger.fee_pot,
                accounts=[_account_row(self.ledger.accounts[address], fold=True) for address in self.ledger.dirty],
                markets=[self._market_row(self.markets[cid]) for cid in self.dirty_markets],
                keys=self.new_keys,
                open_orders=open_orders,
                closed_orders=closed,
                known_orders=self.new_known,
                trades=[self.trades[trade_id] for trade_id in self.dirty_trades if trade_id in self.trades],
                records=[(kind, name, body) for (kind, name), body in self._new_records.items()],
            )
        )

    def close(self) -> None:
        """Write what waits and close the file; may be called twice."""
        self._written_ns = 0
        if not self._store.closed:
            self.flush(self._flushed_ns)
        self._store.close()

    def books(self, now_ns: int) -> ExchangeBooks:
        """Return the snapshot that a report compares with; kept trades only."""
        return snapshot(
            now_ns=now_ns,
            fee_pot=self.ledger.fee_pot,
            accounts=[_account_row(account, fold=False) for account in self.ledger.accounts.values()],
            markets=[self._market_row(market) for market in self.markets.values()],
            orders=[order.view() for order in self.orders.values()],
            trades=self.trades.values(),
        )

    def _split_orders(self) -> tuple[list[OrderRow], list[str]]:
        open_orders: list[OrderRow] = []
        closed: list[str] = []
        for order_id in self.dirty_orders:
            order = self.orders.get(order_id)
            if order is None or order.resting is None:
                closed.append(order_id)
                continue
            resting = order.resting
            row = OrderRow(
                view=order.view(), rest_size=resting.size, rest_filled=resting.filled, rest_cash=resting.cash
            )
            open_orders.append(row)
        return open_orders, closed

    def _market_row(self, market: Market) -> MarketRow:
        return MarketRow(
            spec=market.spec,
            tick_size=market.tick_size,
            accepting_orders=market.accepting_orders,
            up_payout=market.up_payout,
            resolved_ns=market.resolved_ns,
            last_trade_price=market.last_trade_price,
            last_trade_side=market.last_trade_side,
            collateral=self.ledger.collateral[market.spec.condition_id],
        )

    def _revive(self, saved: Saved) -> None:
        self.ledger.fee_pot = saved.fee_pot
        for row in saved.accounts:
            self.ledger.accounts[row.address] = _account(row)
        for key in saved.keys:
            self.keys.add(key)
        for market_row in saved.markets:
            self.ledger.collateral[market_row.spec.condition_id] = market_row.collateral
            self.add_market(_market(market_row))
        self.known.update(saved.known_orders)
        for kind, name, body in saved.records:
            self._records.setdefault(kind, {})[name] = body
        for order_row in saved.orders:
            self._revive_order(order_row)
        for trade in saved.trades:
            self.trades[trade.trade_id] = trade
            if not trade.settled and trade.status not in FINAL:
                self._unfold_house(trade)
        self.forget_old_trades()
        self.dirty_markets.clear()
        for market in self.markets.values():
            market.book.drain_changes()

    def _revive_order(self, row: OrderRow) -> None:
        view = row.view
        market = self.markets[view.condition_id]
        resting = RestingOrder(
            order_id=view.order_id,
            outcome=market.outcome_of(view.token_id),
            side=view.side,
            price=view.price,
            size=row.rest_size,
            filled=row.rest_filled,
            cash=row.rest_cash,
        )
        order = Order(
            order_id=view.order_id,
            account=view.account,
            owner=view.owner,
            condition_id=view.condition_id,
            token_id=view.token_id,
            outcome_index=resting.outcome,
            side=view.side,
            order_type=view.order_type,
            price=view.price,
            original_size=view.original_size,
            created_ns=view.created_ns,
            expiration_s=view.expiration_s,
            size_matched=view.size_matched,
            trade_ids=list(view.trade_ids),
            resting=resting,
        )
        self.orders[order.order_id] = order
        self.ledger.accounts[order.account].orders[order.order_id] = order
        market.book.rest(resting)

    def _unfold_house(self, trade: TradeView) -> None:
        """Make the house's share of an unmined trade pending again, as its row counted it as received."""
        parties = [(trade.taker_account, trade.token_id, trade.side, trade.size, trade.cash - trade.fee)]
        parties += [(leg.account, leg.token_id, leg.side, leg.size, leg.cash) for leg in trade.legs]
        for address, token_id, side, size, cash in parties:
            account = self.ledger.accounts[address]
            if not account.house:
                continue
            if side == "BUY":
                account.give_tokens(token_id, size)
                account.expect(token_id, size)
            else:
                account.cash -= cash
                account.pending_cash += cash


def _account_row(account: Account, *, fold: bool) -> AccountRow:
    """Describe an account; `fold` counts a house account's pending receipts as received."""
    fold = fold and account.house
    tokens = dict(account.tokens)
    if fold:
        for token_id, size in account.pending_tokens.items():
            tokens[token_id] = tokens.get(token_id, 0) + size
    return AccountRow(
        address=account.address,
        owner=account.owner,
        signature_type=account.signature_type,
        house=account.house,
        cash=account.cash + account.pending_cash if fold else account.cash,
        pending_cash=0 if fold else account.pending_cash,
        tokens=tokens,
        pending_tokens={} if fold else dict(account.pending_tokens),
        fees_paid=account.fees_paid,
        redeemed=account.redeemed,
    )


def _account(row: AccountRow) -> Account:
    return Account(
        address=row.address,
        owner=row.owner,
        signature_type=row.signature_type,
        house=row.house,
        cash=row.cash,
        pending_cash=row.pending_cash,
        tokens=dict(row.tokens),
        pending_tokens=dict(row.pending_tokens),
        fees_paid=row.fees_paid,
        redeemed=row.redeemed,
    )


def _market(row: MarketRow) -> Market:
    return Market(
        spec=row.spec,
        tick_size=row.tick_size,
        accepting_orders=row.accepting_orders,
        up_payout=row.up_payout,
        resolved_ns=row.resolved_ns,
        last_trade_price=row.last_trade_price,
        last_trade_side=row.last_trade_side,
    )
