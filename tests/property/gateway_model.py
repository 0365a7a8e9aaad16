"""A venue for the gateway's stateful test: what it truly holds, and a wire on which nothing keeps its order.

The venue takes orders once by their id, matches, cancels, restarts and forgets, settles or fails
trades. Whether and when the engine hears of it is decided by whoever moves the parcels. Assumed is
only what the search for orders in doubt assumes: bytes that left arrive within `LATEST_S` or never.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypeAlias

from polystra.domain import events as ev
from polystra.domain.events import RefusalClass
from polystra.domain.events import VenueOrderStatus as Word
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import OrderId, TokenId, TradeId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderTerms, Side
from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.domain.venue import VenueMode
from polystra.engine import effects as fx
from tests.unit.engine.desk import CASH, UP

LATEST_S = 45
"""Confirmations have come 40 seconds late."""

Request: TypeAlias = (
    fx.SubmitOrder
    | fx.CancelOrder
    | fx.LookupOrder
    | fx.ReadAccount
    | fx.ReadTokenBalance
    | fx.ReadHoldings
    | fx.ReadBook
    | fx.ReadResolution
)


class Fate(Enum):
    """What happens to a command that arrives."""

    CARRIED_OUT = auto()
    REPLY_LOST = auto()
    REFUSED = auto()
    LATER = auto()
    NEW_PLAN = auto()
    NOT_AUTHORISED = auto()


REFUSALS = {
    Fate.REFUSED: RefusalClass.REFUSED,
    Fate.LATER: RefusalClass.RETRY,
    Fate.NEW_PLAN: RefusalClass.REPLAN,
    Fate.NOT_AUTHORISED: RefusalClass.AUTH,
}


@dataclass
class Parcel:
    """A request under way to the venue."""

    request: Request
    sent_ns: Nanos
    terms: OrderTerms | None = None
    is_awaited: bool = True
    """False once the engine was told that the outcome is unknown, or is another process by now."""


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
class Venue:
    """The truth. `streams` and `replies` are under way to the engine."""

    now_ns: Nanos
    orders: dict[OrderId, VenueOrder] = field(default_factory=dict)
    trades: dict[str, FillReport] = field(default_factory=dict)
    parcels: list[Parcel] = field(default_factory=list)
    replies: list[ev.WorldEvent] = field(default_factory=list)
    streams: list[ev.WorldEvent] = field(default_factory=list)
    mode: VenueMode = VenueMode.NORMAL
    mode_ends_ns: Nanos = 0
    cash: int = CASH
    shares: Counter[TokenId] = field(default_factory=Counter)
    oversold: list[OrderId] = field(default_factory=list)

    # --- requests ---------------------------------------------------------------------

    def carry_out(self, parcel: Parcel, fate: Fate, part: int, *, complete: bool) -> None:
        """A request arrives; `part` hundredths of an order match at once; questions fail unless `complete`."""
        match parcel.request:
            case fx.SubmitOrder() as submit:
                assert parcel.terms is not None
                self._reply(parcel, fate, self._submit(submit.signed.order_id, parcel.terms, fate, part))
            case fx.CancelOrder() as cancel:
                self._reply(parcel, fate, self._cancel(cancel.order_id))
            case fx.LookupOrder() as lookup:
                self._reply(parcel, fate, self._lookup(lookup.order_id, parcel.sent_ns, complete=complete))
            case fx.ReadAccount():
                self._reply(parcel, fate, self._account(parcel.sent_ns, complete=complete))

    def unknown(self, parcel: Parcel) -> None:
        """The engine is told that the outcome of a command is unknown, whether it arrived, arrives or never does."""
        if not parcel.is_awaited:
            return
        parcel.is_awaited = False
        match parcel.request:
            case fx.SubmitOrder() as submit:
                self.replies.append(ev.SubmitUnknown(order_id=submit.signed.order_id, message="timed out"))
            case fx.CancelOrder() as cancel:
                self.replies.append(ev.CancelUnknown(order_id=cancel.order_id, message="timed out"))
            case fx.LookupOrder() as lookup:
                self.replies.append(self._lookup(lookup.order_id, parcel.sent_ns, complete=False))
            case fx.ReadAccount():
                self.replies.append(self._account(parcel.sent_ns, complete=False))

    def lose_the_old(self) -> None:
        """What has been under way for too long never arrives."""
        oldest = self.now_ns - LATEST_S * NS_PER_S
        for parcel in [each for each in self.parcels if each.sent_ns < oldest]:
            self.parcels.remove(parcel)
            self.unknown(parcel)

    def _reply(self, parcel: Parcel, fate: Fate, event: ev.WorldEvent) -> None:
        if not parcel.is_awaited:
            return
        if fate is Fate.REPLY_LOST:
            self.unknown(parcel)
        else:
            self.replies.append(event)

    def _submit(self, order_id: OrderId, terms: OrderTerms, fate: Fate, part: int) -> ev.WorldEvent:
        if not self._takes(terms):
            return ev.SubmitRefused(
                order_id=order_id, message="not in this mode", kind=RefusalClass.MODE, mode=self.mode
            )
        if order_id in self.orders:
            return ev.SubmitUnknown(order_id=order_id, message="duplicated", is_known=True)
        if fate in REFUSALS:
            return ev.SubmitRefused(order_id=order_id, message=fate.name.lower(), kind=REFUSALS[fate])
        if terms.side is Side.SELL and terms.quantity > self.shares[terms.token_id] - self._promised(terms.token_id):
            self.oversold.append(order_id)
            return ev.SubmitRefused(order_id=order_id, message="not enough balance", kind=RefusalClass.REPLAN)
        order = self.orders[order_id] = VenueOrder(terms, order_id)
        now = self.match(order, part)
        if not terms.time_in_force.may_rest:
            order.is_open = False
            if now == 0:
                self.streams.append(self._report(order, Word.CANCELED))
                return ev.SubmitRefused(order_id=order_id, message="killed", kind=RefusalClass.KILLED, killed=True)
        dollars = terms.price * now // MICRO
        making, taking = (dollars, now) if terms.side is Side.BUY else (now, dollars)
        word = Word.LIVE if order.is_open else Word.MATCHED
        return ev.SubmitAccepted(order_id=order_id, status=word, making=making, taking=taking)

    def _takes(self, terms: OrderTerms) -> bool:
        return self.mode is VenueMode.NORMAL or (terms.post_only and self.mode.takes_post_only)

    def _cancel(self, order_id: OrderId) -> ev.WorldEvent:
        if not self.mode.takes_cancels:
            return ev.CancelUnknown(order_id=order_id, message="not in this mode", mode=self.mode)
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            return ev.CancelRefused(order_id=order_id, message="already canceled or matched")
        order.is_open = False
        self.streams.append(self._report(order, Word.CANCELED))
        return ev.CancelAccepted(order_id=order_id)

    def _lookup(self, order_id: OrderId, asked_at_ns: Nanos, *, complete: bool) -> ev.OrderLookedUp:
        order = self.orders.get(order_id)
        found = self._report(order, Word.LIVE) if order is not None and order.is_open and complete else None
        fills = tuple(trade for trade in self.trades.values() if trade.order_id == order_id) if complete else ()
        return ev.OrderLookedUp(
            order_id=order_id, open_order=found, fills=fills, asked_at_ns=asked_at_ns, complete=complete
        )

    def _account(self, asked_at_ns: Nanos, *, complete: bool) -> ev.AccountSnapshot:
        return ev.AccountSnapshot(
            asked_at_ns=asked_at_ns,
            at_ns=self.now_ns,
            complete=complete,
            cash=self.cash if complete else None,
            open_orders=tuple(self._report(o, Word.LIVE) for o in self.open_orders()) if complete else (),
            fills=tuple(self.trades.values()) if complete else (),
            tokens=((UP, self.shares[UP]),) if complete else (),
        )

    # --- the world --------------------------------------------------------------------

    def open_orders(self) -> list[VenueOrder]:
        return [order for order in self.orders.values() if order.is_open]

    def match(self, order: VenueOrder, part: int) -> int:
        """Trade `part` hundredths of what is left; returns the micro-shares."""
        amount = order.left * part // 100 // SIZE_STEP * SIZE_STEP
        if amount == 0:
            return 0
        order.matched += amount
        order.is_open = order.is_open and order.left > 0
        terms = order.terms
        dollars = terms.price * amount // MICRO
        self.cash += -dollars if terms.side is Side.BUY else dollars
        if terms.side is Side.SELL:
            self.shares[terms.token_id] -= amount
        trade = FillReport(
            trade_id=TradeId(f"t{len(self.trades) + 1}"),
            order_id=order.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price,
            quantity=amount,
            liquidity=Liquidity.MAKER,
            status=FillStatus.MATCHED,
            matched_at_ns=self.now_ns,
        )
        self.trades[trade.trade_id] = trade
        self.streams += [trade, self._report(order, Word.MATCHED if order.left == 0 else Word.LIVE)]
        return amount

    def settle(self, trade: FillReport, *, fails: bool) -> None:
        """A trade goes one step further on chain, or fails."""
        if trade.status.is_final:
            return
        status = FillStatus.CONFIRMED if trade.status is FillStatus.MINED else FillStatus.MINED
        if fails and trade.status is FillStatus.MATCHED:
            status = FillStatus.FAILED
        after = self.trades[trade.trade_id] = replace(trade, status=status)
        dollars = trade.price * trade.quantity // MICRO
        if status is FillStatus.MINED and trade.side is Side.BUY:
            self.shares[trade.token_id] += trade.quantity
        elif status is FillStatus.FAILED:
            self.cash += dollars if trade.side is Side.BUY else -dollars
            self.shares[trade.token_id] += trade.quantity if trade.side is Side.SELL else 0
        self.streams.append(after)

    def unsettled(self) -> list[FillReport]:
        return [trade for trade in self.trades.values() if not trade.status.is_final]

    def move_clock(self, now_ns: Nanos) -> None:
        self.now_ns = now_ns
        if now_ns >= self.mode_ends_ns:
            self.mode = VenueMode.NORMAL

    def forget_orders(self) -> None:
        """A restart may wipe the book; nobody tells."""
        for order in self.open_orders():
            order.is_open = False

    def _promised(self, token_id: TokenId) -> int:
        sells = [order for order in self.open_orders() if order.terms.side is Side.SELL]
        return sum(order.left for order in sells if order.terms.token_id == token_id)

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
            at_ns=self.now_ns,
        )
