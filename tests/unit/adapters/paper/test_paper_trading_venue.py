"""The venue of paper mode: answers find whoever asked, news go to the account's stream, verdicts pay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from polystra.adapters.paper.venue import PaperTradingVenue
from polystra.backtest.paper_signer import PaperSigner
from polystra.domain import events as ev
from polystra.domain.fills import FillReport, FillStatus, Liquidity
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId, TradeId
from polystra.domain.orders import OrderTerms, Purpose, Side, SignedOrder
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice
from polystra.matching.paper_account import CarriedOrder, PaperAccount
from polystra.matching.paper_venue import PaperRules
from polystra.ports.rate import RateBudget
from polystra.ports.venue import Submission
from tests.fakes.clock import ManualClock, settle
from tests.fakes.venue import OpenBudget
from tests.unit.engine.desk import MARKET, UP

RULES = PaperRules(cash=100 * MICRO, request_ms=10, hold_ms=50, reply_ms=20, stream_ms=30, settle_ms=1_000)


class Public:
    """Public questions."""

    def __init__(self) -> None:
        self.verdict: ev.MarketResolved | None = None
        self.closed = False

    async def book(self, token_id: TokenId) -> ev.BookSnapshot:
        return ev.BookSnapshot(token_id=token_id, bids=(), asks=((420_000, 10 * MICRO),), at_ns=1)

    async def midpoint(self, token_id: TokenId) -> MicroPrice:
        return 410_000

    async def spread(self, token_id: TokenId) -> MicroPrice:
        return 20_000

    async def tick_size(self, token_id: TokenId) -> MicroPrice:
        return 10_000

    async def resolution(self, condition_id: ConditionId) -> ev.MarketResolved | None:
        return self.verdict

    async def server_time_ns(self) -> int:
        return 1

    async def measure_clock(self) -> ev.ClockDriftMeasured:
        return ev.ClockDriftMeasured(offset_ns=0, uncertainty_ns=0)

    async def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(MARKET.opens_at_s * NS_PER_S + NS_PER_S)
        self.public = Public()
        budget: RateBudget = OpenBudget()
        self.venue = PaperTradingVenue(rules=RULES, public=self.public, budget=budget, clock=self.clock)
        self.news: list[ev.WorldEvent] = []

    def signed(self, name: str, side: Side, price: int, shares: int) -> tuple[SignedOrder, OrderTerms]:
        terms = OrderTerms(
            client_order_id=ClientOrderId(name),
            condition_id=MARKET.condition_id,
            token_id=UP,
            position_id=PositionId("p"),
            purpose=Purpose.ENTRY,
            side=side,
            price=price,
            quantity=shares * MICRO,
        )
        made = PaperSigner().sign(terms, salt=1, timestamp_ms=1)
        self.venue.expect(made, terms)
        return made, terms

    def show(self, bids=(), asks=()) -> None:
        self.venue.saw(ev.BookSnapshot(token_id=UP, bids=bids, asks=asks, at_ns=self.clock.now_ns()))

    def fills(self, status: FillStatus) -> list[int]:
        return [each.quantity for each in self.news if isinstance(each, FillReport) and each.status is status]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.venue.listed(MARKET)
    made.show(bids=((400_000, 50 * MICRO),), asks=((420_000, 10 * MICRO),))
    running = asyncio.ensure_future(made.venue.run(made.news.append))
    await settle()
    yield made
    running.cancel()


async def test_an_order_is_answered_filled_and_told_of():
    async with bench() as b:
        signed, _ = b.signed("a", Side.BUY, 420_000, 5)
        told: list[ev.SubmitOutcome] = []
        asked = asyncio.ensure_future(b.venue.submit([Submission(signed=signed)], told.append))
        await b.clock.advance(0.2)
        assert (
            await asked
            == told
            == [
                ev.SubmitAccepted(
                    order_id=signed.order_id, status=ev.VenueOrderStatus.MATCHED, making=2_100_000, taking=5 * MICRO
                )
            ]
        )
        assert b.news[0] == ev.StreamConnected(stream=ev.StreamName.USER)
        assert b.fills(FillStatus.MATCHED) == [5 * MICRO]
        await b.clock.advance(1.1)
        assert b.fills(FillStatus.CONFIRMED) == [5 * MICRO]
        reading = asyncio.ensure_future(b.venue.token_balance(UP))
        await b.clock.advance(0.1)
        assert await reading == 5 * MICRO


async def test_a_rest_is_cancelled_and_found_by_whoever_asks():
    async with bench() as b:
        signed, _ = b.signed("a", Side.BUY, 400_000, 5)
        submitted = asyncio.ensure_future(b.venue.submit([Submission(signed=signed)]))
        await b.clock.advance(0.1)
        await submitted
        opened = asyncio.ensure_future(b.venue.open_orders())
        found = asyncio.ensure_future(b.venue.lookup(signed.order_id, MARKET.condition_id, 0))
        holding = asyncio.ensure_future(b.venue.holdings())
        await b.clock.advance(0.1)
        orders, looked_up, held = await opened, await found, await holding
        assert [each.order_id for each in orders] == [signed.order_id]
        assert looked_up.open_order is not None
        assert held.holdings == ()
        cancelled = asyncio.ensure_future(b.venue.cancel([signed.order_id, OrderId("0x1")]))
        await b.clock.advance(0.1)
        assert [type(each) for each in await cancelled] == [ev.CancelAccepted, ev.CancelRefused]


async def test_an_order_that_nobody_signed_here_is_refused():
    async with bench() as b:
        stranger = replace(b.signed("a", Side.BUY, 400_000, 5)[0], order_id=OrderId("0x1"))
        [outcome] = await b.venue.submit([Submission(signed=stranger)])
        assert isinstance(outcome, ev.SubmitRefused)


async def test_the_same_bytes_again_are_known():
    async with bench() as b:
        signed, _ = b.signed("a", Side.BUY, 400_000, 5)
        outcomes: list[ev.SubmitOutcome] = []
        for _ in range(2):
            asked = asyncio.ensure_future(b.venue.submit([Submission(signed=signed)], outcomes.append))
            await b.clock.advance(0.1)
            await asked
        first, second = outcomes
        assert isinstance(first, ev.SubmitAccepted)
        assert isinstance(second, ev.SubmitUnknown)
        assert second.is_known


async def test_printed_trades_of_the_stream_fill_and_the_verdict_pays():
    async with bench() as b:
        signed, _ = b.signed("a", Side.BUY, 410_000, 5)
        asked = asyncio.ensure_future(b.venue.submit([Submission(signed=signed)]))
        await b.clock.advance(0.1)
        await asked
        b.venue.saw(ev.PublicTrade(token_id=UP, side=Side.SELL, price=410_000, size=9 * MICRO, at_ns=1))
        await b.clock.advance(2)
        assert await b.venue.cash() == 100 * MICRO - 5 * 410_000
        b.public.verdict = ev.MarketResolved(condition_id=MARKET.condition_id, up_payout=MICRO, at_ns=1)
        assert await b.venue.resolution(MARKET.condition_id) == b.public.verdict
        await b.clock.advance(61)
        assert await b.venue.cash() == 105 * MICRO - 5 * 410_000


async def test_an_account_of_an_earlier_run_goes_on():
    b = Bench()
    signed, terms = b.signed("a", Side.BUY, 400_000, 8)
    fill = FillReport(
        trade_id=TradeId("paper-1-1"),
        order_id=signed.order_id,
        condition_id=MARKET.condition_id,
        token_id=UP,
        side=Side.BUY,
        price=400_000,
        quantity=2 * MICRO,
        liquidity=Liquidity.MAKER,
        status=FillStatus.MATCHED,
        matched_at_ns=1,
        cash=800_000,
    )
    carried = CarriedOrder(signed=signed, terms=terms, is_open=True, fills=((fill, 0),))
    b.venue.resume(PaperAccount(cash=50 * MICRO, tokens={UP: MICRO}, orders=(carried,)), [MARKET])
    b.show(bids=((400_000, 50 * MICRO),), asks=((420_000, 10 * MICRO),))
    running = asyncio.ensure_future(b.venue.run(b.news.append))
    await b.clock.advance(2)
    assert b.fills(FillStatus.CONFIRMED) == [2 * MICRO]
    assert await b.venue.cash() == 50 * MICRO - 800_000
    b.venue.saw(ev.PublicTrade(token_id=UP, side=Side.SELL, price=400_000, size=51 * MICRO, at_ns=1))
    await b.clock.advance(2)
    assert b.fills(FillStatus.MATCHED) == [MICRO]
    asked = asyncio.ensure_future(b.venue.open_orders())
    await b.clock.advance(0.1)
    [order] = await asked
    assert order.matched == 3 * MICRO
    running.cancel()
