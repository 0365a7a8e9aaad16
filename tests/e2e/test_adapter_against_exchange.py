"""The venue adapter, unchanged, against the built-in exchange: real aiohttp, real websockets, virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.price_stream import PriceStream
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.signing import L2Credentials, OrderSigner, OrderTermsSigner
from polystra.adapters.polymarket.streams import MarketStream, UserStream
from polystra.adapters.spot.binance import SpotStream
from polystra.domain.book import OrderBook
from polystra.domain.errors import VenueUnreachable
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    CancelAccepted,
    CancelRefused,
    OrderReport,
    PriceSource,
    PriceTicked,
    StreamConnected,
    StreamLost,
    StreamName,
    SubmitAccepted,
    SubmitRefused,
    SubmitUnknown,
    VenueOrderStatus,
    WorldEvent,
)
from polystra.domain.fills import FillReport, FillStatus
from polystra.domain.ids import ClientOrderId, OrderId, PositionId
from polystra.domain.market import Market
from polystra.domain.orders import OrderTerms, Purpose, Side, SignedOrder, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, ExchangeUrls, planned_start_ns
from polystra.exchange.market_terms import MarketTerms
from polystra.ports.venue import EventStream
from polystra.runtime.deterministic import DeterministicLoop, run
from tests.fakes.venue import submissions

T = TypeVar("T")

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WINDOW_S = 300


@dataclass
class Heard:
    """A sink that remembers and can be waited on."""

    events: list[WorldEvent] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: WorldEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, wanted: Callable[[WorldEvent], bool], *, seconds: float = 60.0) -> WorldEvent:
        """Return the first event that fits, waiting for it in virtual time."""
        seen = 0
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events[seen:]:
                    if wanted(event):
                        return event
                seen = len(self.events)
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class Stage:
    """One exchange, one account, one market with makers in it."""

    exchange: BuiltInExchange
    urls: ExchangeUrls
    clock: LoopClock
    account: VenueAccount
    venue: PolymarketVenue
    signer: OrderTermsSigner
    market: Market
    tasks: asyncio.TaskGroup
    count: int = 0

    def sign(self, side: Side, price: int, quantity: int, **more: object) -> SignedOrder:
        self.count += 1
        terms = OrderTerms(
            client_order_id=ClientOrderId(f"c{self.count}"),
            condition_id=self.market.condition_id,
            token_id=self.market.up_token,
            position_id=PositionId("p"),
            purpose=Purpose.ENTRY,
            side=side,
            price=price,
            quantity=quantity,
            tick_size=self.market.tick_size,
            negative_risk=self.market.negative_risk,
            version=self.market.version,
        )
        terms = replace(terms, **more)  # type: ignore[arg-type]
        return self.signer.sign(terms, salt=self.count, timestamp_ms=self.clock.now_ns() // 1_000_000)

    def listen(self, stream: EventStream) -> Heard:
        heard = Heard()
        self.tasks.create_task(stream.run(heard))
        return heard

    def user_stream(self) -> UserStream:
        return UserStream(
            url=self.urls.user_ws_url,
            credentials=self.account.credentials,
            identity=self.account.identity(),
            clock=self.clock,
            rng=random.Random(2),
        )

    async def best_ask(self) -> int:
        """The cheapest Up shares, waiting for a maker to offer some."""
        async with asyncio.timeout(60):
            while not (asks := (await self.venue.book(self.market.up_token)).asks):
                await self.clock.sleep(0.5)
        return min(price for price, _ in asks)

    async def buy_now(self, budget: int = 5 * MICRO) -> tuple[SignedOrder, SubmitAccepted]:
        """Spend dollars on Up shares at whatever the makers ask."""
        worst = self.market.price_at_or_below(await self.best_ask() + 5 * self.market.tick_size)
        order = self.sign(Side.BUY, worst, budget, budget=budget, time_in_force=TimeInForce.FAK)
        (outcome,) = await self.venue.submit(submissions(order))
        assert isinstance(outcome, SubmitAccepted), outcome
        return order, outcome

    def break_connections(self) -> None:
        """Cut every connection that is open now, as a network failure does."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DeterministicLoop)
        for connection in loop.connections():
            connection.abort()


@asynccontextmanager
async def stage(terms: MarketTerms) -> AsyncIterator[Stage]:
    config = BuiltInConfig(seed=5, symbols=("BTC",), windows=("5m",), speed=None, terms={"*": terms})
    clock = LoopClock(planned_start_ns(config))
    exchange = BuiltInExchange(config, clock)
    urls = await exchange.start()
    probe = OrderSigner(KEY, 0, None, 137, "probe")
    key = exchange.open_account(probe.address)
    account = VenueAccount(
        credentials=L2Credentials(key.key, key.secret, key.passphrase),
        signer=probe.address,
        wallet=probe.address,
        signature_type=0,
    )
    venue = PolymarketVenue(base_url=urls.clob_url, account=account, clock=clock, rng=random.Random(1))
    discovery = GammaDiscovery(base_url=urls.gamma_url, clock=clock, rng=random.Random(1))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(exchange.run())
            opens_at_s = (clock.now_ns() // NS_PER_S // WINDOW_S + 1) * WINDOW_S
            market = await discovery.find("BTC", WINDOW_S, opens_at_s)
            assert market is not None
            await clock.sleep(opens_at_s + 20 - clock.now_ns() / NS_PER_S)
            signer = OrderTermsSigner(OrderSigner(KEY, 0, None, 137, key.key))
            yield Stage(exchange, urls, clock, account, venue, signer, market, tasks)
            raise Finished
    except* Finished:
        pass
    finally:
        await venue.close()
        await discovery.close()
        await exchange.close()


class Finished(Exception):
    """The scene is over: cancels the listeners."""


def play(scene: Callable[[Stage], Awaitable[None]], **terms: Any) -> None:
    async def main() -> None:
        async with stage(MarketTerms(**terms)) as ready:
            await scene(ready)

    run(main(), seed=11, start_ns=planned_start_ns(BuiltInConfig(seed=5, symbols=("BTC",), windows=("5m",))))


def test_a_resting_order_is_placed_seen_and_cancelled() -> None:
    async def scene(on: Stage) -> None:
        heard = on.listen(on.user_stream())
        await heard.until(lambda event: event == StreamConnected(stream=StreamName.USER))
        order = on.sign(Side.BUY, 10_000, 20 * MICRO, post_only=True)
        assert await on.venue.submit(submissions(order)) == [
            SubmitAccepted(order_id=order.order_id, status=VenueOrderStatus.LIVE)
        ]
        placed = await heard.until(lambda event: isinstance(event, OrderReport))
        assert isinstance(placed, OrderReport)
        assert (placed.order_id, placed.status, placed.price) == (order.order_id, VenueOrderStatus.LIVE, 10_000)
        found = await on.venue.lookup(order.order_id, on.market.condition_id, 0)
        assert found.complete
        assert found.open_order is not None
        assert (found.open_order.quantity, found.fills) == (20 * MICRO, ())
        snapshot = await on.venue.account(since_ns=0, tokens=[on.market.up_token])
        assert snapshot.complete, snapshot.detail
        assert [report.order_id for report in snapshot.open_orders] == [order.order_id]
        assert snapshot.tokens == ((on.market.up_token, 0),)
        assert await on.venue.cancel([order.order_id]) == [CancelAccepted(order_id=order.order_id)]
        gone = await heard.until(
            lambda event: isinstance(event, OrderReport) and event.status is VenueOrderStatus.CANCELED
        )
        assert isinstance(gone, OrderReport)
        (again,) = await on.venue.cancel([order.order_id])
        assert isinstance(again, CancelRefused)
        assert (await on.venue.lookup(order.order_id, on.market.condition_id, 0)).open_order is None

    play(scene)


def test_a_fill_is_the_same_by_answer_stream_and_query() -> None:
    async def scene(on: Stage) -> None:
        heard = on.listen(on.user_stream())
        await heard.until(lambda event: isinstance(event, StreamConnected))
        before = await on.venue.cash()
        order, accepted = await on.buy_now()
        assert accepted.status is VenueOrderStatus.MATCHED
        told = await heard.until(lambda event: isinstance(event, FillReport))
        assert isinstance(told, FillReport)
        assert (told.order_id, told.side, told.status) == (order.order_id, Side.BUY, FillStatus.MATCHED)
        assert (told.quantity, told.cash) == (accepted.taking, accepted.making)
        await heard.until(lambda event: isinstance(event, FillReport) and event.status is FillStatus.CONFIRMED)
        snapshot = await on.venue.account(since_ns=told.matched_at_ns, tokens=[on.market.up_token])
        assert snapshot.complete, snapshot.detail
        (asked,) = snapshot.fills
        assert replace(asked, status=told.status, transaction_hash="") == replace(told, transaction_hash="")
        assert snapshot.tokens == ((on.market.up_token, told.quantity),)
        fee = on.market.fees.taker_fee(told.price, told.quantity)
        assert snapshot.cash is not None
        assert before - snapshot.cash == accepted.making + fee
        found = await on.venue.lookup(order.order_id, on.market.condition_id, told.matched_at_ns)
        assert (found.open_order, found.fills, found.complete) == (None, (asked,), True)
        assert await on.venue.token_balance(on.market.up_token) == told.quantity

    play(scene)


def test_every_order_of_a_batch_has_its_own_outcome() -> None:
    async def scene(on: Stage) -> None:
        resting = on.sign(Side.BUY, 20_000, 5 * MICRO)
        small = on.sign(Side.BUY, 20_000, 4 * MICRO)
        crossing = on.sign(Side.BUY, await on.best_ask() + 50_000, 5 * MICRO, post_only=True)
        empty_handed = on.sign(Side.SELL, 990_000, 5 * MICRO)
        hopeless = on.sign(Side.BUY, 10_000, MICRO, budget=MICRO, time_in_force=TimeInForce.FOK)
        outcomes = await on.venue.submit(submissions(resting, small, crossing, empty_handed, hopeless))
        assert isinstance(outcomes[0], SubmitAccepted)
        refused = [outcome for outcome in outcomes[1:] if isinstance(outcome, SubmitRefused)]
        assert [(outcome.code, outcome.killed) for outcome in refused] == [
            ("minimum_size", False),
            ("post_only_crosses", False),
            ("balance", False),
            ("fok_killed", True),
        ]
        assert not any(outcome.stop_trading for outcome in refused)
        (again,) = await on.venue.submit(submissions(resting))
        assert isinstance(again, SubmitUnknown)  # it arrived before: only its id tells what became of it
        assert "duplicated" in again.message
        unknown = OrderId("0x" + "12" * 32)
        outcome, other = await on.venue.cancel([unknown, resting.order_id])
        assert isinstance(outcome, CancelRefused)
        assert other == CancelAccepted(order_id=resting.order_id)

    play(scene)


def test_a_wrong_secret_stops_trading() -> None:
    async def scene(on: Stage) -> None:
        credentials = L2Credentials(
            on.account.credentials.api_key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "pass"
        )
        venue = PolymarketVenue(
            base_url=on.urls.clob_url,
            account=replace(on.account, credentials=credentials),
            clock=on.clock,
            rng=random.Random(1),
        )
        (outcome,) = await venue.submit(submissions(on.sign(Side.BUY, 20_000, 5 * MICRO)))
        assert isinstance(outcome, SubmitRefused)
        assert (outcome.code, outcome.stop_trading) == ("unauthorized", True)
        await venue.close()

    play(scene)


def test_the_market_stream_keeps_the_book_that_the_venue_has() -> None:
    async def scene(on: Stage) -> None:
        stream = MarketStream(url=on.urls.market_ws_url, clock=on.clock, rng=random.Random(3))
        heard = on.listen(stream)
        stream.subscribe([on.market.up_token])
        await heard.until(lambda event: isinstance(event, BookSnapshot))
        stream.subscribe([on.market.down_token])
        await heard.until(lambda event: isinstance(event, BookSnapshot) and event.token_id == on.market.down_token)
        await on.clock.sleep(30)
        await on.buy_now()
        await on.clock.sleep(30)
        truth = await on.venue.book(on.market.up_token)
        book = OrderBook()
        for event in heard.events:
            if isinstance(event, BookSnapshot) and event.token_id == on.market.up_token:
                book.replace(event.bids, event.asks, event.at_ns)
            if isinstance(event, BookChanged):
                changes = [change for change in event.changes if change.token_id == on.market.up_token]
                for change in changes:
                    book.set_level(change.side, change.price, change.size, event.at_ns)
                for change in changes:
                    assert book.agrees_with(change.best_bid, change.best_ask)
        assert (book.bids, book.asks) == (dict(truth.bids), dict(truth.asks))
        assert stream.unreadable == 0

    play(scene)


def test_after_a_break_the_streams_come_back_and_the_query_fills_the_gap() -> None:
    async def scene(on: Stage) -> None:
        user = on.listen(on.user_stream())
        stream = MarketStream(url=on.urls.market_ws_url, clock=on.clock, rng=random.Random(3))
        stream.subscribe([on.market.up_token])
        market = on.listen(stream)
        await user.until(lambda event: isinstance(event, StreamConnected))
        await market.until(lambda event: isinstance(event, BookSnapshot))
        on.break_connections()
        lost_at = on.clock.now_ns()
        order, accepted = await on.buy_now()
        for heard in (user, market):
            await heard.until(lambda event: isinstance(event, StreamLost))
            names = [type(event) for event in heard.events if isinstance(event, StreamConnected | StreamLost)]
            while names != [StreamConnected, StreamLost, StreamConnected]:
                await on.clock.sleep(0.1)
                names = [type(event) for event in heard.events if isinstance(event, StreamConnected | StreamLost)]
        assert len(market.of(BookSnapshot)) >= 2
        snapshot = await on.venue.account(since_ns=lost_at, tokens=())
        assert [(fill.order_id, fill.quantity) for fill in snapshot.fills] == [(order.order_id, accepted.taking)]

    play(scene)


def test_the_same_seed_tells_the_same_story() -> None:
    def story() -> list[WorldEvent]:
        told: list[WorldEvent] = []

        async def scene(on: Stage) -> None:
            stream = MarketStream(url=on.urls.market_ws_url, clock=on.clock, rng=random.Random(3))
            stream.subscribe([on.market.up_token])
            heard = [on.listen(stream), on.listen(on.user_stream())]
            await on.clock.sleep(5)
            on.break_connections()
            await on.buy_now()
            await on.clock.sleep(10)
            for listener in heard:
                told.extend(listener.events)

        play(scene)
        return told

    first = story()
    assert len(first) > 50
    assert first == story()


def test_prices_of_the_settlement_feed_its_average_and_the_spot() -> None:
    async def scene(on: Stage) -> None:
        prices = PriceStream(
            url=on.urls.price_ws_url,
            credentials=on.account.credentials,
            symbols=["BTC"],
            clock=on.clock,
            rng=random.Random(4),
        )
        spot = SpotStream(url=on.urls.spot_ws_url, symbols=["BTC"], clock=on.clock, rng=random.Random(5))
        heard, trades = on.listen(prices), on.listen(spot)
        await on.clock.sleep(30)
        ticks = heard.of(PriceTicked)
        path = on.exchange.simulation.paths["BTC"]
        for tick in ticks:
            expected = path.feed if tick.source is PriceSource.SETTLEMENT else path.average
            assert tick.price == expected(tick.at_ns // NS_PER_S)
        for source in (PriceSource.SETTLEMENT, PriceSource.AVERAGE):
            seconds = [tick.at_ns // NS_PER_S for tick in ticks if tick.source is source]
            assert len(seconds) > 120  # the snapshot's two minutes and what followed
            assert seconds == sorted(set(seconds))
        assert not heard.of(StreamLost)
        assert {tick.source for tick in trades.of(PriceTicked)} == {PriceSource.SPOT}
        times = [tick.at_ns for tick in trades.of(PriceTicked)]
        assert 20 <= len(times) <= 30 * 4 + 1
        on.break_connections()
        await heard.until(lambda event: isinstance(event, StreamLost))
        await on.clock.sleep(5)
        assert len(heard.of(StreamConnected)) == 2

    play(scene)


def test_the_verdict_comes_after_the_window() -> None:
    async def scene(on: Stage) -> None:
        assert await on.venue.resolution(on.market.condition_id) is None
        await on.clock.sleep(on.market.closes_at_s + 120 - on.clock.now_ns() / NS_PER_S)
        verdict = await on.venue.resolution(on.market.condition_id)
        assert verdict is not None
        assert verdict.up_payout in (0, MICRO)
        assert abs(await on.venue.server_time_ns() - on.clock.now_ns()) <= NS_PER_S

    play(scene)


def test_a_market_that_is_not_listed_is_none() -> None:
    async def scene(on: Stage) -> None:
        discovery = GammaDiscovery(base_url=on.urls.gamma_url, clock=on.clock, rng=random.Random(1))
        assert await discovery.find("BTC", WINDOW_S, 300) is None
        await discovery.close()

    play(scene)


def test_nobody_there_is_a_definite_no() -> None:
    async def scene(on: Stage) -> None:
        venue = PolymarketVenue(base_url="http://127.0.0.1:1", account=on.account, clock=on.clock, rng=random.Random(1))
        (outcome,) = await venue.submit(submissions(on.sign(Side.BUY, 20_000, 5 * MICRO)))
        assert isinstance(outcome, SubmitRefused)
        assert outcome.code == "unreachable"
        snapshot = await venue.account(since_ns=0, tokens=[on.market.up_token])
        assert not snapshot.complete
        assert snapshot.cash is None
        with pytest.raises(VenueUnreachable, match=r"127\.0\.0\.1:1"):
            await venue.cash()
        await venue.close()

    play(scene)
