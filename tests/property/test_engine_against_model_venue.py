"""The engine against a small venue that loses, delays, repeats and reorders everything it may.

The model is a second telling of the venue: it holds orders, matches them at random, settles or
fails trades, and answers commands and questions over a wire without any order. Whatever it does,
the engine never sells what it does not hold, never sends an intent twice, and when the wire has
fallen quiet its ledger is the venue's to the micro-unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.domain import events as ev
from polystra.domain.events import VenueOrderStatus as Word
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import OrderId, TradeId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus, OrderTerms, Side
from polystra.domain.units import MICRO
from polystra.engine import effects as fx
from polystra.engine.config import UnfilledConfig
from tests.unit.engine.desk import CASH, UP, Desk, config, live_sells

STEPS = 60


@dataclass
class VenueOrder:
    terms: OrderTerms
    order_id: OrderId
    matched: int = 0
    is_open: bool = True

    @property
    def left(self) -> int:
        return self.terms.quantity - self.matched


@dataclass
class ModelVenue:
    """Truth. `wire` holds what is under way in either direction, in no order."""

    desk: Desk
    rng: Random
    orders: dict[OrderId, VenueOrder] = field(default_factory=dict)
    trades: dict[str, FillReport] = field(default_factory=dict)
    wire: list[Callable[[], None]] = field(default_factory=list)
    entries: list[OrderId] = field(default_factory=list)
    """Ids of the entries in the order in which they were sent; only exits may be sent again."""
    cash: int = CASH
    shares: int = 0
    """On chain; shares of sales that are matched are gone from it, and back if the sale fails."""
    oversold: int = 0
    calm: bool = False

    # --- from the engine --------------------------------------------------------------

    def collect(self) -> None:
        """Put the engine's new requests on the wire."""
        effects, self.desk.effects = self.desk.effects, []
        for effect in effects:
            if isinstance(effect, fx.SubmitOrder):
                if not effect.purpose.is_exit:
                    self.entries.append(effect.signed.order_id)
                self.wire.append(lambda effect=effect: self._submit(effect))  # type: ignore[misc]
            elif isinstance(effect, fx.CancelOrder):
                self.wire.append(lambda effect=effect: self._cancel(effect.order_id))  # type: ignore[misc]
            elif isinstance(effect, fx.LookupOrder):
                self.wire.append(lambda effect=effect: self._lookup(effect.order_id))  # type: ignore[misc]
            elif isinstance(effect, fx.ReadAccount):
                self.wire.append(self._account)

    def _submit(self, effect: fx.SubmitOrder) -> None:
        order_id = effect.signed.order_id
        terms = self.desk.state.orders[effect.signed.client_order_id].order.terms
        if self._chance(0.1):
            self._say(ev.SubmitUnknown(order_id=order_id, message="never arrived"))
            return
        if order_id in self.orders:
            self._say(ev.SubmitUnknown(order_id=order_id, message="duplicated", is_known=True))
            return
        if terms.side is Side.SELL and terms.quantity > self.shares - self._open_sells():
            self.oversold += 1
            self._say(ev.SubmitRefused(order_id=order_id, message="not enough balance"))
            return
        order = VenueOrder(terms, order_id)
        self.orders[order_id] = order
        now = self._part(order.left)
        if now:
            self._match(order, now)
        if not terms.time_in_force.may_rest:
            order.is_open = False
            if now == 0:
                self._say(ev.SubmitRefused(order_id=order_id, message="killed", killed=True), lossy=True)
                return
        if self._chance(0.15):
            self._say(ev.SubmitUnknown(order_id=order_id, message="reply lost"))
            return
        dollars = terms.price * now // MICRO
        making, taking = (dollars, now) if terms.side is Side.BUY else (now, dollars)
        word = Word.MATCHED if order.left == 0 or not order.is_open else Word.LIVE
        self._say(ev.SubmitAccepted(order_id=order_id, status=word, making=making, taking=taking))

    def _cancel(self, order_id: OrderId) -> None:
        order = self.orders.get(order_id)
        done = order is not None and order.is_open
        if order is not None and done:
            order.is_open = False
            self._say(self._report(order, Word.CANCELED), lossy=True)
        if self._chance(0.2):
            self._say(ev.CancelUnknown(order_id=order_id, message="reply lost"))
        elif done:
            self._say(ev.CancelAccepted(order_id=order_id))
        else:
            self._say(ev.CancelRefused(order_id=order_id, message="already canceled or matched"))

    def _lookup(self, order_id: OrderId) -> None:
        order = self.orders.get(order_id)
        found = self._report(order, Word.LIVE) if order is not None and order.is_open else None
        complete = not self._chance(0.2)
        self._say(
            ev.OrderLookedUp(
                order_id=order_id,
                open_order=found if complete else None,
                fills=tuple(trade for trade in self.trades.values() if trade.order_id == order_id) if complete else (),
                asked_at_ns=self.desk.now_ns,
                complete=complete,
            )
        )

    def _account(self) -> None:
        complete = not self._chance(0.2)
        self._say(
            ev.AccountSnapshot(
                asked_at_ns=self.desk.now_ns,
                at_ns=self.desk.now_ns,
                complete=complete,
                cash=self.cash,
                open_orders=tuple(self._report(o, Word.LIVE) for o in self.orders.values() if o.is_open),
                fills=tuple(self.trades.values()) if complete else (),
                tokens=((UP, self.shares),),
            )
        )

    # --- the world moves --------------------------------------------------------------

    def act(self) -> None:
        """One thing happens: a message arrives, an order trades, a trade settles, the price falls, time passes."""
        choice = self.rng.random()
        if choice < 0.5 and self.wire:
            self.wire.pop(self.rng.randrange(len(self.wire)))()
        elif choice < 0.65:
            resting = [order for order in self.orders.values() if order.is_open]
            if resting:
                order = self.rng.choice(resting)
                amount = self._part(order.left)
                if amount:
                    self._match(order, amount)
        elif choice < 0.8:
            self.settle_one()
        elif choice < 0.9:
            self.desk.book(*self.rng.choice([(49, 51), (25, 27), (24, 27), (60, 62), (90, 92)]))
        else:
            self.desk.advance(self.rng.choice([0.2, 1, 3]))
        self.collect()

    def settle_one(self) -> None:
        open_trades = [trade for trade in self.trades.values() if not trade.status.is_final]
        if not open_trades:
            return
        trade = self.rng.choice(open_trades)
        if trade.status is FillStatus.MATCHED:
            status = FillStatus.FAILED if self._chance(0.15) else FillStatus.MINED
        else:
            status = FillStatus.CONFIRMED
        self.trades[trade.trade_id] = replace(trade, status=status)
        dollars = trade.price * trade.quantity // MICRO
        if status is FillStatus.MINED and trade.side is Side.BUY:
            self.shares += trade.quantity
        elif status is FillStatus.FAILED:
            self.cash += dollars if trade.side is Side.BUY else -dollars
            if trade.side is Side.SELL:
                self.shares += trade.quantity
        self._say(self.trades[trade.trade_id], lossy=True)

    def _match(self, order: VenueOrder, amount: int) -> None:
        order.matched += amount
        order.is_open = order.is_open and order.left > 0
        trade_id = TradeId(f"t{len(self.trades) + 1}")
        terms = order.terms
        dollars = terms.price * amount // MICRO
        self.cash += -dollars if terms.side is Side.BUY else dollars
        if terms.side is Side.SELL:
            self.shares -= amount
        self.trades[trade_id] = FillReport(
            trade_id=trade_id,
            order_id=order.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price,
            quantity=amount,
            liquidity=Liquidity.MAKER,
            status=FillStatus.MATCHED,
            matched_at_ns=self.desk.now_ns,
        )
        self._say(self.trades[trade_id], lossy=True)
        word = Word.MATCHED if order.left == 0 else Word.LIVE
        self._say(self._report(order, word), lossy=True)

    # --- inside -----------------------------------------------------------------------

    def _say(self, event: ev.WorldEvent, *, lossy: bool = False) -> None:
        """Put a message to the engine on the wire; the streams lose some and repeat some."""
        if lossy and self._chance(0.2):
            return
        for _ in range(2 if lossy and self._chance(0.2) else 1):
            self.wire.append(lambda: self._deliver(event))

    def _deliver(self, event: ev.WorldEvent) -> None:
        self.desk.step(event)
        self.collect()

    def _report(self, order: VenueOrder, word: Word) -> ev.OrderReport:
        terms = order.terms
        return ev.OrderReport(
            order_id=order.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price,
            quantity=terms.quantity,
            matched=order.matched,
            status=word,
            at_ns=self.desk.now_ns,
        )

    def _part(self, amount: int) -> int:
        cents = amount // SIZE_STEP
        return (cents if self.calm else self.rng.choice([0, cents // 3, cents])) * SIZE_STEP

    def _chance(self, share: float) -> bool:
        return not self.calm and self.rng.random() < share

    def _open_sells(self) -> int:
        return sum(o.left for o in self.orders.values() if o.is_open and o.terms.side is Side.SELL)


def check(desk: Desk, venue: ModelVenue) -> None:
    """What must hold at every moment."""
    assert len(set(venue.entries)) == len(venue.entries)
    assert len(desk.signer.asked) == len(desk.state.orders)
    for position in desk.state.positions.values():
        arrived = desk.state.arrived_shares(position.position_id)
        assert arrived >= 0
        assert live_sells(desk, position.position_id) <= arrived
    postings = list(desk.state.ledger._seen.values())
    assert desk.state.ledger.cash == sum(p.pending_cash + p.settled_cash for p in postings)
    shares = sum(p.pending_shares + p.settled_shares for p in postings if p.token_id == UP)
    assert desk.state.ledger.balance(UP).shares == shares
    assert sum(p.shares for p in desk.state.positions.values()) == shares


def quieten(desk: Desk, venue: ModelVenue) -> None:
    """No more chance: every message arrives, every trade settles, every question is answered."""
    venue.calm = True
    for _ in range(60):
        while venue.wire:
            venue.wire.pop(0)()
        venue.collect()
        for _ in range(5):
            venue.settle_one()
        desk.advance(2)
        venue.collect()
    while venue.wire:
        venue.wire.pop(0)()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150)
def test_whatever_the_wire_does_the_ledger_ends_as_the_venues(seed):
    desk = Desk(config(unfilled=UnfilledConfig(timeout_s=20))).ready()
    venue = ModelVenue(desk, Random(seed))
    desk.enter()
    venue.collect()
    for _ in range(STEPS):
        venue.act()
        check(desk, venue)
    quieten(desk, venue)
    check(desk, venue)
    assert not desk.state.markets[desk.position().condition_id].frozen
    assert desk.state.ledger.cash == venue.cash
    assert desk.state.ledger.balance(UP).shares == venue.shares
    assert desk.state.ledger.pending_cash == 0
    assert venue.oversold == 0
    for track in desk.state.orders.values():
        known = venue.orders.get(track.order_id)
        if track.order.status is OrderStatus.OPEN:
            assert known is not None
            assert known.is_open
        elif track.is_settled:
            assert known is None or not known.is_open
    assert not [p for p in desk.facts if getattr(getattr(p, "posting", None), "kind", "") == "ADJUSTMENT"]
