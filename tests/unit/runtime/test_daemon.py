from __future__ import annotations

import asyncio

import pytest

from polystra.domain.errors import InvariantViolation, VenueUnreachable
from polystra.domain.events import StopMode, StreamName
from polystra.domain.notices import NoticeTopic, VenueNotice
from polystra.domain.units import NS_PER_S
from polystra.ports.heartbeat import LifeSign
from polystra.ports.logbook import LogEvent
from polystra.runtime.daemon import Daemon, Parts, RunSummary
from tests.fakes.clock import ManualClock, settle
from tests.fakes.signer import FakeSigner
from tests.fakes.store import MemoryStore
from tests.fakes.streams import FakeStream, FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery, ScriptedVenue
from tests.unit.engine.desk import MARKET, START_NS, config
from tests.unit.runtime.lines import Lines


class Bench:
    def __init__(self, clock: ManualClock | None = None, **changes: object) -> None:
        self.clock = clock or ManualClock(START_NS)
        self.store = MemoryStore()
        self.venue = ScriptedVenue(self.clock, cash=1_000_000_000)
        self.discovery = ScriptedDiscovery([MARKET])
        self.market_stream = FakeTokenStream()
        self.log = Lines()
        parts: dict[str, object] = {
            "config": config(),
            "store": self.store,
            "signer": FakeSigner(),
            "clock": self.clock,
            "venue": self.venue,
            "discovery": self.discovery,
            "market_stream": self.market_stream,
            "streams": {name.value: FakeStream(name) for name in StreamName if name is not StreamName.MARKET},
            "log": self.log,
            "stop_mode": StopMode.KEEP_EXITS,
            "handle_signals": False,
        }
        self.daemon = Daemon(Parts(**{**parts, **changes}))  # type: ignore[arg-type]

    async def run(self) -> RunSummary:
        """Run for two seconds, ask to stop, return how it ended."""
        task = asyncio.get_running_loop().create_task(self.daemon.run())
        await settle(80)
        await self.clock.advance(2)
        self.daemon.stop("test over")
        await settle(80)
        return await task


async def test_a_run_reconciles_finds_its_market_and_stops_in_order():
    bench = Bench()
    summary = await bench.run()
    assert summary.reason == "test over"
    assert summary.left_open == ()
    assert summary.facts == len(bench.store.facts) > 0
    assert summary.requests >= 2
    assert bench.venue.calls[0] == "account"
    assert ("BTC", 900, MARKET.opens_at_s) in bench.discovery.asked
    assert bench.market_stream.tokens == {MARKET.up_token, MARKET.down_token}
    assert bench.log.of(LogEvent.SHUTDOWN_COMPLETED) == [{"reason": "test over", "left_open": "nothing"}]


async def test_a_notice_is_dismissed_after_what_it_led_to():
    bench = Bench()
    resolved = VenueNotice(notice_id=5, topic=NoticeTopic.MARKET_RESOLVED, kind=4, condition_id=MARKET.condition_id)
    bench.venue.unread[5] = resolved
    await bench.run()
    assert bench.venue.unread == {}
    order = [call for call in bench.venue.calls if call in ("account", "notices", "resolution", "dismiss")]
    assert order[:4] == ["account", "notices", "resolution", "dismiss"]


async def test_a_dismissal_that_fails_is_told_and_harms_nothing():
    class Deaf(ScriptedVenue):
        async def dismiss(self, ids):
            raise VenueUnreachable("nobody there")

    bench = Bench()
    venue = Deaf(bench.clock, cash=1_000_000_000)
    venue.unread[5] = VenueNotice(notice_id=5, topic=NoticeTopic.MARKET_LISTED, kind=3)
    bench = Bench(venue=venue)
    summary = await bench.run()
    assert summary.reason == "test over"
    assert bench.log.of(LogEvent.QUESTION_FAILED) == [{"question": "notices read", "error": "nobody there"}]


class FakeHeart:
    """Fulfils `Heart`; remembers when it was started and how old the sign of life was when asked."""

    def __init__(self, life: LifeSign) -> None:
        self.life = life
        self.started = 0
        self.ages: list[int] = []
        self.is_running = False

    def start(self) -> None:
        self.started += 1
        self.ages.append(self.life.age_ns())

    async def run(self, sink):
        self.is_running = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.is_running = False


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_heart_begins_when_the_engine_asks_and_ends_with_the_run(wanted: bool):
    clock = ManualClock(START_NS)
    heart = FakeHeart(LifeSign(clock))
    bench = Bench(clock, heart=heart, life=heart.life, config=config(venue_heartbeat=wanted))
    await bench.run()
    assert heart.started == (1 if wanted else 0)
    assert not heart.is_running


async def test_an_idle_loop_shows_life_and_one_that_waits_for_its_store_does_not():
    clock = ManualClock(START_NS)
    life = LifeSign(clock)
    bench = Bench(clock, heart=FakeHeart(life), life=life)
    task = asyncio.get_running_loop().create_task(bench.daemon.run())
    await settle(80)
    for _ in range(30):
        await bench.clock.advance(1)
        assert life.age_ns() <= NS_PER_S
    bench.store.busy = 1_000
    bench.daemon.stop("test over")
    for _ in range(20):
        await bench.clock.advance(1)
    assert life.age_ns() >= 15 * NS_PER_S
    task.cancel()


async def test_two_runs_of_the_same_world_have_the_same_digest():
    assert (await Bench().run()).digest == (await Bench().run()).digest


async def test_a_stream_that_returns_is_a_bug_that_ends_the_run():
    class Ending(FakeStream):
        async def run(self, sink):
            return None

    bench = Bench(streams={"user": Ending(StreamName.USER)})
    with pytest.raises(InvariantViolation, match="user stream"):
        await bench.daemon.run()


async def test_companions_run_beside_the_daemon_and_end_with_it():
    events: list[str] = []

    async def companion() -> None:
        events.append("started")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            events.append("ended")

    await Bench(beside={"exchange": companion}).run()
    assert events == ["started", "ended"]
