"""The venue of paper and backtest: delays, refusals, fills, settlement, and never a share or a dollar too many."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

from polystra.domain import events as ev
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, OrderId, PositionId, TokenId
from polystra.domain.orders import OrderTerms, Purpose, Side, SignedOrder, TimeInForce
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S
from polystra.matching.paper_venue import PaperRules, PaperVenue
from tests.unit.engine.desk import MARKET

RULES = PaperRules(cash=100 * MICRO, request_ms=10, hold_ms=50, reply_ms=20, stream_ms=30, settle_ms=1_000)
BEGIN_NS = MARKET.opens_at_s * NS_PER_S
UP = MARKET.up_token


class Bench:
    """A venue, its agenda, and what it told, by milliseconds since the beginning."""

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS
        self.told: list[tuple[int, ev.WorldEvent]] = []
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._number = 0
        self.venue = PaperVenue(RULES, self)
        self.venue.listed((MARKET,))
        self.show(bids=((400_000, 50 * MICRO),), asks=((420_000, 10 * MICRO), (430_000, 90 * MICRO)))

    def at(self, due_ns: int, call: Callable[[int], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (max(due_ns, self.now_ns), self._number, call))

    def tell(self, event: ev.WorldEvent) -> None:
        self.told.append(((self.now_ns - BEGIN_NS) // NS_PER_MS, event))

    def run(self, ms: int) -> None:
        end_ns = BEGIN_NS + ms * NS_PER_MS
        while self._heap and self._heap[0][0] <= end_ns:
            self.now_ns, _, call = heapq.heappop(self._heap)
            call(self.now_ns)
        self.now_ns = max(self.now_ns, end_ns)

    def show(self, bids=(), asks=()) -> None:
        self.venue.snapshot(ev.BookSnapshot(token_id=UP, bids=bids, asks=asks, at_ns=self.now_ns), self.now_ns)

    def send(self, name: str, side: Side, price: int, shares: int, **terms) -> OrderId:
        order = OrderTerms(
            client_order_id=ClientOrderId(name),
            condition_id=MARKET.condition_id,
            token_id=UP,
            position_id=PositionId("p"),
            purpose=Purpose.ENTRY,
            side=side,
            price=price,
            quantity=shares,
            **terms,
        )
        signed = SignedOrder(
            client_order_id=order.client_order_id,
            order_id=OrderId(name),
            body=b"",
            salt=1,
            timestamp_ms=1,
            quantity=terms["budget"] * MICRO // price if "budget" in terms else shares,
        )
        self.venue.submit(signed, order, 0, self.now_ns)
        return signed.order_id

    def fills(self, status: FillStatus) -> list[tuple[int, int, int]]:
        """(ms, price, shares) of the fills told with this status."""
        return [(ms, e.price, e.quantity) for ms, e in self.told if isinstance(e, FillReport) and e.status is status]

    def answers(self) -> list[tuple[int, str]]:
        kinds = (ev.SubmitAccepted, ev.SubmitRefused, ev.CancelAccepted, ev.CancelRefused)
        return [(ms, type(e).__name__) for ms, e in self.told if isinstance(e, kinds)]


def test_a_taker_is_held_filled_settled_and_charged():
    bench = Bench()
    bench.send("a", Side.BUY, 430_000, 20 * MICRO)
    bench.run(2_000)
    assert bench.answers() == [(80, "SubmitAccepted")]
    average = (10 * 420_000 + 10 * 430_000) // 20
    assert bench.fills(FillStatus.MATCHED) == [(90, average, 20 * MICRO)]
    assert bench.fills(FillStatus.CONFIRMED) == [(1_090, average, 20 * MICRO)]
    fee = MARKET.fees.trade_fee(((420_000, 10 * MICRO), (430_000, 10 * MICRO)))
    assert fee > 0
    assert bench.venue.cash == 100 * MICRO - 8_500_000 - fee
    assert bench.venue.tokens == {UP: 20 * MICRO}


def test_during_the_hold_the_book_may_run_away():
    bench = Bench()
    bench.send("a", Side.BUY, 420_000, 5 * MICRO, time_in_force=TimeInForce.FOK)
    bench.run(30)
    bench.show(asks=((500_000, 10 * MICRO),))
    bench.run(200)
    refused = [e for _, e in bench.told if isinstance(e, ev.SubmitRefused)]
    assert [(e.killed, e.kind) for e in refused] == [(True, ev.RefusalClass.KILLED)]
    assert bench.venue.cash == 100 * MICRO


def test_a_resting_order_pays_no_fee_and_cancels_once():
    bench = Bench()
    order = bench.send("a", Side.BUY, 410_000, 10 * MICRO)
    bench.run(100)
    assert bench.answers() == [(30, "SubmitAccepted")]
    bench.show(asks=((410_000, 4 * MICRO),))
    bench.run(200)
    assert bench.fills(FillStatus.MATCHED) == [(130, 410_000, 4 * MICRO)]
    bench.venue.cancel(order, bench.now_ns)
    bench.venue.cancel(order, bench.now_ns)
    bench.run(2_000)
    assert bench.answers()[1:] == [(230, "CancelAccepted"), (230, "CancelRefused")]
    assert bench.venue.cash == 100 * MICRO - 4 * 410_000
    fill = next(e for _, e in bench.told if isinstance(e, FillReport))
    assert fill.liquidity is Liquidity.MAKER


def test_printed_trades_fill_a_resting_order_after_those_before_it_as_a_maker():
    bench = Bench()
    bench.send("a", Side.BUY, 400_000, 10 * MICRO)
    bench.run(100)
    sold = ev.PublicTrade(token_id=UP, side=Side.SELL, price=400_000, size=28 * MICRO, at_ns=bench.now_ns)
    bought = replace(sold, token_id=MARKET.down_token, side=Side.BUY, price=600_000)
    for printed in (sold, bought, replace(sold, token_id=TokenId("9"))):
        bench.venue.traded(printed, bench.now_ns)
    bench.run(2_000)
    assert bench.fills(FillStatus.MATCHED) == [(130, 400_000, 6 * MICRO)]
    assert bench.venue.cash == 100 * MICRO - 6 * 400_000
    assert bench.venue.tokens == {UP: 6 * MICRO}


def test_shares_can_be_sold_once_and_only_after_they_arrived():
    bench = Bench()
    bench.send("buy", Side.BUY, 420_000, 10 * MICRO)
    bench.run(500)
    bench.send("early", Side.SELL, 400_000, 10 * MICRO)
    bench.run(1_500)
    bench.send("first", Side.SELL, 400_000, 6 * MICRO)
    bench.send("second", Side.SELL, 400_000, 6 * MICRO)
    bench.run(4_000)
    refused = [e.order_id for _, e in bench.told if isinstance(e, ev.SubmitRefused)]
    assert refused == ["early", "second"]
    assert bench.venue.tokens == {UP: 4 * MICRO}


def test_cash_is_promised_once():
    bench = Bench()
    bench.send("rest", Side.BUY, 390_000, 200 * MICRO)
    bench.run(100)
    bench.send("more", Side.BUY, 390_000, 100 * MICRO)
    bench.run(200)
    refused = [(e.order_id, e.kind) for _, e in bench.told if isinstance(e, ev.SubmitRefused)]
    assert refused == [("more", ev.RefusalClass.REPLAN)]


def test_post_only_never_takes_and_a_stale_or_late_order_is_refused():
    bench = Bench()
    bench.send("cross", Side.BUY, 420_000, 5 * MICRO, post_only=True)
    bench.run(100)
    bench.now_ns = MARKET.closes_at_s * NS_PER_S
    bench.send("late", Side.BUY, 400_000, 5 * MICRO)
    bench.run((MARKET.closes_at_s - MARKET.opens_at_s) * 1_000 + 500)
    refused = [(e.order_id, e.message) for _, e in bench.told if isinstance(e, ev.SubmitRefused)]
    assert refused == [("cross", "order crosses the book"), ("late", "the market is closed")]


def test_the_close_cancels_what_rests_and_the_verdict_pays_winners():
    bench = Bench()
    bench.send("buy", Side.BUY, 420_000, 10 * MICRO)
    bench.send("rest", Side.BUY, 390_000, 10 * MICRO)
    bench.run(2_000)
    cash = bench.venue.cash
    close_ms = (MARKET.closes_at_s - MARKET.opens_at_s) * 1_000
    bench.run(close_ms + 100)
    last = [e for _, e in bench.told if isinstance(e, ev.OrderReport) and e.order_id == "rest"][-1]
    assert last.status is ev.VenueOrderStatus.CANCELED
    verdict = ev.MarketResolved(condition_id=MARKET.condition_id, up_payout=MICRO, at_ns=bench.now_ns)
    bench.venue.resolved(replace(verdict, confirmed=False), bench.now_ns)
    bench.venue.resolved(verdict, bench.now_ns)
    bench.run(close_ms + 70_000)
    assert bench.venue.cash == cash + 10 * MICRO
    assert not any(bench.venue.tokens.values())


def test_a_lookup_tells_the_open_order_and_its_fills():
    bench = Bench()
    order = bench.send("a", Side.BUY, 420_000, 30 * MICRO)
    bench.run(300)
    bench.venue.lookup(order, MARKET.condition_id, 0, bench.now_ns)
    bench.venue.lookup(OrderId("unknown"), MARKET.condition_id, 0, bench.now_ns)
    bench.run(400)
    known, unknown = (e for _, e in bench.told if isinstance(e, ev.OrderLookedUp))
    assert known.open_order is not None
    assert (known.open_order.matched, [fill.quantity for fill in known.fills]) == (10 * MICRO, [10 * MICRO])
    assert (unknown.open_order, unknown.fills, unknown.complete) == (None, (), True)
