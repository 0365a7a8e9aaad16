"""The hold on the account: renewed on the clock, looked at before an order leaves."""

from __future__ import annotations

import asyncio

import pytest

from polystra.domain.errors import StoreBusy, StoreFenced
from polystra.domain.ids import OrderId
from polystra.domain.orders import Purpose, SignedOrder
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine import effects as fx
from polystra.ports.logbook import LogEvent
from polystra.ports.tenure import RENEW_S, TERM_S
from polystra.runtime.inbox import Inbox
from polystra.runtime.outbox import Outbox
from polystra.runtime.tenure import TenureKeeper
from tests.fakes.clock import ManualClock, settle
from tests.fakes.streams import FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery, ScriptedVenue
from tests.unit.runtime.lines import Lines

FENCED = "another polystra has taken over the account"


class Term:
    """A hold that can be busy or lost."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.held_until_ns: Nanos = clock.now_ns() + TERM_S * NS_PER_S
        self.renewals = 0
        self.busy = 0
        self.is_lost = False

    async def renew(self) -> None:
        if self.is_lost:
            raise StoreFenced(FENCED)
        if self.busy:
            self.busy -= 1
            raise StoreBusy("locked")
        self.renewals += 1
        self.held_until_ns = self.clock.now_ns() + TERM_S * NS_PER_S


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.term = Term(self.clock)
        self.log = Lines()
        self.keeper = TenureKeeper(self.term, clock=self.clock, log=self.log)
        self.venue = ScriptedVenue(self.clock)
        self.outbox = Outbox(
            venue=self.venue,
            discovery=ScriptedDiscovery([]),
            market_stream=FakeTokenStream(),
            clock=self.clock,
            inbox=Inbox(),
            log=self.log,
            keeper=self.keeper,
        )


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def submit(purpose: Purpose) -> fx.SubmitOrder:
    signed = SignedOrder(
        client_order_id="o1",  # type: ignore[arg-type]
        order_id=OrderId("0x1"),
        body=b"",
        salt=1,
        timestamp_ms=1,
        quantity=1,
    )
    return fx.SubmitOrder(signed=signed, purpose=purpose)


async def test_an_idle_daemon_renews_before_its_term_ends(bench):
    task = asyncio.get_running_loop().create_task(bench.keeper.run())
    for _ in range(10):
        await bench.clock.advance(RENEW_S)
        assert bench.keeper.is_current
    assert bench.term.renewals == 10
    task.cancel()


async def test_what_commits_renewed_is_left_alone(bench):
    task = asyncio.get_running_loop().create_task(bench.keeper.run())
    for _ in range(5):
        await bench.clock.advance(RENEW_S / 2)
        bench.term.held_until_ns = bench.clock.now_ns() + TERM_S * NS_PER_S
        await bench.clock.advance(RENEW_S / 2)
    assert bench.term.renewals == 0
    task.cancel()


async def test_a_busy_database_is_told_and_tried_again(bench):
    bench.term.busy = 1
    task = asyncio.get_running_loop().create_task(bench.keeper.run())
    await bench.clock.advance(2 * RENEW_S)
    assert bench.term.renewals == 1
    assert len(bench.log.of(LogEvent.STORE_BUSY)) == 1
    task.cancel()


async def test_a_take_over_ends_the_keeper(bench):
    bench.term.is_lost = True
    task = asyncio.get_running_loop().create_task(bench.keeper.run())
    await bench.clock.advance(RENEW_S)
    with pytest.raises(StoreFenced, match=FENCED):
        await task


@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.STOP_LOSS])
async def test_after_a_pause_longer_than_the_term_nothing_leaves_before_a_new_one(bench, purpose):
    bench.outbox.release([submit(purpose)])
    await bench.clock.advance(TERM_S)
    bench.term.busy = 2
    task = asyncio.get_running_loop().create_task(bench.outbox.run())
    await settle(60)
    assert bench.venue.submitted == []
    await bench.clock.advance(2)
    assert bench.term.renewals == 1
    assert [len(batch) for batch in bench.venue.submitted] == [1]
    task.cancel()


async def test_after_a_pause_and_a_take_over_nothing_leaves_and_the_daemon_ends(bench):
    bench.outbox.release([submit(Purpose.ENTRY), submit(Purpose.STOP_LOSS)])
    await bench.clock.advance(TERM_S)
    bench.term.is_lost = True
    with pytest.raises(ExceptionGroup) as caught:
        await bench.outbox.run()
    assert all(isinstance(error, StoreFenced) for error in caught.value.exceptions)
    assert bench.venue.submitted == []


async def test_within_the_term_no_order_waits_for_the_database(bench):
    bench.outbox.release([submit(Purpose.ENTRY)])
    await bench.clock.advance(TERM_S - 1)
    task = asyncio.get_running_loop().create_task(bench.outbox.run())
    await settle(60)
    assert (len(bench.venue.submitted), bench.term.renewals) == (1, 0)
    task.cancel()


async def test_a_clock_that_was_set_back_makes_no_term_longer(bench):
    """Whoever watches by another clock has seen the term end: it is renewed before anything leaves."""
    bench.term.held_until_ns += 3_600 * NS_PER_S
    assert not bench.keeper.is_current
    task = asyncio.get_running_loop().create_task(bench.keeper.run())
    await bench.clock.advance(RENEW_S)
    assert bench.term.renewals == 1
    assert bench.keeper.is_current
    task.cancel()
