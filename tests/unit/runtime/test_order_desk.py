"""The desk alone: it puts requests in, hears facts, and never waits longer than its patience."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from polystra.domain.events import BookSnapshot, CancelRequested, CancelScope, OrderRequested, VenueOrderStatus
from polystra.domain.order_words import FieldStatus
from polystra.domain.orders import Side, TimeInForce
from polystra.domain.units import MICRO
from polystra.engine.order_view import OrderView
from polystra.runtime.inbox import Inbox
from polystra.runtime.order_desk import OrderDesk
from tests.fakes.clock import ManualClock, settle
from tests.fakes.venue import ScriptedVenue
from tests.unit.engine.desk import UP, Desk
from tests.unit.engine.test_order_requests import NO_EXITS, wish


class Bench:
    """An order desk whose requests a test carries to the engine by hand."""

    def __init__(self) -> None:
        self.engine = Desk(NO_EXITS).ready()
        self.clock = ManualClock(self.engine.now_ns)
        self.inbox = Inbox()
        self.venue = ScriptedVenue(self.clock, cash=7)
        self.desk = OrderDesk(state=self.engine.state, inbox=self.inbox, venue=self.venue, clock=self.clock)

    async def carry(self) -> list[object]:
        """Let the engine take what waits, and the desk hear what became true."""
        await settle()
        events = await self.inbox.take(256) if len(self.inbox) else []
        self.engine.step(*events)
        self.hear()
        await settle()
        return list(events)

    def hear(self) -> None:
        self.desk.heard(self.engine.facts)
        self.engine.facts.clear()


async def test_a_resting_order_is_shown_once_the_venue_has_it() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.limit(Side.BUY, UP, 500_000, 10 * MICRO, post_only=True))
    [event] = await bench.carry()
    assert isinstance(event, OrderRequested)
    assert event.post_only
    assert not call.done(), "signed and sent is not placed"
    bench.engine.accept(bench.engine.last_order())
    bench.hear()
    view = await call
    assert (view.status, view.order_id) == (FieldStatus.LIVE, bench.engine.last_order().order_id)
    assert view == bench.desk.order(view.request_id)


async def test_a_market_order_is_shown_once_its_fills_are_booked() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.buy_for_dollars(UP, 5 * MICRO, 510_000))
    await bench.carry()
    track = bench.engine.last_order()
    bench.engine.accept(track, status=VenueOrderStatus.MATCHED, making=4_900_000, taking=10 * MICRO)
    bench.engine.report(track, "MATCHED", 10)
    bench.hear()
    await settle()
    assert not call.done(), "ten shares are matched and none is booked"
    bench.engine.fill(track, 4, 49)
    bench.engine.fill(track, 6, 48)
    bench.hear()
    view = await call
    assert (view.status, view.filled, view.average_price) == (FieldStatus.FILLED, 10 * MICRO, 484_000)


async def test_an_order_told_twice_in_one_breath_is_one_order_and_nobody_waits_in_vain() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.place_batch([wish(5), wish(5)]))
    await bench.carry()
    bench.engine.accept(bench.engine.last_order())
    bench.hear()
    await settle()
    assert call.done()
    first, second = await call
    assert first == second
    assert first.status is FieldStatus.LIVE


async def test_an_id_that_cannot_be_written_down_is_answered_at_once() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.place(replace(wish(5), request_id="\ud800")))
    await bench.carry()
    assert call.done()
    assert "request_id is ?" in (await call).refusal


async def test_a_refused_order_is_one_sentence_at_once() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.limit(Side.BUY, UP, 505_000, 10 * MICRO))
    await bench.carry()
    view = await call
    assert (view.status, view.is_over, view.is_refused) == (FieldStatus.ERROR, True, True)
    assert view.refusal == "price is 0.505, expected a multiple of the tick 0.01: use 0.5 or 0.51"


async def test_a_lost_reply_is_waited_for_and_then_shown_as_pending() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.place(wish(5)))
    await bench.carry()
    track = bench.engine.last_order()
    bench.engine.unknown(track)
    bench.hear()
    await bench.clock.advance(29.9)
    assert not call.done()
    await bench.clock.advance(0.2)
    view = await call
    assert (view.status, view.order_id, view.is_over) == (FieldStatus.PENDING, track.order_id, False)
    bench.engine.accept(track)
    later = bench.desk.order("r5")
    assert later is not None
    assert later.status is FieldStatus.LIVE


async def test_a_daemon_that_does_not_answer_is_said_so() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.place(wish(5)))
    await settle()
    await bench.clock.advance(31)
    view = await call
    assert (view.status, view.client_order_id) == (FieldStatus.PENDING, None)
    assert "ask for the order by its request id" in view.refusal


async def test_a_cancel_waits_until_the_order_is_over() -> None:
    bench = Bench()
    placed = asyncio.create_task(bench.desk.place(wish()))
    await bench.carry()
    track = bench.engine.last_order()
    bench.engine.accept(track)
    bench.hear()
    view = await placed
    call = asyncio.create_task(bench.desk.cancel(str(view.client_order_id), "nobody"))
    [event] = await bench.carry()
    assert isinstance(event, CancelRequested)
    assert event.scope is CancelScope.ORDERS
    assert not call.done()
    bench.engine.cancelled(track)
    bench.hear()
    gone, unknown = await call
    assert (gone.status, gone.order_id) == (FieldStatus.CANCELED, view.order_id)
    assert "order nobody is not known here" in unknown.refusal


async def test_two_desks_calls_have_different_request_ids() -> None:
    bench = Bench()
    calls = [asyncio.create_task(bench.desk.limit(Side.BUY, UP, 505_000, MICRO)) for _ in range(2)]
    first, second = await bench.carry()
    assert isinstance(first, OrderRequested)
    assert isinstance(second, OrderRequested)
    assert first.request_id != second.request_id
    views: list[OrderView] = [await call for call in calls]
    assert all(view.is_refused for view in views)


async def test_liquidity_comes_from_the_local_book_and_else_from_the_venue() -> None:
    bench = Bench()
    near = await bench.desk.liquidity(UP, Side.BUY, 10 * MICRO)
    assert (near.average, bench.venue.calls) == (510_000, [])
    book = bench.engine.state.book(UP)
    assert book is not None
    book.in_sync = False
    bench.venue.books[UP] = BookSnapshot(token_id=UP, bids=(), asks=((600_000, 20 * MICRO),), at_ns=1)
    far = await bench.desk.liquidity(UP, Side.BUY, 10 * MICRO)
    assert (far.average, bench.venue.calls) == (600_000, ["book"])


async def test_a_market_sell_is_a_fak_unless_asked_otherwise() -> None:
    bench = Bench()
    call = asyncio.create_task(bench.desk.sell_shares(UP, MICRO, 400_000))
    [event] = await bench.carry()
    assert isinstance(event, OrderRequested)
    assert (event.side, event.time_in_force, event.quantity) == (Side.SELL, TimeInForce.FAK, MICRO)
    assert "none of token" in (await call).refusal
