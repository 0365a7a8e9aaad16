"""The venue that paper and backtest trade at: our account and orders against books recorded without us.

What lives here: one account, its orders, their fills and settlement, with the venue's delays. What must not: what a
book would have given (`recorded_book`), where the books come from, the driver's clock.

Life of an order: it reaches the venue `request_ms` after it left, is held `hold_ms` when it takes, is answered
`reply_ms` later, and what happens to it is told by the user stream `stream_ms` after it happened. A fill is MATCHED
at once and CONFIRMED `settle_ms` later; only then do shares and cash move, and only shares that have arrived can
be sold. The fee is the market's own, charged to takers at settlement. A resolved market cancels what rests; winners
are paid `redeem_ms` after the verdict, as the venue's own redemption does.

Simplified, on the cautious side where there is a choice: one price level fills a taker at that level's price, no
improvement inside; minimum sizes and grids are not checked again (the engine's own validation stands before);
nothing is ever lost, refused for load, or cancelled by a heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

from polystra.domain.book import Level
from polystra.domain.events import (
    AccountSnapshot,
    BookChanged,
    BookSnapshot,
    CancelAccepted,
    CancelRefused,
    Holding,
    HoldingsRead,
    MarketResolved,
    OrderLookedUp,
    OrderReport,
    PublicTrade,
    RefusalClass,
    SubmitAccepted,
    SubmitRefused,
    SubmitUnknown,
    TokenBalanceRead,
    VenueOrderStatus,
    WorldEvent,
)
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ConditionId, OrderId, TokenId, TradeId
from polystra.domain.market import Market, Outcome
from polystra.domain.orders import OrderTerms, Side, SignedOrder, TimeInForce
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, MicroDollars, MicroShares, Nanos
from polystra.matching.book import DOWN, UP
from polystra.matching.book import Side as BookSide
from polystra.matching.paper_account import PaperAccount, PaperOrder
from polystra.matching.recorded_book import RecordedBook, RestingFill, Take

_SIDES: Final[dict[Side, BookSide]] = {Side.BUY: "BUY", Side.SELL: "SELL"}


class Agenda(Protocol):
    """The driver's side: time and the way to the engine."""

    def at(self, due_ns: Nanos, call: Callable[[Nanos], None]) -> None:
        """Call back at that time, with it."""
        ...

    def tell(self, event: WorldEvent) -> None:
        """Give the engine an input now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRules:
    """Delays in milliseconds, and what the account begins with (micro-dollars)."""

    cash: MicroDollars = 1_000 * MICRO
    request_ms: int = 40
    hold_ms: int = 50
    reply_ms: int = 40
    stream_ms: int = 60
    settle_ms: int = 3_000
    redeem_ms: int = 60_000


@dataclass(slots=True)
class _Market:
    market: Market
    book: RecordedBook = field(default_factory=RecordedBook)
    verdict: MarketResolved | None = None

    def outcome(self, token_id: TokenId) -> int:
        return UP if self.market.outcome_of(token_id) is Outcome.UP else DOWN


class PaperVenue:
    """See the module docstring. The driver tells it of every recorded input and of every request."""

    def __init__(self, rules: PaperRules, agenda: Agenda, *, run: str = "") -> None:
        """Begin with the rules' cash and nothing else; `run` keeps the ids of trades apart from those of other runs."""
        self._rules: Final = rules
        self._agenda: Final = agenda
        self._run: Final = run
        self._markets: dict[ConditionId, _Market] = {}
        self._by_token: dict[TokenId, _Market] = {}
        self._books: dict[TokenId, tuple[RecordedBook, bool]] = {}
        """The book of each token, and whether it is the Up token's."""
        self._orders: dict[OrderId, PaperOrder] = {}
        self.cash: MicroDollars = rules.cash
        self._pending_out: MicroDollars = 0
        """Promised to trades that have not settled."""
        self.tokens: dict[TokenId, MicroShares] = {}
        self._leaving: dict[TokenId, MicroShares] = {}
        self._trades = 0

    # --- the recording speaks ---------------------------------------------------------

    def listed(self, markets: Iterable[Market]) -> None:
        """These markets exist; orders in them die at their close."""
        for market in markets:
            if market.condition_id in self._markets:
                self._markets[market.condition_id].market = market
                continue
            known = self._markets[market.condition_id] = _Market(market)
            self._by_token[market.up_token] = self._by_token[market.down_token] = known
            self._books[market.up_token], self._books[market.down_token] = (known.book, True), (known.book, False)
            self._agenda.at(market.closes_at_s * NS_PER_S, partial(self._closed, known))

    def snapshot(self, event: BookSnapshot, now_ns: Nanos) -> None:
        """A whole book was shown."""
        known = self._by_token.get(event.token_id)
        if known is not None:
            known.book.snapshot(known.outcome(event.token_id), event.bids, event.asks, now_ns)
            self._fill_resting(known, known.book.crossed(), now_ns)

    def changed(self, event: BookChanged, now_ns: Nanos) -> None:
        """Levels were shown."""
        moved: dict[TokenId, None] = {}
        books = self._books
        for token, side, price, size, _, _ in event.changes:
            place = books.get(token)
            if place is not None:
                book, is_up = place
                if is_up:
                    book.level(side is Side.BUY, price, size, now_ns)
                else:
                    book.level(side is not Side.BUY, MICRO - price, size, now_ns)
                if book.has_orders:
                    moved[token] = None
        for token in moved:
            known = self._by_token[token]
            self._fill_resting(known, known.book.crossed(), now_ns)

    def traded(self, event: PublicTrade, now_ns: Nanos) -> None:
        """Others matched: what stood before our orders is served by it, then they are."""
        known = self._by_token.get(event.token_id)
        if known is not None:
            outcome = known.outcome(event.token_id)
            fills = known.book.traded(outcome, _SIDES[event.side], event.price, event.size, now_ns)
            self._fill_resting(known, fills, now_ns)

    def resolved(self, event: MarketResolved, now_ns: Nanos) -> None:
        """The verdict; only a confirmed one counts."""
        known = self._markets.get(event.condition_id)
        if known is None or not event.confirmed or known.verdict is not None:
            return
        known.verdict = event
        self._closed(known, now_ns)
        self._agenda.at(now_ns + self._rules.redeem_ms * NS_PER_MS, lambda at_ns: self._redeem(known, at_ns))

    # --- an account of an earlier run -----------------------------------------------------

    def resume(self, account: PaperAccount, now_ns: Nanos) -> None:
        """Go on with an account as its owner's books know it; its markets are listed already.

        What was under way settles `settle_ms` from now; open orders rest again, behind all that is displayed.
        """
        self.cash = account.cash
        self.tokens = dict(account.tokens)
        for carried in account.orders:
            terms = carried.terms
            known = self._by_token.get(terms.token_id)
            if known is None:
                continue
            status = VenueOrderStatus.LIVE if carried.is_open else VenueOrderStatus.CANCELED
            matched = sum(fill.quantity for fill, _ in carried.fills)
            order = PaperOrder(carried.signed, terms, known.outcome(terms.token_id), status=status, matched=matched)
            order.fills = [fill for fill, _ in carried.fills]
            self._orders[carried.signed.order_id] = order
            if carried.is_open:
                left = carried.signed.quantity - matched
                known.book.rest(carried.signed.order_id, order.outcome, _SIDES[terms.side], terms.price, left)
                self._expire_later(order, known)
            for report, fee in carried.fills:
                if report.status is not FillStatus.CONFIRMED:
                    self._settle_later(order, report, fee, now_ns)

    # --- requests ---------------------------------------------------------------------

    def submit(self, signed: SignedOrder, terms: OrderTerms, deadline_ns: Nanos, now_ns: Nanos) -> None:
        """An order leaves us."""
        arrives_ns = now_ns + self._rules.request_ms * NS_PER_MS
        self._agenda.at(arrives_ns, lambda at_ns: self._arrive(signed, terms, deadline_ns, at_ns))

    def cancel(self, order_id: OrderId, now_ns: Nanos) -> None:
        """A cancel leaves us."""
        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, lambda at_ns: self._cancel(order_id, at_ns))

    def lookup(self, order_id: OrderId, condition_id: ConditionId, since_ns: Nanos, now_ns: Nanos) -> None:
        """Somebody asks what became of an order."""
        del condition_id

        def answer(at_ns: Nanos) -> None:
            order = self._orders.get(order_id)
            fills = tuple(fill for fill in order.fills if fill.matched_at_ns >= since_ns) if order else ()
            report = self._report(order, at_ns) if order is not None and order.is_open else None
            self._reply(
                OrderLookedUp(order_id=order_id, open_order=report, fills=fills, asked_at_ns=now_ns, complete=True),
                at_ns,
            )

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    def account(self, since_ns: Nanos, tokens: Iterable[TokenId], now_ns: Nanos) -> None:
        """Somebody reads the account."""
        asked = tuple(tokens)

        def answer(at_ns: Nanos) -> None:
            orders = self._orders.values()
            snapshot = AccountSnapshot(
                asked_at_ns=now_ns,
                at_ns=at_ns,
                complete=True,
                cash=self.cash,
                open_orders=tuple(self._report(order, at_ns) for order in orders if order.is_open),
                fills=tuple(fill for order in orders for fill in order.fills if fill.matched_at_ns >= since_ns),
                tokens=tuple((token, self.tokens.get(token, 0)) for token in asked),
            )
            self._reply(snapshot, at_ns)

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    def token_balance(self, token_id: TokenId, now_ns: Nanos) -> None:
        """Somebody reads one token's balance."""

        def answer(at_ns: Nanos) -> None:
            shares = self.tokens.get(token_id, 0)
            self._reply(TokenBalanceRead(token_id=token_id, shares=shares, at_ns=at_ns), at_ns)

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    def holdings(self, now_ns: Nanos) -> None:
        """Somebody asks the second source."""

        def answer(at_ns: Nanos) -> None:
            held = tuple(
                Holding(
                    token_id=token,
                    condition_id=self._by_token[token].market.condition_id,
                    shares=shares,
                    average_price=0,
                    redeemable=self._by_token[token].verdict is not None,
                )
                for token, shares in self.tokens.items()
                if shares > 0
            )
            self._reply(HoldingsRead(asked_at_ns=now_ns, at_ns=at_ns, complete=True, holdings=held), at_ns)

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    def book(self, token_id: TokenId, now_ns: Nanos) -> None:
        """Somebody reads a book; a book that was never shown is not answered."""

        def answer(at_ns: Nanos) -> None:
            known = self._by_token.get(token_id)
            if known is not None and known.book.seen:
                outcome = known.outcome(token_id)
                bids: tuple[Level, ...] = tuple(known.book.levels(outcome, "BUY"))
                asks: tuple[Level, ...] = tuple(known.book.levels(outcome, "SELL"))
                self._reply(BookSnapshot(token_id=token_id, bids=bids, asks=asks, at_ns=at_ns), at_ns)

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    def verdict(self, condition_id: ConditionId, now_ns: Nanos) -> None:
        """Somebody asks how a market ended; nobody answers before it has."""

        def answer(at_ns: Nanos) -> None:
            known = self._markets.get(condition_id)
            if known is not None and known.verdict is not None:
                self._reply(known.verdict, at_ns)

        self._agenda.at(now_ns + self._rules.request_ms * NS_PER_MS, answer)

    # --- orders -----------------------------------------------------------------------

    def _arrive(self, signed: SignedOrder, terms: OrderTerms, deadline_ns: Nanos, now_ns: Nanos) -> None:
        known = self._by_token.get(terms.token_id)
        if signed.order_id in self._orders:
            text = f"order {signed.order_id} is invalid. Duplicated."
            self._reply(SubmitUnknown(order_id=signed.order_id, message=text, is_known=True), now_ns)
            return
        why = self._why_not(signed, terms, known, deadline_ns, now_ns)
        if why is not None or known is None:
            self._refuse(signed.order_id, *(why or ("the market is not known here", RefusalClass.REFUSED)), now_ns)
            return
        order = PaperOrder(signed, terms, known.outcome(terms.token_id))
        takes = known.book.would_take(order.outcome, _SIDES[terms.side], terms.price)
        if not takes or not self._rules.hold_ms:
            self._place(order, known, now_ns)
            return
        held_ns = now_ns + self._rules.hold_ms * NS_PER_MS
        self._agenda.at(held_ns, lambda at_ns: self._after_hold(order, known, at_ns))

    def _after_hold(self, order: PaperOrder, known: _Market, now_ns: Nanos) -> None:
        """The hold is over: everything is checked again, against the book as it is now."""
        why = self._why_not(order.signed, order.terms, known, 0, now_ns)
        if why is None:
            self._place(order, known, now_ns)
        else:
            self._refuse(order.signed.order_id, *why, now_ns)

    def _why_not(
        self, signed: SignedOrder, terms: OrderTerms, known: _Market | None, deadline_ns: Nanos, now_ns: Nanos
    ) -> tuple[str, RefusalClass] | None:
        if deadline_ns and now_ns > deadline_ns:
            return "the order is stale", RefusalClass.REFUSED
        if known is None or now_ns >= known.market.closes_at_s * NS_PER_S:
            return "the market is closed", RefusalClass.REFUSED
        if terms.post_only and known.book.would_take(known.outcome(terms.token_id), _SIDES[terms.side], terms.price):
            return "order crosses the book", RefusalClass.REPLAN
        if terms.side is Side.SELL:
            free = self.tokens.get(terms.token_id, 0) - self._leaving.get(terms.token_id, 0)
            free -= sum(o.reserve() for o in self._orders.values() if o.terms.token_id == terms.token_id and _sells(o))
            enough = signed.quantity <= free
        else:
            needed = terms.budget or -(-terms.price * signed.quantity // MICRO)
            free = self.cash - self._pending_out - sum(o.reserve() for o in self._orders.values() if not _sells(o))
            enough = needed <= free
        return None if enough else ("not enough balance / allowance", RefusalClass.REPLAN)

    def _place(self, order: PaperOrder, known: _Market, now_ns: Nanos) -> None:
        terms, signed = order.terms, order.signed
        side = _SIDES[terms.side]
        takes = known.book.plan(
            order.outcome, side, terms.price, size=0 if terms.budget else signed.quantity, budget=terms.budget
        )
        size = sum(each for _, each in takes)
        cash = sum(price * each // MICRO for price, each in takes)
        whole = cash + MICRO // 100 >= terms.budget if terms.budget else size >= signed.quantity
        rests = terms.time_in_force.may_rest
        if not rests and (not takes or (terms.time_in_force is TimeInForce.FOK and not whole)):
            self._refuse(signed.order_id, "no orders found to match", RefusalClass.KILLED, now_ns, killed=True)
            return
        self._orders[signed.order_id] = order
        if takes:
            known.book.take(order.outcome, side, takes)
            self._matched(order, known, takes, Liquidity.TAKER, now_ns)
        if order.matched >= signed.quantity or (terms.budget and whole):
            order.status = VenueOrderStatus.MATCHED
        elif rests:
            known.book.rest(signed.order_id, order.outcome, side, terms.price, signed.quantity - order.matched)
            self._expire_later(order, known)
        else:
            order.status = VenueOrderStatus.CANCELED
        making, taking = (size, cash) if terms.side is Side.SELL else (cash, size)
        status = VenueOrderStatus.MATCHED if takes else VenueOrderStatus.LIVE
        accepted = SubmitAccepted(order_id=signed.order_id, status=status, making=making, taking=taking)
        self._reply(accepted, now_ns)
        self._stream(self._report(order, now_ns), now_ns)

    def _expire_later(self, order: PaperOrder, known: _Market) -> None:
        expires_ns = order.terms.expires_at_s * NS_PER_S
        if expires_ns:
            self._agenda.at(expires_ns, lambda now_ns: self._end(order, known, VenueOrderStatus.EXPIRED, now_ns))

    def _cancel(self, order_id: OrderId, now_ns: Nanos) -> None:
        order = self._orders.get(order_id)
        if order is None or not order.is_open:
            text = "the order is not there" if order is None else "the order is already canceled or matched"
            self._reply(CancelRefused(order_id=order_id, message=text), now_ns)
            return
        self._end(order, self._by_token[order.terms.token_id], VenueOrderStatus.CANCELED, now_ns)
        self._reply(CancelAccepted(order_id=order_id), now_ns)

    def _end(self, order: PaperOrder, known: _Market, status: VenueOrderStatus, now_ns: Nanos) -> None:
        if order.is_open:
            known.book.cancel(order.signed.order_id)
            order.status = status
            self._stream(self._report(order, now_ns), now_ns)

    def _closed(self, known: _Market, now_ns: Nanos) -> None:
        for order in self._orders.values():
            if order.terms.condition_id == known.market.condition_id:
                order.detail = "the market is closed" if order.is_open else order.detail
                self._end(order, known, VenueOrderStatus.CANCELED, now_ns)

    # --- fills ------------------------------------------------------------------------

    def _fill_resting(self, known: _Market, fills: Iterable[RestingFill], now_ns: Nanos) -> None:
        for fill in fills:
            order = self._orders[OrderId(fill.order_id)]
            self._matched(order, known, ((order.terms.price, fill.size),), Liquidity.MAKER, now_ns)
            if order.matched >= order.quantity:
                order.status = VenueOrderStatus.MATCHED
            self._stream(self._report(order, now_ns), now_ns)

    def _matched(
        self, order: PaperOrder, known: _Market, takes: Iterable[Take], liquidity: Liquidity, now_ns: Nanos
    ) -> None:
        legs = tuple(takes)
        size = sum(each for _, each in legs)
        cash = sum(price * each // MICRO for price, each in legs)
        self._trades += 1
        terms = order.terms
        report = FillReport(
            trade_id=TradeId(f"paper-{self._run}{self._trades}"),
            order_id=order.signed.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=cash * MICRO // size,
            quantity=size,
            liquidity=liquidity,
            status=FillStatus.MATCHED,
            matched_at_ns=now_ns,
            cash=cash,
            legs=legs if liquidity is Liquidity.TAKER else (),
        )
        order.matched += size
        order.fills.append(report)
        self._stream(report, now_ns)
        fee = known.market.fees.trade_fee(legs) if liquidity is Liquidity.TAKER else 0
        self._settle_later(order, report, fee, now_ns)

    def _settle_later(self, order: PaperOrder, report: FillReport, fee: MicroDollars, now_ns: Nanos) -> None:
        """Promise what a fill moves, and move it when it has settled."""
        size, cash = report.quantity, report.cash or 0
        if report.side is Side.BUY:
            self._pending_out += cash + fee
        else:
            self._leaving[report.token_id] = self._leaving.get(report.token_id, 0) + size
        settles_ns = now_ns + self._rules.settle_ms * NS_PER_MS
        self._agenda.at(settles_ns, lambda at_ns: self._settle(order, report, cash, fee, at_ns))

    def _settle(self, order: PaperOrder, report: FillReport, cash: int, fee: int, now_ns: Nanos) -> None:
        token, size = report.token_id, report.quantity
        if report.side is Side.BUY:
            self._pending_out -= cash + fee
            self.cash -= cash + fee
            self.tokens[token] = self.tokens.get(token, 0) + size
        else:
            self._leaving[token] -= size
            self.tokens[token] -= size
            self.cash += cash - fee
        confirmed = replace(report, status=FillStatus.CONFIRMED)
        order.fills[order.fills.index(report)] = confirmed
        self._stream(confirmed, now_ns)

    def _redeem(self, known: _Market, now_ns: Nanos) -> None:
        """Pay the winners; from now on the market and its orders are forgotten."""
        del now_ns
        verdict = known.verdict
        assert verdict is not None
        market = known.market
        for token, payout in ((market.up_token, verdict.up_payout), (market.down_token, MICRO - verdict.up_payout)):
            self.cash += self.tokens.pop(token, 0) * payout // MICRO
            self._leaving.pop(token, None)
            del self._by_token[token], self._books[token]
        del self._markets[market.condition_id]
        for order_id in [each for each, o in self._orders.items() if o.terms.condition_id == market.condition_id]:
            del self._orders[order_id]

    # --- answers ----------------------------------------------------------------------

    def _refuse(
        self, order_id: OrderId, message: str, kind: RefusalClass, now_ns: Nanos, *, killed: bool = False
    ) -> None:
        self._reply(SubmitRefused(order_id=order_id, message=message, kind=kind, killed=killed), now_ns)

    def _report(self, order: PaperOrder, now_ns: Nanos) -> OrderReport:
        terms = order.terms
        return OrderReport(
            order_id=order.signed.order_id,
            condition_id=terms.condition_id,
            token_id=terms.token_id,
            side=terms.side,
            price=terms.price,
            quantity=order.quantity,
            matched=order.matched,
            status=order.status,
            at_ns=now_ns,
            detail=order.detail,
        )

    def _reply(self, event: WorldEvent, now_ns: Nanos) -> None:
        self._agenda.at(now_ns + self._rules.reply_ms * NS_PER_MS, lambda _: self._agenda.tell(event))

    def _stream(self, event: WorldEvent, now_ns: Nanos) -> None:
        self._agenda.at(now_ns + self._rules.stream_ms * NS_PER_MS, lambda _: self._agenda.tell(event))


def _sells(order: PaperOrder) -> bool:
    return order.terms.side is Side.SELL
