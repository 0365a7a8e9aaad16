from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from polystra.domain.events import TimerFired
from polystra.domain.units import NS_PER_S
from polystra.runtime.inbox import Inbox
from polystra.runtime.timers import Timers
from tests.fakes.clock import ManualClock, settle


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.inbox = Inbox()
        self.timers = Timers(self.clock, self.inbox)

    def set(self, key: str, after_s: float) -> None:
        self.timers.set(key, self.clock.now_ns() + round(after_s * NS_PER_S))

    async def fired(self) -> list[str]:
        await settle()
        if not len(self.inbox):
            return []
        return [event.key for event in await self.inbox.take(100) if isinstance(event, TimerFired)]


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    bench = Bench()
    task = asyncio.get_running_loop().create_task(bench.timers.run())
    await settle()
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_timer_fires_at_its_time_and_not_before_and_once():
    async with running() as bench:
        bench.set("a", 5)
        await bench.clock.advance(4.999)
        assert await bench.fired() == []
        await bench.clock.advance(0.001)
        assert await bench.fired() == ["a"]
        await bench.clock.advance(60)
        assert await bench.fired() == []
        assert len(bench.timers) == 0


async def test_timers_fire_in_the_order_of_their_times():
    async with running() as bench:
        bench.set("late", 9)
        bench.set("early", 3)
        bench.set("middle", 5)
        await bench.clock.advance(20)
        assert await bench.fired() == ["early", "middle", "late"]


async def test_timers_of_one_time_fire_in_the_order_in_which_they_were_set():
    async with running() as bench:
        for key in "cab":
            bench.set(key, 5)
        await bench.clock.advance(5)
        assert await bench.fired() == ["c", "a", "b"]


async def test_setting_a_key_again_replaces_its_time():
    async with running() as bench:
        bench.set("a", 5)
        bench.set("a", 8)
        await bench.clock.advance(5)
        assert await bench.fired() == []
        bench.set("a", 1)
        await bench.clock.advance(1)
        assert await bench.fired() == ["a"]
        await bench.clock.advance(10)
        assert await bench.fired() == []


async def test_a_timer_in_the_past_fires_at_once():
    async with running() as bench:
        bench.set("past", -3)
        assert await bench.fired() == ["past"]


async def test_an_earlier_timer_wakes_a_sleeping_task():
    async with running() as bench:
        bench.set("late", 100)
        await settle()
        bench.set("early", 1)
        await bench.clock.advance(1)
        assert await bench.fired() == ["early"]
