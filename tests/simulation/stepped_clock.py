"""A clock that somebody sets while the daemon runs.

What lives here: the daemon's own clock in a scripted run, off from the world's. What must not: the world's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock


class SteppedClock:
    """Fulfils `Clock`: from second `at` of the run on it tells `seconds` more than the world's; the last step holds."""

    def __init__(self, inner: Clock, steps: Sequence[tuple[int, int]], begun_ns: Nanos) -> None:
        self._inner = inner
        self._steps = [(begun_ns + at * NS_PER_S, seconds * NS_PER_S) for at, seconds in steps]

    def now_ns(self) -> Nanos:
        """Return UTC nanoseconds since 1970, as this machine believes."""
        now_ns = self._inner.now_ns()
        return now_ns + next((by_ns for at_ns, by_ns in reversed(self._steps) if now_ns >= at_ns), 0)

    def monotonic_ns(self) -> Nanos:
        """Return nanoseconds that never go backwards."""
        return self._inner.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await self._inner.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Bound the body of an `async with` to `seconds`."""
        return self._inner.timeout(seconds)
