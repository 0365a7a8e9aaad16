"""How far our clock is from the venue's, found with a clock that tells whole seconds only.

What lives here: the sampling and its bounds. What must not: what a drift means for trading.

A reading `s` taken between our times `b` and `a` proves that venue time minus ours lies between
`s - a` and `s + 1 s - b`. Each further reading is timed so that the venue's second would turn just
then if the offset were the middle of what is left: its answer halves the interval.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import ClockDriftMeasured
from polystra.domain.units import NS_PER_MS, NS_PER_S, Nanos
from polystra.ports.clock import Clock

READINGS: Final = 5
FINE_ENOUGH_NS: Final = 100 * NS_PER_MS


async def measure_drift(venue_time_ns: Callable[[], Awaitable[Nanos]], clock: Clock) -> ClockDriftMeasured:
    """Compare the clocks in up to `READINGS` readings, at most a second apart.

    A reading that contradicts the ones before it voids them, and must be confirmed by another: every proof and
    every expiration is reckoned from the result.

    Raises:
        VenueError: a reading failed, or the last ones contradict each other.
    """
    low, high, fastest_ns = await _reading(venue_time_ns, clock)
    agreeing = 1
    for _ in range(READINGS - 1):
        if high - low <= FINE_ENOUGH_NS and agreeing > 1:
            break
        turn_ns = clock.now_ns() + (low + high) // 2 + fastest_ns // 2
        await clock.sleep((-turn_ns % NS_PER_S) / NS_PER_S)
        least, most, trip_ns = await _reading(venue_time_ns, clock)
        fastest_ns = min(fastest_ns, trip_ns)
        if max(low, least) <= min(high, most):
            low, high, agreeing = max(low, least), min(high, most), agreeing + 1
        else:  # a clock was set meanwhile: what was known is void
            low, high, agreeing = least, most, 1
    if agreeing == 1:
        raise VenueProtocolError(f"the venue's time contradicts itself: {low // NS_PER_MS} ms from ours at last")
    return ClockDriftMeasured(offset_ns=(low + high) // 2, uncertainty_ns=-((low - high) // 2))


async def _reading(venue_time_ns: Callable[[], Awaitable[Nanos]], clock: Clock) -> tuple[Nanos, Nanos, Nanos]:
    """The bounds of the offset by one reading, and its round trip."""
    before_ns, started_ns = clock.now_ns(), clock.monotonic_ns()
    second_ns = await venue_time_ns() // NS_PER_S * NS_PER_S
    trip_ns = clock.monotonic_ns() - started_ns
    return second_ns - before_ns - trip_ns, second_ns + NS_PER_S - before_ns, trip_ns
