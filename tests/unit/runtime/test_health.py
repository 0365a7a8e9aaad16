"""The pulse: the loop's life and each stream's last word, in real seconds."""

from __future__ import annotations

import asyncio

from polystra.domain.events import PriceSource, PriceTicked, StreamConnected, StreamLost, StreamName, WorldEvent
from polystra.domain.units import NS_PER_S
from polystra.ports.health import HealthReading
from polystra.ports.heartbeat import LifeSign
from polystra.ports.logbook import LogEvent
from polystra.runtime.health import Pulse
from tests.fakes.clock import ManualClock
from tests.unit.runtime.lines import Lines


class Board:
    """Takes readings; refuses while `full`."""

    def __init__(self) -> None:
        self.readings: list[HealthReading] = []
        self.full = False
        self.asked = 0

    def post(self, reading: HealthReading) -> None:
        self.asked += 1
        if self.full:
            raise OSError(28, "No space left on device")
        self.readings.append(reading)

    def clear(self) -> None:
        self.readings.clear()


def tick() -> PriceTicked:
    return PriceTicked(symbol="BTC", source=PriceSource.SPOT, price=1, at_ns=1)


def pulse_of(clock: ManualClock, life: LifeSign, board: Board | None = None) -> tuple[Pulse, Lines]:
    log = Lines()
    return Pulse(board or Board(), life=life, clock=clock, log=log, mode="sim"), log


async def test_the_age_of_the_loop_grows_until_it_marks_its_life_at_whatever_pace() -> None:
    clock, simulated = ManualClock(), ManualClock()
    life = LifeSign(simulated)
    pulse, _ = pulse_of(clock, life)
    await clock.advance(7)
    assert pulse.look().loop_quiet_ns == 7 * NS_PER_S
    await simulated.advance(100)
    life.mark()
    assert pulse.look().loop_quiet_ns == 0
    await clock.advance(3)
    assert pulse.look().loop_quiet_ns == 3 * NS_PER_S


async def test_a_stream_is_as_old_as_its_last_word_and_everything_is_passed_on() -> None:
    clock = ManualClock()
    pulse, _ = pulse_of(clock, LifeSign(clock))
    got: list[WorldEvent] = []
    sink = pulse.watch("price", got.append)
    await clock.advance(5)
    [stream] = pulse.look().streams
    assert (stream.name, stream.connected, stream.quiet_ns) == ("price", False, 5 * NS_PER_S)
    said: list[WorldEvent] = [StreamConnected(stream=StreamName.PRICES), tick()]
    for event in said:
        sink(event)
    assert got == said
    [stream] = pulse.look().streams
    assert (stream.connected, stream.quiet_ns) == (True, 0)
    await clock.advance(4)
    assert pulse.look().streams[0].quiet_ns == 4 * NS_PER_S
    sink(StreamLost(stream=StreamName.PRICES, reason="gone"))
    pulse.look()
    await clock.advance(2)
    [stream] = pulse.look().streams
    assert (stream.connected, stream.quiet_ns) == (False, 2 * NS_PER_S)


async def one_second(clock: ManualClock) -> None:
    """Until the pulse sleeps (its post runs in a thread), then a second on."""
    while not clock.sleepers:  # noqa: ASYNC110 - the thread sets no event
        await asyncio.sleep(0)
    await clock.advance(1)


async def test_a_full_disk_is_logged_once_and_the_pulse_goes_on() -> None:
    clock, board = ManualClock(), Board()
    pulse, log = pulse_of(clock, LifeSign(clock), board)
    board.full = True
    task = asyncio.create_task(pulse.run())
    await one_second(clock)
    await one_second(clock)
    assert board.asked >= 2
    assert len(log.of(LogEvent.HEALTH_UNTOLD)) == 1
    board.full = False
    await one_second(clock)
    await one_second(clock)
    assert board.readings
    task.cancel()
