"""The offset from a clock of whole seconds: always bounded, and fine after a few readings."""

from __future__ import annotations

import asyncio
import random

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.clock_drift import FINE_ENOUGH_NS, READINGS, measure_drift
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import ClockDriftMeasured
from polystra.domain.units import NS_PER_MS, NS_PER_S
from polystra.runtime.deterministic import run

START_NS = 1_800_000_000 * NS_PER_S + 371 * NS_PER_MS


class Venue:
    """A venue whose clock is `offset_ns` ahead of ours and that answers after some hundredths of a second."""

    def __init__(self, clock: LoopClock, offset_ns: int, seed: int = 1) -> None:
        self.clock = clock
        self.offset_ns = offset_ns
        self.chance = random.Random(seed)
        self.readings = 0

    async def time_ns(self) -> int:
        self.readings += 1
        await self.clock.sleep(self.chance.uniform(0.001, 0.02))
        told = (self.clock.now_ns() + self.offset_ns) // NS_PER_S * NS_PER_S
        await self.clock.sleep(self.chance.uniform(0.001, 0.02))
        return told


@pytest.mark.parametrize("offset_ms", [0, 1, -1, 499, 500, 501, -730, 2_000, -31_234, 3_600_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_true_offset_is_within_narrow_bounds(offset_ms: int, seed: int) -> None:
    async def scene() -> tuple[ClockDriftMeasured, int, float]:
        clock = LoopClock(START_NS)
        venue = Venue(clock, offset_ms * NS_PER_MS, seed)
        drift = await measure_drift(venue.time_ns, clock)
        return drift, venue.readings, asyncio.get_running_loop().time()

    drift, readings, seconds = run(scene(), seed=seed)
    assert abs(drift.offset_ns - offset_ms * NS_PER_MS) <= drift.uncertainty_ns
    assert drift.uncertainty_ns <= FINE_ENOUGH_NS
    assert readings <= READINGS
    assert seconds < READINGS + 1


def test_a_clock_that_is_set_between_two_readings_voids_the_earlier_ones() -> None:
    async def scene() -> ClockDriftMeasured:
        clock = LoopClock(START_NS)
        venue = Venue(clock, 0)

        async def time_ns() -> int:
            if venue.readings == 2:
                venue.offset_ns = 90 * NS_PER_S
            return await venue.time_ns()

        return await measure_drift(time_ns, clock)

    drift = run(scene(), seed=1)
    assert abs(drift.offset_ns - 90 * NS_PER_S) <= drift.uncertainty_ns


def test_a_reading_that_contradicts_the_others_needs_another_to_confirm_it() -> None:
    async def scene() -> None:
        clock = LoopClock(START_NS)
        venue = Venue(clock, 0)

        async def time_ns() -> int:
            venue.offset_ns = 3_600 * NS_PER_S - venue.offset_ns
            return await venue.time_ns()

        with pytest.raises(VenueProtocolError, match="contradicts itself"):
            await measure_drift(time_ns, clock)
        assert venue.readings == READINGS

    run(scene(), seed=1)


@pytest.mark.parametrize(
    ("offset", "uncertainty", "correction"), [(0, 5, 0), (4, 5, 0), (-4, 5, 0), (9, 5, 4), (-9, 5, -4), (9, 0, 9)]
)
def test_no_more_is_corrected_than_is_proven(offset: int, uncertainty: int, correction: int) -> None:
    assert ClockDriftMeasured(offset_ns=offset, uncertainty_ns=uncertainty).correction_ns == correction
