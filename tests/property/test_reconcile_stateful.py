"""Reconciliation against a wallet that is seen late: by one lag at the order book and another at the second source.

The model is the chain's truth: every change of it has an own time at which each source begins to show it,
up to two minutes later. Readings are complete, partial, failed or old; the owner of the wallet trades and
moves shares elsewhere meanwhile; trades fail. Whatever comes in which order: a position is never taken to
nothing by a bad or late reading, nothing is adjusted as long as nobody else touched the wallet, and when all
has been seen the books are the wallet's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind, PostingRecorded
from polystra.domain.fills import FillReport, FillStatus
from polystra.domain.ids import OrderId, TradeId
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.engine import effects as fx
from tests.unit.engine.desk import CASH, CENT, CONDITION, DOWN, MARKET, OPENS, UP, Desk, enter

STEPS = 40
LONGEST_LAG_S = 120
LONG_MARKET = replace(MARKET, closes_at_s=OPENS + 90_000)


@dataclass(frozen=True)
class Change:
    """One change of the wallet on chain, and when each source shows it."""

    cash: int
    shares: int
    at_book_ns: Nanos
    at_second_ns: Nanos


@dataclass
class Wallet:
    """See the module docstring."""

    desk: Desk
    rng: Random
    changes: list[Change] = field(default_factory=list)
    foreign: list[FillReport] = field(default_factory=list)
    open_trades: list[FillReport] = field(default_factory=list)
    late: list[ev.AccountSnapshot] = field(default_factory=list)
    touched_elsewhere: bool = False

    @property
    def shares(self) -> int:
        return sum(change.shares for change in self.changes)

    @property
    def cash(self) -> int:
        return CASH + sum(change.cash for change in self.changes)

    def change(self, cash: int, shares: int) -> None:
        now_ns = self.desk.now_ns
        book, second = (now_ns + self.rng.randrange(LONGEST_LAG_S * NS_PER_S) for _ in range(2))
        self.changes.append(Change(cash, shares, book, second))

    # --- what happens -----------------------------------------------------------------

    def buy(self) -> None:
        quantity = self.rng.choice([5, 8, 20])
        track = self.desk.enter(enter(quantity, 60))
        self.desk.accept(track)
        self.open_trades.append(self.desk.fill(track, quantity, 60))

    def settle(self) -> None:
        if not self.open_trades:
            return
        trade = self.open_trades.pop(self.rng.randrange(len(self.open_trades)))
        if self.rng.random() < 0.2:
            self.desk.settle(trade, "FAILED")
            return
        self.change(-(trade.price * trade.quantity // MICRO), trade.quantity)
        self.desk.settle(trade, "MINED").settle(trade, "CONFIRMED")

    def elsewhere(self) -> None:
        """The owner acts by another tool: a transfer of shares, a sale, a deposit."""
        self.touched_elsewhere = True
        kind = self.rng.choice(["transfer", "sale", "deposit"])
        amount = min(self.shares, self.rng.choice([1, 7, 100]) * MICRO)
        if kind == "deposit":
            self.change(self.rng.choice([3, 250]) * MICRO, 0)
        elif amount <= 0:
            return
        elif kind == "transfer":
            self.change(0, -amount)
        else:
            self.change(50 * CENT * amount // MICRO, -amount)
            self.foreign.append(self._sale(amount))

    def _sale(self, amount: int) -> FillReport:
        like = self.desk.leg(self.desk.last_order(), 1, 50, status="CONFIRMED")
        number = len(self.foreign) + 1
        order_id, trade_id = OrderId(f"0xelsewhere{number}"), TradeId(f"foreign{number}")
        return replace(like, trade_id=trade_id, order_id=order_id, side=Side.SELL, quantity=amount)

    # --- what is told -----------------------------------------------------------------

    def snapshot(self, *, complete: bool = True) -> ev.AccountSnapshot:
        now_ns = self.desk.now_ns
        seen = [change for change in self.changes if change.at_book_ns <= now_ns]
        return ev.AccountSnapshot(
            asked_at_ns=now_ns,
            at_ns=now_ns,
            complete=complete,
            cash=CASH + sum(change.cash for change in seen),
            open_orders=tuple(
                self.desk.word(track, "LIVE") for track in self.desk.state.live_orders() if track.order.order_id
            ),
            fills=tuple(self.foreign),
            tokens=((UP, max(0, sum(change.shares for change in seen))), (DOWN, 0)),
        )

    def read(self) -> None:
        kind = self.rng.choice(["now", "now", "now", "partial", "failed", "empty", "delayed", "old"])
        full = self.snapshot()
        if kind == "now":
            self.desk.step(full)
        elif kind == "partial":
            self.desk.step(replace(full, complete=False, tokens=((UP, 0),), open_orders=(), fills=()))
        elif kind == "failed":
            self.desk.step(replace(full, complete=False, cash=None, tokens=(), open_orders=(), fills=()))
        elif kind == "empty":
            self.desk.step(replace(full, complete=False, cash=0, tokens=((UP, 0), (DOWN, 0)), fills=()))
        elif kind == "delayed":
            self.late.append(full)
        elif self.late:
            self.desk.step(self.late.pop(0))

    def answer(self) -> None:
        """The second source answers what it was asked."""
        effects, self.desk.effects = self.desk.effects, []
        if not any(isinstance(effect, fx.ReadHoldings) for effect in effects):
            return
        now_ns = self.desk.now_ns
        held = max(0, sum(change.shares for change in self.changes if change.at_second_ns <= now_ns))
        holding = ev.Holding(token_id=UP, condition_id=CONDITION, shares=held, average_price=0)
        self.desk.step(
            ev.HoldingsRead(
                asked_at_ns=now_ns,
                at_ns=now_ns,
                complete=self.rng.random() < 0.8,
                holdings=(holding,) if held else (),
            )
        )

    def act(self, *, alone: bool) -> None:
        choice = self.rng.random()
        if choice < 0.08:
            self.buy()
        elif choice < 0.25:
            self.settle()
        elif choice < 0.3 and not alone:
            self.elsewhere()
        elif choice < 0.7:
            self.read()
        self.desk.advance(self.rng.choice([0.5, 3, 6, 15]))
        self.answer()

    def calm_down(self) -> None:
        """Everything settles, everything is seen."""
        while self.open_trades:
            self.settle()
        for _ in range(90):
            self.desk.advance(6)
            self.desk.step(self.snapshot())
            self.answer()


def adjustments(desk: Desk) -> list[PostingRecorded]:
    return [
        fact
        for fact in desk.found(PostingRecorded)
        if fact.posting.kind == "ADJUSTMENT" and not fact.posting.source_id.startswith("external:")
    ]


def play(seed: int, *, alone: bool) -> tuple[Desk, Wallet]:
    desk = Desk().ready(LONG_MARKET)
    wallet = Wallet(desk, Random(seed))
    wallet.buy()
    for _ in range(STEPS):
        wallet.act(alone=alone)
        ours = sum(position.shares for position in desk.state.positions.values())
        assert ours == desk.state.ledger.balance(UP).shares
        if alone:
            assert not adjustments(desk)
            pending = sum(trade.quantity for trade in wallet.open_trades)
            assert ours == wallet.shares + pending
    wallet.calm_down()
    return desk, wallet


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_lags_and_bad_readings_alone_never_change_the_books(seed):
    desk, wallet = play(seed, alone=True)
    assert not adjustments(desk)
    assert not desk.notices(NoticeKind.MARKET_FROZEN)
    assert desk.state.ledger.cash == wallet.cash
    assert desk.state.ledger.balance(UP).shares == wallet.shares


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_whatever_happens_elsewhere_the_books_end_as_the_wallets(seed):
    desk, wallet = play(seed, alone=False)
    assert desk.state.ledger.cash == wallet.cash
    assert desk.state.ledger.balance(UP).shares == wallet.shares
    assert not desk.state.markets[CONDITION].frozen
    assert all(posting.posting.evidence for posting in adjustments(desk))
    assert desk.state.fills == {
        key: fill for key, fill in desk.state.fills.items() if fill.status in (FillStatus.CONFIRMED, FillStatus.FAILED)
    }
