"""The stand-in for the price stream runs only while the current one has been away for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.price_fallback import FallbackPriceStream
from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, StreamName, WorldEvent
from polystra.ports.venue import Sink
from polystra.runtime import deterministic

UP = StreamConnected(stream=StreamName.PRICES)
GONE = StreamLost(stream=StreamName.PRICES, reason="cut")


def tick(price: int) -> PriceTicked:
    return PriceTicked(symbol="BTC", source=PriceSource.SETTLEMENT, price=price, at_ns=0)


class Scripted:
    """A stream that says each event after a wait, then nothing; it notes when it runs."""

    def __init__(self, clock: LoopClock, *script: tuple[float, WorldEvent]) -> None:
        self._clock = clock
        self._script = script
        self.starts: list[float] = []
        self.ends: list[float] = []

    async def run(self, sink: Sink) -> None:
        self.starts.append(round(self._clock.monotonic_ns() / 1e9))
        try:
            for wait_s, event in self._script:
                await self._clock.sleep(wait_s)
                sink(event)
            await asyncio.get_running_loop().create_future()
        finally:
            self.ends.append(round(self._clock.monotonic_ns() / 1e9))


def play(scene: Callable[[LoopClock], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene(LoopClock(0))

    deterministic.run(main(), seed=1)


async def watch(primary: Scripted, fallback: Scripted, clock: LoopClock, seconds: float) -> list[WorldEvent]:
    heard: list[WorldEvent] = []
    stream = FallbackPriceStream(primary=primary, fallback=fallback, clock=clock)
    try:
        async with clock.timeout(seconds):
            await stream.run(heard.append)
    except TimeoutError:
        pass
    return heard


def test_a_healthy_stream_needs_no_stand_in() -> None:
    async def scene(clock: LoopClock) -> None:
        primary, fallback = Scripted(clock, (1, UP), (1, tick(1))), Scripted(clock)
        assert await watch(primary, fallback, clock, 200) == [UP, tick(1)]
        assert fallback.starts == []

    play(scene)


def test_a_short_break_is_waited_out() -> None:
    async def scene(clock: LoopClock) -> None:
        primary, fallback = Scripted(clock, (1, UP), (9, GONE), (29, UP)), Scripted(clock)
        assert await watch(primary, fallback, clock, 200) == [UP, GONE, UP]
        assert fallback.starts == []

    play(scene)


def test_a_long_break_is_bridged_until_the_stream_is_back() -> None:
    async def scene(clock: LoopClock) -> None:
        primary = Scripted(clock, (1, UP), (9, GONE), (60, UP), (5, tick(3)))
        fallback = Scripted(clock, (1, UP), (1, tick(2)))
        assert await watch(primary, fallback, clock, 200) == [UP, GONE, UP, tick(2), UP, tick(3)]
        assert (fallback.starts, fallback.ends) == ([40], [70])

    play(scene)


def test_a_stream_that_never_comes_is_stood_in_for() -> None:
    async def scene(clock: LoopClock) -> None:
        primary, fallback = Scripted(clock), Scripted(clock, (1, UP), (1, tick(2)))
        assert await watch(primary, fallback, clock, 100) == [UP, tick(2)]
        assert fallback.starts == [30]

    play(scene)
