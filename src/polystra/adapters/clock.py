"""The clocks: real time, real time at another pace, and the running loop's own.

What lives here: every implementation of `ports.clock.Clock`; this file alone asks the system
for the time and asyncio to wait. What must not: schedules, market windows, anything that
decides by the time it reads.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import Final, Protocol

from polystra.domain.units import NS_PER_S, Nanos


class _Monotonic(Protocol):
    def monotonic_ns(self) -> Nanos: ...


async def _sleep_until_passed(clock: _Monotonic, seconds: float, loop_seconds: float) -> None:
    """Wait until `seconds` of `clock` have passed, about `loop_seconds` of the event loop.

    Loops round their timers, some to the millisecond, so that one wait may end early.
    """
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    pace = loop_seconds / seconds
    until = clock.monotonic_ns() + round(seconds * NS_PER_S)
    await asyncio.sleep(loop_seconds)
    while (rest := until - clock.monotonic_ns()) > 0:  # noqa: ASYNC110 - it waits for time itself
        await asyncio.sleep(rest / NS_PER_S * pace)


class SystemClock:
    """Real time."""

    def now_ns(self) -> Nanos:
        """Return UTC nanoseconds since 1970; follows corrections of the system's clock."""
        return time.time_ns()

    def monotonic_ns(self) -> Nanos:
        """Return nanoseconds that never go backwards."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await _sleep_until_passed(self, seconds, seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Bound the body of an `async with` to `seconds`."""
        return asyncio.timeout(seconds)


class ScaledClock:
    """Simulated time that runs `speed` times as fast as real time.

    Simulated UTC is `epoch_ns` at the real UTC moment `anchor_ns` (now, if not given), so two
    processes of one machine that share the three values read the same time. After construction
    only the monotonic clock is read: a correction of the system's clock does not show.

    Raises:
        ValueError: `speed` is not above zero.
    """

    def __init__(self, epoch_ns: Nanos, speed: float, anchor_ns: Nanos | None = None) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed is {speed}, expected a number above zero")
        real_ns = time.time_ns()
        self.epoch_ns: Final = epoch_ns
        self.speed: Final = speed
        self.anchor_ns: Final = real_ns if anchor_ns is None else anchor_ns
        self._start_ns: Final = time.monotonic_ns() - (real_ns - self.anchor_ns)
        self._numerator, self._denominator = Fraction(speed).as_integer_ratio()

    def now_ns(self) -> Nanos:
        """Return simulated UTC nanoseconds since 1970."""
        return self.epoch_ns + self.monotonic_ns()

    def monotonic_ns(self) -> Nanos:
        """Return simulated nanoseconds since the anchor; negative before it."""
        return (time.monotonic_ns() - self._start_ns) * self._numerator // self._denominator

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of simulated time."""
        await _sleep_until_passed(self, seconds, seconds / self.speed)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Bound the body of an `async with` to `seconds` of simulated time."""
        return asyncio.timeout(seconds / self.speed)


class LoopClock:
    """The running loop's own time: virtual on the deterministic loop.

    `epoch_ns` is the UTC moment at which the loop's `time()` is zero. May only be read while a
    loop runs.
    """

    def __init__(self, epoch_ns: Nanos) -> None:
        self.epoch_ns: Final = epoch_ns

    def now_ns(self) -> Nanos:
        """Return UTC nanoseconds since 1970."""
        return self.epoch_ns + round(asyncio.get_running_loop().time() * NS_PER_S)

    def monotonic_ns(self) -> Nanos:
        """Return the loop's time in nanoseconds."""
        return round(asyncio.get_running_loop().time() * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of the loop's time."""
        await _sleep_until_passed(self, seconds, seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Bound the body of an `async with` to `seconds` of the loop's time."""
        return asyncio.timeout(seconds)
