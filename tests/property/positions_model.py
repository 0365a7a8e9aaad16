"""A venue for the stateful test of positions: two outcomes, prices, fees, late balances, trades that fail, a verdict.

What the gateway's model holds for orders, this one holds for shares: takers trade at the book's prices and pay
the fee, a purchase that was seen on chain may still be undone, with the sales that were made of it, both sources
of balances may be late, and after the verdict shares are paid.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from polystra.domain import events as ev
from polystra.domain.events import VenueOrderStatus as Word
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import OrderId, TokenId, TradeId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderTerms, Side
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice, Nanos
from polystra.engine import effects as fx
from tests.property.gateway_model import Fate, Parcel, Venue, VenueOrder
from tests.unit.engine.desk import CASH, CENT, CONDITION, DOWN, FEES, MARKET, UP

TOKENS = (UP, DOWN)
QUESTIONS = (fx.LookupOrder, fx.ReadAccount, fx.ReadTokenBalance, fx.ReadHoldings, fx.ReadBook, fx.ReadResolution)
_NEXT = {
    FillStatus.MATCHED: FillStatus.MINED,
    FillStatus.RETRYING: FillStatus.MINED,
    FillStatus.MINED: FillStatus.CONFIRMED,
}


@dataclass
class MarketVenue(Venue):
    """See the module docstring. `lag_s`: how old the balances are that it shows and reckons with."""

    top: tuple[int, int] = (49, 51)
    """Best bid and ask of Up, in cents."""
    lag_s: int = 0
    up_payout: MicroPrice | None = None
    paid: bool = False
    undone: bool = False
    """True once a purchase seen on chain was undone: then a sell may come for shares that are gone."""
    unlawful: list[str] = field(default_factory=list)
    """Orders that no venue takes, in words."""
    _past: list[tuple[Nanos, int, Counter[TokenId]]] = field(default_factory=list)

    # --- requests ---------------------------------------------------------------------

    def carry_out(self, parcel: Parcel, fate: Fate, part: int, *, complete: bool) -> None:
        match parcel.request:
            case fx.ReadTokenBalance() as read:
                shares = self._shown()[1][read.token_id] if complete else None
                self._reply(parcel, fate, ev.TokenBalanceRead(token_id=read.token_id, shares=shares, at_ns=self.now_ns))
            case fx.ReadHoldings():
                self._reply(parcel, fate, self._holdings(parcel, complete=complete))
            case fx.ReadBook() as read:
                self._reply(parcel, fate, self.book(read.token_id))
            case fx.ReadResolution():
                if self.up_payout is not None and complete:
                    self._reply(parcel, fate, self.verdict())
            case _:
                super().carry_out(parcel, fate, part, complete=complete)

    def unknown(self, parcel: Parcel) -> None:
        """A question that is not answered in time is a failed reading, or nothing."""
        if not parcel.is_awaited:
            return
        match parcel.request:
            case fx.ReadTokenBalance() as read:
                parcel.is_awaited = False
                self.replies.append(ev.TokenBalanceRead(token_id=read.token_id, shares=None, at_ns=self.now_ns))
            case fx.ReadHoldings():
                parcel.is_awaited = False
                self.replies.append(self._holdings(parcel, complete=False))
            case fx.ReadBook() | fx.ReadResolution():
                parcel.is_awaited = False
            case _:
                super().unknown(parcel)

    def book(self, token_id: TokenId) -> ev.BookSnapshot:
        bid, ask = self.prices(token_id)
        return ev.BookSnapshot(
            token_id=token_id, bids=((bid, 1_000 * MICRO),), asks=((ask, 1_000 * MICRO),), at_ns=self.now_ns
        )

    def prices(self, token_id: TokenId) -> tuple[MicroPrice, MicroPrice]:
        bid, ask = self.top
        return (bid * CENT, ask * CENT) if token_id == UP else ((100 - ask) * CENT, (100 - bid) * CENT)

    def verdict(self, *, confirmed: bool = True) -> ev.MarketResolved:
        assert self.up_payout is not None
        return ev.MarketResolved(
            condition_id=CONDITION, up_payout=self.up_payout, at_ns=self.now_ns, confirmed=confirmed
        )

    # --- orders -----------------------------------------------------------------------

    def _submit(self, order_id: OrderId, terms: OrderTerms, fate: Fate, part: int) -> ev.WorldEvent:
        if self.up_payout is not None or self.now_ns >= MARKET.closes_at_s * NS_PER_S:
            return ev.SubmitRefused(order_id=order_id, message="the market is closed")
        if terms.time_in_force.may_rest and terms.quantity < MARKET.minimum_size:
            self.unlawful.append(f"{terms.client_order_id}: {terms.quantity} is too small to rest")
        if terms.price % terms.tick_size or not CENT <= terms.price <= MICRO - CENT:
            self.unlawful.append(f"{terms.client_order_id}: {terms.price} is not on the grid")
        sells = terms.side is Side.SELL and order_id not in self.orders and self._takes(terms)
        seen = self._shown()[1][terms.token_id] - self._promised(terms.token_id)
        held = self.shares[terms.token_id] - self._promised(terms.token_id)
        if sells and (terms.quantity > seen or (self.undone and terms.quantity > held)):
            return ev.SubmitRefused(
                order_id=order_id, message="not enough balance", code="balance", kind=ev.RefusalClass.REPLAN
            )
        return super()._submit(order_id, terms, fate, part)

    def match(self, order: VenueOrder, part: int) -> int:
        """Trade a part of what is left: a resting order at its price, another one at the book's if that is good."""
        terms = order.terms
        takes = not terms.time_in_force.may_rest
        bid, ask = self.prices(terms.token_id)
        sells = terms.side is Side.SELL
        amount = order.left * part // 100
        if sells:
            amount = min(amount, self.shares[terms.token_id])
        amount = amount // SIZE_STEP * SIZE_STEP
        if amount <= 0 or (takes and (bid < terms.price if sells else ask > terms.price)):
            return 0
        price = (bid if sells else ask) if takes else terms.price
        order.matched += amount
        order.is_open = order.is_open and order.left > 0
        trade = FillReport(
            trade_id=TradeId(f"t{len(self.trades) + 1}"),
            order_id=order.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=price,
            quantity=amount,
            liquidity=Liquidity.TAKER if takes else Liquidity.MAKER,
            status=FillStatus.MATCHED,
            matched_at_ns=self.now_ns,
        )
        self.trades[trade.trade_id] = trade
        self.cash += _cash_of(trade)
        if sells:
            self.shares[terms.token_id] -= amount
        self._changed()
        self.streams += [trade, self._report(order, Word.MATCHED if order.left == 0 else Word.LIVE)]
        return amount

    def settle(self, trade: FillReport, *, fails: bool, retries: bool = False) -> None:
        """A trade goes one step further on chain, is tried again there, or fails with what was built on it."""
        trade = self.trades[trade.trade_id]
        if trade.status.is_final:
            return
        if retries and trade.status is FillStatus.MATCHED:
            self._becomes(trade, FillStatus.RETRYING)
        elif not fails:
            buys = trade.side is Side.BUY
            if buys and trade.status is not FillStatus.MINED:
                self.shares[trade.token_id] += trade.quantity
            self._becomes(trade, _NEXT[trade.status])
        elif trade.side is Side.SELL or trade.status is not FillStatus.MINED or self._undo(trade):
            self.cash -= _cash_of(trade)
            if trade.side is Side.SELL:
                self.shares[trade.token_id] += trade.quantity
            self._becomes(trade, FillStatus.FAILED)
        self._changed()

    def _undo(self, trade: FillReport) -> bool:
        """Take back shares that had arrived, if need be with sales of them that are not final either."""
        for sale in reversed(self.unsettled()):
            if self.shares[trade.token_id] >= trade.quantity:
                break
            if sale.side is Side.SELL and sale.token_id == trade.token_id:
                self.settle(sale, fails=True)
        if self.shares[trade.token_id] < trade.quantity:
            return False
        self.shares[trade.token_id] -= trade.quantity
        self.undone = True
        return True

    def _becomes(self, trade: FillReport, status: FillStatus) -> None:
        after = self.trades[trade.trade_id] = replace(trade, status=status)
        self.streams.append(after)

    # --- the end ----------------------------------------------------------------------

    def resolve(self, up_payout: MicroPrice) -> None:
        """The verdict; whether and when it is told is another matter."""
        self.up_payout = up_payout
        for order in self.open_orders():
            order.is_open = False
            self.streams.append(self._report(order, Word.CANCELED))
        self.streams.append(self.verdict(confirmed=False))

    def pay(self) -> None:
        """The owner redeems all shares."""
        assert self.up_payout is not None
        for token_id, each in ((UP, self.up_payout), (DOWN, MICRO - self.up_payout)):
            self.cash += self.shares[token_id] * each // MICRO
            self.shares[token_id] = 0
        self.paid = True
        self._changed()

    # --- balances ---------------------------------------------------------------------

    def _changed(self) -> None:
        self._past.append((self.now_ns, self.cash, Counter(self.shares)))

    def _shown(self) -> tuple[int, Counter[TokenId]]:
        """Cash and shares as the venue's late balances have them."""
        if not self.lag_s:
            return self.cash, self.shares
        seen = [each for each in self._past if each[0] <= self.now_ns - self.lag_s * NS_PER_S]
        return (seen[-1][1], seen[-1][2]) if seen else (CASH, Counter())

    def _account(self, asked_at_ns: Nanos, *, complete: bool) -> ev.AccountSnapshot:
        cash, shares = self._shown()
        return replace(
            super()._account(asked_at_ns, complete=complete),
            cash=cash if complete else None,
            tokens=tuple((token_id, shares[token_id]) for token_id in TOKENS) if complete else (),
        )

    def _holdings(self, parcel: Parcel, *, complete: bool) -> ev.HoldingsRead:
        held = self._shown()[1]
        rows = tuple(
            ev.Holding(token_id=token_id, condition_id=CONDITION, shares=held[token_id], average_price=0)
            for token_id in TOKENS
            if held[token_id]
        )
        return ev.HoldingsRead(
            asked_at_ns=parcel.sent_ns, at_ns=self.now_ns, complete=complete, holdings=rows if complete else ()
        )


def _cash_of(trade: FillReport) -> int:
    """The signed change of cash by a trade, its fee taken off."""
    dollars = trade.price * trade.quantity // MICRO
    fee = FEES.taker_fee(trade.price, trade.quantity) if trade.liquidity is Liquidity.TAKER else 0
    return (-dollars if trade.side is Side.BUY else dollars) - fee
